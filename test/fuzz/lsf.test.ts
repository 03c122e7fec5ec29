import { lsf } from '../../lib/batch/lsf.ts';
import type { AskedJob } from '../helpers/damage.ts';
import { fuzzReaders } from '../helpers/damage.ts';
import { Fixtures } from '../helpers/fixtures.ts';

type Row = Readonly<Record<string, unknown>>;

/** All that bjobs printed, where it is JSON to its last byte. */
function listIn(text: string): { readonly count: unknown; readonly rows: readonly Row[] } {
  const lines = text.split('\n');
  const first = Math.max(
    lines.findIndex((line) => line.startsWith('{')),
    0,
  );
  try {
    const { JOBS, RECORDS } = JSON.parse(lines.slice(first).join('\n'));
    return { count: JOBS, rows: Array.isArray(RECORDS) ? RECORDS : [] };
  } catch {
    return { count: undefined, rows: [] };
  }
}

/** In whichever of the forms of the two programs. */
function saysEnded(text: string, { id, jobName }: AskedJob): boolean {
  const { rows } = listIn(text);
  const byList = rows.some(
    (row) =>
      row !== null &&
      typeof row === 'object' &&
      row['JOBID'] === id &&
      !(Number(row['JOBINDEX']) > 0) &&
      ['', row['JOB_NAME']].includes(jobName) &&
      /^(?:DONE|EXIT|PDONE|PERR)$/.test(String(row['STAT'])),
  );
  const record = text.split(`Job <${id}>, Job Name <${jobName}>`).at(-1) ?? '';
  const ends = record.lastIndexOf('Exited') + record.lastIndexOf('Completed <') > -2;
  return byList || (ends && record.includes('Summary of time in'));
}

function mayBeWhole(text: string): boolean {
  const { count, rows } = listIn(text);
  return (
    count === rows.length && rows.every((row) => typeof row['JOBID'] === 'string' || 'ERROR' in row)
  );
}

describe('The readers of LSF', () => {
  fuzzReaders({
    scheduler: lsf,
    fixtures: new Fixtures('lsf'),
    jobs: [
      { id: '2008', jobName: 'jupyter-alice-000000002008' },
      { id: '2015', jobName: 'jupyter-alice-000000002015' },
      { id: '6', jobName: 'x7' },
      { id: '7', jobName: 'jupyter-alice-000000002008' },
    ],
    saysEnded,
    mayBeWhole,
  });
});
