import { expect } from 'chai';
import type sinon from 'sinon';
import { StartError, StopError } from '../../lib/errors.ts';
import type { SupervisorPolicies } from '../../lib/generated/options.ts';
import { newMark } from '../../lib/mark.ts';
import { sleep } from '../../lib/sleep.ts';
import { Supervisor } from '../../lib/supervisor/supervisor.ts';
import { rejected } from '../helpers/errors.ts';
import { spawnersOf, TestCluster } from '../helpers/test-cluster.ts';
import { apiUrl, fakeClock, Gate, TestHub } from '../helpers/test-hub.ts';
import { crashed } from '../helpers/test-spawner.ts';
import { TestStore } from '../helpers/test-store.ts';

describe('Jobs of a hub that no server has', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
  });
  afterEach(() => clock.restore());
  const settle = () => clock.tickAsync(0);
  const aRound = () => clock.tickAsync(33_000);

  /** Adds a job to a cluster as a hub would have. */
  function lose({ cluster }: TestHub, user: string, account = user, hub = { apiUrl }): string {
    return cluster.add(newMark({ user: { name: user }, hub }, 64).tag, account);
  }
  const alive = ({ cluster }: TestHub) => cluster.alive.map(({ id }) => id);

  /** A hub whose start of ada's server is known to its store, but nothing of a job. */
  async function unclear(policies: Partial<SupervisorPolicies> = {}): Promise<TestHub> {
    const hub = new TestHub();
    hub.store.before = (call, value) =>
      call === 'set' && JSON.stringify(value).includes('"tag"') ? new Promise(() => {}) : undefined;
    hub.start('ada').catch(() => {});
    await settle();
    hub.kill();
    clock.reset();
    return hub.next(policies);
  }

  it('are cancelled, and told of', async () => {
    const hub = new TestHub();
    lose(hub, 'ada');
    lose(hub, 'bob');
    const { strays } = await hub.supervisor.restore();
    expect(strays).to.have.length(2);
    expect(strays[0]).to.deep.equal({
      user: 'ada',
      serverName: '',
      id: 'job-1',
      spawnerName: 'cluster',
      fate: 'cancelled',
      reason: 'there is no such server',
    });
    expect(hub.told).to.deep.equal([
      'stray ada/ job-1 cancelled: there is no such server',
      'stray bob/ job-2 cancelled: there is no such server',
    ]);
    expect(alive(hub)).to.deep.equal([]);
    await aRound();
    expect(hub.cluster.calls.survey).to.equal(1);
  });

  it('are only told of where the site wants that, and once', async () => {
    const hub = new TestHub({ strays: 'report' });
    lose(hub, 'ada');
    await hub.supervisor.restore();
    await aRound();
    await aRound();
    expect(hub.told).to.deep.equal(['stray ada/ job-1 reported: strays are reported only']);
    expect(alive(hub)).to.deep.equal(['job-1']);
  });

  it('are left alone where they are of another hub, or nobody knows of which', async () => {
    const hub = new TestHub();
    lose(hub, 'ada', 'ada', { apiUrl: 'http://127.0.0.1:9999/hub/api' });
    hub.cluster.add('no mark', 'ada');
    await hub.supervisor.restore();
    expect(alive(hub)).to.have.length(2);
    expect(hub.told).to.deep.equal([]);
  });

  it('are left alone where the account is not the one of that person', async () => {
    const hub = new TestHub();
    lose(hub, 'ada', 'mallory');
    await hub.supervisor.restore();
    expect(alive(hub)).to.have.length(1);
    expect(hub.told).to.deep.equal(['stray ada/ job-1 reported: The job belongs to mallory.']);
  });

  it('are left alone where the record of that server can not be used', async () => {
    const hub = new TestHub();
    await hub.store.set('hubspawner:["ada",""]', { version: 2 });
    lose(hub, 'ada');
    await hub.supervisor.restore();
    await aRound();
    expect(alive(hub)).to.have.length(1);
    expect(hub.told).to.have.length(1);
    expect(hub.told[0]).to.match(/^stray ada\/ job-1 reported: /);
  });

  it('are adopted by the server whose start was cut off', async () => {
    const hub = await unclear();
    lose(hub, 'ada');
    await hub.supervisor.restore();
    await settle();
    expect(hub.servers).to.deep.equal(['ada/ ready']);
    expect(hub.told.join()).to.match(/stray ada\/ job-1 adopted: /);
    expect(JSON.stringify(await hub.store.content())).to.include('"id":"job-1"');
  });

  it('are adopted once: a second one of the same server is cancelled when the first is ready', async () => {
    const hub = await unclear();
    lose(hub, 'ada');
    lose(hub, 'ada');
    await hub.supervisor.restore();
    await settle();
    expect(alive(hub)).to.have.length(2);
    await aRound();
    expect(alive(hub)).to.deep.equal([hub.supervisor.find('ada')?.spawner?.getState()['id']]);
    expect(hub.told.at(-1)).to.match(/cancelled: the server has another$/);
  });

  it('are not adopted where they belong to somebody else; the start fails', async () => {
    const hub = await unclear({ retries: 0 });
    lose(hub, 'ada', 'mallory');
    await hub.supervisor.restore();
    await settle();
    expect(hub.servers).to.deep.equal([]);
    await aRound();
    expect(alive(hub)).to.have.length(1);
    expect(hub.told.filter((event) => event.startsWith('stray'))).to.deep.equal([
      'stray ada/ job-1 reported: The job belongs to mallory.',
    ]);
  });

  for (const account of [undefined, 'al']) {
    it(`are cancelled where the server has another${account ? ', also of another name' : ''}`, async () => {
      const first = new TestHub();
      await first.supervisor.start({ user: { name: 'ada', ...(account && { account }) } });
      await first.supervisor.close();
      const hub = first.next();
      lose(hub, 'ada', account);
      await hub.supervisor.restore();
      expect(alive(hub)).to.deep.equal(['job-1']);
      expect(hub.told).to.include('stray ada/ job-2 cancelled: the server has another');
      expect(hub.servers).to.deep.equal(['ada/ ready']);
    });
  }

  it('wait until the server that is being started has its own', async () => {
    const first = new TestHub();
    first.cluster.queues = true;
    first.start('ada').catch(() => {});
    await settle();
    await first.supervisor.close();
    const hub = first.next();
    lose(hub, 'ada');
    await hub.supervisor.restore();
    await aRound();
    expect(alive(hub)).to.have.length(2);
    hub.cluster.run();
    await aRound();
    await aRound();
    expect(alive(hub)).to.deep.equal(['job-1']);
  });

  it('wait as well where that has not made its own yet', async () => {
    const hub = new TestHub();
    hub.cluster.isUp = false;
    await hub.supervisor.restore();
    lose(hub, 'ada');
    hub.cluster.isUp = true;
    const gate = new Gate();
    hub.supervisor.register('hooked', spawnersOf(hub.cluster), {
      startTimeout: 100_000,
      hooks: { preSpawn: () => gate.opened },
    });
    const start = hub.start('ada', { spawner: 'hooked' });
    await settle();
    await aRound();
    gate.open();
    await start;
    expect(alive(hub)).to.deep.equal(['job-1', 'job-2']);
    await aRound();
    expect(alive(hub)).to.deep.equal(['job-2']);
    expect(hub.told.filter((event) => event.startsWith('stray'))).to.deep.equal([
      'stray ada/ job-1 cancelled: the server has another',
    ]);
  });

  it('are looked for again in later rounds while there is no answer', async () => {
    const hub = new TestHub();
    lose(hub, 'ada');
    hub.cluster.isUp = false;
    expect((await hub.supervisor.restore()).strays).to.deep.equal([]);
    await aRound();
    await aRound();
    expect(hub.told).to.deep.equal([]);
    expect(alive(hub)).to.have.length(1);
    hub.cluster.isUp = true;
    await aRound();
    expect(hub.told).to.have.length(1);
    const { survey } = hub.cluster.calls;
    await aRound();
    expect(hub.cluster.calls.survey).to.equal(survey);
  });

  it('are cancelled in later rounds where that has failed', async () => {
    const hub = new TestHub();
    lose(hub, 'ada');
    hub.cluster.before = (call) => {
      if (call === 'cancel') throw new Error('no');
    };
    await hub.supervisor.restore();
    await aRound();
    hub.cluster.before = () => {};
    await aRound();
    expect(alive(hub)).to.deep.equal([]);
    expect(hub.told).to.deep.equal([
      'stray ada/ job-1 reported: it is to be cancelled, again and again: The job could not be cancelled.',
      'stray ada/ job-1 cancelled: there is no such server',
    ]);
  });

  describe('of several kinds of spawners', () => {
    it('are found of each that answers, also where another does not', async () => {
      const hub = new TestHub();
      const other = new TestCluster();
      other.isUp = false;
      hub.supervisor.register('other', spawnersOf(other));
      lose(hub, 'ada');
      await hub.supervisor.restore();
      expect(alive(hub)).to.deep.equal([]);
      expect(hub.told).to.have.length(1);
    });

    it('are adopted where several are of one cluster', async () => {
      const hub = await unclear();
      hub.supervisor.register('large', spawnersOf(hub.cluster), { args: ['--large'] });
      hub.cluster.sharesLists = true;
      const id = lose(hub, 'ada');
      await hub.supervisor.restore();
      await settle();
      expect(hub.servers).to.deep.equal(['ada/ ready']);
      expect(alive(hub)).to.deep.equal([id]);
    });

    it('are found also where another can not be made any more', async () => {
      const hub = new TestHub();
      let isBroken = false;
      const Whole = spawnersOf(hub.cluster);
      class BrokenSpawner extends Whole {
        constructor(...[context, options]: ConstructorParameters<typeof Whole>) {
          super(context, options);
          if (isBroken) throw new Error('no');
        }
      }
      hub.supervisor.register('broken', BrokenSpawner);
      isBroken = true;
      lose(hub, 'ada');
      await hub.supervisor.restore();
      expect(alive(hub)).to.deep.equal([]);
      expect(hub.warnings).to.have.length(1);
    });

    it('are found also where another throws', async () => {
      const hub = new TestHub();
      class ThrowingSpawner extends spawnersOf(hub.cluster) {
        override survey = () => Promise.reject(new Error('no'));
      }
      hub.supervisor.register('throwing', ThrowingSpawner);
      lose(hub, 'ada');
      await hub.supervisor.restore();
      expect(alive(hub)).to.deep.equal([]);
      expect(hub.told).to.have.length(1);
    });

    it('are waited for by a start that was cut off until its own kind has answered', async () => {
      const hub = await unclear({ retries: 0 });
      const other = new TestCluster();
      other.isUp = false;
      hub.supervisor.register('other', spawnersOf(other));
      hub.cluster.isUp = false;
      await hub.supervisor.restore();
      await aRound();
      expect(hub.servers).to.deep.equal(['ada/ starting']);
      hub.cluster.isUp = true;
      await aRound();
      expect(hub.servers).to.deep.equal([]);
    });
  });

  it('are not looked for by a hub without an interface; a start that was cut off fails', async () => {
    const { store, cluster } = await unclear();
    const supervisor = new Supervisor({ store, retries: 0 });
    supervisor.register('cluster', spawnersOf(cluster));
    await supervisor.restore();
    await settle();
    expect(cluster.calls.survey).to.equal(0);
    expect(supervisor.list()).to.deep.equal([]);
  });

  it('are looked for again after a start that has failed, which may have left one', async () => {
    const hub = new TestHub();
    await hub.supervisor.restore();
    hub.cluster.before = (call) => {
      if (call === 'submit') throw new Error('no');
    };
    await rejected(Error, hub.start('ada'));
    // It was accepted all the same, later.
    lose(hub, 'ada');
    hub.cluster.before = () => {};
    await aRound();
    expect(alive(hub)).to.deep.equal([]);
  });

  it('are cancelled as the account that the server of a failed start had', async () => {
    const hub = new TestHub();
    await hub.supervisor.restore();
    hub.cluster.before = (call) => {
      if (call === 'submit') throw new Error('no');
    };
    const user = { name: 'ada', account: 'hub' };
    await rejected(Error, hub.supervisor.start({ user }));
    lose(hub, 'ada', 'hub');
    hub.cluster.before = () => {};
    await aRound();
    expect(alive(hub)).to.deep.equal([]);
  });

  it('are cancelled once, also where each server has a list of its own', async () => {
    const hub = new TestHub();
    await hub.supervisor.restore();
    for (const user of ['bob', 'carol', 'dora']) {
      await hub.start(user, { options: { args: [user] } });
    }
    hub.cluster.before = (call) => {
      if (call === 'submit') throw new Error('no');
    };
    await rejected(Error, hub.start('ada'));
    lose(hub, 'ada');
    hub.cluster.before = () => {};
    const { cancel } = hub.cluster.calls;
    await aRound();
    expect(hub.cluster.calls.cancel).to.equal(cancel + 1);
    expect(alive(hub)).to.have.length(3);
  });

  it('are told of by no list that is none; what others have is dealt with', async () => {
    const hub = new TestHub();
    class DamagedSpawner extends spawnersOf(hub.cluster) {
      override survey = async () => JSON.parse('[null]');
    }
    hub.supervisor.register('damaged', DamagedSpawner);
    lose(hub, 'ada');
    await hub.supervisor.restore();
    expect(alive(hub)).to.deep.equal([]);
    expect(hub.warnings.map(({ code }) => code)).to.deep.equal(['command-failed']);
  });

  it('can not be known while there is no list: that is told once', async () => {
    const hub = new TestHub();
    hub.cluster.isUp = false;
    await hub.supervisor.restore();
    await aRound();
    await aRound();
    const silences = hub.warnings.filter(({ message }) => /can't be looked for jobs/.test(message));
    expect(silences).to.have.length(1);
  });

  it('are looked for again also where a start fails while they are looked for', async () => {
    const hub = new TestHub();
    hub.cluster.isUp = false;
    await hub.supervisor.restore();
    hub.cluster.isUp = true;
    const gate = new Gate();
    hub.cluster.before = (call) => {
      if (call === 'submit') throw new Error('no');
      return call === 'survey' ? gate.opened : undefined;
    };
    await aRound();
    await rejected(Error, hub.start('ada'));
    gate.open();
    await settle();
    lose(hub, 'ada');
    await aRound();
    expect(alive(hub)).to.deep.equal([]);
  });

  describe('while another kind of spawner takes long to answer', () => {
    /** A hub that looks for strays, and is about to hear what the other kind has. */
    async function looking(): Promise<{ hub: TestHub; gate: Gate }> {
      const hub = new TestHub();
      const other = new TestCluster();
      hub.supervisor.register('other', spawnersOf(other));
      await hub.supervisor.restore();
      await hub.start('ada');
      const gate = new Gate();
      other.before = (call) => (call === 'survey' ? gate.opened : undefined);
      hub.cluster.before = (call) => {
        if (call === 'submit') throw new Error('no');
      };
      await rejected(Error, hub.start('bob'));
      hub.cluster.before = () => {};
      return { hub, gate };
    }

    it('are none that a server had which was stopped meanwhile', async () => {
      const { hub, gate } = await looking();
      await aRound();
      await hub.supervisor.stop('ada');
      hub.told.length = 0;
      gate.open();
      await aRound();
      expect(hub.told).to.deep.equal([]);
    });

    it('are none that a server had which has another now', async () => {
      const { hub, gate } = await looking();
      await aRound();
      await hub.supervisor.stop('ada');
      await hub.start('ada');
      const { cancel } = hub.cluster.calls;
      gate.open();
      await aRound();
      expect(hub.cluster.calls.cancel).to.equal(cancel);
    });

    it('are none that a server had which was there only meanwhile', async () => {
      const { hub, gate } = await looking();
      const listed = new Gate();
      hub.cluster.before = (call) => (call === 'survey' ? listed.opened : undefined);
      await aRound();
      await hub.start('carol');
      listed.open();
      await settle();
      await hub.supervisor.stop('carol');
      const { cancel } = hub.cluster.calls;
      gate.open();
      await aRound();
      expect(hub.cluster.calls.cancel).to.equal(cancel);
    });

    it('are dealt with later where there may be such', async () => {
      const { hub, gate } = await looking();
      lose(hub, 'ada');
      await aRound();
      await hub.supervisor.stop('ada');
      gate.open();
      await aRound();
      expect(alive(hub)).to.deep.equal([]);
    });
  });

  it('are cancelled by one at a time', async () => {
    const hub = new TestHub();
    lose(hub, 'ada');
    const gate = new Gate();
    let cancels = 0;
    hub.cluster.before = (call, tag) => {
      if (call === 'submit') throw new Error('no');
      if (call !== 'cancel' || tag?.includes(':ada:') !== true) return undefined;
      cancels += 1;
      return gate.opened;
    };
    const restored = hub.supervisor.restore();
    await clock.tickAsync(15_000);
    await restored;
    // One more reason to look.
    await rejected(Error, hub.start('bob'));
    await aRound();
    gate.open();
    await aRound();
    expect(alive(hub)).to.deep.equal([]);
    expect(cancels).to.equal(1);
  });

  it('are left to the next hub where they can not be cancelled before the end of this one', async () => {
    const hub = new TestHub();
    class PatientSpawner extends spawnersOf(hub.cluster) {
      override stop(): Promise<void> {
        return this.runStop(async () => {
          await sleep(600_000, this.lettingGo);
          throw new StopError('Nothing has ended it.');
        });
      }
    }
    const supervisor = new Supervisor({ store: hub.store, hub: { apiUrl } });
    supervisor.register('patient', PatientSpawner);
    const fates: string[] = [];
    supervisor.on('stray', ({ fate }) => fates.push(fate));
    lose(hub, 'ada');
    const restored = supervisor.restore();
    await clock.tickAsync(15_000);
    await restored;
    const closing = supervisor.close();
    await clock.tickAsync(15_000);
    await closing;
    expect(clock.countTimers()).to.equal(0);
    expect(fates).to.deep.equal([]);
  });

  describe('of which the store may have lost the record', () => {
    /** A store that tells, while it is read, that it has lost something. */
    class LossyStore extends TestStore {
      #tell: (error: unknown) => void = () => {};
      on(_: 'error', listener: (error: unknown) => void): void {
        this.#tell = listener;
      }
      override async *iterator(): ReturnType<TestStore['iterator']> {
        this.#tell(new Error('torn'));
        yield* super.iterator();
      }
    }

    let hub: TestHub;
    let other: TestCluster;
    const strays = () => hub.told.filter((event) => event.startsWith('stray'));
    beforeEach(() => {
      other = new TestCluster();
      hub = new TestHub({ store: new LossyStore() });
      hub.supervisor.register('other', spawnersOf(other));
    });

    it('are left alone, and taken over by a start', async () => {
      lose(hub, 'ada');
      await hub.supervisor.restore();
      await aRound();
      expect(alive(hub)).to.deep.equal(['job-1']);
      const [first, second] = await Promise.all([hub.start('ada'), hub.start('ada')]);
      expect(first).to.include({ host: 'node1' }).and.to.equal(second);
      expect(hub.servers).to.deep.equal(['ada/ ready']);
      expect(alive(hub)).to.deep.equal(['job-1']);
      expect(strays()).to.deep.equal([
        'stray ada/ job-1 reported: it may belong to a server of which the store has lost the record',
        'stray ada/ job-1 adopted: the store has lost the record of the server',
      ]);
      const record = JSON.stringify(await hub.store.content());
      expect(record).to.include('"id":"job-1"').and.include('"phase":"ready"');
      await hub.supervisor.stop('ada');
      await hub.start('ada');
      expect(alive(hub)).to.deep.equal(['job-2']);
    });

    it('let no start begin with another kind of spawner, until they have ended', async () => {
      lose(hub, 'ada');
      await hub.supervisor.restore();
      const refused = await rejected(StartError, hub.start('ada', { spawner: 'other' }));
      expect(refused.message).to.equal(
        'The store may have lost the record of this server, which is there already: job-1, found by cluster. Ask for it with the spawner and the options that it had, or cancel it by hand.',
      );
      hub.cluster.isUp = false;
      await rejected(StartError, hub.start('ada', { spawner: 'other' }));
      hub.cluster.isUp = true;
      hub.cluster.end(crashed);
      await hub.start('ada', { spawner: 'other' });
      expect(other.alive).to.have.length(1);
    });

    it('let no start begin whose server can not have them', async () => {
      lose(hub, 'ada', 'mallory');
      await hub.supervisor.restore();
      const refused = await rejected(StartError, hub.start('ada'));
      expect(refused.message).to.include('job-1, found by cluster. The job belongs to mallory');
      expect(alive(hub)).to.deep.equal(['job-1']);
    });

    it('let no start begin before it can be said whether they are there', async () => {
      lose(hub, 'ada');
      hub.cluster.isUp = false;
      await hub.supervisor.restore();
      expect((await rejected(StartError, hub.start('ada'))).retryable).to.equal(true);
      hub.cluster.isUp = true;
      await hub.start('ada');
      expect(alive(hub)).to.deep.equal(['job-1']);
    });

    it('are not cancelled where a start has begun with another kind meanwhile', async () => {
      lose(hub, 'ada');
      hub.cluster.isUp = false;
      await hub.supervisor.restore();
      await hub.start('ada', { spawner: 'other' });
      hub.cluster.isUp = true;
      await aRound();
      expect(alive(hub)).to.deep.equal(['job-1']);
      expect(strays()).to.have.length(1);
      expect(strays()[0]).to.match(/reported: it may belong to/);
    });

    it('are cancelled where it has that of the server', async () => {
      await hub.start('ada');
      await hub.supervisor.close();
      const store = new LossyStore(hub.store);
      hub = new TestHub({ cluster: new TestCluster(hub.cluster), store });
      hub.supervisor.register('other', spawnersOf(other));
      lose(hub, 'ada');
      await hub.supervisor.restore();
      expect(alive(hub)).to.deep.equal(['job-1']);
      expect(strays()).to.deep.equal(['stray ada/ job-2 cancelled: the server has another']);
    });
  });
});
