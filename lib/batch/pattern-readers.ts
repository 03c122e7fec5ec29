import { OptionsError, ParseError } from '../errors.ts';
import type { BatchOptions } from '../generated/options.ts';
import { exitOfJob } from './exit.ts';
import { hostsIn } from './host-list.ts';
import type {
  AccountingSource,
  JobStatus,
  NativeState,
  Scheduler,
  StateTable,
} from './scheduler.ts';
import { decisiveRows, jobStatus } from './status.ts';

type Groups = Readonly<Record<string, string | undefined>>;

/** The rows of a list, and whether all of it could be read. */
interface Rows {
  readonly rows: readonly Groups[];
  readonly complete: boolean;
}

/** Readers for lines, each of which is a job. */
interface RowReaders extends Pick<Scheduler, 'parseQuery' | 'parseFind'> {
  readonly parseAccount: AccountingSource['parse'];
}

/** By their patterns: spawners that read a list in the same way share it. */
const rowReadersMade = new Map<string, RowReaders>();

/**
 * Readers for lines, each of which is a job; the pattern's groups are those of `patterns.job`. The
 * same ones for the same patterns.
 *
 * @param header matches the lines that are no job; a list without jobs has one of them
 */
export function rowReaders(job: string, header?: string): RowReaders {
  const key = JSON.stringify([job, header]);
  const readers = rowReadersMade.get(key) ?? newRowReaders(job, header);
  rowReadersMade.set(key, readers);
  return readers;
}

function newRowReaders(job: string, header: string | undefined): RowReaders {
  // Without the flag m: a carriage return in the name of a job begins no line.
  const jobLine = new RegExp(job, 'u');
  const headerLine = header === undefined ? undefined : new RegExp(header, 'u');

  function rowsOf(stdout: string): Rows {
    const rows: Groups[] = [];
    const lines = stdout.split(/\r?\n/);
    // A last line without its end may have lost more than that.
    let complete = lines.pop()?.trim() === '';
    for (const line of lines) {
      const groups = jobLine.exec(line)?.groups;
      if (groups?.['id'] !== undefined) {
        rows.push(groups);
      } else if (line.trim() !== '' && headerLine?.test(line) !== true) {
        complete = false;
      }
    }
    if (rows.length === 0 && !complete) {
      throw new ParseError('The output has no line that is a job.', stdout);
    }
    return { rows, complete };
  }
  /** Rows of all jobs. A command that fails without a word prints no header either. */
  function listIn(stdout: string): Rows {
    const list = rowsOf(stdout);
    const hasHeader = () => stdout.split(/\r?\n/).some((line) => headerLine?.test(line) ?? true);
    if (list.rows.length === 0 && !hasHeader()) {
      throw new ParseError('The output has neither a job nor a header.', stdout);
    }
    return list;
  }
  const statusIn = (row: Groups, states: StateTable) => {
    const { id = '', state = '' } = row;
    return statusOf(id, state, states[state] ?? { state: 'unknown' }, row);
  };
  return {
    parseQuery(stdout, states) {
      const { rows, complete } = listIn(stdout);
      return { jobs: decisiveRows(rows.map((row) => statusIn(row, states))), complete };
    },
    parseFind(stdout) {
      const { rows, complete } = listIn(stdout);
      const jobs = rows.map(({ id = '', tag = '', name = '', owner, state = '' }) => ({
        id,
        tag,
        jobName: name,
        ...(owner !== undefined && { owner }),
        nativeState: state,
      }));
      return { jobs, complete };
    },
    parseAccount(stdout, { id, jobName }, states) {
      const { rows, complete } = rowsOf(stdout);
      if (!complete) {
        throw new ParseError('The output has a line that is no job.', stdout);
      }
      const ours = rows
        .filter((row) => row['id'] === id && (row['name'] ?? jobName) === jobName)
        .map((row) => statusIn(row, states));
      return decisiveRows(ours.reverse())[0];
    },
  };
}

/** Names of patterns, in this order, so that a job which one pattern calls alive is not taken for one that has ended. */
export const stateNames = ['held', 'suspended', 'running', 'pending', 'ended'] as const;

/**
 * A reader for the output about one job, which matches one of the patterns; undefined where there
 * are none.
 */
export function stateReader(
  patterns: Readonly<Partial<Record<(typeof stateNames)[number], RegExp>>>,
  host: RegExp | undefined,
): Scheduler['parseQuery'] | undefined {
  if (Object.keys(patterns).length === 0) {
    return undefined;
  }
  return (stdout, _states, jobId = '') => {
    for (const state of stateNames) {
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
  const exitCode = /^\d{1,3}$/.test(code ?? '') ? Number(code) : undefined;
  const known = cause === 'unknown' && exitCode !== undefined;
  const exit =
    state === 'ended'
      ? exitOfJob({
          cause: known ? (exitCode === 0 ? 'completed' : 'failed') : cause,
          code: exitCode,
        })
      : undefined;
  return jobStatus({ id, state, nativeState }, { reason, hosts: hostsIn(host), exit });
}

/** Whether jobs can be told apart by what the pattern of a row reads. */
export function hasMarks(job: string | undefined): boolean {
  return ['name', 'tag'].some((name) => groupsIn(job).includes(name));
}

/** The names of the groups of a pattern. */
export function groupsIn(source: string | undefined): readonly string[] {
  // With an empty alternative it matches, and the match knows all of its groups.
  return source === undefined
    ? []
    : Object.keys(new RegExp(`${source}|`, 'u').exec('')?.groups ?? {});
}

/**
 * Looks whether the patterns have what is read of them.
 *
 * @param asksEach whether the query is about one job
 * @throws OptionsError
 */
export function checkPatterns({ commands, patterns }: BatchOptions, asksEach: boolean): void {
  const { job, header, host } = patterns;
  const ofOne = stateNames.filter((state) => patterns[state] !== undefined);
  const needs = (name: keyof typeof patterns, groups: readonly string[]) => {
    const missing = groups.find((group) => !groupsIn(patterns[name]).includes(group));
    if (patterns[name] !== undefined && missing !== undefined) {
      const path = `patterns.${name}`;
      throw new OptionsError(path, `a regular expression with the group (?<${missing}>…)`);
    }
  };
  needs('jobId', ['id']);
  // A start needs the host, from one of them.
  needs('job', ofOne.length > 0 ? ['id', 'state'] : ['id', 'state', 'host']);
  needs('host', ['host']);
  const [other] = host === undefined ? ofOne : ['host', ...ofOne];
  if (other !== undefined && !asksEach) {
    throw new OptionsError(
      `patterns.${other}`,
      'left out where commands.query, without {{jobId}}, asks about all jobs: patterns.job reads its lines',
    );
  }
  if (host !== undefined && ofOne.length === 0) {
    throw new OptionsError('patterns.running', 'given where patterns.host is');
  }
  if (header !== undefined && job === undefined) {
    throw new OptionsError('patterns.job', 'given where patterns.header is');
  }
  if (commands.find !== undefined && job !== undefined && !hasMarks(job)) {
    throw new OptionsError(
      'patterns.job',
      'a regular expression with the group (?<name>…) or (?<tag>…), by which commands.find finds jobs',
    );
  }
}
