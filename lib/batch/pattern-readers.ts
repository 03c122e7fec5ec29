import { ParseError } from '../errors.ts';
import { exitOfJob } from './exit.ts';
import type {
  AccountingSource,
  JobStatus,
  NativeState,
  Scheduler,
  StateTable,
} from './scheduler.ts';
import { jobStatus } from './status.ts';

type Groups = Readonly<Record<string, string | undefined>>;

/** Readers for lines, each of which is a job; the pattern's groups are those of `patterns.job`. */
export function rowReaders(pattern: RegExp): Pick<Scheduler, 'parseQuery' | 'parseFind'> & {
  readonly parseAccount: AccountingSource['parse'];
} {
  function rowsOf(stdout: string): readonly Groups[] {
    const rows = stdout.split('\n').flatMap((line): Groups[] => {
      const groups = pattern.exec(line)?.groups;
      return groups?.['id'] === undefined ? [] : [groups];
    });
    if (rows.length === 0 && stdout.trim() !== '') {
      throw new ParseError('The output has no line that is a job.', stdout);
    }
    return rows;
  }
  // A last line without its end may have lost more than that.
  const isWhole = (stdout: string) => stdout === '' || stdout.endsWith('\n');
  const statusIn = (row: Groups, states: StateTable) => {
    const { id = '', state = '' } = row;
    return statusOf(id, state, states[state] ?? { state: 'unknown' }, row);
  };
  return {
    parseQuery: (stdout, states) => ({
      jobs: rowsOf(stdout).map((row) => statusIn(row, states)),
      complete: isWhole(stdout),
    }),
    parseFind: (stdout) => ({
      jobs: rowsOf(stdout).map(({ id = '', tag = '', name = '', owner }) => ({
        id,
        tag,
        jobName: name,
        ...(owner !== undefined && { owner }),
      })),
      complete: isWhole(stdout),
    }),
    parseAccount(stdout, { id, jobName }, states) {
      const rows = rowsOf(stdout).filter(
        (row) => row['id'] === id && (row['name'] ?? jobName) === jobName,
      );
      const latest = isWhole(stdout) ? rows.at(-1) : undefined;
      return latest && statusIn(latest, states);
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
    for (const state of order) {
      const match = patterns[state]?.exec(stdout);
      if (match) {
        const found = { ...match.groups, ...host?.exec(stdout)?.groups };
        return { jobs: [statusOf(jobId, state, { state }, found)], complete: false };
      }
    }
    throw new ParseError('The output of the query matches the pattern of no state.', stdout);
  };
}

function statusOf(
  id: string,
  nativeState: string,
  { state, cause = 'unknown' }: NativeState,
  { host = '', reason, code }: Groups,
): JobStatus {
  const hosts = host.split(/[,:+\s]+/).filter((name) => /^\w[\w.-]*$/.test(name));
  const exitCode = /^\d{1,3}$/.test(code ?? '') ? Number(code) : undefined;
  const known = cause === 'unknown' && exitCode !== undefined;
  const exit =
    state === 'ended'
      ? exitOfJob({
          cause: known ? (exitCode === 0 ? 'completed' : 'failed') : cause,
          code: exitCode,
        })
      : undefined;
  return jobStatus({ id, state, nativeState }, { reason, hosts: [...new Set(hosts)], exit });
}
