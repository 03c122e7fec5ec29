import { expect } from 'chai';
import type sinon from 'sinon';
import { CommandError } from '../../lib/errors.ts';
import type { ClusterCall } from '../helpers/test-cluster.ts';
import { fakeClock, TestHub } from '../helpers/test-hub.ts';
import { crashed } from '../helpers/test-spawner.ts';

/** How many turns of the microtask queue are tried: more than a start without I/O has. */
const most = 100;

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await null;
}

/** How the world behaves meanwhile. */
const worlds: Readonly<Record<string, (hub: TestHub) => void>> = {
  'at once': () => {},
  'with jobs that wait in the queue': ({ cluster }) => {
    cluster.queues = true;
  },
  'with servers that do not answer': ({ cluster }) => {
    cluster.answers = false;
  },
  'on a slow store': ({ store }) => {
    store.before = () => turns(5);
  },
  'on a slow cluster': ({ cluster }) => {
    cluster.before = () => turns(7);
  },
  'with submissions that fail although they have given a job': ({ cluster }) => {
    cluster.before = (call) => {
      if (call === 'submitted')
        throw new CommandError('Broken pipe.', { command: 'submit', retryable: true });
    };
  },
  'with submissions that fail at first': ({ cluster }) => {
    cluster.before = failingAtFirst(() => cluster.calls.submit, 'submit');
  },
  'with a cluster that cancels nothing at first': ({ cluster }) => {
    cluster.before = failingAtFirst(() => cluster.calls.cancel, 'cancel');
  },
};

function failingAtFirst(count: () => number, failing: ClusterCall): (call: ClusterCall) => void {
  return (call) => {
    if (call === failing && count() === 1)
      throw new CommandError('Not now.', { command: call, retryable: true });
  };
}

describe('At every moment of a start', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
  });
  afterEach(() => clock.restore());

  /** Begins one, and goes on to a moment of it. */
  async function begun(world: (hub: TestHub) => void, moment: number): Promise<TestHub> {
    const hub = new TestHub({ apiToken: () => turns(2).then(() => 'secret'), retryDelay: 1000 });
    await hub.supervisor.restore();
    world(hub);
    hub.start('ada').catch(() => {});
    await turns(moment);
    return hub;
  }

  /** The next hub has each job that lives, and no more than one of a server. */
  async function expectTakenOver(hub: TestHub, when: string): Promise<void> {
    const next = hub.next();
    next.cluster.queues = false;
    next.cluster.answers = true;
    await next.supervisor.restore();
    next.cluster.run();
    await clock.tickAsync(2000);
    const all = `${when}; then ${next.told.join(', ')}`;
    const tags = next.supervisor.list().map(({ spawner }) => spawner?.tag);
    expect(
      next.cluster.alive.map(({ tag }) => tag),
      all,
    ).to.deep.equal(tags);
    expect(next.servers, all).to.deep.equal(tags.map(() => 'ada/ ready'));
    expect(Object.keys(await next.store.content()), all).to.have.length(tags.length);
    expect(next.warnings, all).to.deep.equal([]);
    await next.supervisor.stop('ada');
    await expectNothing(next, all);
    await next.supervisor.close();
  }

  it('an end of the server is noticed, and nothing is left of it', async () => {
    for (let moment = 0; moment <= most; moment += 1) {
      const hub = new TestHub({ retries: 0, pollInterval: 1000 });
      await hub.supervisor.restore();
      hub.supervisor.on('progress', async ({ spawner }, { outcome }) => {
        if (outcome !== 'ready') return;
        await turns(moment);
        hub.cluster.end(crashed);
        await spawner?.poll();
      });
      hub.start('ada').catch(() => {});
      await clock.tickAsync(3000);
      const when = `after ${moment} turns: ${hub.told.join(', ')}`;
      expect(hub.servers, when).to.deep.equal([]);
      expect(hub.told, when).to.include.oneOf(['failed ada/', 'exited ada/']);
      expect(hub.told.at(-1), when).to.equal('removed ada/');
      await hub.supervisor.close();
    }
  });

  for (const [how, world] of Object.entries(worlds)) {
    describe(how, () => {
      it('a stop ends it, and leaves nothing', async () => {
        for (let moment = 0; moment <= most; moment += 1) {
          const hub = await begun(world, moment);
          let isOver = false;
          const over = () => {
            isOver = true;
          };
          hub.supervisor.stop('ada').then(over, over);
          await clock.tickAsync(0);
          const when = `after ${moment} turns: ${hub.told.join(', ')}`;
          expect(isOver, when).to.equal(true);
          // A stop that has failed is made up for in a later round.
          await clock.tickAsync(70_000);
          await expectNothing(hub, when);
          const stopped = hub.told.indexOf('status ada/ stopping');
          const after = stopped === -1 ? [] : hub.told.slice(stopped + 1);
          for (const status of ['waiting', 'starting', 'ready']) {
            expect(after, when).to.not.include(`status ada/ ${status}`);
          }
          expect(hub.told.at(-1), when).to.equal('removed ada/');
        }
      });

      it('a graceful end of the hub leaves what the next one knows', async () => {
        for (let moment = 0; moment <= most; moment += 1) {
          const hub = await begun(world, moment);
          const closing = hub.supervisor.close();
          await clock.tickAsync(0);
          await closing;
          const { launched } = hub.cluster;
          await clock.tickAsync(70_000);
          const when = `after ${moment} turns: ${hub.told.join(', ')}`;
          expect(hub.cluster.launched, when).to.equal(launched);
          await expectTakenOver(hub, when);
        }
      });

      it('an end of the hub by force leaves what the next one finds', async () => {
        for (let moment = 0; moment <= most; moment += 1) {
          const hub = await begun(world, moment);
          hub.kill();
          await clock.tickAsync(0);
          clock.reset();
          await expectTakenOver(hub, `after ${moment} turns: ${hub.told.join(', ')}`);
        }
      });

      it('an end of the hub by force during a stop leaves what the next one stops', async () => {
        for (let moment = 0; moment <= most; moment += 1) {
          const hub = await begun(world, 60);
          hub.supervisor.stop('ada').catch(() => {});
          await turns(moment);
          const wasKept = JSON.stringify(await hub.store.content()).includes('"stopping"');
          hub.kill();
          await clock.tickAsync(0);
          clock.reset();
          const when = `after ${moment} turns: ${hub.told.join(', ')}`;
          if (wasKept) {
            const next = hub.next();
            await next.supervisor.restore();
            await clock.tickAsync(0);
            await expectNothing(next, when);
            await next.supervisor.close();
          } else {
            await expectTakenOver(hub, when);
          }
        }
      });
    });
  }
});

async function expectNothing({ cluster, store, supervisor }: TestHub, when: string): Promise<void> {
  expect(cluster.alive, when).to.deep.equal([]);
  expect(supervisor.list(), when).to.deep.equal([]);
  expect(await store.content(), when).to.deep.equal({});
}
