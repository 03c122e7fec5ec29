import { expect } from 'chai';
import sinon from 'sinon';
import { randomFrom } from '../helpers/random.ts';
import { fakeClock, TestHub } from '../helpers/test-hub.ts';
import { crashed } from '../helpers/test-spawner.ts';

const users = ['ada', 'bob', 'carol', 'dora'];
const policies = {
  ...{ startLimit: 2, retryDelay: 1000, failurePause: 0, pollInterval: 10_000 },
  apiToken: async () => 'secret',
};

describe('Whatever happens in whatever order, a supervisor', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
  });
  afterEach(() => {
    sinon.restore();
    clock.restore();
  });

  /** The tags of the jobs of servers that somebody has. */
  const readyTags = ({ supervisor }: TestHub) =>
    supervisor
      .list()
      .flatMap(({ status, spawner }) => (status === 'ready' ? [spawner?.tag ?? ''] : []));

  for (let seed = 1; seed <= 60; seed += 1) {
    it(`loses nothing, and leaves nothing (${seed})`, async () => {
      const random = randomFrom(seed);
      sinon.stub(Math, 'random').callsFake(random);
      const below = (count: number) => Math.floor(random() * count);
      const story: string[] = [];
      let hub = new TestHub(policies);
      await hub.supervisor.restore();

      /** What a promise gives, which has to settle in time. */
      const settled = async (what: string, promise: Promise<unknown>) => {
        let isSettled = false;
        const settle = () => {
          isSettled = true;
        };
        promise.then(settle, settle);
        for (let second = 0; second < 60 && !isSettled; second += 1) await clock.tickAsync(1000);
        expect(isSettled, `${story.join('\n')}\n${what} does not end`).to.equal(true);
        await promise;
      };
      const replace = async (kills: boolean) => {
        // Whoever was asked to stop has begun to.
        for (let turn = 0; turn < 10; turn += 1) await null;
        const alive = hub.cluster.alive.map(({ tag }) => tag);
        const kept = Object.values(await hub.store.content()).map((record) =>
          JSON.stringify(record),
        );
        const isKept = (tag: string) =>
          kept.some((record) => record.includes(tag) && record.includes('"phase":"ready"'));
        const had = readyTags(hub).filter((tag) => alive.includes(tag) && isKept(tag));
        if (kills) {
          hub.kill();
          await clock.tickAsync(0);
        } else {
          // Whatever it waits for has to come to an end.
          hub.cluster.before = () => {};
          hub.store.before = () => {};
          await settled('close', hub.supervisor.close());
        }
        const { isUp } = hub.cluster;
        hub = hub.next(policies);
        hub.cluster.isUp = isUp;
        await settled('restore', hub.supervisor.restore());
        await clock.tickAsync(30_000);
        const left = hub.cluster.alive.map(({ tag }) => tag);
        expect(left, story.join('\n')).to.include.members(had);
      };
      const actions: Readonly<Record<string, () => unknown>> = {
        start: () => hub.start(users[below(4)] ?? '').catch(() => {}),
        'start again': () => hub.start(users[below(2)] ?? '').catch(() => {}),
        stop: () => hub.supervisor.stop(users[below(4)] ?? '').catch(() => {}),
        'stop now': () =>
          hub.supervisor.stop(users[below(4)] ?? '', '', { now: true }).catch(() => {}),
        crash: () => hub.cluster.end(crashed, hub.cluster.alive[below(4)]?.id),
        outage: () => {
          hub.cluster.isUp = !hub.cluster.isUp;
        },
        queue: () => {
          hub.cluster.queues = !hub.cluster.queues;
        },
        run: () => hub.cluster.run(),
        silence: () => {
          hub.cluster.answers = !hub.cluster.answers;
        },
        'broken store': () => {
          hub.store.before = (call) => call === 'list' || below(2) === 0;
        },
        'slow store': () => {
          hub.store.before = () => new Promise((resolve) => setTimeout(resolve, below(100)));
        },
        'good store': () => {
          hub.store.before = () => {};
        },
        'bad cluster': () => {
          hub.cluster.before = (call) => {
            if (below(3) === 0) throw new Error(`no ${call}`);
          };
        },
        'slow cluster': () => {
          hub.cluster.before = () => new Promise((resolve) => setTimeout(resolve, below(2000)));
        },
        'good cluster': () => {
          hub.cluster.before = () => {};
        },
      };
      const names = Object.keys(actions);
      for (let step = 0; step < 120; step += 1) {
        const chance = below(30);
        if (chance < 2) {
          story.push(chance === 0 ? 'kill' : 'close');
          await replace(chance === 0);
        } else if (chance < 12) {
          const time = below(2) * below(20_000);
          story.push(`${time} ms`);
          await clock.tickAsync(time);
        } else if (chance < 16) {
          for (let turn = below(30); turn > 0; turn -= 1) await null;
        } else {
          const name = names[below(names.length)] ?? '';
          story.push(name);
          void actions[name]?.();
        }
      }

      // All is well again.
      Object.assign(hub.cluster, { isUp: true, queues: false, answers: true, before: () => {} });
      hub.store.before = () => {};
      hub.cluster.run();
      await clock.tickAsync(200_000);
      const end = `${story.join('\n')}\n=> ${hub.servers.join(', ')}`;
      const tags = readyTags(hub);
      expect(hub.servers, end).to.deep.equal(
        hub.supervisor.list().map(({ user }) => `${user.name}/ ready`),
      );
      expect(
        hub.cluster.alive.map(({ tag }) => tag),
        end,
      ).to.have.members(tags);
      expect(Object.keys(await hub.store.content()), end).to.have.members(
        hub.supervisor.list().map(({ user }) => `hubspawner:${JSON.stringify([user.name, ''])}`),
      );
      // The next hub sees the same.
      await replace(true);
      expect(readyTags(hub), end).to.have.members(tags);
      for (const user of users) await settled('stop', hub.supervisor.stop(user));
      expect(hub.cluster.alive, end).to.deep.equal([]);
      expect(await hub.store.content(), end).to.deep.equal({});
      await hub.supervisor.close();
    });
  }
});
