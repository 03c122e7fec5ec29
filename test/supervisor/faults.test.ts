import { expect } from 'chai';
import type { ServerAddress } from '../../lib/index.ts';
import { MemoryStore, SpawnerError } from '../../lib/index.ts';
import type { FaultPlan } from '../helpers/faults.ts';
import { faults } from '../helpers/faults.ts';
import type { Ground } from '../helpers/ground.ts';
import { grounds } from '../helpers/ground.ts';
import { HubLife, keysOf, useTime } from '../helpers/hub-life.ts';

/** In ms: what is to come to an end has come to it by then. */
const longest = 1_800_000;

/** In ms: two rounds of the supervisor. */
const rounds = 25_000;

/** The most commands that a start and a stop may take more than without a fault. */
const mostMore = 60;

describe('A start and a stop by a Supervisor, where a command goes wrong', () => {
  const time = useTime();

  /** Starts a server, waits, and stops it. Returns what is not as it has to be, and the commands. */
  async function startAndStop(makeGround: () => Ground, plan?: FaultPlan) {
    const problems: string[] = [];
    const ground = makeGround();
    const store = new MemoryStore();
    const { supervisor, commands, warnings } = new HubLife(ground, store, plan && { plan });
    const check = (isSo: boolean, problem: string) => {
      if (!isSo) problems.push(problem);
    };
    const isGone = () => supervisor.list().length === 0;

    let outcome: { readonly address: ServerAddress } | { readonly error: unknown } | undefined;
    void supervisor.start({ user: 'alice' }).then(
      (address) => {
        outcome = { address };
      },
      (error: unknown) => {
        outcome = { error };
      },
    );
    check(await time.until(() => outcome !== undefined, longest), 'the start did not settle');
    if (outcome === undefined || 'error' in outcome) {
      check(outcome?.error instanceof SpawnerError, `the start threw ${outcome?.error}`);
      check(await time.until(isGone, longest), 'a start that failed is still there');
      await time.pass(rounds);
      check(ground.alive.length === 0, `a start that failed has left ${ground.alive}`);
    } else {
      await time.pass(rounds);
      const server = supervisor.find('alice');
      const state = Object.values(server?.spawner?.getState() ?? {});
      check(server?.status === 'ready', `a server that was ready is ${server?.status}`);
      check(ground.alive.length === 1, `${ground.alive.length} live of one server`);
      check(
        ground.alive.every((id) => state.includes(id)),
        'another lives than is known',
      );
    }

    let settled = false;
    const settle = () => {
      settled = true;
    };
    supervisor.stop('alice').then(settle, settle);
    check(await time.until(() => settled && isGone(), longest), 'the stop did not come to an end');
    await time.pass(rounds);
    check((await keysOf(store)).length === 0, 'the store is not empty');
    check(ground.alive.length === 0, `the stop has left ${ground.alive}`);
    // What can't be removed however often it is tried is told of.
    const told = (file: string) => warnings.some((warning) => warning.includes(file));
    const left = ground.files.filter((file) => plan?.times === 1 || !told(file));
    check(left.length === 0, `left are ${left}`);
    check(ground.most <= 1, `${ground.most} lived at once`);
    check(await time.settled(supervisor.close(), longest), 'the end of the hub did not come');
    const isReady = outcome !== undefined && 'address' in outcome;
    return { problems, commands, isReady };
  }

  /** Those of a start and a stop where nothing goes wrong. */
  async function commandsOf(makeGround: () => Ground): Promise<readonly string[]> {
    const { problems, commands, isReady } = await startAndStop(makeGround);
    expect(problems).to.deep.equal([]);
    expect(isReady).to.equal(true);
    return commands;
  }

  for (const [index, [name, makeGround]] of Object.entries(grounds).entries()) {
    describe(`by ${name}`, () => {
      let commands: readonly string[];
      beforeEach(async () => {
        commands ??= await commandsOf(makeGround);
      });

      for (const times of index < 3 ? [1, 3] : [1]) {
        for (const fault of faults) {
          it(`that ${fault.name}${times === 1 ? '' : `, and ${times - 1} after it`}`, async () => {
            const problems: string[] = [];
            for (let from = 1; from <= commands.length; from += 1) {
              const run = await startAndStop(makeGround, { fault, from, times });
              if (run.commands.length > commands.length + mostMore) {
                run.problems.push(`it took ${run.commands.length} commands`);
              }
              problems.push(
                ...run.problems.map(
                  (problem) => `command ${from} (${run.commands[from - 1]}): ${problem}`,
                ),
              );
            }
            expect(problems).to.deep.equal([]);
          });
        }
      }
    });
  }
});
