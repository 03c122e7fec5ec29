import { unlessAborted } from '../../lib/abort.ts';
import type { SpawnerContext } from '../../lib/context.ts';
import { StartError, StateError } from '../../lib/errors.ts';
import type { ExitStatus, ServerAddress, SpawnerEvents } from '../../lib/events.ts';
import type { SpawnerOptions } from '../../lib/generated/options.ts';
import { Spawner } from '../../lib/spawner.ts';
import type { Json } from '../../lib/state.ts';

/** How a server ends by itself. */
export const crashed: ExitStatus = {
  code: 3,
  signal: null,
  cause: 'failed',
  message: 'The server ended with exit code 3.',
};

/** How it ends by `stop()`. */
export const cancelled: ExitStatus = {
  code: null,
  signal: 'SIGTERM',
  cause: 'cancelled',
  message: 'The server was stopped.',
};

interface Server {
  exit: ExitStatus | null;
  readonly whenEnded: ((exit: ExitStatus) => void)[];
}

/** Runs the servers of test spawners, and outlives these. Nothing of it takes time. */
export class TestMachine {
  /** Whether servers that are launched say where they listen. */
  listens = true;
  /** Whether they answer. */
  answers = true;
  readonly #servers = new Map<string, Server>();

  launch(): string {
    const id = `server-${this.#servers.size + 1}`;
    this.#servers.set(id, { exit: null, whenEnded: [] });
    return id;
  }

  /** Ends a server, or all. */
  end(exit: ExitStatus, id?: string): void {
    for (const [name, server] of this.#servers) {
      if (server.exit === null && (id === undefined || id === name)) {
        server.exit = exit;
        for (const tell of server.whenEnded) tell(exit);
      }
    }
  }

  exitOf(id: string): ExitStatus | null {
    return this.#servers.get(id)?.exit ?? null;
  }

  untilEnd(id: string): Promise<ExitStatus> {
    return new Promise((resolve) => this.#servers.get(id)?.whenEnded.push(resolve));
  }

  /** How many servers were launched. */
  get launched(): number {
    return this.#servers.size;
  }

  /** How many of them have not ended. */
  get alive(): number {
    return [...this.#servers.values()].filter(({ exit }) => exit === null).length;
  }
}

/** A spawner whose server is an entry of a `TestMachine`: no process, no network, no time. */
export class TestSpawner extends Spawner<SpawnerOptions> {
  static override readonly kind: string = 'test';
  readonly machine: TestMachine;
  /** How often it was polled. */
  polls = 0;
  /** What `poll()` and `stop()` throw instead of their work. */
  failure: Error | undefined;
  #id: string | undefined;

  constructor(
    options: Partial<SpawnerOptions> = {},
    {
      machine = new TestMachine(),
      ...context
    }: Partial<SpawnerContext> & { machine?: TestMachine } = {},
  ) {
    super({ user: { name: 'ada' }, ...context }, { pollInterval: 0, ...options });
    this.machine = machine;
  }

  start(signal?: AbortSignal): Promise<ServerAddress> {
    return this.runStart(signal, async (start) => {
      start.report(10, 'Launching');
      const id = this.machine.launch();
      this.#id = id;
      this.stateChanged();
      this.announce('submitted', { id });
      try {
        await start.step('launch', this.options.startTimeout, (inner) =>
          unlessAborted(inner, async () => {
            if (!this.machine.listens) await new Promise(() => {});
          }),
        );
        this.announce('running', { host: 'node1' });
        const address = this.setAddress('node1', 4000);
        return await this.waitUntilReady(start, address, async (inner) => {
          const exit = await unlessAborted(inner, () => this.machine.untilEnd(id));
          throw new StartError(exit.message, { exit });
        });
      } catch (error) {
        this.machine.end(cancelled, id);
        await this.ended(this.machine.exitOf(id) ?? cancelled);
        throw error;
      }
    });
  }

  async poll(): Promise<ExitStatus | null> {
    this.polls += 1;
    if (this.failure !== undefined) throw this.failure;
    const exit = this.#id === undefined ? null : this.machine.exitOf(this.#id);
    if (exit !== null) await this.ended(exit);
    return this.exit ?? null;
  }

  stop(): Promise<void> {
    return this.runStop(async () => {
      if (this.failure !== undefined) throw this.failure;
      this.machine.end(cancelled, this.#id);
      await this.ended(cancelled);
    });
  }

  protected override async answers(): Promise<boolean> {
    return this.machine.answers;
  }

  protected override saveFields(): Record<string, Json> {
    return this.#id === undefined ? {} : { id: this.#id };
  }

  protected override loadFields({ id }: Readonly<Record<string, unknown>>): void {
    if (typeof id !== 'string') throw new StateError('The saved state has no id.');
    this.#id = id;
  }

  protected override clearFields(): void {
    this.#id = undefined;
  }
}

/** The events of a spawner in their order, each with what its listeners get. */
export function eventsOf(spawner: Spawner): (readonly [keyof SpawnerEvents, unknown])[] {
  const events: (readonly [keyof SpawnerEvents, unknown])[] = [];
  const record = (name: keyof SpawnerEvents) => (detail: unknown) => events.push([name, detail]);
  spawner.on('state', record('state'));
  spawner.on('progress', record('progress'));
  spawner.on('submitted', record('submitted'));
  spawner.on('running', record('running'));
  spawner.on('ready', record('ready'));
  spawner.on('exited', record('exited'));
  spawner.on('warning', record('warning'));
  return events;
}
