import { expect } from 'chai';
import { Keyv } from 'keyv';
import type sinon from 'sinon';
import { AbortError, OptionsError, StartError, StopError, StoreError } from '../../lib/errors.ts';
import { Supervisor } from '../../lib/supervisor/supervisor.ts';
import { rejected, thrown } from '../helpers/errors.ts';
import { spawnersOf, TestCluster } from '../helpers/test-cluster.ts';
import { fakeClock, Gate, TestHub } from '../helpers/test-hub.ts';
import { crashed } from '../helpers/test-spawner.ts';

const adaKey = 'hubspawner:["ada",""]';

describe('What a supervisor keeps in its store', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
  });
  afterEach(() => clock.restore());
  const settle = () => clock.tickAsync(0);

  /** A hub, with what was done to its store and its cluster, in its order. */
  function watched() {
    const hub = new TestHub();
    const steps: string[] = [];
    hub.store.before = (call, value) => {
      const { phase, state } = (value ?? {}) as Record<string, Record<string, unknown> | undefined>;
      const known = ['tag', 'id', 'port'].filter((field) => state?.[field] !== undefined);
      steps.push([call, ...(call === 'set' ? [phase, ...known] : [])].join(' '));
    };
    hub.cluster.before = (call) => {
      steps.push(call);
    };
    return { hub, steps };
  }

  it('is written before and after each step that the world can see', async () => {
    const { hub, steps } = watched();
    await hub.start('ada');
    await settle();
    expect(steps).to.deep.equal([
      'list',
      'survey',
      'set starting',
      'set starting tag',
      'submit',
      'submitted',
      'set starting tag id',
      'answer',
      ...['set starting tag id port', 'set ready tag id port'],
    ]);
    steps.length = 0;
    await hub.supervisor.stop('ada');
    expect(steps).to.deep.equal(['set stopping tag id port', 'cancel', 'set stopping', 'delete']);
    expect(await hub.store.content()).to.deep.equal({});
  });

  it('is the request, how far it has come, and the state of the spawner', async () => {
    const hub = new TestHub({ apiToken: () => 'token-of-ada' });
    await hub.supervisor.start({
      user: { name: 'ada', id: '7', account: 'al' },
      serverName: 'lab',
      options: { environment: { A: '1' } },
    });
    const state = hub.supervisor.find('ada', 'lab')?.spawner?.getState();
    expect(await hub.store.content()).to.deep.equal({
      'hubspawner:["ada","lab"]': {
        version: 1,
        user: { name: 'ada', id: '7', account: 'al' },
        serverName: 'lab',
        spawner: 'cluster',
        options: { environment: { A: '1' } },
        phase: 'ready',
        requestedAt: new Date(0).toISOString(),
        state,
      },
    });
    expect(JSON.stringify(await hub.store.content())).to.not.include('token');
  });

  it('is removed only after the end and its hook', async () => {
    const hub = new TestHub();
    const gate = new Gate();
    hub.supervisor.register('hooked', spawnersOf(hub.cluster), {
      hooks: { postStop: () => gate.opened },
    });
    await hub.start('ada', { spawner: 'hooked' });
    hub.cluster.end(crashed);
    await clock.tickAsync(33_000);
    expect(await hub.store.content()).to.have.all.keys(adaKey);
    expect(hub.servers).to.deep.equal(['ada/ ready']);
    gate.open();
    await settle();
    expect(await hub.store.content()).to.deep.equal({});
    expect(hub.servers).to.deep.equal([]);
  });

  it('is no store that can not be listed', () => {
    const { set, delete: remove } = new Map();
    for (const store of [undefined, {}, { set, delete: remove }]) {
      const options = { store } as unknown as ConstructorParameters<typeof Supervisor>[0];
      expect(thrown(OptionsError, () => new Supervisor(options)).path).to.equal('store');
    }
  });

  describe('lets no server start that it does not take', () => {
    const answers: Readonly<Record<string, () => unknown>> = {
      'since it throws': () => {
        throw new Error('disk full');
      },
      'since it rejects': () => Promise.reject(new Error('disk full')),
      'since it says so': () => false,
    };
    for (const [how, answer] of Object.entries(answers)) {
      it(`${how} at the request`, async () => {
        const hub = new TestHub();
        hub.store.before = (call) => (call === 'set' ? answer() : undefined);
        const error = await rejected(StoreError, hub.start('ada'));
        expect(error.message).to.match(
          /^The server can't be kept in the store: (disk full|it did not take it .*)$/,
        );
        expect(error.retryable).to.equal(true);
        expect(hub.cluster.launched).to.equal(0);
        expect(hub.servers).to.deep.equal([]);
        expect(hub.supervisor.metrics().failures).to.deep.equal({ ERR_SPAWNER_STORE: 1 });
      });

      it(`${how} before the submission`, async () => {
        const hub = new TestHub({ retries: 0 });
        hub.store.before = (call, value) =>
          call === 'set' && JSON.stringify(value).includes('"tag"') ? answer() : undefined;
        const error = await rejected(StartError, hub.start('ada'));
        expect(error.message).to.match(/^The state of the server could not be saved, so that/);
        expect(hub.cluster.calls.submit).to.equal(0);
        expect(hub.servers).to.deep.equal([]);
        expect(await hub.store.content()).to.deep.equal({});
        expect(hub.warnings.map(({ code }) => code)).to.deep.equal(['store-failed']);
      });
    }

    it('but tries it again, since that may pass', async () => {
      const hub = new TestHub();
      let isFull = true;
      hub.store.before = (call, value) =>
        !(isFull && call === 'set' && JSON.stringify(value).includes('"tag"'));
      const start = hub.start('ada');
      await settle();
      isFull = false;
      await clock.tickAsync(5000);
      expect(await start).to.include({ host: 'node1' });
      expect(hub.cluster.launched).to.equal(1);
    });
  });

  it('is written again later where that has failed after the submission', async () => {
    const hub = new TestHub();
    hub.store.before = (call, value) => !(call === 'set' && JSON.stringify(value).includes('"id"'));
    await hub.start('ada');
    expect(hub.servers).to.deep.equal(['ada/ ready']);
    expect(new Set(hub.warnings.map(({ code }) => code))).to.deep.equal(new Set(['store-failed']));
    expect(hub.warnings[0]?.message).to.match(/^The server can't be kept in the store: /);
    expect(await hub.store.content()).to.have.nested.property(
      `${adaKey.replaceAll(/[.[\]]/g, '\\$&')}.phase`,
      'starting',
    );
    hub.store.before = () => {};
    await clock.tickAsync(33_000);
    expect(JSON.stringify(await hub.store.content()))
      .to.include('"phase":"ready"')
      .and.include('"id":"job-1"');
    const count = hub.warnings.length;
    await clock.tickAsync(33_000);
    expect(hub.warnings).to.have.length(count);
  });

  it('gives a warning where the intention to stop can not be kept; the stop goes on', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    hub.store.before = (call) => call !== 'set';
    await hub.supervisor.stop('ada');
    expect(hub.cluster.alive).to.deep.equal([]);
    expect(hub.warnings[0]?.code).to.equal('store-failed');
    expect(await hub.store.content()).to.deep.equal({});
  });

  it('gives a warning where it can not be removed; the next hub does that', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    hub.store.before = (call) => {
      if (call === 'delete') throw new Error('disk full');
    };
    await hub.supervisor.stop('ada');
    expect(hub.servers).to.deep.equal([]);
    expect(hub.warnings.map(({ code, message }) => [code, message])).to.deep.equal([
      ['store-failed', "The server can't be removed from the store: disk full"],
    ]);
    const next = hub.next();
    expect(await next.supervisor.restore()).to.include({ servers: 1 });
    await settle();
    expect(next.servers).to.deep.equal([]);
    expect(await next.store.content()).to.deep.equal({});
  });

  it('tells of the errors that a store emits', async () => {
    const keyv = new Keyv();
    const supervisor = new Supervisor({ store: keyv });
    const warnings: unknown[] = [];
    supervisor.on('warning', (warning) => warnings.push(warning));
    const cause = new Error('gone');
    keyv.emit('error', cause);
    expect(warnings).to.deep.equal([{ code: 'store-failed', message: 'gone', cause }]);
  });

  it('stands among what others keep in a Keyv, and leaves that alone', async () => {
    const store = new Keyv();
    await store.set('session:1', { user: 'ada' });
    await store.set('["ada",""]', 'text');
    const cluster = new TestCluster();
    const create = () => {
      const supervisor = new Supervisor({ store, hub: { apiUrl: 'http://127.0.0.1:1/' } });
      return supervisor.register('cluster', spawnersOf(cluster));
    };
    const first = create();
    await first.start({ user: 'ada' });
    await first.close();
    const second = create();
    const warnings: unknown[] = [];
    second.on('warning', (warning) => warnings.push(warning));
    expect(await second.restore()).to.include({ servers: 1 });
    expect(warnings).to.deep.equal([]);
    await second.stop('ada');
    expect(await store.get('session:1')).to.deep.equal({ user: 'ada' });
    expect(await store.get('["ada",""]')).to.equal('text');
    expect(await store.get(adaKey)).to.equal(undefined);
  });

  describe('where it can not be used', () => {
    const record = {
      version: 1,
      user: { name: 'ada' },
      serverName: '',
      spawner: 'cluster',
      options: {},
      phase: 'ready',
      requestedAt: '2026-01-01T00:00:00.000Z',
      state: {
        version: 1,
        spawner: 'cluster',
        tag: 'hubspawner:00000000:ada::000000000000',
        account: 'ada',
      },
    };
    const wrong: Readonly<Record<string, unknown>> = {
      'is no object': 'text',
      'is null': null,
      'is a list': [record],
      'has no version': { ...record, version: undefined },
      'has a newer version': { ...record, version: 2 },
      'has no user': { ...record, user: 'ada' },
      'has a user whose account is no text': { ...record, user: { name: 'ada', account: 1 } },
      'has another user than its key': { ...record, user: { name: 'bob' } },
      'has another server than its key': { ...record, serverName: 'lab' },
      'has a spawner that is no text': { ...record, spawner: null },
      'has a spawner that nobody knows': { ...record, spawner: 'unknown' },
      'has options that are none': { ...record, options: [] },
      'has options that the spawner does not take': { ...record, options: { nonsense: true } },
      'has an unknown phase': { ...record, phase: 'waiting' },
      'has no time': { ...record, requestedAt: 'yesterday' },
      'has a state that is none': { ...record, state: 'text' },
      'has the state of another kind': { ...record, state: { version: 1, spawner: 'slurm' } },
      'has the state of another account': {
        ...record,
        state: { ...record.state, account: 'mallory' },
      },
    };
    for (const [what, value] of Object.entries(wrong)) {
      it(`since it ${what}, is left alone, and blocks a start`, async () => {
        const hub = new TestHub();
        await hub.store.set(adaKey, value);
        const before = await hub.store.content();
        expect(await hub.supervisor.restore()).to.include({ servers: 0, ended: 0 });
        expect(hub.warnings.map(({ code }) => code)).to.deep.equal(['record-unusable']);
        expect(hub.warnings[0]?.message).to.include(JSON.stringify(adaKey));
        const error = await rejected(StartError, hub.start('ada'));
        expect(error.message).to.match(
          /^The store has this server already, and it can't be used: /,
        );
        expect(error.message).to.not.include('..');
        expect(error.retryable).to.equal(false);
        await hub.start('bob');
        await hub.supervisor.stop('bob');
        expect((await rejected(StopError, hub.supervisor.stop('ada'))).message).to.equal(
          error.message,
        );
        expect(await hub.store.content()).to.deep.equal(before);
      });
    }

    it('can be brought back when it is what it must be', async () => {
      const hub = new TestHub();
      await hub.store.set(adaKey, record);
      hub.cluster.add(record.state.tag, 'ada');
      expect(await hub.supervisor.restore()).to.include({ servers: 1 });
      expect(hub.servers).to.deep.equal(['ada/ ready']);
      expect(hub.supervisor.find('ada')?.requestedAt).to.deep.equal(new Date(record.requestedAt));
    });
  });

  describe('where it does not remove a record', () => {
    const failing = async () => {
      const hub = new TestHub();
      await hub.supervisor.restore();
      hub.cluster.before = (call) => {
        if (call === 'submit') throw new Error('no');
      };
      hub.store.before = (call) => {
        if (call === 'delete') throw new Error('locked');
      };
      await rejected(Error, hub.start('ada'));
      expect(hub.servers).to.deep.equal([]);
      expect(await hub.store.content()).to.have.keys(adaKey);
      hub.store.before = () => {};
      hub.cluster.before = () => {};
      return hub;
    };

    it('does so in a later round', async () => {
      const hub = await failing();
      await clock.tickAsync(33_000);
      expect(await hub.store.content()).to.deep.equal({});
    });

    it('does so before the hub ends', async () => {
      const hub = await failing();
      await hub.supervisor.close();
      const next = hub.next();
      await next.supervisor.restore();
      expect(next.servers).to.deep.equal([]);
    });

    it('keeps that of a server that is started anew', async () => {
      const hub = await failing();
      await hub.start('ada');
      await clock.tickAsync(33_000);
      expect(hub.servers).to.deep.equal(['ada/ ready']);
      expect(await hub.store.content()).to.have.keys(adaKey);
    });

    it('keeps that of one that is started while the others are removed', async () => {
      const hub = await failing();
      const users = Array.from({ length: 250 }, (_, index) => `user${index}`);
      hub.store.before = (call) => {
        if (call === 'delete') throw new Error('locked');
      };
      await Promise.all(users.map((user) => hub.start(user)));
      await Promise.all(users.map((user) => hub.supervisor.stop(user)));
      const last = users.at(-1) ?? '';
      let isStarted = false;
      hub.store.before = (call) => {
        if (call === 'delete' && !isStarted) {
          isStarted = true;
          void hub.start(last);
        }
      };
      await clock.tickAsync(33_000);
      expect(hub.servers).to.deep.equal([`${last}/ ready`]);
      expect(Object.keys(await hub.store.content())).to.have.length(1);
    });

    it('tells once that a removal does not come to an end', async () => {
      const hub = await failing();
      hub.warnings.length = 0;
      hub.store.before = () => new Promise(() => {});
      await clock.tickAsync(300_000);
      expect(hub.warnings).to.have.length(1);
    });

    it('removes it before it writes that of a server that is started anew', async () => {
      const hub = await failing();
      const gate = new Gate();
      hub.store.before = (call) => (call === 'delete' ? gate.opened : undefined);
      await clock.tickAsync(33_000);
      const starting = hub.start('ada');
      await settle();
      expect(hub.servers).to.deep.equal(['ada/ waiting']);
      gate.open();
      await starting;
      expect(await hub.store.content()).to.have.keys(adaKey);
    });
  });

  describe('where it does not answer any more', () => {
    const hanging = () => new Promise<never>(() => {});

    /** Begins a start, stops it, and gives the store all the time that it gets. */
    async function startedAndStopped(hub: TestHub): Promise<void> {
      const aborted = rejected(AbortError, hub.start('ada'));
      await settle();
      const stopped = hub.supervisor.stop('ada');
      await clock.tickAsync(15_000);
      await stopped;
      await aborted;
    }

    it('lets a start be stopped that it has not kept', async () => {
      const hub = new TestHub();
      await hub.supervisor.restore();
      hub.store.before = hanging;
      await startedAndStopped(hub);
      expect(hub.servers).to.deep.equal([]);
    });

    it('lets a start be stopped whose second record it has not kept, and another one begin', async () => {
      const hub = new TestHub({ startLimit: 1 });
      await hub.supervisor.restore();
      let sets = 0;
      hub.store.before = (call) => {
        sets += call === 'set' ? 1 : 0;
        return call === 'set' && sets === 2 ? hanging() : undefined;
      };
      await startedAndStopped(hub);
      expect(hub.cluster.calls.submit).to.equal(0);
      expect(await hub.start('bob')).to.include({ host: 'node1' });
      const again = hub.start('ada');
      await clock.tickAsync(120_000);
      expect(await again).to.include({ host: 'node1' });
      expect(hub.cluster.alive).to.have.length(2);
    });

    it('lets a server be stopped, and be started that is ready', async () => {
      const hub = new TestHub();
      hub.store.before = (_, value) =>
        JSON.stringify(value)?.includes('"ready"') ? hanging() : undefined;
      const starting = hub.start('ada');
      await clock.tickAsync(6000);
      expect(await starting).to.include({ host: 'node1' });
      hub.store.before = hanging;
      hub.cluster.end(crashed);
      const stopped = hub.supervisor.stop('ada');
      await clock.tickAsync(15_000);
      await stopped;
      expect(hub.servers).to.deep.equal([]);
      expect(hub.warnings.map(({ message }) => message)).to.include(
        'The store has not answered for 5 s: it goes on without it.',
      );
    });
  });

  it('is left to another hub that has it now, whatever the hub listens to', async () => {
    const hub = new TestHub();
    await hub.start('ada');
    hub.supervisor.removeAllListeners();
    hub.store.before = () => {
      throw new StoreError('It was taken over.', { isLost: true });
    };
    await rejected(StoreError, hub.start('bob'));
    await rejected(AbortError, hub.start('carol'));
    expect(hub.cluster.alive).to.have.length(1);
  });

  it('waits for nobody whose token does not come', async () => {
    const hub = new TestHub({ apiToken: () => 'a-token-of-ada' });
    await Promise.all([hub.start('ada'), hub.start('bob')]);
    await hub.supervisor.close();
    const apiToken = ({ user }: { readonly user: { readonly name: string } }) =>
      user.name === 'ada' ? new Promise<never>(() => {}) : 'a-token-of-bob';
    const next = hub.next({ apiToken });
    const restored = next.supervisor.restore();
    await clock.tickAsync(30_000);
    expect(await restored).to.include({ servers: 1 });
    expect(next.warnings[0]).to.include({ code: 'record-unusable' });
    expect(next.cluster.alive).to.have.length(2);
  });

  describe('where it can not be read', () => {
    it('is an error, and can be read again', async () => {
      const hub = new TestHub();
      await hub.start('ada');
      await hub.supervisor.close();
      const next = hub.next();
      next.store.before = (call) => {
        if (call === 'list') throw new Error('no route');
      };
      for (const attempt of [
        () => next.supervisor.restore(),
        () => next.start('ada'),
        () => next.supervisor.stop('ada'),
      ]) {
        const error = await rejected(StoreError, attempt());
        expect(error).to.include({ message: "The store can't be read: no route", retryable: true });
      }
      expect(next.servers).to.deep.equal([]);
      next.store.before = () => {};
      expect(await next.supervisor.restore()).to.include({ servers: 1 });
      expect(await next.start('ada')).to.include({ host: 'node1' });
      expect(next.cluster.launched).to.equal(1);
    });

    it('is read no more after the end of the hub', async () => {
      const hub = new TestHub();
      await hub.supervisor.close();
      await rejected(AbortError, hub.supervisor.restore());
      await rejected(AbortError, hub.start('ada'));
    });
  });
});
