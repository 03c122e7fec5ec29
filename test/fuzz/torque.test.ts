import { torque } from '../../lib/batch/torque.ts';
import type { AskedJob } from '../helpers/damage.ts';
import { fuzzReaders } from '../helpers/damage.ts';
import { Fixtures } from '../helpers/fixtures.ts';

/** The innermost records: from a `<Job>` to the next `</Job>`. */
function recordsIn(text: string): readonly string[] {
  return text
    .split('</Job>')
    .slice(0, -1)
    .map((part) => part.slice(part.lastIndexOf('<Job>')))
    .filter((part) => part.startsWith('<Job>'));
}

function values(record: string, name: string): readonly string[] {
  return [...record.matchAll(new RegExp(`<${name}\\s*>([^<]*)</${name}\\s*>`, 'g'))].map(
    ([, value = '']) => value,
  );
}

/** A record of the job, and of no other, that has ended, and has no other name. */
function saysEnded(text: string, { id, jobName }: AskedJob): boolean {
  return recordsIn(text).some((record) => {
    const [name = jobName, ...names] = values(record, 'Job_Name');
    const isAsked = jobName === '' || (name === jobName && names.length === 0);
    const states = values(record, 'job_state').join();
    return isAsked && states === 'C' && values(record, 'Job_Id').join() === id;
  });
}

/** Nothing, or documents with nothing between, before and after them, and in them whole jobs. */
function mayBeWhole(text: string): boolean {
  const records = recordsIn(text);
  const ids = records.flatMap((record) => values(record, 'Job_Id'));
  const frame = records.reduce((rest, record) => rest.replace(`${record}</Job>`, ''), text);
  return (
    /^(?:\s*(?:<\?xml[^<>]*\?>)?\s*<Data(?:\s[^<>]*)?>\s*<\/Data\s*>)*\s*$/.test(
      frame.replaceAll('<Data/>', '<Data></Data>'),
    ) &&
    ids.length === records.length &&
    new Set(ids).size === ids.length &&
    records.every((record) => values(record, 'job_state').length === 1)
  );
}

describe('The readers of Torque, with output that is damaged', () => {
  fuzzReaders({
    scheduler: torque,
    fixtures: new Fixtures('torque'),
    jobs: [
      { id: '0.node01.cluster.example', jobName: 'jupyter-alice' },
      { id: '7.node01.cluster.example', jobName: 'exit7' },
      { id: '11.node01.cluster.example', jobName: 'del' },
      { id: '10.node01.cluster.example', jobName: 'wt' },
      { id: '20.node01.cluster.example', jobName: 'exit0' },
      { id: '1015.node01', jobName: 'job' },
      { id: '4711.node01.cluster.example', jobName: 'exit7' },
    ],
    saysEnded,
    mayBeWhole,
  });
});
