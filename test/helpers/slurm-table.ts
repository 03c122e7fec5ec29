import { expect } from 'chai';
import sinon from 'sinon';
import type { ServerAddress, SlurmOptions, SpawnerContext } from '../../lib/index.ts';
import { SlurmSpawner } from '../../lib/index.ts';
import { FakeSlurm } from './fake-slurm.ts';

/** Its servers answer when the test says so. */
export class TestSpawner extends SlurmSpawner {
  answering = true;

  protected override answers(_address: ServerAddress): Promise<boolean> {
    return Promise.resolve(this.answering);
  }
}

/**
 * For the tests of the surrounding `describe`: time that stands still, and a Slurm whose table of
 * jobs only the test and the commands move.
 *
 * @param Class of the spawners
 */
export function useSlurmTable(Class: typeof TestSpawner = TestSpawner) {
  let clock: sinon.SinonFakeTimers;
  let slurm: FakeSlurm;

  beforeEach(() => {
    clock = sinon.useFakeTimers({ now: new Date('2026-03-02T06:00:00Z') });
    sinon.stub(Math, 'random').returns(1);
    slurm = new FakeSlurm({ home: '/home/alice', run: false });
  });

  afterEach(async () => {
    await slurm.close();
    sinon.restore();
    clock.restore();
  });

  const contextOf = (context: Partial<SpawnerContext> = {}): SpawnerContext => ({
    user: { name: 'alice' },
    hub: { apiUrl: 'http://127.0.0.1:8081/hub/api' },
    apiToken: 'secret-token',
    runner: slurm.runner,
    ...context,
  });

  function create(options: Partial<SlurmOptions> = {}, context: Partial<SpawnerContext> = {}) {
    return new Class(contextOf(context), { pollInterval: 0, ...options });
  }

  /** Records the events of a spawner as `name` or `name:detail`. */
  function recorded(spawner: TestSpawner): string[] {
    const events: string[] = [];
    spawner.on('submitted', ({ id }) => events.push(`submitted:${id}`));
    spawner.on('running', ({ host }) => events.push(`running:${host}`));
    spawner.on('ready', ({ port }) => events.push(`ready:${port}`));
    spawner.on('moved', ({ host, port }) => events.push(`moved:${host}:${port}`));
    spawner.on('exited', ({ cause }) => events.push(`exited:${cause}`));
    spawner.on('warning', ({ code }) => events.push(`warning:${code}`));
    return events;
  }

  /** A start that is under way; its rejection is looked at later. */
  function begin(spawner: TestSpawner, signal?: AbortSignal) {
    const outcome: { address?: ServerAddress; error?: unknown } = {};
    const settled = spawner.start(signal).then(
      (address) => {
        outcome.address = address;
      },
      (error: unknown) => {
        outcome.error = error;
      },
    );
    return { outcome, settled };
  }

  /** A spawner whose server runs. */
  async function running(options: Partial<SlurmOptions> = {}, context?: Partial<SpawnerContext>) {
    const spawner = create(options, context);
    const { outcome, settled } = begin(spawner);
    await clock.tickAsync(100);
    const id = slurm.jobs.at(-1)?.id ?? '';
    slurm.setState(id, 'RUNNING');
    spawner.acceptPort(40_123);
    await clock.tickAsync(3000);
    await settled;
    expect(outcome.error).to.equal(undefined);
    return { spawner, id };
  }

  return {
    get clock() {
      return clock;
    },
    get slurm() {
      return slurm;
    },
    set slurm(other: FakeSlurm) {
      slurm = other;
    },
    contextOf,
    create,
    recorded,
    begin,
    running,
    /** The jobs that have not ended. */
    aliveJobs: () => slurm.jobs.filter(({ endedAt }) => endedAt === undefined),
    /** How often a program was run. */
    count: (program: string) => slurm.runner.callsOf(program).length,
  };
}
