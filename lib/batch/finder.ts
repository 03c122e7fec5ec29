import { randomBytes } from 'node:crypto';
import { SpawnerError } from '../errors.ts';
import { createLog } from '../log.ts';
import type { MarkedServer } from '../mark.ts';
import { serverOf } from '../mark.ts';
import type { CommandRunner, RunOptions } from '../runners/runner.ts';
import { failureOf, saysNothingListed } from './command.ts';
import type { MarkedJob, Scheduler } from './scheduler.ts';
import type { SharedAnswer } from './shared-query.ts';
import { identityOf, Shared, SharedQuery } from './shared-query.ts';

/** One list of jobs with their marks: what differs between finders. */
interface FindQuery {
  readonly scheduler: Pick<
    Scheduler,
    'listsNothing' | 'name' | 'parseFind' | 'patterns' | 'states'
  >;
  /** The command, with what `{{boundary}}` is in it. */
  readonly argv: (boundary: string) => readonly string[];
  readonly options: RunOptions;
  /** In ms: the least time between the beginnings of two commands. */
  readonly interval: number;
}

/** What a list has. */
interface FoundJobs extends SharedAnswer {
  /** Those that could be read, also where there is a `problem`. */
  readonly jobs: readonly MarkedJob[];
}

const log = createLog('finder');

const finders = new Shared<CommandRunner, JobFinder>();

/** By list and hub. */
const surveys = new Shared<FoundJobs, readonly MarkedServer[]>();

/** Lists jobs with their marks, for all who look for one at the same time. */
export class JobFinder {
  readonly #runner: CommandRunner;
  readonly #query: FindQuery;
  readonly #shared: SharedQuery<FoundJobs>;

  /** One that is nobody else's; see `of`. */
  constructor(runner: CommandRunner, query: FindQuery) {
    this.#runner = runner;
    this.#query = query;
    this.#shared = new SharedQuery((at) => this.#run(at), query.interval);
  }

  /** The finder that lists the same through this runner, at the shortest interval asked for. */
  static of(runner: CommandRunner, query: FindQuery): JobFinder {
    const { scheduler, argv, options, interval } = query;
    const { name, states, patterns, parseFind } = scheduler;
    const reader = identityOf(parseFind);
    const asked = [name, argv(''), options, states, String(patterns.outage), reader];
    const finder = finders.of(runner, JSON.stringify(asked), () => new JobFinder(runner, query));
    finder.#shared.atLeastEvery(interval);
    return finder;
  }

  /**
   * The answer to a command that has not begun yet, or began at `since` or later, in ms of
   * `performance.now()`.
   */
  find(since?: number): Promise<FoundJobs> {
    // One ms later than now: what a command of before does not list may have been made since.
    return this.#shared.answer(since ?? performance.now() + 1);
  }

  /** The servers of a hub that the list has, and whose owner it says; the same object for all. */
  async survey(hubId: string, since?: number): Promise<readonly MarkedServer[] | undefined> {
    const found = await this.find(since);
    return found.problem === undefined
      ? surveys.of(found, hubId, () => serversIn(found.jobs, this.#query.scheduler, hubId))
      : undefined;
  }

  /** One list. It does not throw: what goes wrong is the `problem` of its answer. */
  async #run(at: number): Promise<FoundJobs> {
    const { scheduler, options } = this.#query;
    const boundary = randomBytes(6).toString('hex');
    const argv = this.#query.argv(boundary);
    const [program = ''] = argv;
    const isBounded = argv.some((word) => word.includes(boundary));
    try {
      const result = await this.#runner.run(argv, options);
      const failure = failureOf(program, result, scheduler.patterns.outage);
      if (failure !== undefined) {
        const isEmpty = saysNothingListed(argv, result, scheduler);
        return { at, jobs: [], ...(!isEmpty && { problem: failure }) };
      }
      const { jobs, complete } = scheduler.parseFind(result.stdout, isBounded ? boundary : '');
      log('%s listed %d jobs with their marks', program, jobs.length);
      const problem = `${program} printed something that can't be read`;
      return { at, jobs, ...(!complete && { problem }) };
    } catch (error) {
      const problem = error instanceof SpawnerError ? error.message : String(error);
      log('%s failed: %s', program, problem);
      return { at, jobs: [], problem };
    }
  }
}

function serversIn(
  jobs: readonly MarkedJob[],
  { name, states }: Pick<Scheduler, 'name' | 'states'>,
  hubId: string,
): readonly MarkedServer[] {
  const submittedAt = new Date().toISOString();
  return jobs.flatMap(({ id, tag, jobName, owner, nativeState = '' }) => {
    const server = serverOf(tag, hubId);
    const native = Object.hasOwn(states, nativeState) ? states[nativeState]?.state : undefined;
    const isOver = native === 'ended' || native === 'completing';
    // Where nobody says whose job it is, anybody's may carry the mark of another's server.
    if (server === undefined || owner === undefined || isOver) {
      return [];
    }
    const state = {
      version: 1,
      spawner: name,
      tag,
      jobName,
      submittedAt,
      jobId: id,
      owner,
      found: true,
    } as const;
    return [{ ...server, id, tag, state }];
  });
}
