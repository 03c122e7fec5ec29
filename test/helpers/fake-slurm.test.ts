import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { CommandResult, RunOptions } from '../../lib/runners/runner.ts';
import { FakeSlurm } from './fake-slurm.ts';

const away = 'Unable to contact slurm controller (connect failure)\n';

/** The tests of the batch spawners rest on it, so it has to do what a real Slurm was seen to do. */
describe('FakeSlurm', () => {
  let home: string;
  let slurm: FakeSlurm;

  const run = (line: string, options: RunOptions = {}): Promise<CommandResult> =>
    slurm.runner.run(line.split(' '), { env: { TZ: 'UTC' }, ...options });
  const sbatch = (line = '', options: RunOptions = {}) =>
    run(`sbatch --parsable --chdir=${home}${line}`, { input: '#!/bin/bash\nexit 0\n', ...options });
  const states = async (): Promise<string> =>
    (await run('squeue -h -a -t all -o %A:%T:%B:%r')).stdout;

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'fake-slurm-test-'));
  });
  afterEach(async () => {
    await slurm.close();
    rmSync(home, { recursive: true });
  });

  describe('with a table that only tests move', () => {
    beforeEach(() => {
      slurm = new FakeSlurm({ home, run: false, clusters: ['cluster1', 'cluster2'] });
    });

    it('takes jobs, and lists them in the asked format', async () => {
      const input = `#!/bin/sh\n#SBATCH --job-name="a b" --comment='x#y' # why\n#SBATCH -t 1-0\necho\n#SBATCH -J no\n`;
      expect((await sbatch('', { input, user: 'alice' })).stdout).to.equal('1001\n');
      expect((await run('sbatch -J other', { input, user: 'bob' })).stdout).to.equal(
        'Submitted batch job 1002\n',
      );
      slurm.setState('1001', 'RUNNING');
      const format = '\x1e%i\x1f%T\x1f%B\x1f%N\x1f%k\x1f%j\x1f%u\x1f%l\x1f%S';
      const { stdout } = await run(`squeue -h --all -tall -o ${format}`);
      const [, newer = '', older = ''] = stdout.split('\x1e');
      expect(newer).to.equal(
        '1002\x1fPENDING\x1fn/a\x1f\x1fx#y\x1fother\x1fbob\x1f24:00:00\x1fN/A\n',
      );
      const [start = '', ...fields] = older.trim().split('\x1f').reverse();
      expect(fields.reverse()).to.deep.equal([
        '1001',
        'RUNNING',
        '127.0.0.1',
        '127.0.0.1',
        'x#y',
        'a b',
        'alice',
        '24:00:00',
      ]);
      expect(Date.now() - Date.parse(`${start}Z`)).to.be.within(0, 5000);
      expect((await run('squeue -h -u bob -o %A')).stdout).to.equal('1002\n');
    });

    it('shows with an unknown id, and without all states, what the real one does', async () => {
      await sbatch();
      await slurm.endJob('1001');
      expect((await run('squeue -h -j 1001 -o %T')).stdout).to.equal('');
      expect((await run('squeue -h -j 1001 -t all -o %T')).stdout).to.equal('COMPLETED\n');
      expect(
        (await run('squeue -h -t all -o %T', { env: { SQUEUE_STATES: 'PENDING' } })).stdout,
      ).to.equal('COMPLETED\n');
      expect(
        (await run('squeue -h -o %T', { env: { SQUEUE_STATES: 'COMPLETED' } })).stdout,
      ).to.equal('COMPLETED\n');
      const invalid = { exitCode: 1, stderr: 'slurm_load_jobs error: Invalid job id specified\n' };
      expect(await run('squeue -h -j 99')).to.include(invalid);
      expect(await run('squeue -h -j 98,99')).to.include({ exitCode: 0, stdout: '' });
      slurm.forget('1001');
      expect(await run('squeue -h -t all -j 1001')).to.include(invalid);
      expect(await run('scontrol show job 1001')).to.include(invalid);
      expect(await run('scancel 1001')).to.include({ exitCode: 0, stderr: '' });
      const sacct = 'sacct -n -P -X -j 1001 -o JobIDRaw,State,ExitCode,NodeList';
      expect((await run(sacct)).stdout).to.equal('1001|COMPLETED|0:0|None assigned\n');
    });

    it('keeps clusters apart', async () => {
      expect((await sbatch(' -M cluster2')).stdout).to.equal('1001;cluster2\n');
      expect((await run('squeue -h -o %A')).stdout).to.equal('');
      expect((await run('squeue -M cluster2 -o %A')).stdout).to.equal(
        'CLUSTER: cluster2\nJOBID\n1001\n',
      );
      expect(await run('squeue -h -M nosuch')).to.include({ exitCode: 1 });
    });

    it('pends and holds', async () => {
      slurm.pend('Resources', new Date(Date.UTC(2026, 2, 2, 8)));
      await sbatch();
      expect((await run('squeue -h -o %r|%S')).stdout).to.equal('Resources|2026-03-02T08:00:00\n');
      slurm.hold();
      expect(await states()).to.equal('1001:PENDING:n/a:JobHeldUser\n');
      await run('scancel 1001');
      expect(await states()).to.match(/^1001:CANCELLED:n\/a:/);
      expect((await run('sacct -nPX -o State')).stdout).to.equal('CANCELLED by 0\n');
    });

    it('refuses what the real one refuses', async () => {
      expect((await sbatch('', { input: '' })).stderr).to.contain('script is empty');
      expect((await sbatch('', { input: 'echo\n' })).stderr).to.contain('does not look like');
      expect(await sbatch(' --time=soon')).to.include({ exitCode: 255 });
      expect((await sbatch(' --nosuch=1')).stderr).to.contain("unrecognized option '--nosuch'");
      await sbatch('', { user: 'alice' });
      expect(await run('scancel 1001', { user: 'bob' })).to.include({ exitCode: 210 });
      expect(await states()).to.equal('1001:PENDING:n/a:None\n');
    });

    it('is down', async () => {
      await sbatch();
      slurm.down();
      expect(await sbatch()).to.include({ exitCode: 1, stdout: '' });
      expect(await run('squeue -h')).to.include({
        exitCode: 1,
        stderr: `slurm_load_jobs error: ${away}`,
      });
      expect(await run('scancel 1001')).to.include({
        exitCode: 8,
        stderr: `scancel: error: Kill job error on job id 1001: ${away}`,
      });
      expect((await run('getent passwd alice')).stdout).to.contain(`:${home}:`);
      slurm.up();
      expect(await states()).to.equal('1001:PENDING:n/a:None\n');
    });

    it('is hung, and does later what it has reported as failed', async () => {
      await sbatch();
      slurm.down('hung');
      expect(await sbatch()).to.include({ exitCode: 1, stdout: '' });
      expect(await run('scancel 1001')).to.include({ exitCode: 140 });
      slurm.up();
      expect(await states()).to.equal('1002:PENDING:n/a:None\n1001:CANCELLED:n/a:None\n');
    });

    it('fails as it is told', async () => {
      slurm.fail({ program: 'sbatch', result: { exitCode: 1 }, effect: 'happens' });
      slurm.fail({ program: 'sbatch', result: { exitCode: 2 }, times: 2 });
      const codes = [];
      for (let turn = 0; turn < 4; turn += 1) codes.push((await sbatch()).exitCode);
      expect(codes).to.deep.equal([1, 2, 2, 0]);
      expect(slurm.jobs).to.have.length(2);
    });

    it('hangs until the time-out or the signal', async () => {
      slurm.fail({ program: 'squeue', result: 'hang', times: 2 });
      expect(await run('squeue', { timeout: 5 })).to.include({ timedOut: true, exitCode: null });
      const controller = new AbortController();
      const hanging = run('squeue', { signal: controller.signal });
      controller.abort();
      expect(await hanging).to.include({ timedOut: false, signal: 'SIGTERM' });
    });

    it('has accounting, or has none', async () => {
      slurm.accounting = 'off';
      expect(await run('sacct -nPX')).to.include({
        exitCode: 1,
        stderr: 'Slurm accounting storage is disabled\n',
      });
      slurm.accounting = 'down';
      expect((await run('sacct -nPX')).stderr).to.contain('Problem talking to the database');
    });
  });

  describe('with jobs that run', () => {
    beforeEach(() => {
      slurm = new FakeSlurm({ home });
    });

    const until = async (state: RegExp) => {
      for (let tries = 0; tries < 200 && !state.test(await states()); tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(await states()).to.match(state);
    };
    const job = (commands: string, line = '', options: RunOptions = {}) =>
      sbatch(` -o %j.log${line}`, { input: `#!/bin/bash\n${commands}\n`, ...options });
    const log = () => readFileSync(join(home, '1001.log'), 'utf8');

    it('gives a job exactly what is exported, and a home', async () => {
      const env = { TOKEN: 'a,b "c"', OTHER: '1', TZ: 'UTC', PATH: '/nowhere' };
      await job('/usr/bin/env; pwd', ' --export=TOKEN,NOSUCH,SET=1', { env, user: 'alice' });
      await until(/COMPLETED:127.0.0.1/);
      const lines = log().trim().split('\n');
      expect(lines).to.include.members([
        'TOKEN=a,b "c"',
        'SET=1',
        `HOME=${home}`,
        'USER=alice',
        'PATH=/usr/local/bin:/usr/bin:/bin',
        'SLURM_JOB_ID=1001',
        home,
      ]);
      expect(lines.filter((line) => /^(OTHER|TZ|NOSUCH)=/.test(line))).to.deep.equal([]);
      expect((await run(`tail -c 4 ${home}/1001.log`)).stdout).to.equal(log().slice(-4));
    });

    it('knows how a job ended', async () => {
      await job('exit 7');
      await until(/1001:FAILED:127.0.0.1:NonZeroExitCode/);
      await job('kill -9 $$');
      await until(/1002:FAILED:127.0.0.1:RaisedSignal:9/);
      await sbatch(' -o /nowhere/x.log');
      await until(/1003:FAILED:127.0.0.1:RaisedSignal:53/);
      const { stdout } = await run('sacct -nPX -o ExitCode');
      expect(stdout).to.equal('7:0\n0:9\n0:53\n');
      expect((await run('scontrol -o show job 1001')).stdout).to.match(/ ExitCode=7:0 .* \n\n$/);
    });

    it('cancels a job with all that it has started, and waits for it', async () => {
      await job('sleep 60 & trap "sleep 0.2; exit" TERM; echo $!; wait');
      await until(/RUNNING/);
      while (log() === '') await new Promise((resolve) => setTimeout(resolve, 10));
      await run('scancel 1001');
      expect(await states()).to.match(/COMPLETING/);
      await until(/CANCELLED/);
      const child = Number(log());
      expect(readState(child)).to.match(/^(gone|Z)$/);
    });

    it('signals the script, or all that it has started', async () => {
      await job('trap "echo heard" USR1; echo; while :; do sleep 0.05; done');
      await until(/RUNNING/);
      while (log() === '') await new Promise((resolve) => setTimeout(resolve, 10));
      await run('scancel -s USR1 1001');
      await run('scancel -b --signal=SIGUSR1 1001');
      while (log() === '\n') await new Promise((resolve) => setTimeout(resolve, 10));
      expect(log()).to.equal('\nheard\n');
      await run('scancel -s KILL 1001');
      await until(/CANCELLED/);
    });

    it('lets a job wait in the queue, and end there', async () => {
      slurm.queueDelay = 60;
      await job('echo ran');
      await job('echo ran');
      expect(await states()).to.match(/1001:PENDING:n\/a:None/);
      await run('scancel 1002');
      await until(/1002:CANCELLED:n\/a:None\n1001:COMPLETED/);
    });

    it('ends a job when a test says so', async () => {
      await job('sleep 60');
      await until(/RUNNING/);
      await slurm.endJob('1001', { state: 'TIMEOUT', reason: 'TimeLimit' });
      expect(await states()).to.equal('1001:TIMEOUT:127.0.0.1:TimeLimit\n');
    });
  });
});

function readState(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] ?? '';
  } catch {
    return 'gone';
  }
}
