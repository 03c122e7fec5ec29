import { expect } from 'chai';
import sinon from 'sinon';
import { AbortError } from '../../lib/errors.ts';
import type { ExitStatus } from '../../lib/events.ts';
import { Rounds } from '../../lib/supervisor/rounds.ts';
import { rejected } from '../helpers/errors.ts';
import { spawnersOf } from '../helpers/test-cluster.ts';
import { fakeClock, TestHub } from '../helpers/test-hub.ts';

describe('While a cluster does not answer', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
    sinon.stub(Math, 'random').returns(0.5);
  });
  afterEach(() => {
    sinon.restore();
    clock.restore();
  });
  const settle = () => clock.tickAsync(0);

  /** A hub whose spawners say when the cluster is away, and when it is back. */
  function talkative(): TestHub {
    const hub = new TestHub({ healthInterval: 0 });
    class TalkativeSpawner extends spawnersOf(hub.cluster) {
      #isAway = false;
      override async poll(): Promise<ExitStatus | null> {
        const exit = await super.poll();
        if (this.#isAway === this.cluster.isUp) {
          this.#isAway = !this.cluster.isUp;
          const code = this.#isAway ? 'status-unknown' : 'status-known';
          this.announce('warning', { code, message: '' });
        }
        return exit;
      }
    }
    hub.supervisor.register('talkative', TalkativeSpawner);
    return hub;
  }

  it('all servers are polled as soon as it has answered about one', async () => {
    const hub = talkative();
    await hub.start('ada', { spawner: 'talkative' });
    await hub.start('bob', { spawner: 'talkative' });
    await settle();
    hub.cluster.isUp = false;
    await clock.tickAsync(30_000);
    const codes = () => hub.warnings.map(({ code }) => code);
    expect(codes()).to.deep.equal(['status-unknown', 'status-unknown']);
    hub.cluster.isUp = true;
    await hub.supervisor.find('bob')?.spawner?.poll();
    await settle();
    expect(codes().slice(2)).to.deep.equal(['status-known', 'status-known']);
    const { query } = hub.cluster.calls;
    await clock.tickAsync(29_999);
    expect(hub.cluster.calls.query).to.equal(query);
    await clock.tickAsync(1);
    expect(hub.cluster.calls.query).to.equal(query + 2);
  });

  it('a hub is closed at once, and the next one goes on with its stops', async () => {
    const hub = talkative();
    class PatientSpawner extends spawnersOf(hub.cluster) {
      override stop(): Promise<void> {
        const { lettingGo } = this;
        return this.runStop(async () => {
          await new Promise<void>((resolve) => {
            lettingGo.addEventListener('abort', () => resolve(), { once: true });
          });
          throw lettingGo.reason;
        });
      }
    }
    hub.supervisor.register('patient', PatientSpawner);
    await hub.start('ada', { spawner: 'patient' });
    const stop = rejected(AbortError, hub.supervisor.stop('ada'));
    await settle();
    await hub.supervisor.close();
    await stop;
    expect(hub.warnings).to.deep.equal([]);
    expect(hub.told).to.include('status ada/ stopping').and.not.include('removed ada/');
    const next = hub.next();
    next.supervisor.register('patient', spawnersOf(next.cluster));
    await next.supervisor.restore();
    await settle();
    expect(next.told).to.include('exited ada/').and.include('removed ada/');
    expect(next.cluster.alive).to.deep.equal([]);
  });
});

describe('Rounds that are hurried', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = fakeClock();
    sinon.stub(Math, 'random').returns(0.5);
  });
  afterEach(() => {
    sinon.restore();
    clock.restore();
  });

  it('come at once, and the next one an interval later', async () => {
    const round = sinon.fake.resolves(undefined);
    const rounds = new Rounds(1000, round);
    rounds.hurry();
    expect(round.callCount).to.equal(0);
    rounds.start();
    rounds.hurry();
    expect(round.callCount).to.equal(1);
    await clock.tickAsync(999);
    expect(round.callCount).to.equal(1);
    await clock.tickAsync(1);
    expect(round.callCount).to.equal(2);
    rounds.stop();
    rounds.hurry();
    expect(round.callCount).to.equal(2);
  });

  it('come once more after one that is under way, and not for ever', async () => {
    const rounds: Rounds = new Rounds(1000, async () => {
      round();
      rounds.hurry();
      rounds.hurry();
    });
    const round = sinon.fake();
    rounds.start();
    await clock.tickAsync(1000);
    expect(round.callCount).to.equal(2);
    await clock.tickAsync(999);
    expect(round.callCount).to.equal(2);
    rounds.stop();
  });
});
