import { expect } from 'chai';
import type { JobStatus } from '../../lib/batch/scheduler.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import { TestSpawner, useSlurmTable } from '../helpers/slurm-table.ts';

/** Where the table says that all jobs run. */
let host = 'node01';

/** Its jobs run where the test says. */
class MovingSpawner extends TestSpawner {
  static override readonly scheduler = {
    ...slurm,
    parseQuery(stdout: string, states: typeof slurm.states) {
      const { jobs, complete } = slurm.parseQuery(stdout, states);
      const moved = (job: JobStatus): JobStatus => (job.hosts ? { ...job, hosts: [host] } : job);
      return { jobs: jobs.map(moved), complete };
    },
  };
}

describe('A job that starts anew after its server was ready', () => {
  const table = useSlurmTable(MovingSpawner);

  beforeEach(() => {
    host = 'node01';
  });

  /** The next query is one that has not been answered yet. */
  async function poll(spawner: TestSpawner) {
    await table.clock.tickAsync(3000);
    return await spawner.poll();
  }

  it('is not dead, has no address meanwhile, and then one where it has called back', async () => {
    const { spawner, id } = await table.running();
    const events = table.recorded(spawner);

    table.slurm.setState(id, 'PENDING', 'BeginTime');
    expect(await poll(spawner)).to.equal(null);
    expect(spawner.address).to.equal(undefined);
    expect(spawner.getState()).not.to.have.any.keys('host', 'reportedPort');

    host = 'node02';
    await table.clock.tickAsync(60_000);
    table.slurm.setState(id, 'RUNNING');
    expect(await poll(spawner)).to.equal(null);
    expect(spawner.address, 'the new run has not called back').to.equal(undefined);

    expect(spawner.acceptPort(50_000)).to.equal(true);
    await table.clock.tickAsync(3000);
    expect(spawner.address).to.include({ host: 'node02', port: 50_000 });
    expect(events).to.deep.equal(['moved:node02:50000']);
    expect(await poll(spawner)).to.equal(null);
    expect(events).to.have.length(1);
  });

  it('is found where it calls back before anybody has asked', async () => {
    const { spawner } = await table.running();
    const events = table.recorded(spawner);
    host = 'node03';

    expect(spawner.acceptPort(50_000)).to.equal(true);
    expect(spawner.address, 'the old one is not of this server any more').to.equal(undefined);
    await table.clock.tickAsync(3000);
    expect(events).to.deep.equal(['moved:node03:50000']);
  });

  it('is found where it has the same port on another host', async () => {
    const { spawner } = await table.running();
    const events = table.recorded(spawner);
    host = 'node03';

    expect(spawner.acceptPort(40_123)).to.equal(true);
    await table.clock.tickAsync(3000);
    expect(events).to.deep.equal(['moved:node03:40123']);
  });

  it('keeps the address that it had while a new host alone is known', async () => {
    const { spawner } = await table.running();
    host = 'node03';
    expect(await poll(spawner)).to.equal(null);
    expect(spawner.address).to.include({ host: 'node01', port: 40_123 });
  });

  it('is followed to its host where the port is fixed', async () => {
    const spawner = table.create({ endpoint: 'fixed', port: 8888 });
    const events = table.recorded(spawner);
    const { settled } = table.begin(spawner);
    await table.clock.tickAsync(100);
    table.slurm.setState('1001', 'RUNNING');
    await table.clock.tickAsync(3000);
    await settled;

    host = 'node02';
    await poll(spawner);
    expect(spawner.address).to.include({ host: 'node02', port: 8888 });
    expect(events.at(-1)).to.equal('moved:node02:8888');
  });

  it('is followed by a hub that was restarted in between', async () => {
    const { spawner, id } = await table.running();
    table.slurm.setState(id, 'PENDING', 'BeginTime');
    await poll(spawner);

    const next = table.create();
    next.loadState(JSON.parse(JSON.stringify(spawner.getState())));
    const events = table.recorded(next);
    host = 'node02';
    table.slurm.setState(id, 'RUNNING');
    expect(await poll(next)).to.equal(null);
    expect(next.acceptPort(50_000)).to.equal(true);
    await table.clock.tickAsync(3000);
    expect(events).to.deep.equal(['moved:node02:50000']);
  });

  it('is not sought where an older answer says that it runs', async () => {
    const { spawner } = await table.running();
    const events = table.recorded(spawner);
    // The answer that is there is from before; the next one has the new host.
    await spawner.poll();
    expect(spawner.acceptPort(50_000)).to.equal(true);
    await spawner.poll();
    host = 'node02';
    await table.clock.tickAsync(3000);
    await spawner.poll();
    expect(events).to.deep.equal(['moved:node02:50000']);
  });

  it('is not taken for another where a report was only repeated', async () => {
    const { spawner } = await table.running();
    expect(spawner.acceptPort(40_123)).to.equal(true);
    await table.clock.tickAsync(3000);
    host = 'node02';
    await poll(spawner);
    await poll(spawner);
    expect(spawner.address).to.include({ host: 'node01', port: 40_123 });
  });

  it('takes no port of a run that was over before anybody saw it', async () => {
    const spawner = table.create();
    const { outcome, settled } = table.begin(spawner);
    await table.clock.tickAsync(100);
    expect(spawner.acceptPort(40_123)).to.equal(true);
    table.slurm.setState('1001', 'PENDING', 'BeginTime');
    await table.clock.tickAsync(60_000);
    host = 'node02';
    table.slurm.setState('1001', 'RUNNING');
    await table.clock.tickAsync(3000);
    expect(outcome).to.deep.equal({});

    spawner.acceptPort(40_200);
    await table.clock.tickAsync(3000);
    await settled;
    expect(outcome.address).to.include({ host: 'node02', port: 40_200 });
  });

  it('is followed during a start that waits for its first answer', async () => {
    const spawner = table.create();
    const events = table.recorded(spawner);
    spawner.answering = false;
    const { outcome, settled } = table.begin(spawner);
    await table.clock.tickAsync(100);
    table.slurm.setState('1001', 'RUNNING');
    spawner.acceptPort(40_123);
    await table.clock.tickAsync(3000);
    expect(spawner.address?.port).to.equal(40_123);

    table.slurm.setState('1001', 'PENDING', 'BeginTime');
    await table.clock.tickAsync(3000);
    host = 'node02';
    table.slurm.setState('1001', 'RUNNING');
    await table.clock.tickAsync(3000);
    spawner.acceptPort(40_200);
    spawner.answering = true;
    await table.clock.tickAsync(3000);
    await settled;

    expect(outcome.error).to.equal(undefined);
    expect(outcome.address).to.include({ host: 'node02', port: 40_200 });
    expect(events).to.deep.equal([
      'submitted:1001',
      'running:node01',
      // It waits once more.
      'submitted:1001',
      'running:node02',
      'ready:40200',
    ]);
  });
});
