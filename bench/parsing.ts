import { slurm } from '../lib/batch/slurm.ts';
import { jobRows, squeueOutput } from './jobs.ts';
import { duration, ratio, timeOf } from './measure.ts';

/** The reading of what squeue prints of 10,000 jobs, against JSON with the same fields. */
export function parsing(): string {
  const rows = jobRows(10_000);
  const output = squeueOutput(rows);
  const json = JSON.stringify(rows);
  const ours = timeOf(() => slurm.parseQuery(output, slurm.states));
  const theirs = timeOf(() => JSON.parse(json));
  return `squeue of 10,000 jobs: ${duration(ours)}; by JSON.parse of the same fields: ${ratio(ours, theirs)}`;
}
