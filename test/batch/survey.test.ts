import { expect } from 'chai';
import { GenericBatchSpawner } from '../../lib/batch/generic.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import { StateError } from '../../lib/errors.ts';
import type { GenericOptions } from '../../lib/generated/options.ts';
import type { SpawnerContext } from '../../lib/index.ts';
import type { MarkedServer } from '../../lib/mark.ts';
import { StubRunner } from '../../lib/testing/index.ts';
import { MinimalSpawner } from '../helpers/minimal-spawner.ts';
import { TestSpawner, useSlurmTable } from '../helpers/slurm-table.ts';

describe('A survey of the jobs of a hub', () => {
  const table = useSlurmTable();
  const { create, begin, running, count } = table;
  const bob = (context: Partial<SpawnerContext> = {}) => ({ user: { name: 'bob' }, ...context });

  /** What is listed, with time for a list. */
  async function surveyed(spawner = create({}, bob())) {
    const servers = spawner.survey();
    await table.clock.tickAsync(15_000);
    return servers;
  }

  const names = (servers: readonly MarkedServer[] | undefined) =>
    servers?.map(({ user, serverName, id }) => `${user}/${serverName} ${id}`);

  /** A job with a comment, that no spawner has started. */
  function submit(user: string, comment: string): void {
    const argv = ['sbatch', `--comment=${comment}`, '--job-name=n'];
    void table.slurm.runner.run(argv, { user, cwd: '/', input: '#!/bin/sh\n' });
  }

  it('finds what lives, whoever it is of, and what it was not told of', async () => {
    await running();
    await running({}, { user: { name: 'bob', account: 'b2' }, serverName: 'r&d: lab' });
    const { id: ended } = await running({}, { serverName: 'ended' });
    await table.slurm.endJob(ended);
    const { id: ending } = await running({}, { serverName: 'ending' });
    table.slurm.setState(ending, 'COMPLETING');
    submit('alice', 'of hers');
    expect(names(await surveyed())).to.have.members(['alice/ 1001', 'bob/r&d: lab 1002']);
  });

  it('gives states by which other spawners have the servers', async () => {
    const { spawner } = await running();
    const [found] = (await surveyed()) ?? [];
    const { tag, jobName } = spawner.getState();
    expect(found?.state).to.deep.equal({
      ...{ version: 1, spawner: 'slurm', tag, jobName, jobId: '1001', owner: 'alice' },
      ...{ submittedAt: found?.state['submittedAt'], found: true },
    });
    const next = create();
    next.loadState(found?.state);
    const stopping = next.stop();
    await table.clock.tickAsync(5000);
    await stopping;
    expect(table.aliveJobs()).to.deep.equal([]);
  });

  it('is made anew where a class reads the list by a function of its own', async () => {
    class EmptySpawner extends TestSpawner {
      static override readonly scheduler = {
        ...slurm,
        parseFind: () => ({ jobs: [], complete: true }),
      };
    }
    await running();
    const empty = new EmptySpawner(table.contextOf());
    expect(names(await surveyed())).to.deep.equal(['alice/ 1001']);
    expect(names(await surveyed(empty))).to.deep.equal([]);
  });

  it('keeps a job whose state nobody knows', async () => {
    const { id } = await running();
    table.slurm.setState(id, 'MOONSTRUCK');
    expect(names(await surveyed())).to.deep.equal(['alice/ 1001']);
  });

  it('leaves out the jobs of other hubs, and what is no mark', async () => {
    const { spawner } = await running();
    const tag = String(spawner.getState()['tag']);
    await running({}, { hub: { apiUrl: 'http://127.0.0.1:8082/hub/api' } });
    submit('bob', tag.replace('alice', '%'));
    submit('bob', tag.replace('alice', '%ff'));
    submit('bob', `${tag}0`);
    submit('bob', '');
    expect(names(await surveyed())).to.deep.equal(['alice/ 1001']);
  });

  it('gives nobody the job of another account that has the mark of their server', async () => {
    const { spawner } = await running();
    submit('mallory', String(spawner.getState()['tag']));
    const servers = await surveyed();
    expect(names(servers)).to.have.members(['alice/ 1001', 'alice/ 1002']);
    const planted = servers?.find(({ id }) => id === '1002');
    expect(() => create().loadState(planted?.state))
      .to.throw(StateError)
      .with.property('message')
      .that.includes('mallory')
      .and.includes('alice');
  });

  it('is not deceived by a comment that looks like the job of another', async () => {
    const { spawner } = await running();
    const tag = String(spawner.getState()['tag']);
    for (const s of ['\x1f', '\x1f{{boundary}}', '\x1f000000000000']) {
      const forged = ['77', tag, 'n', 'RUNNING', 'alice', ''].join(s);
      submit('mallory', `x${s}n${s}RUNNING${s}mallory${s}\n\x1e${forged}\n\x1e78${s}x`);
    }
    expect(names(await surveyed())).to.deep.equal(['alice/ 1001']);
  });

  it('costs one command and one object for all who ask at the same time', async () => {
    await running();
    const before = count('squeue');
    const spawners = Array.from({ length: 1000 }, (_, n) =>
      create({}, { user: { name: `user${n}` } }),
    );
    const surveys = Promise.all(spawners.map((spawner) => spawner.survey()));
    await table.clock.tickAsync(5000);
    expect(new Set(await surveys).size).to.equal(1);
    expect(count('squeue') - before).to.equal(1);
    const { options } = table.slurm.runner.callsOf('squeue').at(-1) ?? {};
    expect(options?.user).to.equal(undefined);
  });

  it('is another object for another hub, and for a list of later', async () => {
    await running();
    const [one, other] = await Promise.all([
      surveyed(),
      surveyed(create({}, { hub: { apiUrl: 'http://127.0.0.1:8082/hub/api' } })),
    ]);
    expect(other).to.deep.equal([]);
    expect(await surveyed()).not.to.equal(one);
  });

  it('sees what was submitted after a list that is under way has begun', async () => {
    const early = create({}, bob()).survey();
    await running();
    expect(names(await surveyed())).to.deep.equal(['alice/ 1001']);
    expect(await early).to.deep.equal([]);
  });

  it('says nothing while the batch system is away, or prints what can not be read', async () => {
    await running();
    table.slurm.down();
    expect(await surveyed()).to.equal(undefined);
    table.slurm.up();
    table.slurm.fail({ program: 'squeue', result: { stdout: '\x1e7\x1f' } });
    expect(await surveyed()).to.equal(undefined);
    expect(names(await surveyed())).to.deep.equal(['alice/ 1001']);
  });

  it('is empty for a hub without an interface, whose marks any other may have', async () => {
    const { hub: _, ...context } = table.contextOf();
    const spawner = new TestSpawner(context, { endpoint: 'fixed', port: 8888 });
    begin(spawner);
    await table.clock.tickAsync(100);
    expect(await spawner.survey()).to.deep.equal([]);
  });

  it('is empty where a kind of spawner has no list', async () => {
    expect(await new MinimalSpawner({ user: { name: 'alice' } }).survey()).to.deep.equal([]);
  });

  it('is empty where the list is that of one account', async () => {
    const find = ['squeue', '-h', '-u', '{{username}}', '-o', '\x1e%A\x1f%k\x1f%j\x1f'];
    await running();
    expect(await surveyed(create({ commands: { find } }))).to.deep.equal([]);
  });
});

describe('Looking for the jobs of submissions in doubt', () => {
  const table = useSlurmTable();
  const { create, begin, count } = table;

  const finds = () =>
    table.slurm.runner.callsOf('squeue').filter(({ argv }) => argv.join().includes('%k'));

  const contexts = Array.from({ length: 50 }, (_, n) => ({
    user: { name: 'alice', account: `user${n}` },
  }));
  const ids = (spawners: readonly TestSpawner[]) =>
    spawners.map((spawner) => spawner.getState()['jobId']);

  it('costs one command for all of a hub that was started again, as its own account', async () => {
    const spawners = contexts.map((context) => create({}, context));
    spawners.map((spawner) => begin(spawner));
    await table.clock.tickAsync(100);
    const heirs = contexts.map((context) => create({}, context));
    for (const [index, heir] of heirs.entries()) {
      heir.loadState({ ...spawners[index]?.getState(), jobId: undefined });
    }
    const before = finds().length;
    await Promise.all(heirs.map((heir) => heir.poll()));
    expect(finds().length - before).to.equal(1);
    expect(finds().at(-1)?.options.user).to.equal(undefined);
    expect(ids(heirs)).to.deep.equal(ids(spawners));
  });

  it('costs one command, or two, for all whose submission was cut off at the same time', async () => {
    table.slurm.fail({ program: 'sbatch', result: 'hang', effect: 'happens', times: 50 });
    const spawners = contexts.map((context) => create({}, context));
    spawners.map((spawner) => begin(spawner));
    await table.clock.tickAsync(70_000);
    expect(finds()).to.have.length.at.most(2);
    expect(ids(spawners)).to.have.members(table.slurm.jobs.map(({ id }) => id));
    expect(count('sbatch')).to.equal(50);
  });

  it('finds a job that is hidden from the account of the hub, and makes no second one', async () => {
    table.slurm.fail({ program: 'sbatch', result: 'hang', effect: 'happens' });
    table.slurm.fail({ program: 'squeue', result: { stdout: '' } });
    const spawner = create();
    begin(spawner);
    await table.clock.tickAsync(70_000);
    expect(finds().map(({ options }) => options.user)).to.deep.equal([undefined, 'alice']);
    expect(ids([spawner])).to.deep.equal(['1001']);
    expect(count('sbatch')).to.equal(1);
  });

  it('leaves alone a job of another account with the mark of ours', async () => {
    table.slurm.fail({ program: 'sbatch', result: 'hang' });
    const spawner = create();
    spawner.once('state', ({ tag, jobName }) => {
      const argv = ['sbatch', `--comment=${tag}`, `--job-name=${jobName}`];
      const options = { user: 'mallory', cwd: '/', input: '#!/bin/sh\n' };
      setTimeout(() => void table.slurm.runner.run(argv, options), 30_000);
    });
    begin(spawner);
    await table.clock.tickAsync(80_000);
    expect(table.aliveJobs().map(({ user }) => user)).to.have.members(['mallory', 'alice']);
    const own = table.aliveJobs().find(({ user }) => user === 'alice');
    expect(spawner.getState()).to.include({ jobId: own?.id });
  });

  it('goes on as each account where the command of a site names it', async () => {
    const find = ['squeue', '-h', '-u', '{{username}}', '-o', '\x1e%A\x1f%k\x1f%j\x1f'];
    table.slurm.fail({ program: 'sbatch', result: 'hang', effect: 'happens', times: 2 });
    const spawners = ['u1', 'u2'].map((account) =>
      create({ commands: { find } }, { user: { name: 'alice', account } }),
    );
    spawners.map((spawner) => begin(spawner));
    await table.clock.tickAsync(70_000);
    expect(finds().map(({ options }) => options.user)).to.deep.equal(['u1', 'u2']);
    expect(ids(spawners)).to.have.members(['1001', '1002']);
  });
});

describe('A survey by commands of a site', () => {
  const tag = 'hubspawner:e5077de2:alice::3b1d0c7a9e55';
  const options: Partial<GenericOptions> = {
    ...{ endpoint: 'fixed', port: 8888, script: '#!/bin/sh\n{{{exports}}}\n{{cmd}}\n' },
    request: { homedir: '/home/alice' },
    commands: { submit: ['mysub', '{{tag}}'], query: ['mystat'], cancel: ['d', '{{jobId}}'] },
    states: { R: { state: 'running' }, F: { state: 'ended' } },
  };
  const context = {
    user: { name: 'alice' },
    hub: { apiUrl: 'http://127.0.0.1:8081/hub/api' },
  };
  const surveyed = (mystat: string, job: string) =>
    new GenericBatchSpawner(
      { ...context, runner: new StubRunner({ mystat }) },
      { ...options, patterns: { jobId: String.raw`^job (?<id>\d+)$`, job } },
    ).survey();

  it('needs marks and owners', async () => {
    const job = String.raw`^(?<id>\d+) (?<state>\S+) (?<host>\S+) (?<tag>\S+) (?<owner>\S+)$`;
    const text = `1 R n1 ${tag} alice\n2 F n1 ${tag} alice\n3 R n1 ${tag} bob\n`;
    expect((await surveyed(text, job))?.map(({ id, state }) => [id, state['owner']])).to.deep.equal(
      [
        ['1', 'alice'],
        ['3', 'bob'],
      ],
    );
    expect(await surveyed(text, job.replace('?<owner>', ''))).to.deep.equal([]);
  });
});
