import type { JobState, JobStatus } from './scheduler.ts';

/** What is known of a job beside its state; what is undefined is not known. */
export type JobKnowledge = {
  readonly [F in Exclude<keyof JobStatus, 'id' | 'state' | 'nativeState'>]?:
    | JobStatus[F]
    | undefined;
};

/** A status with all that is known: without empty reasons and lists of hosts. */
export function jobStatus(
  { id, state, nativeState }: Pick<JobStatus, 'id' | 'state' | 'nativeState'>,
  known: JobKnowledge,
): JobStatus {
  const { reason, hosts, exit, submittedAt, startedAt, run, estimatedStart, endsAt } = known;
  return {
    id,
    state,
    nativeState,
    ...(reason !== undefined && reason !== '' && { reason }),
    ...(hosts !== undefined && hosts.length > 0 && { hosts }),
    ...(exit && { exit }),
    ...(submittedAt && { submittedAt }),
    ...(startedAt && { startedAt }),
    ...(run !== undefined && { run }),
    ...(estimatedStart && { estimatedStart }),
    ...(endsAt && { endsAt }),
  };
}

/** A date from seconds since 1970, as texts or numbers; undefined for 0 and what is no such number. */
export function dateFromSeconds(seconds: unknown): Date | undefined {
  const number =
    typeof seconds === 'string' && /^\d{1,12}$/.test(seconds) ? Number(seconds) : seconds;
  return typeof number === 'number' && Number.isFinite(number) && number > 0 && number < 1e12
    ? new Date(number * 1000)
    : undefined;
}

/** Which of the rows of a job decides, the first one before all others. */
const precedence: readonly JobState[] = [
  'running',
  'suspended',
  'completing',
  'pending',
  'held',
  'unknown',
  'ended',
];

/**
 * Of several rows with one id the one that lives decides, of several of these the first.
 *
 * @param isLast of a row that decides only where there is no other
 */
export function decisiveRows(
  jobs: readonly JobStatus[],
  isLast: (job: JobStatus) => boolean = () => false,
): readonly JobStatus[] {
  const rank = (job: JobStatus) =>
    isLast(job) ? precedence.length : precedence.indexOf(job.state);
  const decisive = new Map<string, JobStatus>();
  for (const job of jobs) {
    const other = decisive.get(job.id);
    if (other === undefined || rank(job) < rank(other)) {
      decisive.set(job.id, job);
    }
  }
  return [...decisive.values()];
}
