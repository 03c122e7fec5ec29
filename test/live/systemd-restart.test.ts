import { assert } from 'chai';
import { StartError } from '../../lib/errors.ts';
import type { SystemdOptions } from '../../lib/generated/options.ts';
import type { SystemdSpawner } from '../../lib/systemd/spawner.ts';
import { killUnit, report, script, unitOf, useServices } from './helpers/services.ts';
import { ended, rejection, until } from './helpers/slurm.ts';
import { inside, property, shell, units } from './helpers/systemd.ts';

/** A server that has ended with exit code 4. */
const exits = 'kill -USR1 $PPID';
const odd = { ODD: 'a\n"b" $C %d \\ ;' };

/** What writes down how the server ended. */
const endFile = '/run/hubspawner/jupyter-alice-singleuser/end';

/** As it comes from a file. */
const stateOf = (spawner: SystemdSpawner): unknown =>
  JSON.parse(JSON.stringify(spawner.getState()));

describe('SystemdSpawner: after a hub has died', () => {
  const create = useServices();

  it('finds the unit with its port and its address, and stops it', async () => {
    const first = create();
    const address = await first.start();
    const next = create();
    next.loadState(stateOf(first));
    assert.deepEqual(next.address, address);
    assert.isNull(await next.poll());
    assert.isAbove(Number((await next.usage())?.memory), 1_000_000);
    assert.include(await next.logs(), 'the server begins');
    await next.stop();
    assert.containsSubset(await next.poll(), { cause: 'cancelled' });
    assert.containsSubset(await first.poll(), { cause: 'cancelled' });
  });

  for (const [how, expected] of [
    ['exit 4', { cause: 'failed', code: 4, signal: null }],
    ['exit 0', { cause: 'completed', code: 0, signal: null }],
    ['kill -KILL $$', { cause: 'failed', code: null, signal: 'SIGKILL' }],
    ['kill -SEGV $$', { cause: 'failed', code: null, signal: 'SIGSEGV' }],
  ] as const) {
    it(`tells how a server ended while it was away: ${how}`, async () => {
      const cmd = ['bash', '-c', `python3 -m http.server -b 127.0.0.1 {port} & sleep 2; ${how}`];
      const first = create({ cmd });
      await first.start();
      await until('the end', async () => (await units('jupyter-*')).every((one) => !live(one)));
      const next = create();
      next.loadState(stateOf(first));
      assert.containsSubset(await next.poll(), expected);
    });
  }

  it('tells it by the journal where its own record is lost', async () => {
    for (const [how, expected] of [
      ['kill -KILL $PPID', { cause: 'failed', signal: 'SIGKILL' }],
      ['kill -TERM $PPID', { cause: 'completed', code: 0 }],
      [exits, { cause: 'failed', signal: 'SIGUSR1' }],
    ] as const) {
      const spawner = create();
      await spawner.start();
      await shell(`echo exit 0 >${endFile}`);
      await script(spawner, how).catch(() => {});
      assert.containsSubset(await ended(spawner), expected);
    }
  });

  it('says that nobody knows where the journal is lost as well', async () => {
    const spawner = create();
    await spawner.start();
    await shell(`echo exit 0 >${endFile}`);
    await script(spawner, exits).catch(() => {});
    await until('the end', async () => (await units('jupyter-*')).every((one) => !live(one)));
    await shell('journalctl --rotate; journalctl --vacuum-time=1s; rm -rf /var/log/journal/*/*');
    await inside(['systemctl', 'restart', 'systemd-journald']);
    assert.containsSubset(await spawner.poll(), { cause: 'unknown', code: null });
  });
});

describe('SystemdSpawner: servers that no state knows', () => {
  const create = useServices();

  it('are found with their units by any spawner, and stopped by those that take them over', async () => {
    const bob = { user: { name: 'bob' }, serverName: 'r&d: lab' };
    const started = [create(), create({}, bob)];
    await Promise.all(started.map((spawner) => spawner.start()));
    const apiUrl = 'http://127.0.0.1:1/another/hub/api';
    await create({}, { user: { name: 'alice' }, serverName: 'other', hub: { apiUrl } }).start();

    const found = (await create({}, { user: { name: 'carol' } }).survey()) ?? [];
    assert.sameDeepMembers(
      found.map(({ user, serverName, id }) => [user, serverName, id]),
      started.map((one) => [one.context.user.name, one.serverName, unitOf(one)]),
    );
    for (const first of started) {
      const { state } = found.find(({ id }) => id === unitOf(first)) ?? {};
      const heir = create({}, { user: first.context.user, serverName: first.serverName });
      heir.loadState(JSON.parse(JSON.stringify(state)));
      assert.deepEqual(heir.address, first.address);
      assert.equal((await report(heir)).account, first.account);
      await heir.stop();
      assert.containsSubset(await ended(first), { cause: 'cancelled' });
    }
    assert.deepEqual(await create().survey(), []);
    assert.lengthOf((await units('jupyter-*.service')).filter(live), 1);
  });
});

describe('SystemdSpawner: two that start the same server', () => {
  const create = useServices();

  it('at once: one wins, the other is told so, one unit runs', async () => {
    const spawners = [create(), create(), create()];
    const results = await Promise.allSettled(spawners.map((spawner) => spawner.start()));
    const errors = results.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    assert.lengthOf(errors, 2);
    for (const error of errors) {
      assert.instanceOf(error, StartError);
      assert.include(error.message, 'being started already, by another spawner or hub');
    }
    const running = (await units('jupyter-*.service')).filter(live);
    assert.lengthOf(running, 1);
    const winner = spawners.find((spawner) => spawner.address !== undefined);
    assert.isNull(await winner?.poll());
  });

  it('existingUnit: a running one is replaced, or adopted with its port', async () => {
    const first = create({ environment: { WHICH: 'first' } });
    await first.start();
    const second = create({ environment: { WHICH: 'second' } });
    await second.start();
    assert.lengthOf((await units('jupyter-*.service')).filter(live), 1);
    assert.equal((await report(second)).environment['WHICH'], 'second');
    assert.isNotNull(await first.poll());

    const third = create({ existingUnit: 'adopt', environment: { WHICH: 'third' } });
    await third.start();
    assert.deepEqual(third.address, second.address);
    assert.equal((await report(third)).environment['WHICH'], 'second');
    await killUnit(unitOf(third));
    assert.containsSubset(await ended(third), { cause: 'failed', signal: 'SIGKILL' });
  });

  for (const existingUnit of ['replace', 'adopt'] as const) {
    it(`existingUnit: ${existingUnit} makes room where one has failed, or is a stranger`, async () => {
      const unit = 'jupyter-alice-singleuser.service';
      const stranger = ['systemd-run', `--unit=${unit}`, '--service-type=exec'];
      await inside([...stranger, 'sleep', '600']);
      const spawner = create({ existingUnit });
      await spawner.start();
      await spawner.stop();
      await inside([...stranger, 'sh', '-c', 'sleep 0.3; exit 1']);
      await until('the failure', async () => (await property(unit, 'ActiveState')) === 'failed');
      await spawner.start();
      assert.equal((await report(spawner)).account, 'alice');
    });
  }
});

describe('SystemdSpawner: systemd that is reloaded or executed anew', () => {
  const create = useServices();

  for (const verb of ['daemon-reload', 'daemon-reexec']) {
    it(`${verb}: servers live on, and their end is told with its exit code`, async () => {
      const options = { environment: odd, cmd: withTrap('exit 4') };
      const [spawner, other] = [create(options), create({}, { serverName: 'other' })];
      await Promise.all([spawner.start(), other.start()]);
      await inside(['systemctl', verb]);
      assert.isNull(await spawner.poll());
      assert.equal((await report(other)).account, 'alice');
      await inside(['systemctl', 'kill', '--kill-whom=main', '--signal=USR1', unitOf(spawner)]);
      assert.containsSubset(await ended(spawner), { cause: 'failed', code: 4 });
      assert.isNull(await other.poll());
      await other.stop();
    });
  }

  for (const reload of [false, true]) {
    it(`restart: the server is back on its port${reload ? ', after daemon-reload too' : ''}`, async () => {
      const spawner = create({ restart: 'on-failure', environment: odd });
      await spawner.start();
      const before = await report(spawner);
      if (reload) {
        await inside(['systemctl', 'daemon-reload']);
      }
      await script(spawner, 'kill -KILL $PPID').catch(() => {});
      const after = await answered(() => report(spawner));
      assert.notEqual(after.pid, before.pid);
      assert.deepEqual(unsteady(after.environment), unsteady(before.environment));
      assert.deepEqual(after.environment['ODD'], odd.ODD);
      assert.isNull(await spawner.poll());
      await spawner.stop();
      assert.containsSubset(await spawner.poll(), { cause: 'cancelled' });
    });
  }

  it('restart: a server that fails again and again has ended', async () => {
    const unitExtraProperties = { StartLimitBurst: '2', RestartSec: '100ms' };
    const options: Partial<SystemdOptions> = { restart: 'always', unitExtraProperties };
    const error = await rejection(create({ ...options, cmd: ['false'] }).start(), StartError);
    assert.include(error.message, 'ended before its server answered');
    assert.equal(error.exit?.cause, 'failed');
  });
});

/** Whether a unit runs, or is about to. */
function live({ active }: { readonly active: string }): boolean {
  return !['inactive', 'failed'].includes(active);
}

/** A server that does something when it gets SIGUSR1. */
function withTrap(action: string): string[] {
  const serve = 'python3 -m http.server -b 127.0.0.1 {port}';
  return ['bash', '-c', `trap "${action}" USR1; ${serve} & while :; do wait -n; done`];
}

/** The environment without what systemd makes anew for each start. */
function unsteady({
  INVOCATION_ID,
  JOURNAL_STREAM,
  SYSTEMD_EXEC_PID,
  ...rest
}: Record<string, string>) {
  return rest;
}

/** Asks until there is an answer. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  let answer: T | undefined;
  await until('an answer', async () => {
    answer = await ask().catch(() => undefined);
    return answer !== undefined;
  });
  if (answer === undefined) throw new Error('There is no answer.');
  return answer;
}
