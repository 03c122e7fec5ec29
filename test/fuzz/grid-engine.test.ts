import { gridEngine } from '../../lib/batch/grid-engine.ts';
import type { AskedJob } from '../helpers/damage.ts';
import { fuzzReaders } from '../helpers/damage.ts';
import { Fixtures } from '../helpers/fixtures.ts';

/** How often a text stands in another. */
function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

/** The values of a field in a record of qacct. */
function valuesOf(name: string, record: string): readonly string[] {
  return record
    .split('\n')
    .filter((line) => line.startsWith(`${name} `))
    .map((line) => line.slice(name.length).trim());
}

/** The rows of a list of jobs, as far as they are whole. */
function rowsIn(text: string): readonly string[] {
  return text.match(/<job_list(?:(?!<job_list).)*?<\/job_list>/gs) ?? [];
}

/** Whether a record is of the job, and of an end after which nothing comes. */
function isEnd(record: string, { id, jobName }: AskedJob): boolean {
  const [failed = '', status = ''] = ['failed', 'exit_status'].map((name) => {
    const values = valuesOf(name, record);
    return values.length === 1 ? values[0] : '';
  });
  return (
    valuesOf('jobnumber', record).join() === id &&
    valuesOf('jobname', record).join() === jobName &&
    /^(?:0|37|100)(?: |$)/.test(failed) &&
    /^\d{1,3}(?: |$)/.test(status)
  );
}

/** A row that is over, or the last record of the job in output that has its end. */
function saysEnded(text: string, job: AskedJob): boolean {
  if (job.jobName === '') {
    return rowsIn(text).some(
      (row) =>
        row.includes(`<JB_job_number>${job.id}</JB_job_number>`) &&
        /<state>[Rz]*z[Rz]*<\/state>/.test(row),
    );
  }
  const records = text.split(/^={10,}\n/m).slice(1);
  const ours = records.filter(
    (record) =>
      valuesOf('jobnumber', record).includes(job.id) &&
      valuesOf('jobname', record).includes(job.jobName),
  );
  return text.endsWith('\n') && isEnd(ours.at(-1) ?? '', job);
}

/** One document with both of its parts, each row of which has one number and one state. */
function mayBeWhole(document: string): boolean {
  // Attributes and the declaration say nothing, nor does a blank before `>`.
  const text = document
    .replace(/<\?.*?\?>/gs, '')
    .replace(/="[^"]*"/, '')
    .replace(/(<job_list state=)"[^"]*"/g, '$1')
    .replace(/\s+>/g, '>');
  const rows = rowsIn(text);
  return (
    /^\s*</.test(text) &&
    /<\/job_info>\s*$/.test(text) &&
    count(text, '</job_info>') + count(text, '<job_info/>') === 2 &&
    count(text, '</queue_info>') + count(text, '<queue_info/>') === 1 &&
    rows.length === count(text, '<job_list') &&
    rows.every(
      (row) =>
        /<JB_job_number>\d+<\/JB_job_number>/.test(row) &&
        count(row, '<JB_job_number>') === 1 &&
        count(row, '</state>') === 1,
    )
  );
}

describe('The readers of Grid Engine, with damaged output', () => {
  fuzzReaders({
    scheduler: gridEngine,
    fixtures: new Fixtures('grid-engine'),
    jobs: [
      { id: '9', jobName: 'del' },
      { id: '11', jobName: 'tl' },
      { id: '12', jobName: 'x7' },
      { id: '16', jobName: 'rq99' },
      { id: '13', jobName: 'jupyter-alice-completed' },
      { id: '13', jobName: 'jupyter-alice-other' },
      { id: '99', jobName: 'del' },
    ],
    saysEnded,
    mayBeWhole,
  });
});
