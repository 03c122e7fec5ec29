import { flux } from '../../lib/batch/flux.ts';
import type { Scheduler } from '../../lib/batch/scheduler.ts';
import type { AskedJob } from '../helpers/damage.ts';
import { fuzzReaders } from '../helpers/damage.ts';
import { Fixtures } from '../helpers/fixtures.ts';

const digits = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

function decimal(f58: string): string {
  return [...f58.slice(1)]
    .reduce((sum, digit) => sum * 58n + BigInt(digits.indexOf(digit)), 0n)
    .toString();
}

function base58(id: bigint): string {
  return `${id >= 58n ? base58(id / 58n) : ''}${digits[Number(id % 58n)]}`;
}

/** With ids as they stand in the lists, which are decimal there. */
const inDecimal: Scheduler = {
  ...flux,
  parseQuery(text, states) {
    const { jobs, complete } = flux.parseQuery(text, states);
    return { jobs: jobs.map((job) => ({ ...job, id: decimal(job.id) })), complete };
  },
  parseFind(text) {
    const { jobs, complete } = flux.parseFind(text);
    return { jobs: jobs.map((job) => ({ ...job, id: decimal(job.id) })), complete };
  },
  accounting: flux.accounting.map((source) => ({
    ...source,
    parse(text, { id, jobName }, states) {
      const status = source.parse(text, { id: `f${base58(BigInt(id))}`, jobName }, states);
      return status && { ...status, id: decimal(status.id) };
    },
  })),
};

type Row = Readonly<Record<string, unknown>>;

/** All jobs of a text that is JSON to its last byte, with ids as texts; one may be by itself. */
function rowsOf(text: string): readonly unknown[] {
  try {
    const { jobs, ...one } = JSON.parse(text.replace(/"id":( *)(\d+)(?![\d.eE])/g, '"id":$1"$2"'));
    return Array.isArray(jobs) ? jobs : [one];
  } catch {
    return [undefined];
  }
}

function isRow(row: unknown): row is Row {
  return typeof row === 'object' && row !== null;
}

function saysEnded(text: string, { id, jobName }: AskedJob): boolean {
  return rowsOf(text)
    .filter(isRow)
    .some(
      (row) =>
        row['id'] === id &&
        ['', row['name']].includes(jobName) &&
        row['state'] === 'INACTIVE' &&
        /^(?:COMPLETED|FAILED|CANCELED|TIMEOUT)$/.test(String(row['result'])),
    );
}

function mayBeWhole(text: string): boolean {
  return rowsOf(text).every((row) => isRow(row) && row['id'] && row['state']);
}

describe('The readers of Flux', () => {
  fuzzReaders({
    scheduler: inDecimal,
    fixtures: new Fixtures('flux'),
    jobs: [
      { id: '1316374137864192', jobName: 'jupyter-alice-003c3ce10000' },
      { id: '1316374020423680', jobName: 'jupyter-alice-003c35e10000' },
      { id: '7', jobName: 'jupyter-alice-003c3ce10000' },
    ],
    saysEnded,
    mayBeWhole,
  });
});
