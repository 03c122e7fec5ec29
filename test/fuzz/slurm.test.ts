import { slurm } from '../../lib/batch/slurm.ts';
import type { AskedJob } from '../helpers/damage.ts';
import { fuzzReaders } from '../helpers/damage.ts';
import { Fixtures } from '../helpers/fixtures.ts';

const final = new Set([
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'TIMEOUT',
  'DEADLINE',
  'OUT_OF_MEMORY',
  'PREEMPTED',
  'NODE_FAIL',
  'BOOT_FAIL',
]);

/** The word in front, as in `CANCELLED by 1001`. */
function isFinal(state: string): boolean {
  return final.has(/^[A-Z_]*/.exec(state)?.[0] ?? '');
}

/** The states in the whole records that our squeue has of a job. */
function listedStates(text: string, id: string): string[] {
  const record = new RegExp(
    `\\x1e${id}\\x1f([^\\x1e\\x1f]*)(?:\\x1f[^\\x1e\\x1f]*){6}\\x1f\\n`,
    'g',
  );
  return [...text.matchAll(record)].map(([, state = '']) => state);
}

function squeueSaysEnded(text: string, id: string): boolean {
  const states = listedStates(text, id).filter((state) => state !== 'REVOKED');
  return states.length > 0 && states.every(isFinal);
}

/** Whether the latest of the whole rows of a job is final. */
function sacctSaysEnded(text: string, { id, jobName }: AskedJob): boolean {
  const rows = text
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split('|'))
    .filter((row) => row.length === 9 && row[0] === id && row[8] === jobName)
    .filter(([, state]) => state !== 'REVOKED');
  const latest = rows
    .map((row) => row[4] ?? '')
    .sort((a, b) => a.localeCompare(b))
    .at(-1);
  return rows.some((row) => row[4] === latest && isFinal(row[1] ?? ''));
}

function scontrolSaysEnded(text: string, { id, jobName }: AskedJob): boolean {
  const start = text.search(new RegExp(`^JobId=${id} `, 'm'));
  const [record = ''] = text.slice(start).split(/\n(?=JobId=\d)/);
  const words = record.split(/\s+/);
  const [state = ''] = words.filter((word) => word.startsWith('JobState='));
  return (
    start >= 0 &&
    text.endsWith('\n') &&
    words.includes(`JobName=${jobName}`) &&
    isFinal(state.slice('JobState='.length))
  );
}

/** Nothing but whole records of squeue, with the titles of clusters between them. */
function mayBeWhole(text: string): boolean {
  const [before = '', ...records] = text.split('\x1e');
  const isTitle = (part: string) => part.trim() === '' || /^CLUSTER: \S+$/.test(part.trim());
  return (
    isTitle(before) &&
    records.every((record) => {
      const fields = record.split('\x1f');
      const rest = fields[8] ?? '';
      return (
        fields.length === 9 &&
        /^[0-9]+$/.test(fields[0] ?? '') &&
        rest.startsWith('\n') &&
        isTitle(rest)
      );
    })
  );
}

describe('The readers of Slurm', () => {
  fuzzReaders({
    scheduler: slurm,
    fixtures: new Fixtures('slurm'),
    jobs: [
      { id: '10', jobName: 'jupyter-alice-nodefailrequeue' },
      { id: '13', jobName: 'jupyter-alice-exit7' },
      { id: '12', jobName: 'jupyter-alice-completed' },
      { id: '2', jobName: 'jupyter-alice-running' },
      { id: '40', jobName: 'nf' },
      { id: '4711', jobName: 'jupyter-alice-running' },
      { id: '67108865', jobName: 'jupyter-alice-remote' },
      { id: '67108867', jobName: 'jupyter-alice-failed' },
    ],
    saysEnded: (text, job) =>
      job.jobName === ''
        ? squeueSaysEnded(text, job.id)
        : sacctSaysEnded(text, job) || scontrolSaysEnded(text, job),
    mayBeWhole,
    boundary: 'c0ffee5ca1ab1e0ddba11f00',
  });
});
