import { expect } from 'chai';
import type sinon from 'sinon';
import { newMark } from '../../lib/mark.ts';
import { rejected } from '../helpers/errors.ts';
import { spawnersOf, TestCluster } from '../helpers/test-cluster.ts';
import { apiUrl, fakeClock, TestHub } from '../helpers/test-hub.ts';
import { crashed } from '../helpers/test-spawner.ts';

/** With this option a server is in the other cluster. */
const over = { memLimit: '1G' };

/** Spawners of one cluster, and of another where an option says so. */
function eitherOf(here: TestCluster, there: TestCluster) {
  const Here = spawnersOf(here);
  return class extends Here {
    constructor(...[context, options]: ConstructorParameters<typeof Here>) {
      super(context, options);
      if (options?.memLimit === '1G') Object.assign(this, { cluster: there });
    }
  };
}

describe('Jobs of a hub whose options choose a cluster', () => {
  let clock: sinon.SinonFakeTimers;
  let here: TestCluster;
  let there: TestCluster;
  let hub: TestHub;
  beforeEach(async () => {
    clock = fakeClock();
    here = new TestCluster();
    there = new TestCluster();
    hub = new TestHub();
    hub.supervisor.register('some', eitherOf(here, there));
    await hub.supervisor.restore();
  });
  afterEach(() => clock.restore());
  const settle = () => clock.tickAsync(0);
  const aRound = () => clock.tickAsync(33_000);
  const start = (user: string, options = {}) => hub.start(user, { spawner: 'some', options });
  const lose = (cluster: TestCluster) =>
    cluster.add(newMark({ user: { name: 'ada' }, hub: { apiUrl } }, 64).tag, 'ada');
  const strays = () => hub.told.filter((event) => event.startsWith('stray'));

  /** The next hub, with the same clusters. */
  function next(): TestHub {
    here = new TestCluster(here);
    there = new TestCluster(there);
    hub = hub.next();
    hub.supervisor.register('some', eitherOf(here, there));
    return hub;
  }

  /** The next hub, of which the store knows of a start of ada's, but nothing of a job. */
  async function cutOff(): Promise<TestHub> {
    hub.store.before = (call, value) =>
      call === 'set' && JSON.stringify(value).includes('"tag"') ? new Promise(() => {}) : undefined;
    start('ada').catch(() => {});
    await settle();
    hub.kill();
    clock.reset();
    return next();
  }

  for (const isUp of [true, false]) {
    it(`never take the place of one that lives, where its own cluster ${isUp ? 'answers' : 'does not'}`, async () => {
      await start('bob', over);
      await start('ada');
      lose(there);
      await hub.supervisor.close();
      next();
      here.isUp = isUp;
      await hub.supervisor.restore();
      expect(there.alive).to.have.length(isUp ? 1 : 2);
      here.isUp = true;
      await aRound();
      expect(hub.servers).to.deep.equal(['bob/ ready', 'ada/ ready']);
      expect(here.alive).to.have.length(1);
      expect(there.alive).to.have.length(1);
      expect(strays()).to.deep.equal(['stray ada/ job-2 cancelled: the server has another']);
    });
  }

  it('take the place of one that is lost, in its own cluster', async () => {
    await start('ada');
    here.end(crashed);
    const id = lose(here);
    await hub.supervisor.close();
    await next().supervisor.restore();
    await settle();
    expect(hub.servers).to.deep.equal(['ada/ ready']);
    expect(hub.supervisor.find('ada')?.spawner?.getState()).to.include({ id });
  });

  it('leave what a lost server has where they are of another account', async () => {
    await start('ada');
    here.add(newMark({ user: { name: 'ada' }, hub: { apiUrl } }, 64).tag, 'mallory');
    const [job] = here.alive;
    await hub.supervisor.close();
    next();
    const list = here.alive;
    // As a list would be that lacks one.
    Object.defineProperty(here, 'alive', { get: () => list.slice(1), configurable: true });
    await hub.supervisor.restore();
    expect(hub.servers).to.deep.equal(['ada/ ready']);
    expect(hub.supervisor.find('ada')?.spawner?.tag).to.equal(job?.tag);
    expect(strays()).to.deep.equal(['stray ada/ job-2 reported: The job belongs to mallory.']);
  });

  it('are cancelled, in another cluster, when it is known that the server is not there', async () => {
    await start('bob', over);
    await start('ada');
    here.end(crashed);
    lose(there);
    await hub.supervisor.close();
    await next().supervisor.restore();
    await aRound();
    expect(hub.servers).to.deep.equal(['bob/ ready']);
    expect(there.alive).to.have.length(1);
    expect(strays().at(-1)).to.equal('stray ada/ job-2 cancelled: there is no such server');
  });

  it('are left alone as long as nothing says that the server has its own', async () => {
    class UnlistedSpawner extends spawnersOf(here) {
      override survey = async () => [];
    }
    hub.supervisor.register('unlisted', UnlistedSpawner);
    await hub.start('ada', { spawner: 'unlisted' });
    lose(hub.cluster);
    await hub.supervisor.close();
    next().supervisor.register('unlisted', UnlistedSpawner);
    await hub.supervisor.restore();
    await aRound();
    expect(hub.cluster.alive).to.have.length(1);
    expect(strays()).to.deep.equal([
      'stray ada/ job-1 reported: it is not certain that the server has its own',
    ]);
    await hub.supervisor.stop('ada');
    await aRound();
    expect(hub.cluster.alive).to.deep.equal([]);
  });

  it('are not adopted by a start that was cut off in another', async () => {
    await start('bob', over);
    lose(there);
    await cutOff();
    here.isUp = false;
    await hub.supervisor.restore();
    await aRound();
    expect(hub.servers).to.include('ada/ starting');
    expect(there.alive).to.have.length(2);
    here.isUp = true;
    await aRound();
    await aRound();
    expect(hub.servers).to.deep.equal(['bob/ ready', 'ada/ ready']);
    expect(here.alive).to.have.length(1);
    expect(there.alive).to.have.length(1);
  });

  it('are waited for by a start that was cut off in its own only', async () => {
    await start('bob', over);
    await cutOff();
    there.isUp = false;
    await hub.supervisor.restore();
    await settle();
    expect(hub.servers).to.include('ada/ ready');
  });

  it('are looked for where the options of a failed start led', async () => {
    there.before = (call) => {
      if (call === 'submit') throw new Error('no');
    };
    await rejected(Error, start('ada', over));
    lose(there);
    there.before = () => {};
    await aRound();
    expect(there.alive).to.deep.equal([]);
  });

  it('are looked for no more where a start has failed when its own has answered', async () => {
    await start('bob', over);
    there.isUp = false;
    here.before = (call) => {
      if (call === 'submit') throw new Error('no');
    };
    await rejected(Error, start('ada', { args: ['ada'] }));
    const { survey } = here.calls;
    await aRound();
    // Those that are registered ask, and the one that has failed.
    expect(here.calls.survey).to.equal(survey + 2);
    await aRound();
    expect(here.calls.survey).to.equal(survey + 3);
  });
});
