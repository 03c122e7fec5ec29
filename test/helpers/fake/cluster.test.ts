import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { RunOptions } from '../../../lib/runners/runner.ts';
import type { Dialect } from './cluster.ts';
import { FakeCluster } from './cluster.ts';
import type { Submission } from './jobs.ts';
import type { Program } from './programs.ts';
import { accountOf, Exit } from './programs.ts';

const put: Program = (cluster, [name = ''], options) => {
  const { input: script = '', cwd = '/' } = options;
  if (script === '') throw new Exit(2, 'put: no script', 'nothing\n');
  const output = join(cwd, `${cluster.nextId}.log`);
  const user = accountOf(options);
  return `${cluster.submit({ user, name, script, directory: cwd, output }).id}\n`;
};

const list: Program = ({ known }) => known.map(({ id, state }) => `${id} ${state}\n`).join('');

const dialect: Dialect = {
  programs: { put, list },
  outage: (program, how) =>
    program in dialect.programs ? { exitCode: 1, stderr: `${how}\n` } : undefined,
  delayed: ['put'],
  idOf: (seq) => `${seq}.server`,
};

describe('FakeCluster', () => {
  let home: string;
  let cluster: FakeCluster;

  const run = (line: string, options: RunOptions = {}) =>
    cluster.runner.run(line.split(' '), { cwd: home, ...options });
  const submit = (script: string, more: Partial<Submission> = {}) =>
    cluster.submit({
      user: 'alice',
      name: 'job',
      script: `#!/bin/sh\n${script}\n`,
      directory: home,
      output: join(home, 'log'),
      ...more,
    }).id;
  const states = () => cluster.jobs.map(({ state }) => state).join();
  const until = async (isSo: () => boolean) => {
    for (let tries = 0; tries < 300 && !isSo(); tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(isSo(), `${states()} ${isSo}`).to.equal(true);
  };
  const log = () => (existsSync(join(home, 'log')) ? readFileSync(join(home, 'log'), 'utf8') : '');

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'fake-cluster-test-'));
  });
  afterEach(async () => {
    await cluster.close();
    rmSync(home, { recursive: true });
  });

  describe('with a table that only tests move', () => {
    beforeEach(() => {
      cluster = new FakeCluster({ home, run: false, dialect });
    });

    it('gives the programs of its dialect by their names, in any folder', async () => {
      expect(await run('put one', { input: 'x', user: 'bob' })).to.include({
        stdout: '1001.server\n',
        exitCode: 0,
      });
      expect(await run('/opt/bin/list')).to.include({ stdout: '1001.server queued\n' });
      expect(cluster.jobs[0]).to.include({ seq: 1001, name: 'one', user: 'bob', walltime: 3600 });
      expect(await run('put')).to.include({
        exitCode: 2,
        stdout: 'nothing\n',
        stderr: 'put: no script\n',
      });
    });

    it('moves jobs to every state, and back', async () => {
      const id = submit('');
      cluster.hold(id);
      cluster.suspend(id);
      expect(states()).to.equal('held');
      cluster.release(id);
      expect(states()).to.equal('queued');
      cluster.setState(id, 'running', 'because', { native: 'R' });
      expect(cluster.jobs[0]).to.include({ reason: 'because', native: 'R' });
      const { startedAt } = cluster.jobs[0] ?? {};
      expect(startedAt).to.be.instanceOf(Date);
      cluster.hold(id);
      cluster.suspend(id);
      expect(states()).to.equal('suspended');
      expect(cluster.jobs[0]).to.include({ reason: '', native: undefined, startedAt });
      cluster.resume(id);
      expect(states()).to.equal('running');
      await cluster.requeue(id);
      expect(cluster.jobs[0]).to.include({ state: 'queued', requeues: 1, startedAt: undefined });
      cluster.cancel(id);
      expect(cluster.jobs[0]).to.include({ state: 'ended', cause: 'cancelled' });
      const { endedAt } = cluster.jobs[0] ?? {};
      cluster.kill(id);
      expect(cluster.jobs[0]).to.include({ state: 'ended', endedAt });
      expect(() => cluster.cancel('99.server')).to.throw('no job 99.server');
    });

    it('knows how jobs ended, and forgets them', async () => {
      const id = submit('');
      await cluster.endJob(id, { cause: 'timeout', exitCode: 1, signal: 15, reason: 'limit' });
      expect(cluster.jobs[0]).to.include({
        state: 'ended',
        cause: 'timeout',
        exitCode: 1,
        signal: 15,
        reason: 'limit',
      });
      cluster.forget(id);
      expect(cluster.known).to.deep.equal([]);
      expect(cluster.jobs).to.have.length(1);
    });

    it('lets jobs wait for a reason', () => {
      submit('');
      submit('', { hold: true });
      const estimatedStart = new Date();
      cluster.pend('nodes', estimatedStart);
      submit('');
      expect(cluster.jobs.map(({ state, reason }) => `${state} ${reason}`)).to.deep.equal([
        'queued nodes',
        'held ',
        'queued nodes',
      ]);
      expect(cluster.jobs[2]).to.include({ estimatedStart });
      cluster.releaseAll();
      expect(states()).to.equal('queued,queued,queued');
      expect(cluster.jobs[2]).to.include({ reason: '', estimatedStart: undefined });
    });

    it('is down, and does later what it was asked for while it hung', async () => {
      cluster.down();
      expect(await run('put', { input: 'x' })).to.include({ exitCode: 1, stderr: 'dead\n' });
      cluster.down('hung');
      expect(await run('put', { input: 'x' })).to.include({ exitCode: 1, stderr: 'hung\n' });
      expect(await run('getent passwd bob')).to.include({
        stdout: `bob:x:1001:1001::${home}:/bin/bash\n`,
      });
      expect(cluster.jobs).to.have.length(0);
      cluster.up();
      expect(cluster.jobs).to.have.length(1);
      expect(await run('list')).to.include({ exitCode: 0 });
    });

    it('fails and hangs as it is told', async () => {
      cluster.fail({ program: 'put', result: { exitCode: 3 }, effect: 'happens' });
      cluster.fail({ program: 'put', result: { exitCode: 4 }, times: 2 });
      cluster.fail({ program: 'list', result: 'hang' });
      const codes = [];
      for (let turn = 0; turn < 4; turn += 1) {
        codes.push((await run('put', { input: 'x' })).exitCode);
      }
      expect(codes).to.deep.equal([3, 4, 4, 0]);
      expect(cluster.jobs).to.have.length(2);
      expect(await run('list', { timeout: 5 })).to.include({ timedOut: true });
      expect(await run('list')).to.include({ exitCode: 0 });
    });

    it('has the files of this machine', async () => {
      const file = join(home, 'a file');
      const write = ['/bin/sh', '-c', 'umask 077; cat > "$1"', 'sh', file];
      expect(await cluster.runner.run(write, { input: 'ü\n' })).to.include({ exitCode: 0 });
      expect(readFileSync(file, 'utf8')).to.equal('ü\n');
      expect(statSync(file).mode & 0o777).to.equal(0o600);
      expect((await cluster.runner.run(['tail', '-c', '2', file])).stdout).to.equal('\ufffd\n');
      await cluster.runner.run(['rm', '-f', '--', file]);
      expect(existsSync(file)).to.equal(false);
      const failing = ['/bin/sh', '-c', 'echo out; echo err >&2; exit 5'];
      expect(await cluster.runner.run(failing)).to.include({
        exitCode: 5,
        stdout: 'out\n',
        stderr: 'err\n',
      });
    });
  });

  describe('with jobs that run', () => {
    beforeEach(() => {
      cluster = new FakeCluster({ home, dialect });
    });

    it('gives a job what was passed on, and what an account has', async () => {
      submit('env; pwd', { environment: { TOKEN: 'a b', PATH: '/bin:/usr/bin', USER: 'root' } });
      await until(() => states() === 'ended');
      expect(log().trim().split('\n')).to.include.members([
        'TOKEN=a b',
        'PATH=/bin:/usr/bin',
        `HOME=${home}`,
        'USER=alice',
        'LOGNAME=alice',
        'SHELL=/bin/bash',
        home,
      ]);
      expect(cluster.jobs[0]).to.include({ cause: 'completed', exitCode: 0 });
    });

    it('knows how jobs ended by themselves', async () => {
      submit('exit 7');
      submit('kill -9 $$');
      submit('', { output: '/nowhere/log' });
      await until(() => states() === 'ended,ended,ended');
      const [code, signal, unlaunched] = cluster.jobs;
      expect(code).to.include({ cause: 'failed', exitCode: 7, signal: 0, launchFailed: false });
      expect(signal).to.include({ cause: 'failed', exitCode: 0, signal: 9 });
      expect(unlaunched).to.include({ cause: 'failed', launchFailed: true });
    });

    it('cancels with time to end, and kills at once', async () => {
      const gentle = submit('trap "sleep 0.2; exit 3" TERM; echo ready; sleep 60 & wait');
      await until(() => log() === 'ready\n');
      cluster.cancel(gentle);
      expect(states()).to.equal('exiting');
      await until(() => states() === 'ended');
      expect(cluster.jobs[0]).to.include({ cause: 'cancelled', exitCode: 3 });
      const stubborn = submit('trap "" TERM; echo stubborn; sleep 60');
      await until(() => log() === 'stubborn\n');
      cluster.cancel(stubborn);
      cluster.kill(stubborn);
      await until(() => states() === 'ended,ended');
      expect(cluster.jobs[1]).to.include({ cause: 'cancelled', signal: 9 });
    });

    it('suspends and resumes, and cancels what is suspended', async () => {
      const id = submit('while :; do echo x; sleep 0.01; done');
      await until(() => log().length > 10);
      cluster.suspend(id);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { length } = log();
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(log()).to.have.length(length);
      cluster.resume(id);
      await until(() => log().length > length);
      cluster.suspend(id);
      cluster.cancel(id);
      await until(() => states() === 'ended');
    });

    it('runs a job again that was put back into the queue', async () => {
      const id = submit('echo $$; sleep 60');
      await until(() => log() !== '');
      const first = log();
      cluster.queueDelay = 50;
      await cluster.requeue(id);
      expect(states()).to.equal('queued');
      await until(() => states() === 'running' && log() !== '' && log() !== first);
      await cluster.endJob(id, { cause: 'preempted' });
      expect(cluster.jobs[0]).to.include({ state: 'ended', cause: 'preempted', requeues: 1 });
    });

    it('starts no job that waits, is held, or is cancelled before', async () => {
      cluster.queueDelay = 30;
      const cancelled = submit('echo ran');
      const held = submit('echo ran');
      cluster.cancel(cancelled);
      cluster.hold(held);
      cluster.pend('nodes');
      submit('echo ran');
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(states()).to.equal('ended,held,queued');
      cluster.release(held);
      expect(cluster.jobs[1]).to.include({ state: 'queued', reason: 'nodes' });
      cluster.releaseAll();
      await until(() => states() === 'ended,ended,ended');
      expect(log()).to.equal('ran\n');
    });
  });
});
