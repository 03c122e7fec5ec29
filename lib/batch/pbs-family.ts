/**
 * What Torque, PBS and Moab have in common: ids, lists of hosts, records of `qstat -f`, documents of
 * XML, exit codes, walltimes.
 */
import { ParseError } from '../errors.ts';
import type { JobEnd } from './exit.ts';
import type { NativeState, StateTable } from './scheduler.ts';
import type { XmlElement } from './xml.ts';
import { parseXml } from './xml.ts';

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

/** The account of `alice@example.org@node01`, the owner of a job: what is after the last @ is a host. */
export function accountIn(owner = ''): string {
  return owner.replace(/@[^@]*$/, '');
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

/** `1012.node01`, `1012[7].node01.cluster.example`: the number of a job at its server. */
export const jobIdPattern = /^(?<id>\d+(?:\[\d*\])?\.[\w.-]+)$/;

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
  // Not ^ with the flag m: that is also where a value has a CR or another line break of Unicode.
  const [before = '', ...parts] = stdout.replaceAll('\n\t', '').split(/(?<![^\n])Job Id: /);
  const records = parts.map(recordIn);
  const usable = unique(records).filter(({ id }) => jobIdPattern.test(id));
  const complete =
    before.trim() === '' && usable.length === records.length && usable.every(({ whole }) => whole);
  if (!complete && usable.length === 0) {
    throw new ParseError('This is not what qstat -f prints.', stdout);
  }
  return { records: usable, complete };
}

/** Those whose id stands once: of others nobody can say which is true. */
export function unique<R extends { readonly id: string }>(records: readonly R[]): readonly R[] {
  const count = new Map<string, number>();
  for (const { id } of records) {
    count.set(id, (count.get(id) ?? 0) + 1);
  }
  return records.filter(({ id }) => count.get(id) === 1);
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
    const [, name = '', value = ''] = /^ {4}([A-Za-z][\w.-]*) = (.*)$/s.exec(line) ?? [];
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

/** What a state means; no word of a batch system is the name of something that every object has. */
export function meaningOf(word: string, table: StateTable): NativeState {
  return (Object.hasOwn(table, word) ? table[word] : undefined) ?? { state: 'unknown' };
}

/**
 * The root of an XML document in which, as in those of Torque and Moab, no value holds `<` or `>`:
 * one that does has lost something.
 *
 * @throws ParseError
 */
export function strictXml(text: string, what: string): XmlElement {
  if (/[<>]/.test(text.replace(/<[^<>"]*(?:"[^<>"]*"[^<>"]*)*>/g, ''))) {
    throw new ParseError(`This is not the XML that ${what} prints, or not all of it.`, text);
  }
  return parseXml(text, what);
}

/** The documents that Torque and Moab print. */
export interface DataAnswer {
  /** The element `Data` of each. */
  readonly documents: readonly XmlElement[];
  /** Whether there is nothing else. */
  readonly complete: boolean;
}

/**
 * Reads documents whose root is `Data`, one after the other, with or without declarations.
 *
 * @param what prints them, for the error
 * @throws ParseError where one of them is not whole
 */
export function dataDocuments(stdout: string, what: string): DataAnswer {
  const documents: XmlElement[] = [];
  let complete = true;
  for (const part of stdout.replaceAll('<Data/>', '<Data></Data>').split(/(?<=<\/Data>)/)) {
    const start = part.search(/(?:<\?xml\s[^<>]*\?>\s*)?<Data[\s>]/);
    complete &&= part.slice(0, start < 0 ? undefined : start).trim() === '';
    if (start >= 0) {
      const document = strictXml(part.slice(start), what);
      complete &&= document.text.trim() === '';
      documents.push(document);
    }
  }
  if (documents.length === 0 && stdout.trim() !== '') {
    throw new ParseError(`This is not what ${what} prints.`, stdout);
  }
  return { documents, complete };
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
  const own = new Map(Object.entries(ownCodes)).get(status ?? '');
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

/** A walltime in seconds as these systems write it: `12:00:00`, and more hours than a day has. */
export function clock(seconds: number): string {
  return [seconds / 3600, (seconds / 60) % 60, seconds % 60]
    .map((part) => String(Math.floor(part)).padStart(2, '0'))
    .join(':');
}

/** The seconds of a walltime such as `335:34:49`; undefined where it is none. */
export function secondsOf(walltime: string | undefined): number | undefined {
  return walltime !== undefined && /^\d{1,9}(?::\d\d){0,2}$/.test(walltime)
    ? walltime.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
    : undefined;
}
