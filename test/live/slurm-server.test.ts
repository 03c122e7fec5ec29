import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import type { SlurmSpawner } from '../../lib/batch/slurm.ts';
import { AbortError } from '../../lib/errors.ts';
import { answersHttp } from '../../lib/readiness.ts';
import { EventLog } from '../../lib/testing/harness.ts';
import { LiveHub, report, useHub } from './helpers/hub.ts';
import { command, rejection, until } from './helpers/slurm.ts';

/** What Slurm and the shell of the script put into the environment of a job. */
const ofTheJob = /^(SLURMD?_\w+|ENVIRONMENT|HOSTNAME|OLDPWD|PWD|SHLVL|TMPDIR|_)$/;

describe('SlurmSpawner: a server on a real Slurm', () => {
  const hub = useHub();
  let patience: LiveHub;
  let short: SlurmSpawner;
  let started: Promise<unknown>;

  // Takes up to 100 s, in which the other tests run.
  before(async () => {
    patience = await LiveHub.open();
    short = patience.create({ request: { partition: 'short' } }, { user: { name: 'bob' } });
    started = short.start();
    started.catch(() => {});
    process.env['LIVE_TEST_CANARY'] = 'of the hub';
  });
  after(async () => {
    delete process.env['LIVE_TEST_CANARY'];
    await patience.close();
  });

  it('runs as the person, at home, with the environment that is meant and nothing else', async () => {
    const environment = {
      AWKWARD: `a,b 'c' "d" $HOME \\e\nf=ü`,
      EMPTY: '',
      LC_ALL: 'C.UTF-8',
      PATH: '/usr/bin:/bin:/opt/site/bin',
      SBATCH_PARTITION: 'nosuch',
      SLURM_CONF: '/nowhere/slurm.conf',
    };
    const request = { runtime: '10', prologue: 'echo "$AWKWARD, $PATH"' };
    const spawner = hub().create({ environment, request });
    const address = await spawner.start();
    const found = await report(address);
    assert.equal(found.account, 'alice');
    assert.equal(found.directory, '/home/alice');

    const meant = {
      ...spawner.environment(),
      JUPYTERHUB_SERVICE_URL: `http://0.0.0.0:${address.port}/user/alice/`,
    };
    const login = (await command(['su', '-', 'alice', '-c', 'env'])).split('\n');
    const expected = new Set([
      ...Object.keys(meant),
      ...login.map((line) => line.replace(/=.*/, '')),
    ]);
    assert.deepEqual(
      Object.keys(found.environment).filter((name) => !expected.has(name) && !ofTheJob.test(name)),
      [],
      'variables that nobody asked for',
    );
    assert.containsSubset(found.environment, { ...meant, HOME: '/home/alice', USER: 'alice' });

    const log = join(hub().scratch, 'alice', `${spawner.getState()['jobName']}.log`);
    assert.equal(statSync(log).uid, statSync('/home/alice').uid);
    assert.include(readFileSync(log, 'utf8'), `${environment.AWKWARD}, ${environment.PATH}\n`);

    const { endsAt } = spawner.getState();
    const left = Date.parse(String(endsAt)) - Date.now();
    assert.isTrue(left > 9 * 60_000 && left <= 10 * 60_000, `it ends at ${endsAt}`);
  });

  it('is ready, lives, and ends when it is stopped', async () => {
    const spawner = hub().create();
    const events = new EventLog(spawner);
    const address = await spawner.start();
    assert.match(address.host, /^cn[1-4]$/);
    assert.equal(await spawner.poll(), null);
    const [job] = await hub().jobsOf(spawner);
    assert.containsSubset(job, { user: 'alice', state: 'RUNNING' });
    assert.deepEqual(events.submitted, [{ id: String(job?.id) }]);
    assert.deepEqual(events.running, [{ host: address.host }]);

    await Promise.all([spawner.stop(), spawner.stop()]);
    assert.isFalse(await answersHttp(address.url));
    assert.equal((await spawner.poll())?.cause, 'cancelled');
    await spawner.stop();
    assert.deepEqual(
      events.exited.map(({ cause }) => cause),
      ['cancelled'],
    );
    assert.deepEqual(
      (await hub().jobsOf(spawner)).map(({ state }) => state),
      ['CANCELLED'],
    );
  });

  it('has a port of its own where two jobs of one node find the same free', async () => {
    const { scratch, options } = hub();
    const programs = join(scratch, 'bin');
    mkdirSync(programs);
    const firstPort = 21_987;
    const python = `#!/bin/sh
[ "$*" != '-I - ' ] || ! mkdir "${scratch}/$USER/$SLURM_JOB_ID" || set -- -I - ${firstPort}
exec /usr/bin/python3 "$@"
`;
    writeFileSync(join(programs, 'python3'), python, { mode: 0o755 });
    const both = ['alice', 'bob'].map((name) => {
      const cmd = ['sh', '-c', 'sleep 3; exec "$0" "$@"', ...(options.cmd ?? [])];
      const request = { prologue: `PATH=${programs}:$PATH`, options: '#SBATCH --nodelist=cn1' };
      return hub().create({ cmd, request }, { user: { name } });
    });
    const addresses = await Promise.all(both.map((spawner) => spawner.start()));
    const [first, second] = addresses.map(({ port }) => port);
    assert.include([first, second], firstPort);
    assert.notEqual(first, second);
    const accounts = await Promise.all(addresses.map(report));
    assert.deepEqual(
      accounts.map(({ account }) => account),
      ['alice', 'bob'],
    );
  });

  it('can be started again', async () => {
    const spawner = hub().create();
    const first = await spawner.start();
    await spawner.stop();
    const second = await spawner.start();
    assert.equal((await report(second)).account, 'alice');
    assert.notEqual(first.port, second.port);
    const states = (await hub().jobsOf(spawner)).map(({ state }) => state).sort();
    assert.deepEqual(states, ['CANCELLED', 'RUNNING']);
  });

  it('is cancelled by stop() while it starts', async () => {
    const spawner = hub().create({ cmd: ['sleep', '600'] });
    const starting = rejection(spawner.start(), AbortError);
    await new Promise((resolve) => spawner.once('running', resolve));
    await spawner.stop();
    await starting;
    const states = (await hub().jobsOf(spawner)).map(({ state }) => state);
    assert.deepEqual(states, ['CANCELLED']);
  });

  it('is found to have been cancelled by someone else, without being asked', async () => {
    const spawner = hub().create({ pollInterval: 300 });
    const events = new EventLog(spawner);
    await spawner.start();
    await command(['scancel', String(spawner.getState()['jobId'])]);
    await until('the event exited', () => events.exited.length > 0);
    assert.containsSubset(events.exited, [{ cause: 'cancelled' }]);
    assert.equal((await spawner.poll())?.cause, 'cancelled');
    assert.deepEqual(events.state.at(-1), { version: 1, spawner: 'slurm' });
  });

  it('is one of several, of one person and of another, that do not touch each other', async () => {
    const spawners = [
      hub().create({}, { serverName: '' }),
      hub().create({}, { serverName: 'lab 2/ü' }),
      hub().create({}, { user: { name: 'Bob@example.org', account: 'bob' } }),
    ] as const;
    const [one, two, three] = await Promise.all([
      spawners[0].start(),
      spawners[1].start(),
      spawners[2].start(),
    ]);
    const reports = await Promise.all([one, two, three].map(report));
    assert.deepEqual(
      reports.map(({ account, environment }) => [
        account,
        environment['JUPYTERHUB_USER'],
        environment['JUPYTERHUB_SERVER_NAME'],
      ]),
      [
        ['alice', 'alice', ''],
        ['alice', 'alice', 'lab 2/ü'],
        ['bob', 'Bob@example.org', ''],
      ],
    );
    await spawners[0].stop();
    assert.isNotNull(await spawners[0].poll());
    assert.isNull(await spawners[1].poll());
    assert.isNull(await spawners[2].poll());
    await Promise.all([two, three].map(report));
  });

  it('ends with the cause timeout', async () => {
    await started;
    const endsAt = Date.parse(String(short.getState()['endsAt']));
    await until('the end of the walltime', () => Date.now() > endsAt, 70);
    await until('the end of the job', async () => (await short.poll()) !== null, 50);
    assert.containsSubset(await short.poll(), { cause: 'timeout' });
    assert.include((await short.poll())?.message, 'walltime');
  });
});
