import sinon from 'sinon';
import type { CommandRunner, MemoryStore, ServerStore } from '../../lib/index.ts';
import { Supervisor } from '../../lib/index.ts';
import { readRecord } from '../../lib/supervisor/record.ts';
import type { FaultPlan } from './faults.ts';
import { FaultyRunner } from './faults.ts';
import type { Ground } from './ground.ts';

const never = new Promise<never>(() => {});

/** Taken before any test fakes it. */
const { setImmediate } = globalThis;

/** When a hub is to end without a word: at which of the steps that the world can see, the first is 1. */
export interface Crash {
  readonly step: number;
  /** Whether that step is still done. */
  readonly isDone: boolean;
}

/** What a hub is to meet. */
export interface Fate {
  readonly plan?: FaultPlan;
  readonly crash?: Crash;
}

/** A hub with one supervisor, which may come to a sudden end. */
export class HubLife {
  readonly supervisor: Supervisor;
  /** The commands of this life. */
  readonly commands: readonly string[];
  /** What the world has seen of it: commands, and what was written to the store. */
  readonly steps: string[] = [];
  /** The warnings of its supervisor. */
  readonly warnings: string[] = [];
  isOver = false;
  readonly #crash: Crash | undefined;

  constructor(ground: Ground, store: MemoryStore, { plan, crash }: Fate = {}) {
    this.#crash = crash;
    const runner = new FaultyRunner(ground.runner, plan);
    this.commands = runner.commands;
    this.supervisor = new Supervisor({
      store: this.#mortalStore(store),
      runner: this.#mortalRunner(runner),
      hub: { apiUrl: 'http://10.0.0.1:8081/hub/api' },
      apiToken: () => 'secret-token',
      pollInterval: 10_000,
      healthInterval: 0,
      retries: 1,
    });
    this.supervisor.on('warning', ({ message }) => this.warnings.push(message));
    ground.register(this.supervisor);
    ground.hub = this.supervisor;
  }

  #mortalRunner(runner: CommandRunner): CommandRunner {
    return {
      run: (argv, options) => this.#step(argv.join(' '), () => runner.run(argv, options)),
    };
  }

  #mortalStore(store: MemoryStore): ServerStore {
    return {
      set: (key, value) => this.#step(`set ${JSON.stringify(value)}`, () => store.set(key, value)),
      delete: (key) => this.#step('delete', () => store.delete(key)),
      iterator: () => store.iterator(),
    };
  }

  /** Does what the world can see, or not any more. */
  async #step<T>(what: string, act: () => Promise<T>): Promise<T> {
    if (this.isOver) {
      return never;
    }
    const number = this.steps.push(what);
    if (number !== this.#crash?.step) {
      const result = await act();
      // Who has ended meanwhile does not hear of it.
      return this.isOver ? never : result;
    }
    this.isOver = true;
    if (this.#crash.isDone) {
      await act();
    }
    return never;
  }
}

/** The keys of what is kept. */
export async function keysOf(store: MemoryStore): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const [key] of store.iterator()) keys.push(key);
  return keys;
}

/** How far the servers have come that are kept. */
export async function phasesIn(store: MemoryStore): Promise<readonly string[]> {
  const phases: string[] = [];
  for await (const [key, value] of store.iterator()) phases.push(readRecord(key, value).phase);
  return phases;
}

/** How often all that is due has its turn before time goes on: some of it gives way to other work. */
const turns = 3;

/** In each test of a suite: a clock that goes on from timer to timer, and chance that is always the same. */
export function useTime(): Time {
  const time = new Time();
  beforeEach(() => time.begin());
  afterEach(() => time.end());
  return time;
}

class Time {
  #clock: sinon.SinonFakeTimers | undefined;

  begin(): void {
    this.#clock = sinon.useFakeTimers({
      now: new Date('2026-03-02T06:00:00Z'),
      toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'],
    });
    sinon.stub(Math, 'random').returns(0.5);
  }

  end(): void {
    sinon.restore();
    this.#clock?.restore();
  }

  /** Returns whether it came to that within a time, in ms. */
  async until(isSo: () => boolean, limit: number): Promise<boolean> {
    const end = Date.now() + limit;
    for (;;) {
      for (let turn = 0; turn < turns; turn += 1) {
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      if (isSo()) {
        return true;
      }
      if (Date.now() >= end || this.#clock?.countTimers() === 0) {
        return false;
      }
      this.#clock?.next();
    }
  }

  /** Returns whether a promise settled within a time, in ms. */
  async settled(promise: Promise<unknown>, limit: number): Promise<boolean> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    return this.until(() => isSettled, limit);
  }

  async pass(ms: number): Promise<void> {
    const timer = globalThis.setTimeout(() => {}, ms);
    await this.until(() => false, ms);
    clearTimeout(timer);
  }
}
