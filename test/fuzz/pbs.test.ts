import { pbs } from '../../lib/batch/pbs.ts';
import type { AskedJob } from '../helpers/damage.ts';
import { fuzzReaders } from '../helpers/damage.ts';
import { Fixtures } from '../helpers/fixtures.ts';

/** The lines of a text, and where the records in it begin. */
function outline(text: string) {
  const lines = text.replaceAll('\n\t', '').split('\n');
  const heads = lines.flatMap((line, index) => (line.startsWith('Job Id: ') ? [index] : []));
  return { lines, heads };
}

/** The values of an attribute; releases differ in its capitals. */
function valuesOf(name: string, lines: readonly string[]): readonly string[] {
  const begin = `    ${name} = `;
  return lines
    .filter((line) => line.slice(0, begin.length).toLowerCase() === begin)
    .map((line) => line.slice(begin.length));
}

/** The one state of a record that is all there: its last line alone is empty. */
function stateIn(lines: readonly string[]): string | undefined {
  const letters = valuesOf('job_state', lines);
  const ends = lines.at(-1) === '' && lines.at(-2) !== '';
  return ends && letters.length === 1 ? letters[0] : undefined;
}

/** Each record, up to the line before the next one; the last without the end of its last line. */
function recordsIn(text: string): readonly (readonly string[])[] {
  const { lines, heads } = outline(text);
  return heads.map((head, index) => lines.slice(head, heads[index + 1] ?? lines.length - 1));
}

function saysEnded(text: string, { id, jobName }: AskedJob): boolean {
  const ours = recordsIn(text).filter(([head]) => head === `Job Id: ${id}`);
  const [record = []] = ours;
  const state = stateIn(record);
  return (
    ours.length === 1 &&
    (state === 'F' || state === 'X') &&
    (jobName === '' || valuesOf('job_name', record).includes(jobName))
  );
}

function mayBeWhole(text: string): boolean {
  const { lines, heads } = outline(text);
  const records = recordsIn(text);
  const ids = new Set(records.map(([head]) => head));
  return (
    lines.slice(0, heads[0]).every((line) => line.trim() === '') &&
    ids.size === records.length &&
    records.every(
      (record) =>
        /^Job Id: \d+(\[\d*\])?\.\S+$/.test(record[0] ?? '') && stateIn(record)?.length === 1,
    )
  );
}

describe('The readers of PBS, with damaged output', () => {
  fuzzReaders({
    scheduler: pbs,
    fixtures: new Fixtures('pbs'),
    jobs: [
      { id: '12.node01', jobName: 'jupyter-alice' },
      { id: '19.node01', jobName: 'exit7' },
      { id: '23.node01', jobName: 'del' },
      { id: '45.node01', jobName: 'nf' },
      { id: '45.node01', jobName: 'other' },
      { id: '7.node99', jobName: 'jupyter-alice' },
    ],
    saysEnded,
    mayBeWhole,
  });
});
