import { isPort } from '../address.ts';
import { StartError, StateError } from '../errors.ts';
import type { Submitted } from '../events.ts';
import type { StartMark } from '../mark.ts';
import type { Json } from '../state.ts';
import type { JobFacts } from './request.ts';

/** The one job of a spawner. A new object for each change. */
export interface Job extends StartMark {
  /** In ms of `Date.now()`. */
  readonly submittedAt: number;
  /** Undefined from before the submission until its outcome is known. */
  readonly id?: string;
  readonly cluster?: string;
  /** The port that the job has reported, from then on. */
  readonly port?: number;
  /** When the walltime is over, in ms of `Date.now()`. */
  readonly endsAt?: number;
  /** It was suspended in its run: when the walltime is over is not known any more. */
  readonly wasSuspended?: boolean;
  /** Tells the runs of the job apart: it changes where the job starts anew. */
  readonly run?: string;
  /** The server was ready, and its job has started anew or is about to. */
  readonly moving?: boolean;
  /** The file with the environment of the server, as long as it may be there. */
  readonly environmentFile?: string;
  /** The file that takes what the job prints. */
  readonly logFile?: string;
  /** It was found by its mark: when it was submitted is not known. */
  readonly found?: boolean;
}

/** A job whose id is known. */
export type SubmittedJob = Job & { readonly id: string };

export function isSubmitted(job: Job): job is SubmittedJob {
  return job.id !== undefined;
}

/** The spawner was told to forget its job (`clearState`) in the middle of a start. */
export function jobLost(): StartError {
  return new StartError('The state of the spawner was cleared while it was starting a server.');
}

/** Holds the job of a spawner, and tells of each change. */
export class JobSlot {
  readonly #who: Pick<JobFacts, 'username' | 'homedir'>;
  readonly #changed: () => void;
  readonly #submitted: (submitted: Submitted) => void;
  #job: Job | undefined;

  constructor(
    who: Pick<JobFacts, 'username' | 'homedir'>,
    changed: () => void,
    submitted: (submitted: Submitted) => void,
  ) {
    this.#who = who;
    this.#changed = changed;
    this.#submitted = submitted;
  }

  get job(): Job | undefined {
    return this.#job;
  }

  /** The job, where there must be one. Throws a StartError if there is none. */
  get required(): Job {
    if (this.#job === undefined) {
      throw jobLost();
    }
    return this.#job;
  }

  /** Takes a job, or none, without telling. */
  load(job: Job | undefined): void {
    this.#job = job;
  }

  set(job: Job | undefined): void {
    this.#job = job;
    this.#changed();
  }

  /** The submission has given an id; one that was found by its mark was submitted earlier. */
  submitted(id: string, cluster: string | undefined, at = Date.now()): SubmittedJob {
    const where = { id, ...(cluster !== undefined && { cluster }) };
    const job = { ...this.required, ...where, submittedAt: at };
    this.set(job);
    this.#submitted(where);
    return job;
  }

  /** The job waits once more, as after its submission: it is told of as it was then. */
  queuedAgain(): void {
    const { id, cluster } = this.required;
    if (id !== undefined) {
      this.#submitted({ id, ...(cluster !== undefined && { cluster }) });
    }
  }

  /** What the templates are told of a job. */
  facts(job: Job): JobFacts {
    return { ...this.#who, mark: job, jobId: job.id, cluster: job.cluster };
  }
}

/** The fields of a saved state; times as ISO 8601. */
export function saveJob({
  tag,
  jobName,
  submittedAt,
  id,
  cluster,
  port,
  endsAt,
  wasSuspended,
  run,
  moving,
  environmentFile,
  logFile,
  found,
}: Job): Record<string, Json> {
  return {
    tag,
    jobName,
    submittedAt: new Date(submittedAt).toISOString(),
    ...(id !== undefined && { jobId: id }),
    ...(cluster !== undefined && { cluster }),
    ...(port !== undefined && { reportedPort: port }),
    ...(endsAt !== undefined && { endsAt: new Date(endsAt).toISOString() }),
    ...(wasSuspended === true && { wasSuspended }),
    ...(run !== undefined && { run }),
    ...(moving === true && { moving }),
    ...(environmentFile !== undefined && { environmentFile }),
    ...(logFile !== undefined && { logFile }),
    ...(found === true && { found }),
  };
}

/**
 * The job of a saved state; undefined where it had none.
 *
 * @param account that the spawner's jobs run as
 * @throws StateError for a field that is not right, and for a job of another account
 */
export function loadJob(
  fields: Readonly<Record<string, unknown>>,
  account: string,
): Job | undefined {
  const tag = text(fields, 'tag');
  const jobName = text(fields, 'jobName');
  const submittedAt = time(fields, 'submittedAt');
  const id = text(fields, 'jobId');
  const cluster = text(fields, 'cluster');
  const port = fields['reportedPort'];
  const endsAt = time(fields, 'endsAt');
  const run = text(fields, 'run');
  const environmentFile = text(fields, 'environmentFile');
  const logFile = text(fields, 'logFile');
  const owner = text(fields, 'owner');
  if (tag === undefined && jobName === undefined && id === undefined) {
    return undefined;
  }
  if (tag === undefined || jobName === undefined || submittedAt === undefined) {
    throw new StateError('The saved state has a job, but not all of tag, jobName and submittedAt.');
  }
  // Whoever may submit jobs can give one the mark of anybody's server.
  if (owner !== undefined && owner !== account) {
    throw new StateError(
      `The job of the saved state is one of the account ${owner}, and not of ${account}, as which the server would run.`,
    );
  }
  if (port !== undefined && !isPort(port)) {
    throw new StateError('The field reportedPort of the saved state must be a port.');
  }
  if (/[\s\p{Cc}]/u.test(`${id ?? ''}${cluster ?? ''}`)) {
    throw new StateError('The fields jobId and cluster of the saved state must have no blanks.');
  }
  if (environmentFile !== undefined && !/^\/[^\0]*$/.test(environmentFile)) {
    throw new StateError('The field environmentFile of the saved state must be an absolute path.');
  }
  return {
    tag,
    jobName,
    submittedAt,
    ...(run !== undefined && { run }),
    ...(fields['found'] === true && { found: true }),
    ...(fields['moving'] === true && { moving: true }),
    ...(fields['wasSuspended'] === true && { wasSuspended: true }),
    ...(environmentFile !== undefined && { environmentFile }),
    ...(logFile !== undefined && { logFile }),
    ...(id !== undefined && { id }),
    ...(cluster !== undefined && { cluster }),
    ...(port !== undefined && { port }),
    ...(endsAt !== undefined && { endsAt }),
  };
}

function text(fields: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = fields[name];
  if (value !== undefined && (typeof value !== 'string' || value === '' || value.startsWith('-'))) {
    throw new StateError(`The field ${name} of the saved state must be a text that is no option.`);
  }
  return value;
}

function time(fields: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = text(fields, name);
  const ms = value === undefined ? undefined : Date.parse(value);
  if (Number.isNaN(ms)) {
    throw new StateError(`The field ${name} of the saved state must be a time.`);
  }
  return ms;
}
