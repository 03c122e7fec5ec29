import { ParseError } from '../errors.ts';
import { exitOfJob } from './exit.ts';
import type { JobState, JobStatus, NativeState, Scheduler } from './scheduler.ts';
import { jobStatus } from './status.ts';

/** Readers for lines, each of which is a job; the pattern's groups are those of `patterns.job`. */
export function rowReaders(pattern: RegExp): Pick<Scheduler, 'parseQuery' | 'parseFind'> {
  const rowsOf = (stdout: string) => {
    const rows = stdout
      .split('\n')
      .map((line) => pattern.exec(line)?.groups)
      .filter((groups) => groups?.['id'] !== undefined);
    if (rows.length === 0 && stdout.trim() !== '') {
      throw new ParseError('The output of the query has no line that is a job.', stdout);
    }
    // A last line without its end may have lost more than that.
    return { rows, complete: stdout === '' || stdout.endsWith('\n') };
  };
  return {
    parseQuery(stdout, states) {
      const { rows, complete } = rowsOf(stdout);
      const jobs = rows.map((groups) => {
        const { id = '', state = '', host = '', reason } = groups ?? {};
        return statusOf(id, state, states[state] ?? { state: 'unknown' }, host, reason);
      });
      return { jobs, complete };
    },
    parseFind(stdout) {
      const { rows, complete } = rowsOf(stdout);
      const jobs = rows.map((groups) => {
        const { id = '', tag = '', name = '', owner } = groups ?? {};
        return { id, tag, jobName: name, ...(owner !== undefined && { owner }) };
      });
      return { jobs, complete };
    },
  };
}

/** In this order, so that a job which one pattern calls alive is not taken for one that has ended. */
const order = ['held', 'suspended', 'running', 'pending', 'ended'] as const;

/**
 * A reader for the output about one job, which matches one of the patterns; undefined where there
 * are none.
 */
export function stateReader(
  patterns: Readonly<Partial<Record<(typeof order)[number], RegExp>>>,
  host: RegExp | undefined,
): Scheduler['parseQuery'] | undefined {
  if (Object.keys(patterns).length === 0) {
    return undefined;
  }
  return (stdout, _states, jobId = '') => {
    const state = order.find((one) => patterns[one]?.test(stdout));
    if (state === undefined) {
      throw new ParseError('The output of the query matches the pattern of no state.', stdout);
    }
    const cause = state === 'ended' ? 'unknown' : undefined;
    const where = host?.exec(stdout)?.groups?.['host'] ?? '';
    const native: NativeState = { state, ...(cause && { cause }) };
    return { jobs: [statusOf(jobId, state, native, where, undefined)], complete: false };
  };
}

function statusOf(
  id: string,
  nativeState: string,
  { state, cause }: { readonly state: JobState; readonly cause?: NativeState['cause'] },
  host: string,
  reason: string | undefined,
): JobStatus {
  const hosts = host.split(/[,:+\s]+/).filter((name) => /^[\w.-]*\w$/.test(name) && name !== '-');
  const exit = state === 'ended' ? exitOfJob({ cause: cause ?? 'unknown' }) : undefined;
  return jobStatus({ id, state, nativeState }, { reason, hosts: [...new Set(hosts)], exit });
}
