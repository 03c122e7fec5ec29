import { expect } from 'chai';
import { MemoryStore } from '../../lib/index.ts';
import type { FaultPlan } from '../helpers/faults.ts';
import { faults } from '../helpers/faults.ts';
import type { Ground } from '../helpers/ground.ts';
import { grounds } from '../helpers/ground.ts';
import type { Crash } from '../helpers/hub-life.ts';
import { HubLife, keysOf, phasesIn, useTime } from '../helpers/hub-life.ts';

/** In ms: what is to come to an end has come to it by then. */
const longest = 1_800_000;

/** In ms: two rounds of the supervisor. */
const rounds = 25_000;

describe('A hub that ends at any step of a start and a stop', () => {
  const time = useTime();

  /** Starts a server, waits, and stops it, as far as the hub comes. */
  async function liveOn(hub: HubLife): Promise<void> {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    hub.supervisor.start({ user: 'alice' }).then(settle, settle);
    await time.until(() => settled || hub.isOver, longest);
    await time.until(() => hub.isOver, rounds);
    settled = false;
    hub.supervisor.stop('alice').then(settle, settle);
    await time.until(() => settled || hub.isOver, longest);
  }

  async function stepsOf(makeGround: () => Ground): Promise<number> {
    const hub = new HubLife(makeGround(), new MemoryStore());
    let isReady = false;
    hub.supervisor.on('ready', () => {
      isReady = true;
    });
    await liveOn(hub);
    expect(isReady).to.equal(true);
    await time.settled(hub.supervisor.close(), longest);
    return hub.steps.length;
  }

  /** Returns what is not as it has to be after the next hub has come, and what the crash was. */
  async function crashAndRestore(
    makeGround: () => Ground,
    crash: Crash,
    { pause = 0, plan }: { readonly pause?: number; readonly plan?: FaultPlan } = {},
  ) {
    const problems: string[] = [];
    const check = (isSo: boolean, problem: string) => {
      if (!isSo) problems.push(problem);
    };
    const ground = makeGround();
    const store = new MemoryStore();
    const first = new HubLife(ground, store, { crash });
    await liveOn(first);
    ground.hub = undefined;
    const [phase = 'none'] = await phasesIn(store);
    const situation = `${phase}, ${ground.alive.length} there`;
    await time.pass(pause);

    const { supervisor, commands, warnings } = new HubLife(ground, store, plan && { plan });
    let isRestored = false;
    const isSettled = () =>
      isRestored && supervisor.list().every(({ status }) => status === 'ready');
    void supervisor.restore().then(() => {
      isRestored = true;
    });
    check(await time.until(isSettled, longest), 'what was under way did not come to an end');
    await time.pass(rounds);
    const [server] = supervisor.list();
    const state = Object.values(server?.spawner?.getState() ?? {});
    const { alive } = ground;
    check(alive.length === supervisor.list().length, `${alive.length} live of one server`);
    check(
      alive.every((id) => state.includes(id)),
      `nobody knows of ${alive}`,
    );
    check(phase !== 'ready' || server?.status === 'ready', 'a server that was ready is lost');
    check(phase !== 'stopping' || server === undefined, 'a server lives that was being stopped');

    let settled = false;
    const settle = () => {
      settled = true;
    };
    supervisor.stop('alice').then(settle, settle);
    const isOver = () => settled && supervisor.list().length === 0;
    check(await time.until(isOver, longest), 'the stop did not come to an end');
    await time.pass(rounds);
    check((await keysOf(store)).length === 0, 'the store is not empty');
    check(ground.alive.length === 0, `the stop has left ${ground.alive}`);
    check(ground.files.length === 0, `left are ${ground.files}`);
    check(ground.most <= 1, `${ground.most} lived at once`);
    check(warnings.length === 0 || plan !== undefined, `warnings: ${warnings}`);
    check(await time.settled(supervisor.close(), longest), 'the end of the hub did not come');
    const [moment, what] = [crash.isDone ? 'after' : 'before', first.steps[crash.step - 1]];
    const told = problems.map((problem) => `${moment} step ${crash.step} (${what}): ${problem}`);
    return { problems: told, situation, commands };
  }

  for (const [index, [name, makeGround]] of Object.entries(grounds).entries()) {
    describe(`by ${name}`, () => {
      for (const pause of index < 3 ? [0, 60_000] : [0]) {
        it(`loses and doubles nothing if the next one comes ${pause === 0 ? 'at once' : 'later'}`, async () => {
          const problems: string[] = [];
          const steps = await stepsOf(makeGround);
          for (let step = 1; step <= steps; step += 1) {
            for (const isDone of [false, true]) {
              const run = await crashAndRestore(makeGround, { step, isDone }, { pause });
              problems.push(...run.problems);
            }
          }
          expect(problems).to.deep.equal([]);
        });
      }
    });
  }

  for (const name of ['SlurmSpawner', 'SystemdSpawner']) {
    describe(`by ${name}, and its successor meets a command`, () => {
      const makeGround = grounds[name] ?? expect.fail(`There is no ${name}.`);
      /** One crash of each situation in which a job or unit is there. */
      const crashes = new Map<string, Crash>();

      beforeEach(async () => {
        const steps = crashes.size > 0 ? 0 : await stepsOf(makeGround);
        for (let step = 1; step <= steps; step += 1) {
          const crash = { step, isDone: true };
          const { situation } = await crashAndRestore(makeGround, crash);
          if (situation.endsWith('1 there') && !crashes.has(situation)) {
            crashes.set(situation, crash);
          }
        }
        expect([...crashes.keys()]).to.have.members([
          'starting, 1 there',
          'ready, 1 there',
          'stopping, 1 there',
        ]);
      });

      for (const fault of faults) {
        it(`that ${fault.name}`, async () => {
          const problems: string[] = [];
          for (const [situation, crash] of crashes) {
            const { commands } = await crashAndRestore(makeGround, crash);
            for (let from = 1; from <= commands.length; from += 1) {
              const plan = { fault, from, times: 1 };
              const run = await crashAndRestore(makeGround, crash, { plan });
              problems.push(
                ...run.problems.map(
                  (problem) => `${situation}, command ${from} (${commands[from - 1]}): ${problem}`,
                ),
              );
            }
          }
          expect(problems).to.deep.equal([]);
        });
      }
    });
  }
});
