import { expect } from 'chai';
import { StartError } from '../../lib/errors.ts';
import { useSlurmTable } from '../helpers/slurm-table.ts';

describe('A job that is held', () => {
  const table = useSlurmTable();

  it('fails the start with the reason, and is cancelled', async () => {
    const { outcome, settled } = table.begin(table.create());
    await table.clock.tickAsync(100);
    table.slurm.setState('1001', 'PENDING', 'JobHeldAdmin');
    await table.clock.tickAsync(10_000);
    await settled;

    expect(outcome.error).to.be.instanceOf(StartError);
    expect(String(outcome.error)).to.match(/Job 1001 is held .*JobHeldAdmin.*cancelled/);
    expect(table.aliveJobs()).to.deep.equal([]);
  });

  it('is no matter where the hold is over before it was seen twice', async () => {
    const { outcome, settled } = table.begin(table.create());
    await table.clock.tickAsync(100);
    table.slurm.setState('1001', 'PENDING', 'JobHeldAdmin');
    await table.clock.tickAsync(2000);
    table.slurm.setState('1001', 'PENDING', 'Priority');
    await table.clock.tickAsync(2000);
    table.slurm.setState('1001', 'PENDING', 'JobHeldAdmin');
    await table.clock.tickAsync(2000);
    expect(outcome).to.deep.equal({});
    void settled;
  });

  it('is waited for where the option says so, and queueTimeout allows', async () => {
    const spawner = table.create({ held: 'wait', queueTimeout: 600_000 });
    const { outcome, settled } = table.begin(spawner);
    await table.clock.tickAsync(100);
    table.slurm.setState('1001', 'PENDING', 'JobHeldUser');
    await table.clock.tickAsync(300_000);
    expect(outcome).to.deep.equal({});

    table.slurm.setState('1001', 'RUNNING');
    spawner.acceptPort(40_123);
    await table.clock.tickAsync(3000);
    await settled;
    expect(outcome.address?.port).to.equal(40_123);
  });
});
