import { expect } from 'chai';
import sinon from 'sinon';
import { AbortError, CommandError, OptionsError, StartError, StopError } from '../../lib/errors.ts';
import type { ProgressEvent } from '../../lib/progress.ts';
import { SystemdSpawner } from '../../lib/systemd/spawner.ts';
import { rejected, thrown } from '../helpers/errors.ts';
import { spawnersOf, TestCluster } from '../helpers/test-cluster.ts';
import { fakeClock, Gate, TestHub } from '../helpers/test-hub.ts';
import { crashed } from '../helpers/test-spawner.ts';

describe('A supervisor that starts a server', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
  });
  afterEach(() => {
    sinon.restore();
    clock.restore();
  });
  const settle = () => clock.tickAsync(0);

  it('gives its address when it answers', async () => {
    const hub = new TestHub();
    expect(await hub.start('ada')).to.deep.equal({
      host: 'node1',
      port: 4000,
      url: 'http://node1:4000/user/ada/',
    });
    expect(hub.servers).to.deep.equal(['ada/ ready']);
    expect(hub.cluster.launched).to.equal(1);
  });

  it('gives all who ask during the start what comes of it', async () => {
    const hub = new TestHub();
    hub.cluster.queues = true;
    const first = hub.start('ada');
    const second = hub.start('ada');
    await settle();
    const third = hub.start('ada');
    await settle();
    hub.cluster.run();
    expect(new Set(await Promise.all([first, second, third])).size).to.equal(1);
    expect(hub.cluster.launched).to.equal(1);
  });

  it('gives all who ask during the start the error that it ends with', async () => {
    const hub = new TestHub();
    hub.cluster.queues = true;
    const starts = [hub.start('ada'), hub.start('ada')];
    const failures = Promise.all(starts.map((start) => rejected(StartError, start)));
    await settle();
    hub.cluster.end(crashed);
    const [first, second] = await failures;
    expect(first).to.include({ message: crashed.message, exit: crashed });
    expect(second).to.equal(first);
    expect(hub.servers).to.deep.equal([]);
  });

  it('gives the address where it is ready', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    expect(await hub.start('ada')).to.include({ host: 'node1' });
    expect(hub.cluster.launched).to.equal(1);
  });

  it('gives nobody the address before the store has that it is ready', async () => {
    const hub = new TestHub();
    const gate = new Gate();
    hub.store.before = (_, value) =>
      JSON.stringify(value)?.includes('"phase":"ready"') === true ? gate.opened : undefined;
    let had = 0;
    const have = () => {
      had += 1;
    };
    const first = hub.start('ada').then(have);
    await settle();
    expect(hub.servers).to.deep.equal(['ada/ ready']);
    const second = hub.start('ada').then(have);
    await settle();
    expect(had).to.equal(0);
    gate.open();
    await Promise.all([first, second]);
  });

  it('tells servers of one person apart, and those of several', async () => {
    const hub = new TestHub();
    await Promise.all([
      hub.start('ada'),
      hub.start('ada', { serverName: 'lab' }),
      hub.start('bob', { serverName: 'lab' }),
    ]);
    expect(hub.servers).to.have.members(['ada/ ready', 'ada/lab ready', 'bob/lab ready']);
    expect(hub.cluster.launched).to.equal(3);
  });

  it('waits for a stop that goes on, and then starts it anew', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    const gate = new Gate();
    hub.cluster.before = (call) => (call === 'cancel' ? gate.opened : undefined);
    const stopping = hub.supervisor.stop('ada');
    const starts = Promise.all([hub.start('ada'), hub.start('ada')]);
    await settle();
    expect(hub.cluster.launched).to.equal(1);
    gate.open();
    await stopping;
    await starts;
    expect(hub.cluster.launched).to.equal(2);
    expect(hub.cluster.alive).to.have.length(1);
  });

  it('waits until a start that was stopped has ended, and then starts it anew', async () => {
    const hub = new TestHub();
    hub.cluster.queues = true;
    const aborted = rejected(AbortError, hub.start('ada'));
    await settle();
    const stopping = hub.supervisor.stop('ada');
    const again = hub.start('ada');
    await aborted;
    await stopping;
    await settle();
    hub.cluster.run();
    await again;
    expect(hub.cluster.alive.map(({ id }) => id)).to.deep.equal(['job-2']);
  });

  it('is refused while a stop has failed, and says why', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    hub.cluster.isUp = false;
    await rejected(StopError, hub.supervisor.stop('ada'));
    const error = await rejected(StartError, hub.start('ada'));
    expect(error).to.include({
      message: 'The server is still to be stopped: The job could not be cancelled.',
      retryable: true,
    });
    expect(hub.servers).to.deep.equal(['ada/ stopping']);
  });

  it('is refused where the stop that it waited for has failed', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    const gate = new Gate();
    hub.cluster.before = async () => {
      await gate.opened;
      throw new Error('no');
    };
    const stopping = rejected(StopError, hub.supervisor.stop('ada'));
    const refused = rejected(StartError, hub.start('ada'));
    await settle();
    gate.open();
    await stopping;
    expect((await refused).message).to.match(/^The server is still to be stopped: /);
  });

  it('waits until one that has ended is forgotten, and then starts it anew', async () => {
    const hub = new TestHub();
    const gate = new Gate();
    hub.supervisor.register('hooked', spawnersOf(hub.cluster), {
      hooks: { postStop: () => gate.opened },
    });
    await hub.start('ada', { spawner: 'hooked' });
    hub.cluster.end(crashed);
    await clock.tickAsync(33_000);
    expect(hub.told).to.include('exited ada/');
    const again = hub.start('ada', { spawner: 'hooked' });
    await settle();
    expect(hub.cluster.launched).to.equal(1);
    gate.open();
    expect(await again).to.include({ host: 'node1' });
    expect(hub.cluster.launched).to.equal(2);
  });

  it('gives the address of one that its hook has started anew', async () => {
    const hub = new TestHub();
    hub.supervisor.register('hooked', spawnersOf(hub.cluster), {
      hooks: {
        postStop: async (spawner) => {
          await spawner.start();
        },
      },
    });
    await hub.start('ada', { spawner: 'hooked' });
    hub.cluster.end(crashed);
    await clock.tickAsync(33_000);
    expect(await hub.start('ada', { spawner: 'hooked' })).to.include({ host: 'node1' });
    expect(hub.servers).to.deep.equal(['ada/ ready']);
    expect(hub.cluster.launched).to.equal(2);
  });

  describe('by one of several kinds of spawners', () => {
    it('takes the first where nothing is said, or the one that is', async () => {
      const hub = new TestHub();
      const other = new TestCluster();
      hub.supervisor.register('other', spawnersOf(other));
      await hub.start('ada');
      await hub.start('bob', { spawner: 'other' });
      expect([hub.cluster.launched, other.launched]).to.deep.equal([1, 1]);
      expect(hub.supervisor.list().map(({ spawnerName }) => spawnerName)).to.deep.equal([
        'cluster',
        'other',
      ]);
    });

    it('is refused for one that nobody knows', async () => {
      const hub = new TestHub();
      hub.supervisor.register('other', spawnersOf(hub.cluster));
      const error = await rejected(OptionsError, hub.start('ada', { spawner: 'third' }));
      expect(error.message).to.equal(
        'The option spawner must be one of those that are registered: cluster, other.',
      );
      expect(await hub.store.content()).to.deep.equal({});
    });

    it('registers none under a name that is taken, or with options that are wrong', () => {
      const { supervisor, cluster } = new TestHub();
      thrown(OptionsError, () => supervisor.register('cluster', spawnersOf(cluster)));
      thrown(OptionsError, () => supervisor.register('', spawnersOf(cluster)));
      const wrong = { startTimeout: -1 };
      thrown(OptionsError, () => supervisor.register('wrong', spawnersOf(cluster), wrong));
      supervisor.register('wrong', spawnersOf(cluster));
    });
  });

  describe('with what is particular to it', () => {
    it('puts its options in the place of those that were registered', async () => {
      const hub = new TestHub();
      const registered = { startTimeout: 1000, environment: { A: '1' } };
      hub.supervisor.register('own', spawnersOf(hub.cluster), registered);
      await hub.start('ada', { spawner: 'own', options: { environment: { B: '2' } } });
      await hub.start('bob', { spawner: 'own' });
      const [ada, bob] = hub.supervisor.list();
      expect(ada?.spawner?.options).to.deep.include({ startTimeout: 1000, pollInterval: 0 });
      expect(ada?.spawner?.options.environment).to.deep.equal({ B: '2' });
      expect(bob?.spawner?.options.environment).to.deep.equal({ A: '1' });
    });

    it('may have templates that use what a hub says of a person', async () => {
      const hub = new TestHub();
      const options = { unitNameTemplate: 'hub-{{userid}}-{{servername}}' };
      hub.supervisor.register('systemd', SystemdSpawner, options);
      const start = hub.start('ada', { spawner: 'systemd' });
      expect((await rejected(OptionsError, start)).path).to.equal('unitNameTemplate');
    });

    it('fails for options that are wrong, and forgets it', async () => {
      const hub = new TestHub();
      const error = await rejected(OptionsError, hub.start('ada', { options: { nonsense: 1 } }));
      expect(error.path).to.equal('nonsense');
      expect(hub.servers).to.deep.equal([]);
      expect(await hub.store.content()).to.deep.equal({});
    });

    it('fails for a name that none can have', async () => {
      await rejected(OptionsError, new TestHub().start(''));
    });

    it('tells its spawner who it is for', async () => {
      const apiToken = sinon.fake.resolves('secret');
      const hub = new TestHub({ apiToken });
      const user = { name: 'ada', id: '7', account: 'al' };
      await hub.supervisor.start({ user, serverName: 'lab' });
      expect(apiToken.args).to.deep.equal([[{ user, serverName: 'lab' }]]);
      const { spawner } = hub.supervisor.find('ada', 'lab') ?? {};
      expect(spawner).to.include({ apiToken: 'secret', account: 'al', serverName: 'lab' });
      expect(spawner?.context.hub).to.deep.equal({ apiUrl: 'http://127.0.0.1:8081/hub/api' });
    });

    for (const [how, apiToken] of [
      ['throws', sinon.fake.throws(new Error('no token'))],
      ['rejects', sinon.fake.rejects(new Error('no token'))],
    ] as const) {
      it(`fails as the function of its token does that ${how}`, async () => {
        const hub = new TestHub({ apiToken });
        expect((await rejected(Error, hub.start('ada'))).message).to.equal('no token');
        expect(hub.servers).to.deep.equal([]);
        expect(await hub.store.content()).to.deep.equal({});
        expect(hub.told).to.include('failed ada/');
      });
    }

    it('has the options that there were when it was asked for', async () => {
      const hub = new TestHub();
      const options: Record<string, string[]> = {};
      const starts = ['ada', 'bob'].map((user) => {
        options['args'] = [`--user=${user}`];
        return hub.start(user, { options });
      });
      await Promise.all(starts);
      const own = hub.supervisor.list().map(({ spawner }) => spawner?.options.args);
      expect(own).to.deep.equal([['--user=ada'], ['--user=bob']]);
      expect(JSON.stringify(await hub.store.content())).to.include('--user=ada');
    });

    it('waits for its token, and can be stopped meanwhile', async () => {
      const hub = new TestHub({ apiToken: () => new Promise(() => {}) });
      const aborted = rejected(AbortError, hub.start('ada'));
      await settle();
      expect(hub.servers).to.deep.equal(['ada/ waiting']);
      await hub.supervisor.stop('ada');
      await aborted;
      expect(hub.servers).to.deep.equal([]);
    });
  });

  describe('again, after a failure that may pass', () => {
    const busy = () => new CommandError('Busy.', { command: 'sbatch', retryable: true });
    const failing = (error: () => Error, times = Number.POSITIVE_INFINITY) => {
      const hub = new TestHub({ retryDelay: 1000 });
      hub.cluster.before = (call) => {
        if (call === 'submit' && hub.cluster.calls.submit <= times) throw error();
      };
      return hub;
    };

    it('makes pauses that grow, each up to half of that shorter by chance', async () => {
      for (const [chance, delays] of [
        [0, [500, 1000]],
        [0.998, [999, 1998]],
      ] as const) {
        const random = sinon.stub(Math, 'random').returns(chance);
        const hub = failing(busy, 2);
        const start = hub.start('ada');
        await settle();
        for (const [index, delay] of delays.entries()) {
          expect(hub.cluster.calls.submit).to.equal(index + 1);
          await clock.tickAsync(delay - 1);
          expect(hub.cluster.calls.submit).to.equal(index + 1);
          await clock.tickAsync(1);
        }
        expect(await start).to.include({ host: 'node1' });
        expect(hub.supervisor.metrics().starts).to.deep.include({
          ready: 1,
          retried: 2,
          failed: 0,
        });
        random.restore();
      }
    });

    it('gives up after so many, and tells of one failure', async () => {
      const hub = failing(busy);
      const failed = rejected(CommandError, hub.start('ada'));
      await clock.tickAsync(10_000);
      expect((await failed).message).to.equal('Busy.');
      expect(hub.cluster.calls.submit).to.equal(3);
      expect(hub.told.filter((event) => event.startsWith('failed'))).to.have.length(1);
      expect(hub.supervisor.metrics()).to.deep.include({
        failures: { ERR_SPAWNER_COMMAND: 1 },
        starts: { ready: 0, failed: 1, aborted: 0, retried: 2 },
      });
    });

    it('does nothing of the kind where it may not pass', async () => {
      const hub = failing(() => new CommandError('Never.', { command: 'sbatch' }));
      await rejected(CommandError, hub.start('ada'));
      expect(hub.cluster.calls.submit).to.equal(1);
    });

    it('does not where something of the failed start may be left', async () => {
      const hub = new TestHub();
      hub.cluster.before = (call) => {
        if (call === 'submitted' || call === 'cancel') throw busy();
      };
      await rejected(CommandError, hub.start('ada'));
      expect(hub.cluster.launched).to.equal(1);
    });

    it('ends the pause at once when it is stopped', async () => {
      const hub = failing(busy);
      const aborted = rejected(AbortError, hub.start('ada'));
      await settle();
      expect(hub.servers).to.deep.equal(['ada/ starting']);
      await hub.supervisor.stop('ada');
      await aborted;
      expect(hub.servers).to.deep.equal([]);
      await clock.tickAsync(10_000);
      expect(hub.cluster.calls.submit).to.equal(1);
    });

    it('lets others start during the pause', async () => {
      const hub = new TestHub({ startLimit: 1 });
      hub.cluster.before = (call) => {
        if (call === 'submit' && hub.cluster.calls.submit === 1) throw busy();
      };
      const first = hub.start('ada');
      await settle();
      expect(await hub.start('bob')).to.include({ host: 'node1' });
      await clock.tickAsync(5000);
      await first;
    });
  });

  describe('and shows how far it has come', () => {
    async function followed(events: AsyncIterable<ProgressEvent>): Promise<ProgressEvent[]> {
      const all: ProgressEvent[] = [];
      for await (const event of events) all.push(event);
      return all;
    }

    it('to many, to the late as well, from the beginning to the end', async () => {
      const hub = new TestHub();
      hub.cluster.queues = true;
      const start = hub.start('ada');
      await settle();
      const early = [
        followed(hub.supervisor.progress('ada')),
        followed(hub.supervisor.progress('ada')),
      ];
      await settle();
      hub.cluster.run();
      await start;
      const late = followed(hub.supervisor.progress('ada'));
      const [first, ...others] = await Promise.all([...early, late]);
      expect(first?.map(({ progress }) => progress)).to.deep.equal([0, 10, 50, 80, 100]);
      expect(first?.at(-1)).to.include({ outcome: 'ready' });
      for (const other of others) expect(other).to.deep.equal(first);
    });

    it('never falling, over all that is begun anew, and says when', async () => {
      sinon.stub(Math, 'random').returns(0.5);
      const hub = new TestHub();
      hub.cluster.before = (call) => {
        if (call === 'answer' && hub.cluster.calls.answer === 1) hub.cluster.end(crashed);
        if (call === 'submit' && hub.cluster.calls.submit === 2) hub.cluster.answers = true;
      };
      hub.cluster.answers = false;
      hub.supervisor.register('impatient', spawnersOf(hub.cluster), { httpTimeout: 500 });
      const start = hub.start('ada', { spawner: 'impatient' });
      await clock.tickAsync(5000);
      await start;
      const events = await followed(hub.supervisor.progress('ada'));
      const numbers = events.map(({ progress }) => progress);
      expect(numbers).to.deep.equal([...numbers].sort((a, b) => a - b));
      expect(events.map(({ message }) => message)).to.include(
        'The server did not answer within httpTimeout (0.5 s). It is tried again in 4 s.',
      );
      expect(events.filter(({ outcome }) => outcome === 'failed')).to.deep.equal([]);
    });

    it('also after it has failed', async () => {
      const hub = new TestHub();
      hub.cluster.queues = true;
      const failed = rejected(StartError, hub.start('ada'));
      await settle();
      const early = followed(hub.supervisor.progress('ada'));
      hub.cluster.end(crashed);
      await failed;
      const events = await followed(hub.supervisor.progress('ada'));
      expect(events.at(-1)).to.deep.equal({
        progress: 100,
        message: crashed.message,
        outcome: 'failed',
      });
      expect(await early).to.deep.equal(events);
    });

    it('also while it waits for its turn', async () => {
      const hub = new TestHub({ startLimit: 1 });
      const gate = new Gate();
      hub.cluster.before = (call) => (call === 'submit' ? gate.opened : undefined);
      const starts = [hub.start('ada'), hub.start('bob')];
      await settle();
      const reader = hub.supervisor.progress('bob')[Symbol.asyncIterator]();
      expect((await reader.next()).value).to.deep.equal({
        progress: 0,
        message: 'It waits for its turn: as many servers as may be are being started',
        outcome: 'starting',
      });
      gate.open();
      await Promise.all(starts);
    });

    it('as nothing where there was no start', async () => {
      expect(await followed(new TestHub().supervisor.progress('ada'))).to.deep.equal([]);
    });
  });

  describe('that leaves something', () => {
    it('keeps it until that is stopped, in a later round', async () => {
      const hub = new TestHub();
      hub.cluster.before = (call) => {
        if (call === 'submitted' || call === 'cancel') throw new Error('Lost.');
      };
      await rejected(Error, hub.start('ada'));
      expect(hub.servers).to.deep.equal(['ada/ stopping']);
      expect(hub.supervisor.find('ada')?.problem).to.equal('Lost.');
      expect(Object.values(await hub.store.content())).to.have.nested.property(
        '[0].phase',
        'stopping',
      );
      await rejected(StartError, hub.start('ada'));
      await clock.tickAsync(33_000);
      expect(hub.servers).to.deep.equal(['ada/ stopping']);
      expect(hub.warnings.map(({ code }) => code)).to.deep.equal(['stop-failed']);
      hub.cluster.before = () => {};
      await clock.tickAsync(33_000);
      expect(hub.servers).to.deep.equal([]);
      expect(hub.cluster.alive).to.deep.equal([]);
      expect(await hub.store.content()).to.deep.equal({});
      expect(hub.told).to.not.include('exited ada/');
      await hub.start('ada');
    });
  });
});
