import { expect } from 'chai';
import sinon from 'sinon';
import { LsfSpawner } from '../../lib/batch/lsf.ts';
import { SlurmSpawner } from '../../lib/batch/slurm.ts';
import type { StubAnswer } from '../../lib/testing/index.ts';
import { StubRunner } from '../../lib/testing/index.ts';

describe('Why a job waits, where its list does not say it', () => {
  let clock: sinon.SinonFakeTimers;
  let reason: StubAnswer;

  beforeEach(() => {
    clock = sinon.useFakeTimers({ now: new Date('2026-03-02T06:00:00Z') });
    reason = because('New job is waiting for scheduling');
  });
  afterEach(() => clock.restore());

  const because = (text: string) => `JOBID   USER    STAT\n7       alice   PEND\n ${text};\n`;
  const options = { endpoint: 'fixed', port: 8888, request: { homedir: '/home/alice' } } as const;

  function begin() {
    const record = { JOBID: '7', JOBINDEX: '0', STAT: 'PEND' };
    const runner = new StubRunner({
      bsub: 'Job <7> is submitted to queue <normal>.\n',
      bjobs: (argv) =>
        argv.includes('-p') ? reason : JSON.stringify({ JOBS: 1, RECORDS: [record] }),
      sh: '',
    });
    const spawner = new LsfSpawner({ user: { name: 'alice' }, runner }, options);
    const messages: string[] = [];
    spawner.on('progress', ({ message }) => {
      if (message.includes('waits')) messages.push(message);
    });
    const started = spawner.start().catch(() => {});
    const asked = () => runner.callsOf('bjobs').filter(({ argv }) => argv.includes('-p')).length;
    return { spawner, messages, asked, started };
  }

  it('is asked again while it waits, and told where it is another', async () => {
    const { messages, asked } = begin();
    await clock.tickAsync(29_000);
    expect(asked()).to.equal(1);
    await clock.tickAsync(60_000);
    expect(asked()).to.equal(3);
    reason = because('Job slot limit reached');
    await clock.tickAsync(60_000);
    expect(messages).to.deep.equal([
      'Job 7 waits in the queue (New job is waiting for scheduling)',
      'Job 7 waits in the queue (Job slot limit reached)',
    ]);
  });

  it('stays what it was where nobody answers any more', async () => {
    const { messages, asked } = begin();
    await clock.tickAsync(1000);
    reason = { exitCode: 255, stderr: 'LIM is down; try later\n' };
    await clock.tickAsync(60_000);
    expect(asked()).to.be.greaterThan(1);
    expect(messages).to.have.length(1);
  });

  it('is not waited for by a start that is aborted', async () => {
    const { spawner, started } = begin();
    reason = { timedOut: true };
    const detached = spawner.detach();
    await clock.tickAsync(0);
    await Promise.all([detached, started]);
  });

  it('is not asked where the list says it', async () => {
    const fields = ['7', 'PENDING', 'n/a', '', 'Priority', 'N/A', 'N/A', 'N/A', ''];
    const runner = new StubRunner({ sbatch: '7\n', squeue: `\x1e${fields.join('\x1f')}\n` });
    const spawner = new SlurmSpawner({ user: { name: 'alice' }, runner }, options);
    spawner.start().catch(() => {});
    await clock.tickAsync(120_000);
    expect(new Set(runner.calls.map(({ argv }) => argv[0]))).to.have.all.keys('sbatch', 'squeue');
  });
});
