import { execFileSync } from 'node:child_process';
import { inspect } from 'node:util';
import { expect } from 'chai';
import type { ExitStatus, ServerAddress } from '../../lib/events.ts';
import type { SpawnerOptions } from '../../lib/generated/options.ts';
import type { SpawnerState } from '../../lib/state.ts';
import type { ConformanceSubject, TestGlobals } from '../../lib/testing/index.ts';
import { spawnerConformance } from '../../lib/testing/index.ts';
import { kill, ToySpawner } from './toy-spawner.ts';

/** @param timeout in ms, for start and end */
function subjectOf(Class: typeof ToySpawner, timeout = 10_000): ConformanceSubject {
  const create =
    (what: string): ConformanceSubject['create'] =>
    (context) =>
      new Class({ user: { name: 'ada' }, ...context }, { cmd: [what], pollInterval: 0 });
  return {
    name: Class.name,
    create: create('serve'),
    createFailing: create('fail'),
    createSlow: create('wait'),
    killBehindItsBack: (spawner) => kill(spawner.getState()['id']),
    timeouts: { start: timeout, end: timeout },
  };
}

/** The tests that are declared, to be run one by one. */
function declared(subject: ConformanceSubject): ReadonlyMap<string, () => Promise<void>> {
  const tests = new Map<string, () => Promise<void>>();
  let cleanUp = async () => {};
  const globals: TestGlobals = {
    describe: (_, body) => body.call(undefined),
    it: (title, body) =>
      tests.set(title, async () => {
        try {
          await body();
        } finally {
          await cleanUp();
        }
      }),
    afterEach: (body) => {
      cleanUp = body;
    },
  };
  spawnerConformance(subject, globals);
  return tests;
}

/**
 * A ToySpawner with a defect, the beginning of the title of a test that has to find it, and what the
 * test has to say.
 */
const defects: Readonly<Record<string, readonly [typeof ToySpawner, string, string]>> = {
  'says that a server lives which was never started': [
    class extends ToySpawner {
      override async poll(): Promise<ExitStatus | null> {
        return this.id === undefined ? null : super.poll();
      }
    },
    'says before the first start',
    'says null, but there is no server',
  ],
  'is ready before anything answers': [
    class extends ToySpawner {
      protected override async answers(): Promise<boolean> {
        return true;
      }
      protected override setAddress(host: string): ServerAddress {
        return super.setAddress(host, 9);
      }
    },
    'starts a server that answers',
    'nothing answers',
  ],
  'does not tell that it has submitted': [
    class extends ToySpawner {
      protected override announce: ToySpawner['announce'] = (event, ...details) => {
        if (event !== 'submitted') super.announce(event, ...details);
      };
    },
    'starts a server that answers',
    "'submitted'",
  ],
  'ends what it is let go of': [
    class extends ToySpawner {
      override async detach(): Promise<void> {
        await super.detach();
        await this.stop();
      }
    },
    'goes on with a start that was let go of',
    'no id',
  ],
  'does not wait until its state is saved': [
    class extends ToySpawner {
      protected override async untilSaved(): Promise<void> {}
    },
    'starts nothing where its state can not be saved',
    'Missing expected rejection',
  ],
  'starts twice': [
    class extends ToySpawner {
      protected override runStart: ToySpawner['runStart'] = async (signal, launch) => {
        if (this.id !== undefined) await this.stop();
        return super.runStart(signal, launch);
      };
    },
    'refuses a second start while the server runs',
    'Missing expected rejection',
  ],
  'breaks off the first start when there is a second': [
    class extends ToySpawner {
      #starting = false;
      override async start(signal?: AbortSignal): Promise<ServerAddress> {
        if (this.#starting) await this.stop();
        this.#starting = true;
        return super.start(signal).finally(() => {
          this.#starting = false;
        });
      }
    },
    'refuses a second start during a start',
    'Missing expected rejection',
  ],
  'lets a listener break the start': [
    class extends ToySpawner {
      protected override announce: ToySpawner['announce'] = (event, ...details) => {
        this.emit(event, ...details);
      };
    },
    'starts and stops although listeners throw',
    "'progress' always throws",
  ],
  'leaves its options open': [
    class extends ToySpawner {
      override readonly options: SpawnerOptions = { ...this.frozen };
      get frozen(): SpawnerOptions {
        return this.options;
      }
    },
    'freezes its options',
    'not frozen',
  ],
  "writes into the caller's options": [
    class extends ToySpawner {
      constructor(...[context, options = {}]: ConstructorParameters<typeof ToySpawner>) {
        super(context, Object.assign(options, { debug: true }));
      }
    },
    'freezes its options',
    'debug: true',
  ],
  'keeps the log of a failed start to itself': [
    class extends ToySpawner {
      override async start(signal?: AbortSignal): Promise<ServerAddress> {
        try {
          return await super.start(signal);
        } catch (error) {
          throw Object.assign(error instanceof Error ? error : new Error(), { log: undefined });
        }
      }
    },
    'fails a start whose server ends',
    'no log',
  ],
  'never ends its progress': [
    class extends ToySpawner {
      override async *progress() {
        yield* super.progress();
        await new Promise(() => {});
      }
    },
    'tells the progress of a start',
    'took longer',
  ],
  'shows the token in its state': [
    class extends ToySpawner {
      override getState(): SpawnerState {
        return { ...super.getState(), token: this.apiToken };
      }
    },
    "shows the server's token nowhere",
    'getState',
  ],
  'shows the token when it is printed': [
    class extends ToySpawner {
      override [inspect.custom](): string {
        return `Toy of ${this.apiToken}`;
      }
    },
    "shows the server's token nowhere",
    'inspect',
  ],
  'says that it has stopped what still runs': [
    class extends ToySpawner {
      override stop(): Promise<void> {
        const { id } = this;
        setTimeout(() => kill(id), 100);
        this.id = undefined;
        return super.stop();
      }
    },
    'stops its server once for all who ask',
    'still answers',
  ],
  'emits the end once for each who stops': [
    class extends ToySpawner {
      override async stop(): Promise<void> {
        await super.stop();
        this.announce('exited', { code: 0, signal: null, cause: 'completed', message: 'Again.' });
      }
    },
    'stops its server once for all who ask',
    '!== 1',
  ],
  'never notices an end': [
    class extends ToySpawner {
      override async poll(): Promise<ExitStatus | null> {
        return this.id === undefined ? super.poll() : null;
      }
    },
    'notices a server that was ended by something else',
    'still says null',
  ],
  'takes no signal': [
    class extends ToySpawner {
      override start(): Promise<ServerAddress> {
        return super.start();
      }
    },
    'leaves nothing when a start is aborted at once',
    'Missing expected rejection',
  ],
  'leaves the server of an aborted start': [
    class extends ToySpawner {
      protected override async ended(exit: ExitStatus): Promise<void> {
        const { id } = this;
        await super.ended(exit);
        this.id = id;
      }
    },
    'leaves nothing when a start is aborted after the submission',
    'says null, but there is no server',
  ],
  'listens to its signal for ever': [
    class extends ToySpawner {
      override start(signal?: AbortSignal): Promise<ServerAddress> {
        signal?.addEventListener('abort', () => kill(this.id));
        return super.start(signal);
      }
    },
    'takes no notice of a signal that is aborted after the start',
    'has ended which lives',
  ],
  'cannot be aborted while it waits': [
    class extends ToySpawner {
      override start(signal?: AbortSignal): Promise<ServerAddress> {
        return super.start(this.options.cmd[0] === 'wait' ? undefined : signal);
      }
    },
    'leaves nothing when a start is aborted while it waits',
    'ERR_SPAWNER_ABORTED',
  ],
  'announces its state after the server is ready': [
    class extends ToySpawner {
      override async start(signal?: AbortSignal): Promise<ServerAddress> {
        const address = await super.start(signal);
        this.stateChanged();
        return address;
      }
    },
    'has a state of JSON',
    "after 'ready'",
  ],
  'has a state that JSON does not keep': [
    class extends ToySpawner {
      override getState(): SpawnerState {
        return { ...super.getState(), extra: undefined };
      }
    },
    'has a state of JSON',
    'extra: undefined',
  ],
  'takes a state that it does not know': [
    class extends ToySpawner {
      override loadState(state: unknown): void {
        if (state !== null && typeof state === 'object') super.loadState(state);
      }
    },
    'refuses what is no state of its own',
    'no StateError came for null',
  ],
  'takes a state that was cut off': [
    class extends ToySpawner {
      protected override loadFields({ id }: Readonly<Record<string, unknown>>): void {
        this.id = String(id);
      }
    },
    'refuses a state that was damaged',
    'no StateError',
  ],
  'forgets what it has loaded': [
    class extends ToySpawner {
      override loadState(state: unknown): void {
        super.loadState(state);
        this.clearState();
      }
    },
    'hands its server over to a new spawner',
    'has ended which lives',
  ],
};

describe('spawnerConformance', () => {
  spawnerConformance(subjectOf(ToySpawner));

  describe('finds a spawner that', () => {
    for (const [defect, [Class, title, message]] of Object.entries(defects)) {
      it(defect, async () => {
        const tests = [...declared(subjectOf(Class, 500))].filter(([name]) =>
          name.startsWith(title),
        );
        const [[, run] = []] = tests;
        expect(tests).to.have.length(1);
        const failure = await run?.().catch((error: unknown) => error);
        expect(failure).to.be.an.instanceOf(Error);
        expect(String(failure)).to.contain(message);
      }).timeout(10_000);
    }
  });

  it('leaves out what the subject has no server for', () => {
    const { name, create, killBehindItsBack } = subjectOf(ToySpawner);
    const few = [...declared({ name, create, killBehindItsBack }).keys()];
    const all = [...declared(subjectOf(ToySpawner)).keys()];
    expect(all).to.include.members(few);
    expect(all.length - few.length).to.equal(6);
  });

  it('works with node:test as well', () => {
    const root = new URL('../../', import.meta.url);
    const program = `
      import * as nodeTest from 'node:test';
      import { spawnerConformance } from './lib/testing/index.ts';
      import { kill, ToySpawner } from './test/testing/toy-spawner.ts';
      spawnerConformance({
        name: 'ToySpawner',
        create: (context) => new ToySpawner({ user: { name: 'ada' }, ...context }, { cmd: ['serve'] }),
        killBehindItsBack: (spawner) => kill(spawner.getState().id),
      }, nodeTest);`;
    const argv = ['--import', 'tsx', '--input-type=module', '-e', program];
    // Its coverage would not fit that of this process, since tsx compiles for both anew.
    const env = { ...process.env, NODE_V8_COVERAGE: '' };
    const output = execFileSync(process.execPath, argv, { cwd: root, encoding: 'utf8', env });
    expect(output)
      .to.match(/^# pass 26$/m)
      .and.to.match(/^# fail 0$/m);
  }).timeout(20_000);
});
