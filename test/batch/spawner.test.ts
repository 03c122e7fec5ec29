import { expect } from 'chai';
import sinon from 'sinon';
import {
  AbortError,
  BatchSpawner,
  CommandError,
  OptionsError,
  ParseError,
  StartError,
  StartTimeoutError,
  StateError,
  StopError,
} from '../../lib/index.ts';
import { FakeSlurm } from '../helpers/fake-slurm.ts';
import { useSlurmTable } from '../helpers/slurm-table.ts';

describe('BatchSpawner', () => {
  const table = useSlurmTable();
  const { create, recorded, begin, running, aliveJobs, count } = table;

  describe('start', () => {
    it('gives the address once the job runs, has reported its port, and answers', async () => {
      const spawner = create();
      const events = recorded(spawner);
      spawner.answering = false;
      const { outcome, settled } = begin(spawner);
      await table.clock.tickAsync(10_000);
      expect(outcome).to.deep.equal({});

      table.slurm.setState('1001', 'RUNNING');
      await table.clock.tickAsync(10_000);
      expect(spawner.acceptPort(40_123)).to.equal(true);
      await table.clock.tickAsync(10_000);
      expect(outcome).to.deep.equal({});

      spawner.answering = true;
      await table.clock.tickAsync(1000);
      await settled;
      expect(outcome.address).to.deep.equal({
        host: '127.0.0.1',
        port: 40_123,
        url: 'http://127.0.0.1:40123/user/alice/',
      });
      expect(events).to.deep.equal(['submitted:1001', 'running:127.0.0.1', 'ready:40123']);
      expect(await spawner.poll()).to.equal(null);
    });

    it('saves the mark of the job before it submits, and the id at once', async () => {
      const spawner = create();
      const saved: string[] = [];
      spawner.on('state', (state) => {
        saved.push(`${count('sbatch')} submissions, job ${state['jobId']}, tag ${'tag' in state}`);
      });
      begin(spawner);
      await table.clock.tickAsync(10);

      expect(saved.slice(0, 2)).to.deep.equal([
        '0 submissions, job undefined, tag true',
        '1 submissions, job 1001, tag true',
      ]);
    });

    it('takes a port that is reported before sbatch has said the job id', async () => {
      const spawner = create();
      const { runner } = table.slurm;
      const run = runner.run.bind(runner);
      sinon.stub(runner, 'run').callsFake(async (argv, options) => {
        const result = await run(argv, options);
        if (argv[0] === 'sbatch') {
          expect(spawner.acceptPort(40_123)).to.equal(true);
        }
        return result;
      });
      const { outcome, settled } = begin(spawner);
      await table.clock.tickAsync(10);
      table.slurm.setState('1001', 'RUNNING');
      await table.clock.tickAsync(3000);
      await settled;

      expect(outcome.address?.port).to.equal(40_123);
    });

    it('says why the job waits, and when it is expected to start', async () => {
      table.slurm.pend('Priority', new Date('2026-03-02T08:00:00Z'));
      const spawner = create();
      begin(spawner);
      await table.clock.tickAsync(3000);
      table.slurm.setState('1001', 'PENDING', 'JobHeldAdmin');
      await table.clock.tickAsync(3000);

      const messages: string[] = [];
      const stop = spawner.stop();
      await table.clock.tickAsync(10_000);
      await stop;
      for await (const { message, estimatedStart } of spawner.progress()) {
        messages.push(`${message} ${estimatedStart?.toISOString() ?? ''}`.trim());
      }
      expect(messages).to.include(
        'Job 1001 waits in the queue (Priority: other jobs come first) 2026-03-02T08:00:00.000Z',
      );
      expect(messages.join('\n')).to.match(/held.*JobHeldAdmin/);
    });

    it('fails at once when the job ends before its server answers, with cause, code and log', async () => {
      const spawner = create();
      const events = recorded(spawner);
      const { runner } = table.slurm;
      const run = runner.run.bind(runner);
      sinon.stub(runner, 'run').callsFake((argv, options) =>
        argv[0] === 'tail'
          ? Promise.resolve({
              stdout: 'no such module: jupyter; token secret-token\n',
              stderr: '',
              exitCode: 0,
              signal: null,
              timedOut: false,
            })
          : run(argv, options),
      );
      const { outcome, settled } = begin(spawner);
      await table.clock.tickAsync(100);
      await table.slurm.endJob('1001', { state: 'FAILED', exitCode: 3, reason: 'NonZeroExitCode' });
      await table.clock.tickAsync(3000);
      await settled;

      const { error } = outcome;
      expect(error).to.be.instanceOf(StartError);
      if (error instanceof StartError) {
        expect(error.exit).to.deep.include({ code: 3, signal: null, cause: 'failed' });
        expect(error.retryable).to.equal(false);
        expect(error.log).to.match(/no such module/);
        expect(error.message)
          .to.match(/exit code 3/)
          .and.to.match(/no such module/);
        expect(`${error.message}${error.log}`).not.to.include('secret-token');
      }
      expect(events).to.deep.equal(['submitted:1001', 'exited:failed']);
      expect(await spawner.poll()).to.deep.include({ cause: 'failed', code: 3 });
      expect(count('scancel')).to.equal(0);
    });

    it('keeps the port that was reported until its server has surely taken it', async () => {
      const spawner = create();
      spawner.answering = false;
      const { settled } = begin(spawner);
      await table.clock.tickAsync(100);
      table.slurm.setState('1001', 'RUNNING');
      expect(spawner.awaitedPort).to.equal(undefined);
      spawner.acceptPort(40_123);
      expect(spawner.awaitedPort).to.equal(40_123);
      await table.clock.tickAsync(10_000);
      expect(spawner.awaitedPort).to.equal(40_123);
      spawner.answering = true;
      await table.clock.tickAsync(3000);
      await settled;
      await table.clock.tickAsync(spawner.options.httpTimeout);
      expect(spawner.awaitedPort).to.equal(undefined);
      // The job was put back into the queue, and runs anew.
      spawner.acceptPort(40_125);
      expect(spawner.awaitedPort).to.equal(40_125);
    });

    it('gives a refused submission as the error that sbatch printed, and keeps no state', async () => {
      table.slurm.fail({
        program: 'sbatch',
        result: {
          exitCode: 1,
          stderr: 'sbatch: error: Batch job submission failed: Invalid partition name specified\n',
        },
      });
      const spawner = create();
      const { outcome, settled } = begin(spawner);
      await table.clock.tickAsync(100);
      await settled;

      expect(outcome.error).to.be.instanceOf(CommandError);
      expect(String(outcome.error)).to.match(/Invalid partition name/);
      expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'slurm' });
      expect(count('sbatch')).to.equal(1);
    });

    it('refuses a second start while there is a server, and leaves that alone', async () => {
      const { spawner } = await running();
      await expectRejection(spawner.start(), StartError);

      expect(await spawner.poll()).to.equal(null);
      expect(table.slurm.jobs).to.have.length(1);
    });

    it('starts again after the job has ended, even where nobody polled', async () => {
      const { spawner, id } = await running();
      await table.slurm.endJob(id);
      await table.clock.tickAsync(3000);
      begin(spawner);
      await table.clock.tickAsync(3000);

      expect(table.slurm.jobs).to.have.length(2);
      expect(aliveJobs()).to.have.length(1);
    });

    it('follows a job that is put back into the queue to its next run', async () => {
      const spawner = create();
      const events = recorded(spawner);
      const { outcome, settled } = begin(spawner);
      await table.clock.tickAsync(100);
      table.slurm.setState('1001', 'RUNNING');
      await table.clock.tickAsync(3000);
      table.slurm.setState('1001', 'PENDING', 'BeginTime');
      await table.clock.tickAsync(3000);
      table.slurm.setState('1001', 'RUNNING');
      await table.clock.tickAsync(3000);
      spawner.acceptPort(40_200);
      await table.clock.tickAsync(3000);
      await settled;

      expect(outcome.address?.port).to.equal(40_200);
      expect(events).to.deep.equal([
        ...['submitted:1001', 'running:127.0.0.1', 'submitted:1001', 'running:127.0.0.1'],
        'ready:40200',
      ]);
    });

    it('uses the fixed port without a call', async () => {
      const spawner = create({ endpoint: 'fixed', port: 8888 }, { apiToken: undefined } as object);
      const { outcome, settled } = begin(spawner);
      await table.clock.tickAsync(100);
      table.slurm.setState('1001', 'RUNNING');
      await table.clock.tickAsync(3000);
      await settled;

      expect(outcome.address?.port).to.equal(8888);
      expect(spawner.acceptPort(9999)).to.equal(false);
    });

    it('warns of a request that nothing makes use of', async () => {
      const spawner = create({ request: { host: 'pbs.example.org' } });
      const warnings: string[] = [];
      spawner.on('warning', ({ message }) => warnings.push(message));
      begin(spawner);
      await table.clock.tickAsync(100);

      expect(warnings.join()).to.match(/request\.host/);
    });

    it('warns of a limit that the batch system is not asked for', async () => {
      const script = '#!/bin/bash\n{{{exports}}}\n#SBATCH --mem={{memory}}\n{{cmd}}\n';
      for (const [options, names] of [
        [
          { memLimit: '4G', cpuLimit: 2, script: script.replace(/#SBATCH.*/, '') },
          'memLimit cpuLimit',
        ],
        [{ memLimit: '4G', cpuLimit: 2, script }, 'cpuLimit'],
        [{ memLimit: '4G', cpuLimit: 2 }, ''],
        [
          { cpuLimit: 2, request: { nprocs: 1 }, script: script.replace(/#SBATCH.*/, '') },
          'request.nprocs',
        ],
      ] as const) {
        const spawner = create(options);
        const warnings: string[] = [];
        spawner.on('warning', ({ message }) => warnings.push(message));
        begin(spawner);
        await table.clock.tickAsync(100);
        const named = warnings.map((message) => /^The option (\S+)/.exec(message)?.[1]);
        expect(named.join(' ')).to.equal(names);
      }
    });
  });

  describe('time limits', () => {
    it('cancels a job that waits longer than queueTimeout', async () => {
      table.slurm.pend();
      const { outcome, settled } = begin(create({ queueTimeout: 60_000 }));
      await table.clock.tickAsync(70_000);
      await settled;

      expect(outcome.error).to.be.instanceOf(StartTimeoutError).and.to.include({ step: 'queue' });
      expect(aliveJobs()).to.deep.equal([]);
    });

    it('waits in the queue without limit by default', async () => {
      table.slurm.pend();
      const { outcome } = begin(create());
      await table.clock.tickAsync(3_600_000);

      expect(outcome).to.deep.equal({});
      expect(aliveJobs()).to.have.length(1);
    });

    it('cancels a job that does not report its port within startTimeout', async () => {
      const { outcome, settled } = begin(create({ startTimeout: 60_000 }));
      await table.clock.tickAsync(100);
      table.slurm.setState('1001', 'RUNNING');
      await table.clock.tickAsync(70_000);
      await settled;

      expect(outcome.error).to.be.instanceOf(StartTimeoutError).and.to.include({ step: 'launch' });
      expect(aliveJobs()).to.deep.equal([]);
    });

    it('says that it is the host that is not known, where that is so', async () => {
      table.slurm.pend();
      const spawner = create({ endpoint: 'fixed', port: 8888, startTimeout: 60_000 });
      const { outcome, settled } = begin(spawner);
      await table.clock.tickAsync(100);
      table.slurm.fail({
        program: 'squeue',
        result: {
          stdout:
            '\x1e1001\x1fRUNNING\x1fn/a\x1f\x1fNone\x1f2026-03-02T06:00:00\x1fN/A\x1fN/A\x1f\n',
        },
        times: 31,
      });
      await table.clock.tickAsync(80_000);
      await settled;

      expect(outcome.error).to.be.instanceOf(StartTimeoutError).and.to.include({ step: 'launch' });
      expect(String(outcome.error)).to.match(/does not say on which host the job 1001 runs/);
    });

    it('cancels a job whose server does not answer within httpTimeout', async () => {
      const spawner = create({ httpTimeout: 30_000 });
      spawner.answering = false;
      const { outcome, settled } = begin(spawner);
      await table.clock.tickAsync(100);
      table.slurm.setState('1001', 'RUNNING');
      spawner.acceptPort(40_123);
      await table.clock.tickAsync(40_000);
      await settled;

      expect(outcome.error)
        .to.be.instanceOf(StartTimeoutError)
        .and.to.include({ step: 'readiness', timeout: 30_000 });
      expect(aliveJobs()).to.deep.equal([]);
    });
  });

  describe('a submission in doubt', () => {
    for (const [what, result] of Object.entries({
      'reported a failure': {
        exitCode: 1,
        stderr:
          'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n',
      },
      hung: 'hang' as const,
      'printed nothing': { stdout: '' },
      'printed two ids': { stdout: '7\n8\n' },
      'failed for another reason': { exitCode: 1, stderr: 'sbatch: error: plugin failed\n' },
    })) {
      it(`finds the job of an sbatch that ${what}, and submits no second one`, async () => {
        table.slurm.fail({ program: 'sbatch', result, effect: 'happens' });
        const spawner = create();
        const { outcome, settled } = begin(spawner);
        await table.clock.tickAsync(70_000);
        table.slurm.setState('1001', 'RUNNING');
        spawner.acceptPort(40_123);
        await table.clock.tickAsync(3000);
        await settled;

        expect(outcome.error).to.equal(undefined);
        expect(spawner.getState()).to.include({ jobId: '1001' });
        expect(table.slurm.jobs).to.have.length(1);
      });
    }

    it('submits again once it is certain that there is no job', async () => {
      table.slurm.fail({ program: 'sbatch', result: 'hang' });
      begin(create());
      await table.clock.tickAsync(60_000 + 12_000);

      expect(table.slurm.jobs).to.have.length(1);
      expect(count('sbatch')).to.equal(2);
    });

    it('waits for a batch system that is away, and submits once when it is back', async () => {
      table.slurm.down();
      const { outcome } = begin(create());
      await table.clock.tickAsync(120_000);
      expect(outcome).to.deep.equal({});
      table.slurm.up();
      await table.clock.tickAsync(20_000);

      expect(table.slurm.jobs).to.have.length(1);
    });

    it('has one job in the end where a hung slurmctld takes in what it had refused', async () => {
      table.slurm.down('hung');
      const spawner = create();
      begin(spawner);
      await table.clock.tickAsync(30_000);
      table.slurm.up();
      await table.clock.tickAsync(30_000);

      expect(aliveJobs()).to.have.length(1);
      expect(spawner.getState()).to.include({ jobId: aliveJobs()[0]?.id });
    });

    it('does not take a refusal for the last word while nobody can look for the job', async () => {
      table.slurm.fail({
        program: 'sbatch',
        result: { exitCode: 255, stderr: 'Connection closed by remote host\n' },
        effect: 'happens',
      });
      table.slurm.fail({
        program: 'squeue',
        result: { exitCode: 1, stderr: 'error: x' },
        times: 3,
      });
      const spawner = create();
      begin(spawner);
      await table.clock.tickAsync(30_000);

      expect(spawner.getState()).to.include({ jobId: '1001' });
    });

    describe('while nobody can look for the job', () => {
      const refusal = (why: string) => ({
        program: 'sbatch',
        result: { exitCode: 1, stderr: `sbatch: error: Batch job submission failed: ${why}\n` },
      });
      const unable = (times = 99) =>
        table.slurm.fail({
          program: 'squeue',
          result: { exitCode: 1, stderr: 'squeue: error: plugin failed\n' },
          times,
        });
      const denial = 'Invalid account or account/partition combination specified';

      it('says what it came to, as soon as it is known and at the end', async () => {
        table.slurm.fail(refusal('Plugin failed'));
        unable();
        const spawner = create({ startTimeout: 60_000, stopTimeout: 10_000 });
        const messages: string[] = [];
        spawner.on('progress', ({ message }) => messages.push(message));
        const { outcome, settled } = begin(spawner);
        await table.clock.tickAsync(100);
        expect(messages.at(-1)).to.match(/Looking whether.*Plugin failed/);
        await table.clock.tickAsync(120_000);
        await settled;

        const { error } = outcome;
        expect(error).to.be.instanceOf(StartTimeoutError).and.to.include({ step: 'submit' });
        expect(String(error)).to.match(/within startTimeout \(60 s\)\..*Plugin failed/);
        expect((error as StartTimeoutError).cause).to.be.instanceOf(CommandError);
        // There may be a job.
        expect(spawner.getState()).to.have.property('tag');
      });

      it('takes the word of Slurm for it that there is none', async () => {
        table.slurm.fail(refusal(denial));
        unable();
        const spawner = create();
        const { outcome, settled } = begin(spawner);
        await table.clock.tickAsync(9000);
        expect(outcome).to.deep.equal({});
        await table.clock.tickAsync(30_000);
        await settled;

        expect(outcome.error).to.be.instanceOf(CommandError);
        expect(String(outcome.error)).to.include(denial);
        expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'slurm' });
      });

      it('does not, where an earlier try may have made one', async () => {
        table.slurm.fail({ program: 'sbatch', result: 'hang', effect: 'happens' });
        // Twice the list of all, and twice that of the account.
        table.slurm.fail({ program: 'squeue', result: { stdout: '' }, times: 4 });
        table.slurm.fail(refusal(denial));
        unable(6);
        const spawner = create();
        begin(spawner);
        await table.clock.tickAsync(60_000 + 180_000);

        expect(count('sbatch')).to.equal(2);
        expect(spawner.getState()).to.include({ jobId: '1001' });
      });

      it('does not, where the words are those of a command of the site', async () => {
        table.slurm.fail(refusal(denial));
        unable();
        const submit = [
          ...['sbatch', '--parsable', '--job-name={{jobName}}'],
          ...['--comment={{tag}}', '--export={{exportNames}}'],
        ];
        const spawner = create({ commands: { submit } });
        begin(spawner);
        await table.clock.tickAsync(60_000);

        expect(spawner.getState()).to.have.property('tag');
      });
    });

    it('does not rest before the job of an earlier try is cancelled', async () => {
      table.slurm.fail({ program: 'sbatch', result: 'hang', effect: 'happens' });
      // Twice the list of all, and twice that of the account.
      table.slurm.fail({ program: 'squeue', result: { stdout: '' }, times: 4 });
      table.slurm.fail({
        program: 'scancel',
        result: { exitCode: 8, stderr: 'error: x' },
        times: 2,
      });
      begin(create());
      await table.clock.tickAsync(60_000 + 30_000);

      expect(aliveJobs().map(({ id }) => id)).to.deep.equal(['1002']);
    });

    it('cancels the job of an earlier try that comes to light late', async () => {
      table.slurm.fail({ program: 'sbatch', result: 'hang', effect: 'happens' });
      // Twice the list of all, and twice that of the account.
      table.slurm.fail({ program: 'squeue', result: { stdout: '' }, times: 4 });
      const spawner = create();
      begin(spawner);
      await table.clock.tickAsync(60_000 + 12_000);

      expect(table.slurm.jobs).to.have.length(2);
      expect(aliveJobs().map(({ id }) => id)).to.deep.equal(['1002']);
      expect(spawner.getState()).to.include({ jobId: '1002' });
    });

    it('looks up a job whose id may be cut off', async () => {
      table.slurm.fail({ program: 'sbatch', result: { stdout: '10' }, effect: 'happens' });
      const spawner = create();
      begin(spawner);
      await table.clock.tickAsync(1000);

      expect(spawner.getState()).to.include({ jobId: '1001' });
    });

    it('says what was printed where no job can be found', async () => {
      table.slurm.fail({ program: 'sbatch', result: { stdout: 'sbatch: lua: hello\n' } });
      const { outcome, settled } = begin(create());
      await table.clock.tickAsync(30_000);
      await settled;

      expect(outcome.error).to.be.instanceOf(ParseError);
      expect(String(outcome.error)).to.include('lua: hello');
      expect(table.slurm.jobs).to.deep.equal([]);
    });
  });

  describe('an abort', () => {
    it('cancels a waiting job, and rejects when that is confirmed', async () => {
      table.slurm.pend();
      const controller = new AbortController();
      const { outcome, settled } = begin(create(), controller.signal);
      await table.clock.tickAsync(5000);
      controller.abort();
      await table.clock.tickAsync(5000);
      await settled;

      expect(outcome.error).to.be.instanceOf(AbortError);
      expect(aliveJobs()).to.deep.equal([]);
    });

    it('between the submission and its answer leaves no job', async () => {
      const controller = new AbortController();
      const { runner } = table.slurm;
      const run = runner.run.bind(runner);
      sinon.stub(runner, 'run').callsFake(async (argv, options) => {
        const result = await run(argv, options);
        if (argv[0] === 'sbatch') {
          controller.abort();
        }
        return result;
      });
      const spawner = create();
      const { outcome, settled } = begin(spawner, controller.signal);
      await table.clock.tickAsync(5000);
      await settled;

      expect(outcome.error).to.be.instanceOf(AbortError);
      expect(table.slurm.jobs).to.have.length(1);
      expect(aliveJobs()).to.deep.equal([]);
      expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'slurm' });
    });

    it('while a submission is in doubt leaves no job', async () => {
      table.slurm.fail({ program: 'sbatch', result: 'hang', effect: 'happens' });
      const controller = new AbortController();
      const { outcome, settled } = begin(create(), controller.signal);
      await table.clock.tickAsync(1000);
      controller.abort();
      await table.clock.tickAsync(120_000);
      await settled;

      expect(outcome.error).to.be.instanceOf(AbortError);
      expect(table.slurm.jobs).to.have.length(1);
      expect(aliveJobs()).to.deep.equal([]);
    });

    it('of a submission that has made no job ends when that is certain', async () => {
      table.slurm.fail({ program: 'sbatch', result: 'hang' });
      const controller = new AbortController();
      const spawner = create();
      const { outcome, settled } = begin(spawner, controller.signal);
      await table.clock.tickAsync(1000);
      controller.abort();
      await table.clock.tickAsync(60_000);
      expect(outcome).to.deep.equal({});
      await table.clock.tickAsync(10_000);
      await settled;

      expect(outcome.error).to.be.instanceOf(AbortError);
      expect(table.slurm.jobs).to.deep.equal([]);
      expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'slurm' });
    });

    for (const program of ['getent', 'squeue']) {
      it(`does not wait for a ${program} that hangs before the submission`, async () => {
        const spawner = create();
        if (program === 'squeue') {
          spawner.loadState({
            version: 1,
            spawner: 'slurm',
            tag: 't',
            jobName: 'n',
            jobId: '7',
            submittedAt: '2026-03-02T05:00:00Z',
          });
        }
        table.slurm.fail({ program, result: 'hang' });
        const controller = new AbortController();
        const { outcome, settled } = begin(spawner, controller.signal);
        await table.clock.tickAsync(100);
        controller.abort();
        await table.clock.tickAsync(1);
        await settled;

        expect(outcome.error).to.be.instanceOf(AbortError);
        expect(table.slurm.jobs).to.deep.equal([]);
      });
    }

    it('does not wait for a hub that never saves the state', async () => {
      const spawner = create();
      spawner.once('state', () => new Promise(() => {}));
      const { outcome, settled } = begin(spawner);
      await table.clock.tickAsync(100);
      await spawner.stop();
      await settled;

      expect(outcome.error).to.be.instanceOf(AbortError);
      expect(table.slurm.jobs).to.deep.equal([]);
      expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'slurm' });
    });

    it('is what stop() does to a start', async () => {
      table.slurm.pend();
      const spawner = create();
      const { outcome, settled } = begin(spawner);
      await table.clock.tickAsync(5000);
      const stopped = spawner.stop();
      await table.clock.tickAsync(5000);
      await Promise.all([settled, stopped]);

      expect(outcome.error).to.be.instanceOf(AbortError);
      expect(aliveJobs()).to.deep.equal([]);
    });

    it('keeps the state of a job that can not be cancelled, so that stop() can end it later', async () => {
      table.slurm.pend();
      const controller = new AbortController();
      const spawner = create({ stopTimeout: 60_000 });
      const events = recorded(spawner);
      const { outcome, settled } = begin(spawner, controller.signal);
      await table.clock.tickAsync(5000);
      table.slurm.down();
      controller.abort();
      await table.clock.tickAsync(120_000);
      await settled;

      expect(outcome.error).to.be.instanceOf(AbortError);
      expect(spawner.getState()).to.include({ jobId: '1001' });
      expect(events).to.include('warning:command-failed');

      table.slurm.up();
      const stopped = spawner.stop();
      await table.clock.tickAsync(30_000);
      await stopped;
      expect(aliveJobs()).to.deep.equal([]);
    });
  });

  describe('poll', () => {
    it('says how the job ended, once, and asks no more', async () => {
      const { spawner, id } = await running();
      const events = recorded(spawner);
      await table.slurm.endJob(id, { state: 'TIMEOUT', reason: 'TimeLimit' });
      await table.clock.tickAsync(3000);
      const exits = await Promise.all([spawner.poll(), spawner.poll()]);
      const before = table.slurm.runner.calls.length;

      expect(exits[0]).to.deep.include({ cause: 'timeout' });
      expect(await spawner.poll()).to.deep.equal(exits[0]);
      expect(table.slurm.runner.calls).to.have.length(before);
      expect(events).to.deep.equal(['exited:timeout']);
      expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'slurm' });
    });

    for (const how of ['dead', 'hung'] as const) {
      it(`never takes a slurmctld that is ${how} for an end, and says so once`, async () => {
        const { spawner } = await running();
        const events = recorded(spawner);
        table.slurm.accounting = 'down';
        table.slurm.down(how);
        for (let minute = 0; minute < 60; minute += 1) {
          await table.clock.tickAsync(60_000);
          expect(await spawner.poll()).to.equal(null);
        }
        table.slurm.up();
        await table.clock.tickAsync(60_000);
        expect(await spawner.poll()).to.equal(null);
        expect(events).to.deep.equal(['warning:status-unknown', 'warning:status-known']);
      });
    }

    it('asks accounting once the budget for unusable answers is used up', async () => {
      const { spawner, id } = await running({ unknownBudget: { time: 60_000, count: 3 } });
      table.slurm.down();
      await table.slurm.endJob(id, { state: 'FAILED', exitCode: 2 });
      for (let poll = 0; poll < 3; poll += 1) {
        await table.clock.tickAsync(25_000);
        expect(await spawner.poll()).to.equal(null);
      }
      expect(count('sacct')).to.equal(0);
      await table.clock.tickAsync(25_000);

      expect(await spawner.poll()).to.deep.include({ cause: 'failed', code: 2 });
    });

    it('takes the end of the walltime as the last word where nobody answers', async () => {
      const { spawner } = await running({
        request: { runtime: '60' },
        unknownBudget: { time: 60_000, count: 1 },
        walltimeSlack: 600_000,
      });
      table.slurm.accounting = 'down';
      table.slurm.down();
      await table.clock.tickAsync(60 * 60_000);
      expect(await spawner.poll()).to.equal(null);
      await table.clock.tickAsync(5 * 60_000);
      expect(await spawner.poll()).to.equal(null);
      await table.clock.tickAsync(10 * 60_000);

      expect(await spawner.poll()).to.deep.include({ cause: 'timeout', code: null });
    });

    it('asks accounting about a job that is no longer listed', async () => {
      const { spawner, id } = await running();
      await table.slurm.endJob(id, { state: 'FAILED', exitCode: 7 });
      table.slurm.forget(id);
      await table.clock.tickAsync(3000);

      expect(await spawner.poll()).to.deep.include({ cause: 'failed', code: 7 });
    });

    it('knows that a job is gone where there is no accounting, but not how it ended', async () => {
      table.slurm.accounting = 'off';
      const { spawner, id } = await running();
      table.slurm.forget(id);
      await table.clock.tickAsync(3000);

      expect(await spawner.poll()).to.deep.include({ cause: 'unknown', code: null });
    });

    it('does not take a job for gone that is missing from the list while its details can not be asked', async () => {
      const { spawner, id } = await running();
      table.slurm.forget(id);
      table.slurm.accounting = 'down';
      table.slurm.fail({
        program: 'scontrol',
        result: { exitCode: 1, stderr: 'error: x' },
        times: 99,
      });
      await table.clock.tickAsync(3000);

      expect(await spawner.poll()).to.equal(null);
    });

    it('counts a job that is not listed yet as pending for the grace period', async () => {
      table.slurm.accounting = 'off';
      const spawner = create({ gracePeriod: 30_000 });
      table.slurm.fail({ program: 'squeue', result: { stdout: '' }, times: 99 });
      const { outcome } = begin(spawner);
      await table.clock.tickAsync(100);
      table.slurm.forget('1001');
      await table.clock.tickAsync(25_000);
      expect(outcome).to.deep.equal({});
      expect(await spawner.poll()).to.equal(null);
      await table.clock.tickAsync(10_000);

      expect(outcome.error).to.be.instanceOf(StartError);
    });

    for (const state of [
      'SUSPENDED',
      'STOPPED',
      'REQUEUED',
      'COMPLETING',
      'REVOKED',
      'BRAND_NEW',
    ]) {
      it(`counts a job that is ${state} as alive`, async () => {
        const { spawner, id } = await running();
        table.slurm.setState(id, state);
        await table.clock.tickAsync(3000);

        expect(await spawner.poll()).to.equal(null);
      });
    }

    it('asks about few jobs at once where many have ended', async () => {
      const spawners = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const spawner = create();
          begin(spawner);
          await table.clock.tickAsync(100);
          return spawner;
        }),
      );
      for (const { id } of table.slurm.jobs) {
        table.slurm.setState(id, 'RUNNING');
        await table.slurm.endJob(id);
      }
      const { runner } = table.slurm;
      const run = runner.run.bind(runner);
      let asking = 0;
      let most = 0;
      sinon.stub(runner, 'run').callsFake(async (argv, options) => {
        const counts = argv[0] === 'scontrol';
        asking += counts ? 1 : 0;
        most = Math.max(most, asking);
        const result = await run(argv, options);
        asking -= counts ? 1 : 0;
        return result;
      });
      await table.clock.tickAsync(3000);
      const exits = await Promise.all(spawners.map((spawner) => spawner.poll()));

      expect(exits.map((exit) => exit?.cause)).to.deep.equal(Array(20).fill('completed'));
      expect(most).to.equal(8);
    });

    it('is one command for 1,000 spawners', async () => {
      const spawners = Array.from({ length: 1000 }, (_, index) => {
        const spawner = create();
        spawner.loadState({
          version: 1,
          spawner: 'slurm',
          tag: `t${index}`,
          jobName: `n${index}`,
          jobId: String(index),
          submittedAt: '2026-03-02T05:59:59Z',
        });
        return spawner;
      });
      await Promise.all(spawners.map((spawner) => spawner.poll()));

      expect(table.slurm.runner.calls.map(({ argv }) => argv[0])).to.deep.equal(['squeue']);
    });
  });

  describe('stop', () => {
    it('cancels the job and resolves when it has ended', async () => {
      const { spawner } = await running();
      const events = recorded(spawner);
      const stopped = Promise.all([spawner.stop(), spawner.stop()]);
      await table.clock.tickAsync(5000);
      await stopped;
      await spawner.stop();

      expect(events).to.deep.equal(['exited:cancelled']);
      expect(count('scancel')).to.equal(1);
      expect(await spawner.poll()).to.deep.include({ cause: 'cancelled' });
      expect(spawner.address).to.equal(undefined);
    });

    it('is nothing where there is no server', async () => {
      await create().stop();

      expect(table.slurm.runner.calls).to.deep.equal([]);
    });

    it('is content where the job has ended by itself', async () => {
      const { spawner, id } = await running();
      await table.slurm.endJob(id);
      const stopped = spawner.stop();
      await table.clock.tickAsync(5000);
      await stopped;

      expect(await spawner.poll()).to.deep.include({ cause: 'completed' });
    });

    it('ends although the clock of the machine is set back', async () => {
      const { spawner } = await running();
      table.clock.setSystemTime(Date.now() - 3_600_000);
      const stopped = spawner.stop();
      await table.clock.tickAsync(10_000);
      await stopped;

      expect(aliveJobs()).to.deep.equal([]);
    });

    it('goes on trying while the batch system is away', async () => {
      const { spawner } = await running();
      table.slurm.down();
      let done = false;
      const stopped = spawner.stop().then(() => {
        done = true;
      });
      await table.clock.tickAsync(90_000);
      expect(done).to.equal(false);
      // It is not told the same again and again by everybody.
      expect(count('scancel')).to.be.within(2, 4);
      table.slurm.up();
      await table.clock.tickAsync(20_000);
      await stopped;

      expect(aliveJobs()).to.deep.equal([]);
    });

    it('is given up when the hub lets go of the server, and can be repeated', async () => {
      const { spawner } = await running();
      table.slurm.down();
      const stopped = expectRejection(spawner.stop(), AbortError);
      await table.clock.tickAsync(30_000);
      const detached = spawner.detach();
      await table.clock.tickAsync(0);
      await Promise.all([detached, stopped]);
      expect(spawner.getState()).to.include({ jobId: '1001' });

      table.slurm.up();
      const again = spawner.stop();
      await table.clock.tickAsync(20_000);
      await again;
      expect(aliveJobs()).to.deep.equal([]);
    });

    it('fails where the end can not be seen in time, and can be repeated', async () => {
      const { spawner } = await running({ stopTimeout: 60_000 });
      table.slurm.down();
      const stopped = expectRejection(spawner.stop(), StopError);
      await table.clock.tickAsync(120_000);
      await stopped;
      expect(spawner.getState()).to.include({ jobId: '1001' });

      table.slurm.up();
      const again = spawner.stop();
      await table.clock.tickAsync(20_000);
      await again;
      expect(aliveJobs()).to.deep.equal([]);
    });

    it('kills a job that does not end when it is cancelled', async () => {
      const { spawner } = await running({ killTimeout: 10_000 });
      table.slurm.fail({ program: 'scancel', result: {} });
      const stopped = spawner.stop();
      await table.clock.tickAsync(8000);
      expect(count('scancel')).to.equal(1);
      await table.clock.tickAsync(10_000);
      await stopped;

      expect(table.slurm.runner.callsOf('scancel').at(-1)?.argv.join(' ')).to.match(/KILL/);
    });

    it('is hurried by a second call', async () => {
      const { spawner } = await running({ killTimeout: 300_000 });
      table.slurm.fail({ program: 'scancel', result: {} });
      const slow = spawner.stop();
      await table.clock.tickAsync(10_000);
      expect(aliveJobs()).to.have.length(1);
      const fast = spawner.stop({ now: true });
      await table.clock.tickAsync(5000);
      await Promise.all([slow, fast]);

      expect(aliveJobs()).to.deep.equal([]);
    });

    it('kills at once where it must be now', async () => {
      const { spawner } = await running();
      const stopped = spawner.stop({ now: true });
      await table.clock.tickAsync(5000);
      await stopped;

      expect(count('scancel')).to.equal(2);
    });
  });

  describe('a restart of the hub', () => {
    it('finds the job, its address and its end', async () => {
      const { spawner, id } = await running();
      const state: unknown = JSON.parse(JSON.stringify(spawner.getState()));
      const next = create();
      next.loadState(state);

      expect(await next.poll()).to.equal(null);
      expect(next.address).to.deep.equal(spawner.address);
      await table.slurm.endJob(id, { state: 'CANCELLED' });
      await table.clock.tickAsync(3000);
      expect(await next.poll()).to.deep.include({ cause: 'cancelled' });
    });

    it('leaves a job alone that has got the same id', async () => {
      const { spawner, id } = await running();
      const state = { ...spawner.getState(), submittedAt: '2025-03-02T06:00:00Z', jobName: 'old' };
      const next = create();
      next.loadState(state);
      const stopped = next.stop();
      await table.clock.tickAsync(5000);
      await stopped;

      expect(count('scancel')).to.equal(0);
      expect(aliveJobs().map((job) => job.id)).to.deep.equal([id]);
      expect(await next.poll()).to.deep.include({ cause: 'unknown' });
    });

    it('goes on from a submission that the end of the hub cut off, at the next start', async () => {
      const spawner = create();
      const mark = { tag: 't', jobName: 'n', submittedAt: '2026-03-01T06:00:00Z' };
      spawner.loadState({ version: 1, spawner: 'slurm', ...mark });
      await expectRejection(spawner.start(), StartError);
      begin(spawner);
      await table.clock.tickAsync(3000);

      expect(table.slurm.jobs).to.have.length(1);
    });

    it('finds a job whose id had not been saved, by its mark', async () => {
      const spawner = create();
      let first: unknown;
      spawner.once('state', (state) => {
        first = state;
      });
      begin(spawner);
      await table.clock.tickAsync(100);
      const next = create();
      next.loadState(first);

      expect(await next.poll()).to.equal(null);
      expect(next.getState()).to.include({ jobId: '1001' });
    });

    for (const [what, damage] of Object.entries({
      'a port that is none': { reportedPort: -1 },
      'a job id with a blank': { jobId: '7 8' },
      'a job id that is an option': { jobId: '-u' },
      'a host that is none': { host: 'a b/@', port: 80 },
      'a time that is none': { submittedAt: 'soon' },
    })) {
      it(`refuses a state with ${what}`, async () => {
        const { spawner } = await running();
        const state = { ...spawner.getState(), ...damage };
        const next = create();
        expect(() => next.loadState(state)).to.throw(StateError);
        expect(next.getState()).to.deep.equal({ version: 1, spawner: 'slurm' });
      });
    }

    it('ends a start that never came to a submission, but not before it is certain', async () => {
      const next = create();
      const events = recorded(next);
      next.loadState({
        version: 1,
        spawner: 'slurm',
        tag: 'hubspawner:x:alice::1',
        jobName: 'jupyter-alice-1',
        submittedAt: new Date().toISOString(),
      });
      /** A list that is asked for may have to wait for some seconds. */
      const polled = async () => {
        const exit = next.poll();
        await table.clock.tickAsync(15_000);
        return exit;
      };
      expect(await polled()).to.equal(null);
      table.slurm.down();
      await table.clock.tickAsync(3_600_000);
      expect(await polled()).to.equal(null);
      table.slurm.up();
      expect(await polled()).to.equal(null);

      expect(await polled()).to.deep.include({ cause: 'unknown' });
      expect(events).to.deep.equal(['exited:unknown']);
    });

    it('keeps no port that its server has long taken', async () => {
      const { spawner } = await table.running();
      const next = create();
      next.loadState(JSON.parse(JSON.stringify(spawner.getState())));
      expect(next.awaitedPort).to.equal(undefined);
    });

    it('takes the port of a job that was still waiting', async () => {
      table.slurm.pend();
      const spawner = create();
      begin(spawner);
      await table.clock.tickAsync(100);
      const next = create();
      next.loadState(JSON.parse(JSON.stringify(spawner.getState())));
      await next.poll();
      table.slurm.setState('1001', 'RUNNING');
      expect(next.acceptPort(40_123)).to.equal(true);
      await table.clock.tickAsync(3000);
      await next.poll();

      expect(next.address?.port).to.equal(40_123);
    });
  });

  describe('the report of a port', () => {
    it('is refused while the job is being stopped', async () => {
      table.slurm.pend();
      const spawner = create();
      const { settled } = begin(spawner);
      await table.clock.tickAsync(3000);
      table.slurm.down();
      const stopped = spawner.stop();
      await table.clock.tickAsync(3000);
      expect(spawner.acceptPort(40_123)).to.equal(false);
      expect(spawner.getState()).not.to.have.property('reportedPort');
      table.slurm.up();
      await table.clock.tickAsync(20_000);
      await Promise.all([settled, stopped]);
    });

    it('is refused before a start and after the end, and may be repeated', async () => {
      expect(create().acceptPort(40_123)).to.equal(false);
      const { spawner, id } = await running();
      expect(spawner.acceptPort(40_123)).to.equal(true);
      await table.slurm.endJob(id);
      await table.clock.tickAsync(3000);
      await spawner.poll();
      expect(spawner.acceptPort(40_123)).to.equal(false);
    });
  });

  describe('the environment', () => {
    it('passes the values to the submission by name, and none in the script or on an argv', async () => {
      begin(create({ environment: { COLOUR: 'dark green', PATH: '/opt/lab/bin' } }));
      await table.clock.tickAsync(100);
      const [submission] = table.slurm.runner.callsOf('sbatch');
      const { argv = [], options = {} } = submission ?? {};

      expect(options.env).to.deep.include({
        COLOUR: 'dark green',
        HUBSPAWNER_ENV_PATH: '/opt/lab/bin',
        JUPYTERHUB_API_TOKEN: 'secret-token',
        LC_ALL: 'C',
        TZ: 'UTC',
      });
      expect(options.env?.['PATH']).to.equal(process.env['PATH']);
      for (const text of [options.input ?? '', argv.join(' ')]) {
        expect(text).not.to.match(/secret-token|dark green|\/opt\/lab/);
      }
      expect(argv.find((word) => word.startsWith('--export='))?.split(/[=,]/)).to.include.members([
        'COLOUR',
        'JUPYTERHUB_API_TOKEN',
        'HUBSPAWNER_ENV_PATH',
      ]);
    });

    it('keeps what would change the commands away from them', async () => {
      begin(create({ environment: { SBATCH_PARTITION: 'short' } }));
      await table.clock.tickAsync(100);
      const env = table.slurm.runner.callsOf('sbatch')[0]?.options.env ?? {};

      expect(env).not.to.have.property('SBATCH_PARTITION');
      expect(env['HUBSPAWNER_ENV_SBATCH_PARTITION']).to.equal('short');
    });

    it('gives the job what sudo and the loader of the commands would not leave alone', async () => {
      begin(create({ environment: { LD_LIBRARY_PATH: '/opt/lib', TMPDIR: '/scratch' } }));
      await table.clock.tickAsync(100);
      const { env = {}, input } = table.slurm.runner.callsOf('sbatch')[0]?.options ?? {};

      expect(env).to.include({
        HUBSPAWNER_ENV_LD_LIBRARY_PATH: '/opt/lib',
        HUBSPAWNER_ENV_TMPDIR: '/scratch',
      });
      expect(env).not.to.have.any.keys('LD_LIBRARY_PATH', 'TMPDIR');
      expect(input).to.include('export TMPDIR="$HUBSPAWNER_ENV_TMPDIR"');
    });

    it('holds nothing of the hub’s own but what is named', async () => {
      process.env['HUB_CANARY'] = 'yellow';
      process.env['SQUEUE_STATES'] = 'PENDING';
      try {
        const spawner = create({ request: { keepvarsExtra: ['HUB_CANARY'] } });
        begin(spawner);
        await table.clock.tickAsync(3000);
        expect(table.slurm.runner.callsOf('squeue')[0]?.options.env).to.have.all.keys(
          'PATH',
          'LC_ALL',
          'TZ',
        );
        expect(table.slurm.runner.callsOf('sbatch')[0]?.options.env).to.include({
          HUB_CANARY: 'yellow',
        });
        expect(table.slurm.runner.callsOf('sbatch')[0]?.options.env).not.to.have.property(
          'SQUEUE_STATES',
        );
      } finally {
        delete process.env['HUB_CANARY'];
        delete process.env['SQUEUE_STATES'];
      }
    });

    it('passes only what keepvars names, and what the report of the port needs', async () => {
      begin(create({ environment: { A: '1', B: '2' }, request: { keepvars: ['A'] } }));
      await table.clock.tickAsync(100);
      const env = table.slurm.runner.callsOf('sbatch')[0]?.options.env ?? {};

      expect(env).to.include.keys('A', 'JUPYTERHUB_API_TOKEN', 'JUPYTERHUB_API_URL');
      expect(env).not.to.have.any.keys('B', 'JUPYTERHUB_USER');
    });
  });

  describe('identity and options', () => {
    it('asks for jobs as the hub, and acts on them as the account of the user', async () => {
      const { spawner } = await running({}, { user: { name: 'Alice Liddell', account: 'alice' } });
      const stopped = spawner.stop();
      await table.clock.tickAsync(5000);
      await stopped;

      expect(table.slurm.runner.callsOf('squeue').map(({ options }) => options.user)).to.satisfy(
        (users: readonly unknown[]) => users.every((user) => user === undefined),
      );
      for (const program of ['sbatch', 'scancel']) {
        expect(table.slurm.runner.callsOf(program)[0]?.options.user).to.equal('alice');
      }
    });

    it('says that there is no such account', async () => {
      table.slurm.fail({ program: 'getent', result: { exitCode: 2 } });
      const { outcome, settled } = begin(create());
      await table.clock.tickAsync(100);
      await settled;

      expect(String(outcome.error)).to.match(/no account 'alice'/);
    });

    it('talks to the cluster on which the job was put', async () => {
      table.slurm = new FakeSlurm({ home: '/home/alice', run: false, clusters: ['a', 'b'] });
      const { spawner } = await running({ request: { cluster: 'b' } });
      const stopped = spawner.stop();
      await table.clock.tickAsync(5000);
      await stopped;

      expect(table.slurm.jobs[0]?.cluster).to.equal('b');
      for (const program of ['sbatch', 'squeue', 'scancel']) {
        expect(table.slurm.runner.callsOf(program)[0]?.argv).to.include('--clusters=b');
      }
    });

    for (const [what, options, path] of [
      ['a template that is none', { script: '#!/bin/sh\n{{#a}}' }, 'script'],
      ['a name that no template knows', { script: '#!/bin/sh\n{{memmory}}' }, 'script'],
      [
        'a command with a name that it can not have',
        { commands: { query: ['q', '{{tag}}'] } },
        'commands.query[1]',
      ],
      ['a value in quotes', { script: '#!/bin/sh\necho "{{homedir}}"\n' }, 'script'],
      ['a callback with a port', { port: 80 }, 'port'],
      ['a fixed endpoint without one', { endpoint: 'fixed' }, 'port'],
    ] as const) {
      it(`refuses ${what} when it is made`, () => {
        expect(() => create(options))
          .to.throw(OptionsError)
          .with.property('path', path);
      });
    }

    it('has to be told by a class which batch system it is for', () => {
      class HomemadeSpawner extends BatchSpawner {}
      expect(() => new HomemadeSpawner(table.contextOf()))
        .to.throw(OptionsError, /HomemadeSpawner .*static property scheduler/)
        .with.property('path', 'scheduler');
    });

    it('lets every part of the scheduler be replaced', async () => {
      const spawner = create({
        script: '#!/bin/sh\n#SBATCH --partition=site\n{{cmd}}\n',
        commands: {
          submit: [
            ...['/opt/slurm/bin/sbatch', '--parsable'],
            ...['--job-name={{jobName}}', '--export={{exportNames}}'],
          ],
        },
        states: { SITE_STATE: { state: 'suspended' } },
      });
      begin(spawner);
      await table.clock.tickAsync(100);
      const [call] = table.slurm.runner.callsOf('sbatch');

      expect(call?.argv[0]).to.equal('/opt/slurm/bin/sbatch');
      expect(call?.options.input).to.match(/^#!\/bin\/sh\n#SBATCH --partition=site\n/);
    });
  });
});

async function expectRejection(promise: Promise<unknown>, type: new (...args: never[]) => Error) {
  let error: unknown;
  try {
    await promise;
  } catch (caught) {
    error = caught;
  }
  expect(error).to.be.instanceOf(type);
}
