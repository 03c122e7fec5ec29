import { expect } from 'chai';
import sinon from 'sinon';
import { hubOf } from '../../bench/hub.ts';
import { SlurmSpawner, Supervisor } from '../../lib/index.ts';

const count = 10_000;

describe('A Supervisor of 10,000 servers', () => {
  let clock: sinon.SinonFakeTimers;

  beforeEach(() => {
    clock = sinon.useFakeTimers({
      now: new Date('2026-03-02T09:00:00Z'),
      toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'],
    });
  });
  afterEach(() => clock.restore());

  it('brings them back by one list and one look for marks, and asks about all by one command', async function () {
    this.timeout(60_000);
    const setup = await hubOf(count);
    const { runner } = setup;
    const supervisor = new Supervisor({ ...setup, pollInterval: 30_000, healthInterval: 0 });
    supervisor.register('slurm', SlurmSpawner, {
      // A short one, since all of them are rendered once.
      script: '#!/bin/sh\n{{exports}}\n{{cmd}}\n',
      // The fake clock goes on while a sweep gives way to other work: the list may not age by that.
      queryInterval: 20_000,
    });
    const strays: unknown[] = [];
    supervisor.on('stray', (stray) => strays.push(stray));

    let turns = 0;
    const takeTurn = () => {
      turns += 1;
      next = setImmediate(takeTurn);
    };
    let next = setImmediate(takeTurn);
    const report = await supervisor.restore();
    clearImmediate(next);
    expect(turns, 'turns of other work meanwhile').to.be.greaterThan(200);
    expect(report).to.deep.equal({ servers: count, ended: 0, strays: [] });
    const formats = runner.calls.map(({ argv }) => (argv.join().includes('%k') ? 'marks' : 'list'));
    expect(formats).to.have.members(['marks', 'list']);

    await clock.tickAsync(33_000);
    expect(runner.calls.length).to.equal(3);
    expect(supervisor.metrics().servers.ready).to.equal(count);
    const options = new Set(supervisor.list().map(({ spawner }) => spawner?.options));
    expect(options.size, 'all have the same options').to.equal(1);
    expect(strays).to.deep.equal([]);
    await supervisor.close();
  });

  it('asks all of them once where each has options of its own, also after a start that has failed', async () => {
    const setup = await hubOf(500, (user) => ({ args: [`--user=${user}`] }));
    const { runner } = setup;
    const supervisor = new Supervisor({ ...setup, pollInterval: 30_000, healthInterval: 0 });
    supervisor.register('slurm', SlurmSpawner, { queryInterval: 20_000 });
    const commandsAfter = (count: number) =>
      runner.calls.slice(count).map(({ argv }) => (argv.join().includes('%k') ? 'marks' : argv[0]));
    await supervisor.restore();
    expect(commandsAfter(0)).to.have.members(['marks', 'squeue']);

    // There is no sbatch here.
    await supervisor.start({ user: 'ada', options: { args: ['--user=ada'] } }).catch(() => {});
    const before = runner.calls.length;
    await clock.tickAsync(33_000);
    expect(commandsAfter(before)).to.have.members(['marks', 'squeue']);
    await supervisor.close();
  });
});
