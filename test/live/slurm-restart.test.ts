import { assert } from 'chai';
import type { SlurmSpawner } from '../../lib/batch/slurm.ts';
import type { SpawnerContext } from '../../lib/context.ts';
import type { ServerAddress } from '../../lib/events.ts';
import type { SlurmOptions } from '../../lib/generated/options.ts';
import { answersHttp } from '../../lib/readiness.ts';
import { ChildHub } from './helpers/child-hub.ts';
import { isAlive, report, useHub } from './helpers/hub.ts';
import { command, ended } from './helpers/slurm.ts';

describe('SlurmSpawner: after a hub has died', () => {
  let context: Omit<SpawnerContext, 'runner'>;
  let dying: ChildHub;
  afterEach(() => dying.end('at once'));
  const hub = useHub();

  /** Starts a server by a hub that is about to die. Its job calls the next one, which is not up yet. */
  function begin(options: Partial<SlurmOptions> = {}): SlurmSpawner {
    const { runner: _, ...rest } = hub().context();
    hub().isUp = false;
    context = rest;
    const heir = hub().create(options, context);
    dying = new ChildHub({ runner: 'sudo', context, options: { ...hub().options, ...options } });
    dying.ask('start').catch(() => {});
    return heir;
  }

  /** The hub dies, and the next one comes up with a state that it has saved. */
  async function takeOver(heir: SlurmSpawner, state: () => unknown): Promise<void> {
    await dying.end('at once');
    heir.loadState(state());
    hub().isUp = true;
  }

  function newest(): unknown {
    return saved().at(-1);
  }

  /** The states that the hub has saved, the oldest first, as they come from a file. */
  function saved(): Record<string, unknown>[] {
    return dying.events
      .filter(({ event }) => event === 'state')
      .map(({ detail }) => JSON.parse(JSON.stringify(detail)));
  }

  /** A state from before the outcome of the submission was known. */
  function tagOnly(): unknown {
    const [first] = saved();
    assert.hasAnyKeys(first, ['tag']);
    assert.doesNotHaveAnyKeys(first, ['jobId']);
    return first;
  }

  /** Polls until the server's address is known and it answers. */
  async function reachable(heir: SlurmSpawner): Promise<ServerAddress> {
    for (;;) {
      assert.isNull(await heir.poll());
      const { address } = heir;
      if (address !== undefined && (await answersHttp(address.url))) {
        return address;
      }
    }
  }

  it('the server lives on, and is stopped by the next hub', async () => {
    const heir = begin();
    await dying.event('running');
    await takeOver(heir, newest);
    const address = await reachable(heir);
    assert.equal((await report(address)).account, 'alice');

    const next = hub().create({}, context);
    next.loadState(JSON.parse(JSON.stringify(heir.getState())));
    assert.deepEqual(next.address, address);
    assert.isNull(await next.poll());
    await next.stop();
    assert.isFalse(await answersHttp(address.url));
    assert.equal((await heir.poll())?.cause, 'cancelled');
  });

  it('a job that still waits tells the next hub where its server listens', async () => {
    const heir = begin({ request: { options: '--hold' } });
    await dying.event('submitted');
    await takeOver(heir, newest);
    assert.isNull(await heir.poll());
    assert.isUndefined(heir.address);
    await command(['scontrol', 'release', String(heir.getState()['jobId'])]);
    await reachable(heir);
  });

  it('a job whose id was not saved is adopted by its tag', async () => {
    const heir = begin();
    await dying.event('submitted');
    await takeOver(heir, tagOnly);
    assert.isNull(await heir.poll());
    assert.equal(heir.getState()['jobId'], saved().at(-1)?.['jobId']);
    await heir.stop();
    const jobs = await hub().jobsOf(heir);
    assert.deepEqual(
      jobs.map(({ state }) => state),
      ['CANCELLED'],
    );
  });

  it('a job whose id was not saved is found and cancelled by stop()', async () => {
    const heir = begin();
    await dying.event('submitted');
    await takeOver(heir, tagOnly);
    await heir.stop();
    const jobs = await hub().jobsOf(heir);
    assert.deepEqual(
      jobs.map(({ state }) => state),
      ['CANCELLED'],
    );
    assert.equal((await heir.poll())?.cause, 'cancelled');
  });

  it('a submission that was never made is given up', async () => {
    const heir = begin({ request: { options: '--hold' } });
    await dying.event('submitted');
    const tag = 'hubspawner:00000000:alice::000000000000';
    const state = { ...saved()[0], tag, jobName: 'jupyter-alice-000000000000' };
    await takeOver(heir, () => state);
    assert.isNull(await heir.poll(), 'it may have been made a moment ago');
    heir.loadState({ ...state, submittedAt: new Date(Date.now() - 600_000).toISOString() });
    assert.isNull(await heir.poll(), 'one answer is not enough');
    assert.equal((await heir.poll())?.cause, 'unknown');
    heir.loadState(newest());
    assert.isTrue((await hub().jobsOf(heir)).some(isAlive), 'another job was cancelled');
  });

  it('a server that has ended meanwhile is known to have failed', async () => {
    const heir = begin({ cmd: ['sh', '-c', 'sleep 2; exit 4'] });
    await dying.event('running');
    await takeOver(heir, newest);
    assert.containsSubset(await ended(heir), { cause: 'failed', code: 4 });
  });
});

describe('SlurmSpawner: servers that no state knows', () => {
  const hub = useHub();

  it('are found with their jobs by any spawner, and stopped by those that take them over', async () => {
    const bob = { user: { name: 'bob' }, serverName: 'r&d: lab' };
    const started = [hub().create(), hub().create({}, bob)];
    await Promise.all(started.map((spawner) => spawner.start()));
    const stranger = hub().create(
      { request: { options: '--hold' } },
      { hub: { apiUrl: `${hub().apiUrl}/other` } },
    );
    const submitted = new Promise((resolve) => stranger.once('submitted', resolve));
    const waiting = stranger.start().catch(() => {});
    await submitted;

    const found =
      (await hub()
        .create({}, { user: { name: 'carol' } })
        .survey()) ?? [];
    assert.sameDeepMembers(
      found.map(({ user, serverName, id }) => [user, serverName, id]),
      started.map((one) => [one.context.user.name, one.serverName, one.getState()['jobId']]),
    );
    for (const { user, serverName, state } of found) {
      const heir = hub().create({}, { user: { name: user }, serverName });
      heir.loadState(JSON.parse(JSON.stringify(state)));
      assert.isNull(await heir.poll());
      await heir.stop();
    }
    for (const spawner of started) {
      assert.isFalse((await hub().jobsOf(spawner)).some(isAlive));
    }
    assert.deepEqual(await hub().create().survey(), []);
    await stranger.stop();
    await waiting;
  });
});
