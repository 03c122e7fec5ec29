/** What Torque, PBS and Moab have in common: lists of hosts, records of `qstat -f`, exit codes. */
import { ParseError } from '../errors.ts';
import type { JobEnd } from './exit.ts';

/** The most hosts of one job: a damaged answer must not fill the memory. */
const mostHosts = 100_000;

/** A host, its port or number of tasks, its slots, and the processors of each. */
const hostEntry = /^([A-Za-z0-9][\w.-]*)(?::\d+)?(?:\/\d[\d,-]*(?:\*\d+)?)?$/;

/**
 * The hosts of `node01/0-11+node02/0*4` and the like, each once and in their order; none where a
 * part of the text can't be read.
 *
 * @param separator of the entries; Torque has commas in ranges of slots, Moab between hosts
 */
export function execHosts(text: string, separator: '+' | ',' = '+'): readonly string[] {
  const names = text.split(separator, mostHosts).map((entry) => hostEntry.exec(entry)?.[1] ?? '');
  return names.includes('') ? [] : [...new Set(names)];
}

/** What `qstat -f` says of one job. */
export interface FoldedRecord {
  readonly id: string;
  /** By name, in lower case: releases differ in `exit_status` and `Exit_status`. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Whether its end is there. */
  readonly whole: boolean;
}

/** The records of `qstat -f`. */
export interface FoldedAnswer {
  /** Those that can be told apart; one whose end is missing as well, with `whole: false`. */
  readonly records: readonly FoldedRecord[];
  /** Whether these are all, and whole. */
  readonly complete: boolean;
}

/** `1012.node01`, `1012[7].node01.cluster.example`; a server may have a port. */
const jobId = /^\d+(?:\[\d*\])?\.[\w.-]+(?::\d+)?$/;

/**
 * Reads what `qstat -f` prints: lines `    name = value`, folded by a line break and a tab inside of
 * words; a blank line ends a record.
 *
 * A value that holds line breaks (an exported variable, a working directory) is printed as it is.
 * Its lines look like nothing, or like what its owner wants them to. What is done about that:
 *
 * - A record that pretends to be of a job which is listed makes an id stand twice: then neither is
 *   given, and the answer is not complete. Of a job that is not listed it can pretend that it lives,
 *   or has ended, which is so. A question about one job alone has no values of others in its answer.
 * - An attribute that stands twice in a record is left out; that is the owner's own record.
 * - No record can be hidden: every line that begins with `Job Id: ` begins one.
 *
 * @throws ParseError where it is not its output at all
 */
export function foldedRecords(stdout: string): FoldedAnswer {
  const [before = '', ...parts] = stdout.replaceAll('\n\t', '').split(/^Job Id: /m);
  const records = parts.map(recordIn);
  const count = new Map<string, number>();
  for (const { id } of records) {
    count.set(id, (count.get(id) ?? 0) + 1);
  }
  const usable = records.filter(({ id }) => jobId.test(id) && count.get(id) === 1);
  const complete =
    before.trim() === '' && usable.length === records.length && usable.every(({ whole }) => whole);
  if (!complete && usable.length === 0) {
    throw new ParseError('This is not what qstat -f prints.', stdout);
  }
  return { records: usable, complete };
}

/**
 * A record without the `Job Id: ` in front. It is whole where its blank line follows an attribute;
 * a blank line after another line, or after the variables, stands in a value.
 */
function recordIn(text: string): FoldedRecord {
  const [id = '', ...lines] = text.split('\n');
  const attributes = new Map<string, string>();
  const twice = new Set<string>();
  let last = '';
  for (const line of lines.slice(0, -2)) {
    const [, name = '', value = ''] = /^ {4}([A-Za-z][\w.-]*) = (.*)$/.exec(line) ?? [];
    last = name.toLowerCase();
    if (attributes.has(last)) {
      twice.add(last);
    }
    attributes.set(last, value);
  }
  for (const name of ['', ...twice]) {
    attributes.delete(name);
  }
  const whole = text.endsWith('\n\n') && last !== '' && last !== 'variable_list';
  return { id, attributes, whole };
}

/**
 * The end that an exit status tells: up to 255 the script's own exit code, 256 + n the signal n, of
 * which SIGTERM is the one that `qdel` sends.
 *
 * @param ownCodes what the batch system's own statuses mean, mostly negative ones
 */
export function endOfStatus(
  status: string | undefined,
  ownCodes: Readonly<Record<string, JobEnd>>,
): JobEnd {
  const own = ownCodes[status ?? ''];
  if (own !== undefined) {
    return own;
  }
  if (status === undefined || !/^\d{1,4}$/.test(status)) {
    return { cause: 'unknown', detail: status === undefined ? '' : `exit status ${status}` };
  }
  const code = Number(status);
  if (code < 256) {
    return { cause: code === 0 ? 'completed' : 'failed', code };
  }
  const signal = code - 256;
  return { cause: signal === 15 ? 'cancelled' : 'failed', signal };
}
