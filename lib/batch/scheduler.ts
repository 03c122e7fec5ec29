import type { ExitCause, ExitStatus } from '../events.ts';
import type { BatchOptions } from '../generated/options.ts';
import type { OptionsSchema } from '../options.ts';
import { parseTemplate } from '../template.ts';
import { checkPatterns, hasMarks, rowReaders, stateReader } from './pattern-readers.ts';

/** What a job is doing, in words that all batch systems share. */
export type JobState =
  /** Waits, and may start by itself. */
  | 'pending'
  /** Waits, and does not start until someone acts. */
  | 'held'
  | 'running'
  /** Has been started, does not run just now, and is expected back. */
  | 'suspended'
  /** Is over and being cleaned up. */
  | 'completing'
  /** Is over. */
  | 'ended'
  /** Nobody can say; never an end by itself. */
  | 'unknown';

/** What a batch system says of one job. */
export interface JobStatus {
  /** As the submission gave it. */
  readonly id: string;
  /** What it is doing; `unknown` says nothing. */
  readonly state: JobState;
  /** The state in the batch system's own word. */
  readonly nativeState: string;
  /** Why it is in this state, as the batch system says it. */
  readonly reason?: string;
  /** The execution hosts, that of the script first. */
  readonly hosts?: readonly string[];
  /** How it ended, as far as it is known. */
  readonly exit?: ExitStatus;
  /** When it was put into the queue. */
  readonly submittedAt?: Date;
  /** When it began to run, the last time if it was put back into the queue. */
  readonly startedAt?: Date;
  /** Tells its runs apart: changes where it starts anew, and not before. Default: `startedAt`. */
  readonly run?: string;
  /** When a waiting job is expected to start. */
  readonly estimatedStart?: Date;
  /** When the walltime is over. */
  readonly endsAt?: Date;
}

/** What a native state means. */
export interface NativeState {
  /** In our words. */
  readonly state: JobState;
  /** For `ended`: why. */
  readonly cause?: ExitCause;
}

/** Native states and what they mean; a state that is not in it is `unknown`. */
export type StateTable = Readonly<Record<string, NativeState>>;

/** The jobs that a query listed. */
export interface QueryAnswer {
  /** Those that could be read. */
  readonly jobs: readonly JobStatus[];
  /** Whether all of the output could be read: only then is a job that is not in it not there. */
  readonly complete: boolean;
}

/** A job, and what it is marked with. */
export interface MarkedJob {
  /** As the submission gave it. */
  readonly id: string;
  /** The comment. */
  readonly tag: string;
  /** The name of the job. */
  readonly jobName: string;
  /** The account whose job it is, where the list holds the jobs of several. */
  readonly owner?: string;
  /** The state in the batch system's own word, where the list may hold jobs that have ended. */
  readonly nativeState?: string;
}

/** Jobs and what they are marked with. */
export interface MarkedJobs {
  /** Those that could be read. */
  readonly jobs: readonly MarkedJob[];
  /** Whether all of the output could be read. */
  readonly complete: boolean;
}

/** A command that says how one job ended. */
export interface AccountingSource {
  /** One word each, mustache templates with the names of the script and `jobId`. */
  readonly command: readonly string[];
  /** In what it says where it fails, or on standard error: the site does not have it, or no record of the job. */
  readonly absent?: RegExp;
  /**
   * Reads its output; undefined where that says nothing of the job.
   *
   * @throws ParseError
   */
  parse(
    stdout: string,
    job: { readonly id: string; readonly jobName: string },
    states: StateTable,
  ): JobStatus | undefined;
}

/** A command that says why a job does not run, for a batch system whose list does not say it. */
export interface Explanation {
  /** One word each, mustache templates with the names of the script and `jobId`. */
  readonly command: readonly string[];
  /** The reason in its output; undefined where there is none. */
  parse(stdout: string): string | undefined;
}

/** The commands of a batch system: one word each, mustache templates. A word that comes out empty is left out. */
export interface SchedulerCommands {
  /** Reads the script from standard input, marks the job with `tag` and `jobName`, prints its id. */
  readonly submit: readonly string[];
  /**
   * Lists all jobs of the cluster; it may use `cluster` and the names of `request`. One that uses
   * `jobId` is asked for each job by itself, as the account of the job.
   */
  readonly query: readonly string[];
  /**
   * Lists the jobs of all with their marks and owners: run as the hub's own account, one command for
   * all who look for a job at the same time. One that names what differs between jobs, such as
   * `username`, is run for each by itself, as that account. Where it is empty, a start fails whose
   * submission may have made a job or not: nobody could find out.
   *
   * `boundary` is another text for each command, which nobody can know before: it keeps apart what
   * others may have written into their jobs.
   */
  readonly find: readonly string[];
  /** Ends the job `jobId`, with time to end by itself. */
  readonly cancel: readonly string[];
  /** Kills the processes of the job `jobId`. */
  readonly kill: readonly string[];
}

/** How the output of commands is recognised. */
export interface SchedulerPatterns {
  /** A line of the output of `submit`; the group `id` is the job id, `cluster` the cluster. */
  readonly jobId: RegExp;
  /** On standard error: the command failed, whatever its exit code. */
  readonly outage: RegExp;
  /** On standard error or output of a command about one job that failed: there is no such job (any more). */
  readonly notFound: RegExp;
  /** On standard error of `submit`: the batch system was not there or not able; it may be later. */
  readonly transient: RegExp;
  /**
   * At the end of standard error of `submit`: the batch system's own word that it has made no job of
   * it, and why; no words that stand for a lost connection too. Default: there are none. It counts
   * where nobody can look whether there is a job.
   */
  readonly denied?: RegExp;
}

/** All that is particular to one batch system. */
export interface Scheduler {
  /** As in `slurm`: names it in saved states and logs; it must never change. */
  readonly name: string;
  /** The JSON Schema of the spawner's options. */
  readonly schema: OptionsSchema;
  /** Where the commands and states are described. */
  readonly manual: string;
  /** The job script: a mustache template; see `jobScript`. */
  readonly script: string;
  /**
   * Where the batch system reads no script, but a description of the job: what the submission gets
   * on standard input instead. It knows `scriptLine` too, the script as one line of text.
   */
  readonly description?: Description;
  /**
   * Who can see the environment that a job was submitted with: `private` is its owner and
   * administrators, and then it carries the environment of the server; otherwise a file does.
   */
  readonly jobEnvironment: 'private' | 'public';
  /** The most characters that the name of a job may have; at least 15. */
  readonly jobNameLength: number;
  /**
   * Writes `memLimit` for `request.memory`; `values` are those that templates know of the job. Default:
   * as in `512M`.
   */
  readonly memory?: (mebibytes: number, values: Readonly<Record<string, unknown>>) => string;
  /** Writes `request.runtime`. Default: as it was given. */
  readonly runtime?: (seconds: number) => string;
  /**
   * Names of `request` that only this batch system has. Those that the schema does not describe are
   * texts of one line, as in `{ ...slurm, requestNames: [...slurm.requestNames, 'feature'] }`.
   */
  readonly requestNames: readonly string[];
  /** Those names of `request` whose value is several words of the shell, divided by blanks. */
  readonly wordLists: readonly string[];
  /** Matches the beginning of a directive line of the script. */
  readonly directive: RegExp;
  /** Quotes a value for a directive line; throws a RangeError where that can't be done. */
  readonly directiveWord: (text: string) => string;
  /**
   * Matches a script that says itself whether the job may be put back into the queue. Where one of a
   * site's own does not, `once` is true in `submit`, for words that say that it may not. Elsewhere
   * they would outweigh what `request.options` ask for: arguments count more than directives.
   * Default: no script does.
   */
  readonly requeue?: RegExp;
  /** Names of the hub's own environment variables that the commands need, where they are set. */
  readonly environment: readonly string[];
  /** Matches names of environment variables that would change what the commands do. */
  readonly ownVariables: RegExp;
  /** Submit, query, find, cancel and kill. */
  readonly commands: SchedulerCommands;
  /** For the output of all commands. */
  readonly patterns: SchedulerPatterns;
  /** All states that its manual names. */
  readonly states: StateTable;
  /** What its words for why a job waits mean, as in `other jobs come first`. */
  readonly reasons?: Readonly<Record<string, string>>;
  /**
   * Reads the output of `query`. Spawners share one list where they read it by the same function.
   *
   * @param jobId where the query was about this job alone
   * @throws ParseError where it is not its output at all
   */
  parseQuery(stdout: string, states: StateTable, jobId?: string): QueryAnswer;
  /**
   * Reads the output of `find`, which is shared as that of `query` is.
   *
   * @param boundary of this output; '' where the command has none
   * @throws ParseError
   */
  parseFind(stdout: string, boundary?: string): MarkedJobs;
  /**
   * Whether a list of all jobs that failed, `query` or `find`, says that there are none. Default: a
   * command that fails says nothing.
   */
  listsNothing?(
    argv: readonly string[],
    output: { readonly stdout: string; readonly stderr: string },
  ): boolean;
  /** Asked about a job that waits and is listed without a reason. */
  readonly explanation?: Explanation;
  /** Asked in turn about a job that has ended, until one of them knows. */
  readonly accounting: readonly AccountingSource[];
  /**
   * In ms: how long a job may be in no list and no record after its end, before it counts as ended
   * for unknown reasons. Default: 10 s.
   */
  readonly accountingDelay?: number;
}

/** A description of a job, in the batch system's own language. */
export interface Description {
  /** A mustache template. */
  readonly template: string;
  /** Writes a value into it. Throws a RangeError, as `directiveWord` does, where that can't be done. */
  readonly value: (text: string) => string;
}

/** Whether a word of a command has the value of a name. */
export function uses(argv: readonly string[], option: string, name: string): boolean {
  return argv.some((word, index) => parseTemplate(word, `${option}[${index}]`).names.has(name));
}

/**
 * The scheduler with what the options replace of it.
 *
 * @throws OptionsError for patterns that lack a group, or that nothing is read with
 */
export function withOverrides(scheduler: Scheduler, options: BatchOptions): Scheduler {
  const { accounting, ...replaced } = options.commands;
  const commands = { ...scheduler.commands, ...replaced };
  checkPatterns(options, uses(commands.query, 'commands.query', 'jobId'));
  const {
    jobId,
    outage,
    transient,
    notFound,
    job: _,
    header: __,
    host,
    ...byState
  } = patternsOf(options);
  // Without a prototype, so that no word of its is a state.
  const states: StateTable = Object.assign(Object.create(null), scheduler.states, options.states);
  const { job, header } = options.patterns;
  const { denied } = scheduler.patterns;
  const rows = job === undefined ? undefined : rowReaders(job, header);
  const aboutOne = stateReader(byState, host);
  return {
    ...scheduler,
    script: options.script ?? scheduler.script,
    jobEnvironment: options.jobEnvironment ?? scheduler.jobEnvironment,
    requestNames: [...scheduler.requestNames, ...(options.requestNames ?? [])],
    directive:
      options.directive === undefined ? scheduler.directive : new RegExp(options.directive, 'u'),
    jobNameLength: options.jobNameLength ?? scheduler.jobNameLength,
    commands,
    patterns: {
      jobId: jobId ?? scheduler.patterns.jobId,
      outage: outage ?? scheduler.patterns.outage,
      transient: transient ?? scheduler.patterns.transient,
      notFound: notFound ?? scheduler.patterns.notFound,
      // What another command says may be about one of several tries.
      ...(denied !== undefined && options.commands.submit === undefined && { denied }),
    },
    states,
    ...(rows && { parseQuery: rows.parseQuery }),
    ...(rows && hasMarks(job) && { parseFind: rows.parseFind }),
    ...(aboutOne && { parseQuery: aboutOne }),
    accounting:
      accounting === undefined
        ? scheduler.accounting
        : scheduler.accounting
            .slice(0, accounting.length)
            .map((source, index) => ({ ...source, command: accounting[index] ?? source.command })),
  };
}

function patternsOf({
  patterns,
}: BatchOptions): Readonly<Partial<Record<keyof typeof patterns, RegExp>>> {
  return Object.fromEntries(
    Object.entries(patterns).map(([name, source]) => [name, new RegExp(source, 'mu')]),
  );
}

/** The job id and cluster in the output of a submission; undefined where there is not exactly one. */
export function jobIdIn(
  stdout: string,
  pattern: RegExp,
): { readonly id: string; readonly cluster?: string } | undefined {
  const found = new Map<string, string | undefined>();
  for (const line of stdout.split('\n')) {
    const groups = pattern.exec(line.trim())?.groups;
    if (groups?.['id'] !== undefined) {
      found.set(groups['id'], groups['cluster']);
    }
  }
  const [only] = found;
  if (only === undefined || found.size > 1) {
    return undefined;
  }
  const [id, cluster] = only;
  return cluster === undefined ? { id } : { id, cluster };
}
