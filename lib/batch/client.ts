import { CommandError, ParseError } from '../errors.ts';
import type { BatchOptions } from '../generated/options.ts';
import { insist } from '../insist.ts';
import { createLog } from '../log.ts';
import type { MarkedServer } from '../mark.ts';
import { endOfLog } from '../runners/log-tail.ts';
import { passwdEntry } from '../runners/passwd.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../runners/runner.ts';
import { commandError, failureOf, ifReadable, isCut, saysNotFound } from './command.ts';
import { JobFinder } from './finder.ts';
import { limiterOf } from './limiter.ts';
import type { EnvironmentFile, JobFacts, JobTemplates, PreparedJob } from './request.ts';
import type { JobStatus, MarkedJob, Scheduler } from './scheduler.ts';
import { jobIdIn } from './scheduler.ts';

/**
 * Why it is not certain what came of a submission: the batch system was not there or not able, or
 * it said yes without a readable job id, or the command failed. With `denied` it is certain, in the
 * batch system's own words, that this submission has made no job.
 */
export type Doubt = 'transient' | 'unreadable' | 'refused' | 'denied';

/** What came of a submission. Whatever the doubt, but for `denied`, the job may exist. */
export type Submission =
  | {
      readonly kind: 'accepted';
      readonly id: string;
      readonly cluster?: string;
      /** The line of the id has no end: it may be the beginning of another. */
      readonly mayBeCut: boolean;
    }
  | {
      readonly kind: 'doubtful';
      readonly doubt: Doubt;
      readonly error: CommandError | ParseError;
    };

/** What came of the wish to end a job; `gone`: the batch system says that there is no such job. */
export type Cancellation =
  | { readonly kind: 'accepted' | 'gone' }
  | { readonly kind: 'failed'; readonly problem: string };

/** What accounting says of a job that the queue does not list. */
export type Account =
  | { readonly kind: 'listed'; readonly status: JobStatus }
  /** The batch system says that it has no such job. */
  | { readonly kind: 'gone' }
  /** No source knows the job. `answered`: one of them has such records, and could be read. */
  | { readonly kind: 'silent'; readonly answered: boolean }
  | { readonly kind: 'unknown'; readonly problem: string };

/** In ms: the time limit of the small commands that are no batch system's. */
const shortTimeout = 10_000;

/** What these commands print is no batch system's. */
const never = /(?!)/;

/** The new file takes the place of the old one at once, and follows no link that lies there. */
const writeFile =
  'umask 077 && rm -f -- "$1.new" && set -C && cat >"$1.new" && mv -f -- "$1.new" "$1"';

const log = createLog('batch');

/** Runs the commands of a batch system for the jobs of one account. */
export class JobClient {
  readonly #runner: CommandRunner;
  readonly #scheduler: Scheduler;
  readonly #templates: JobTemplates;
  readonly #options: RunOptions;
  /** In ms: the least time between two lists of the same jobs. */
  readonly #interval: number;

  constructor(
    runner: CommandRunner,
    scheduler: Scheduler,
    templates: JobTemplates,
    account: string,
    { commandTimeout, queryInterval }: BatchOptions,
    env: Readonly<Record<string, string>>,
  ) {
    this.#runner = runner;
    this.#scheduler = scheduler;
    this.#templates = templates;
    this.#options = { user: account, env, timeout: commandTimeout };
    this.#interval = queryInterval;
  }

  /**
   * Submits once. It is not aborted half-way: that would leave a job whose id nobody knows.
   *
   * @throws CommandError where the command could not be run at all: then there is no job
   */
  async submit({ input, argv, env }: PreparedJob): Promise<Submission> {
    const { transient, denied, outage, jobId } = this.#scheduler.patterns;
    const [program = ''] = argv;
    const result = await this.#run(argv, { env, input });
    if (result.exitCode === 0 && !result.timedOut) {
      const accepted = jobIdIn(result.stdout, jobId);
      if (accepted !== undefined) {
        log('%s accepted job %s', program, accepted.id);
        return { kind: 'accepted', ...accepted, mayBeCut: !result.stdout.endsWith('\n') };
      }
    }
    const failure = failureOf(program, result, outage);
    if (failure === undefined || (result.exitCode === 0 && !result.timedOut)) {
      const printed = JSON.stringify(result.stdout.slice(0, 300));
      return {
        kind: 'doubtful',
        doubt: 'unreadable',
        error: new ParseError(
          `The output of ${program} holds no job id, or several: ${printed}.`,
          `${result.stdout}${result.stderr}`,
        ),
      };
    }
    const away = result.timedOut || result.signal !== null || transient.test(result.stderr);
    const isDenied = result.truncated !== true && denied?.test(result.stderr.trimEnd()) === true;
    return {
      kind: 'doubtful',
      doubt: away ? 'transient' : isDenied ? 'denied' : 'refused',
      error: commandError(`The job was not accepted: ${failure}`, program, result, away),
    };
  }

  /** Whether there is a command that finds a job by its mark. */
  get canFind(): boolean {
    return this.#scheduler.commands.find.length > 0;
  }

  /** The jobs that carry a mark, the oldest first; undefined where there is no usable answer. */
  async find(facts: JobFacts): Promise<readonly MarkedJob[] | undefined> {
    if (!this.canFind) {
      return [];
    }
    const { findsAll } = this.#templates;
    const found = await this.#marked(facts, this.#finder(facts, findsAll));
    // A job that is hidden from the hub's account is not from its owner's.
    return findsAll && found?.length === 0
      ? this.#marked(facts, this.#finder(facts, false))
      : found;
  }

  async #marked(
    { mark: { tag, jobName }, username }: JobFacts,
    finder: JobFinder,
  ): Promise<readonly MarkedJob[] | undefined> {
    const { jobs, problem } = await finder.find();
    const marked = jobs
      .filter(({ owner = username }) => owner === username)
      .filter((job) => job.tag === tag || job.jobName === jobName)
      .sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }));
    return problem === undefined || marked.length > 0 ? marked : undefined;
  }

  /**
   * The jobs that carry marks of a hub; undefined where there is no usable answer, none where there
   * is no list of the jobs of all.
   *
   * @param since see `JobFinder.find`
   */
  async survey(hubId: string, since?: number): Promise<readonly MarkedServer[] | undefined> {
    if (!this.canFind || !this.#templates.findsAll) {
      return [];
    }
    const nobody = { mark: { tag: '', jobName: '' }, username: '', homedir: '' };
    return this.#finder(nobody, true).survey(hubId, since);
  }

  /** @param isShared whether it asks for all, as the hub's account, or as the account of the job */
  #finder(facts: JobFacts, isShared: boolean): JobFinder {
    const { user: _, ...shared } = this.#options;
    const query = {
      scheduler: this.#scheduler,
      argv: (boundary: string) => this.#templates.find(facts, boundary),
      options: isShared ? shared : this.#options,
      interval: this.#interval,
    };
    return isShared ? JobFinder.of(this.#runner, query) : new JobFinder(this.#runner, query);
  }

  /** Cancels a job, or kills its processes. */
  end(how: 'cancel' | 'kill', facts: JobFacts): Promise<Cancellation> {
    return limiterOf(this.#runner, 'end').run(() => this.#end(how, facts));
  }

  async #end(how: 'cancel' | 'kill', facts: JobFacts): Promise<Cancellation> {
    const argv = this.#templates.argv(how, facts);
    const { patterns } = this.#scheduler;
    try {
      const result = await this.#run(argv);
      const failure = failureOf(argv[0] ?? '', result, patterns.outage);
      if (failure === undefined) {
        return { kind: 'accepted' };
      }
      return saysNotFound(result, patterns, facts.jobId)
        ? { kind: 'gone' }
        : { kind: 'failed', problem: failure };
    } catch (error) {
      if (error instanceof CommandError) {
        return { kind: 'failed', problem: error.message };
      }
      throw error;
    }
  }

  /** Asks accounting about a job; the first source that knows how it ended decides. */
  account(facts: JobFacts): Promise<Account> {
    return limiterOf(this.#runner).run(() => this.#account(facts));
  }

  async #account(facts: JobFacts): Promise<Account> {
    let alive: JobStatus | undefined;
    let gone = false;
    let answered = false;
    let problem: string | undefined;
    for (const [index, argv] of this.#templates.accounting(facts).entries()) {
      const account = await this.#askSource(index, argv, facts);
      if (account.kind === 'listed' && account.status.state === 'ended') {
        return account;
      }
      alive ??= account.kind === 'listed' ? account.status : undefined;
      gone ||= account.kind === 'gone';
      answered ||= account.kind === 'silent' && account.answered;
      problem ??= account.kind === 'unknown' ? account.problem : undefined;
    }
    // What says that there is no such job is the batch system itself; records may be behind.
    if (gone) {
      return { kind: 'gone' };
    }
    if (alive !== undefined) {
      return { kind: 'listed', status: alive };
    }
    return problem === undefined ? { kind: 'silent', answered } : { kind: 'unknown', problem };
  }

  async #askSource(index: number, argv: readonly string[], facts: JobFacts): Promise<Account> {
    const { accounting, patterns, states } = this.#scheduler;
    const source = accounting[index];
    const job = { id: facts.jobId ?? '', jobName: facts.mark.jobName };
    try {
      const result = await this.#run(argv);
      const failure = failureOf(argv[0] ?? '', result, patterns.outage);
      // What a command that succeeds prints may be anybody's words.
      const said = failure === undefined ? result.stderr : `${result.stderr}\n${result.stdout}`;
      if (source?.absent?.test(said) === true && !isCut(result)) {
        return { kind: 'silent', answered: false };
      }
      const read = () => source?.parse(result.stdout, job, states);
      if (failure === undefined) {
        const status = read();
        return status === undefined
          ? { kind: 'silent', answered: true }
          : { kind: 'listed', status };
      }
      if (saysNotFound(result, patterns, facts.jobId)) {
        const status = ifReadable(read);
        return status === undefined || status.state === 'unknown'
          ? { kind: 'gone' }
          : { kind: 'listed', status };
      }
      return { kind: 'unknown', problem: failure };
    } catch (error) {
      if (error instanceof CommandError || error instanceof ParseError) {
        return { kind: 'unknown', problem: error.message };
      }
      throw error;
    }
  }

  /** Why a job waits, where there is a command that says it, and it does. */
  async explain(facts: JobFacts): Promise<string | undefined> {
    const argv = this.#templates.explanation(facts);
    if (argv === undefined) {
      return undefined;
    }
    try {
      const result = await limiterOf(this.#runner).run(() => this.#run(argv));
      const failure = failureOf(argv[0] ?? '', result, this.#scheduler.patterns.outage);
      return failure === undefined ? this.#scheduler.explanation?.parse(result.stdout) : undefined;
    } catch (error) {
      if (error instanceof CommandError || error instanceof ParseError) {
        return undefined;
      }
      throw error;
    }
  }

  /**
   * Writes the file that carries the environment of the server, as its account; nobody else can read
   * it, and who reads it sees all of it or none.
   *
   * @throws CommandError
   */
  async writeEnvironment({ path, text }: EnvironmentFile): Promise<void> {
    const argv = ['/bin/sh', '-c', writeFile, 'sh', path];
    const result = await this.#run(argv, { input: text, timeout: shortTimeout });
    const failure = failureOf('sh', result, never);
    if (failure !== undefined) {
      await this.removeEnvironment(path);
      throw commandError(
        `The file ${path}, which carries the environment of the server to its job, could not be written: ${failure}`,
        'sh',
        result,
      );
    }
  }

  /** Removes that file, if it is still there. Returns why that failed, if it did, time and again. */
  async removeEnvironment(path: string): Promise<string | undefined> {
    const argv = ['rm', '-f', '--', path, `${path}.new`];
    try {
      await insist(async () => {
        const result = await this.#run(argv, { timeout: shortTimeout });
        const failure = failureOf('rm', result, never);
        if (failure !== undefined) {
          throw commandError(failure, 'rm', result);
        }
      });
      return undefined;
    } catch (error) {
      if (error instanceof CommandError) {
        return error.message;
      }
      throw error;
    }
  }

  /** The end of a job's log, without the server's secret; undefined where it can't be read. */
  logTail(file: string, secret: string | undefined, lines?: number): Promise<string | undefined> {
    const options = { ...this.#options, timeout: shortTimeout };
    return endOfLog(this.#runner, [], file, secret, options, lines);
  }

  /**
   * The home directory of an account, from the account database of the machine on which the
   * commands run.
   *
   * @throws StartError if there is no such account
   */
  async homedir(username: string): Promise<string> {
    const options = { env: this.#options.env ?? {}, timeout: shortTimeout };
    return (await passwdEntry(this.#runner, username, options)).home;
  }

  #run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    return this.#runner.run(argv, { ...this.#options, ...options });
  }
}
