import { expect } from 'chai';
import { SlurmSpawner } from '../../lib/batch/slurm.ts';
import type { ServerAddress } from '../../lib/events.ts';
import { StubRunner } from '../../lib/testing/index.ts';

class TestSpawner extends SlurmSpawner {
  protected override answers(_address: ServerAddress): Promise<boolean> {
    return Promise.resolve(true);
  }
}

/** The row of the cluster that the job was submitted to, while another one has it. */
const revoked = row('REVOKED', 'n/a');

function row(state: string, host: string): string {
  return `\x1e67108865\x1f${state}\x1f${host}\x1f${host}\x1fNone\x1fN/A\x1fN/A\x1fN/A\x1f\n`;
}

describe('SlurmSpawner in a federation', () => {
  let listed: string;
  let recorded: string;
  let jobName = '';

  const runner = new StubRunner({
    sbatch: (argv) => {
      const option = argv.find((word) => word.startsWith('--job-name='));
      jobName = option?.slice('--job-name='.length) ?? '';
      return '67108865\n';
    },
    squeue: () => listed,
    scontrol: () =>
      listed === ''
        ? { exitCode: 1, stderr: 'slurm_load_jobs error: Invalid job id specified\n' }
        : `JobId=67108865 JobName=${jobName} JobState=REVOKED Reason=None\n`,
    sacct: () => recorded,
  });

  const account = (state: string, exitCode: string) =>
    ['67108865', state, exitCode, 'None', ...Array(3).fill('Unknown'), 'cn7', jobName].join('|');

  async function running() {
    listed = revoked + row('RUNNING', 'cn7');
    recorded = '';
    const spawner = new TestSpawner(
      { user: { name: 'alice' }, runner },
      {
        request: { homedir: '/home/alice', federation: true },
        endpoint: 'fixed',
        port: 8888,
        pollInterval: 0,
        queryInterval: 1,
        unknownBudget: { time: 0, count: 1 },
      },
    );
    const { host } = await spawner.start();
    expect(host).to.equal('cn7');
    return spawner;
  }

  const polled = async (spawner: TestSpawner) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return spawner.poll();
  };

  it('takes a job for alive whose cluster does not answer', async () => {
    const spawner = await running();
    listed = revoked;
    expect(await polled(spawner)).to.equal(null);
    recorded = `${account('REVOKED', '0:0')}\n`;
    expect(await polled(spawner)).to.equal(null);
    recorded += `${account('RUNNING', '0:0')}\n`;
    expect(await polled(spawner)).to.equal(null);
    recorded = `${account('REVOKED', '0:0')}\n${account('FAILED', '7:0')}\n`;
    expect(await polled(spawner)).to.include({ cause: 'failed', code: 7 });
  });

  it('knows from another cluster, and from accounting, that a job has ended', async () => {
    const spawner = await running();
    listed = revoked + row('TIMEOUT', 'cn7');
    expect(await polled(spawner)).to.include({ cause: 'timeout' });

    const second = await running();
    listed = '';
    recorded = `${account('REVOKED', '0:0')}\n${account('OUT_OF_MEMORY', '0:125')}\n`;
    expect(await polled(second)).to.include({ cause: 'out-of-memory' });
  });
});
