import { StateError } from '../errors.ts';
import type { Json } from '../state.ts';
import type { JobMark } from './request.ts';

/** The one job of a spawner. A new object for each change. */
export interface Job extends JobMark {
  /** In ms of `Date.now()`. */
  readonly submittedAt: number;
  /** Undefined from before the submission until its outcome is known. */
  readonly id?: string;
  readonly cluster?: string;
  /** The port that the job has reported, from then on. */
  readonly port?: number;
  /** When the walltime is over, in ms of `Date.now()`. */
  readonly endsAt?: number;
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
}: Job): Record<string, Json> {
  return {
    tag,
    jobName,
    submittedAt: new Date(submittedAt).toISOString(),
    ...(id !== undefined && { jobId: id }),
    ...(cluster !== undefined && { cluster }),
    ...(port !== undefined && { reportedPort: port }),
    ...(endsAt !== undefined && { endsAt: new Date(endsAt).toISOString() }),
  };
}

/**
 * The job of a saved state; undefined where it had none.
 *
 * @throws StateError for a field that is not right
 */
export function loadJob(fields: Readonly<Record<string, unknown>>): Job | undefined {
  const tag = text(fields, 'tag');
  const jobName = text(fields, 'jobName');
  const submittedAt = time(fields, 'submittedAt');
  const id = text(fields, 'jobId');
  const cluster = text(fields, 'cluster');
  const port = fields['reportedPort'];
  const endsAt = time(fields, 'endsAt');
  if (tag === undefined && jobName === undefined && id === undefined) {
    return undefined;
  }
  if (tag === undefined || jobName === undefined || submittedAt === undefined) {
    throw new StateError('The saved state has a job, but not all of tag, jobName and submittedAt.');
  }
  if (port !== undefined && typeof port !== 'number') {
    throw new StateError('The field reportedPort of the saved state must be a number.');
  }
  return {
    tag,
    jobName,
    submittedAt,
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
