import { oar } from '../../lib/batch/oar.ts';
import type { AskedJob } from '../helpers/damage.ts';
import { fuzzReaders } from '../helpers/damage.ts';
import { Fixtures } from '../helpers/fixtures.ts';

/** All jobs of a text that is JSON to its last byte. */
function jobsOf(text: string): readonly (readonly [id: string, fields: unknown])[] {
  try {
    return Object.entries(JSON.parse(text) ?? {});
  } catch {
    return [['', undefined]];
  }
}

function hasFields(fields: unknown): fields is Readonly<Record<string, unknown>> {
  return typeof fields === 'object' && fields !== null;
}

function saysEnded(text: string, { id, jobName }: AskedJob): boolean {
  return jobsOf(text).some(
    ([key, fields]) =>
      key === id &&
      hasFields(fields) &&
      ['', fields['name']].includes(jobName) &&
      /^(?:Terminated|Error)\b/.test(String(fields['state'])),
  );
}

function mayBeWhole(text: string): boolean {
  return (
    /^\s*(?:\{|null\s*$)/.test(text) &&
    jobsOf(text).every(
      ([id, fields]) =>
        /^\d+$/.test(id) && hasFields(fields) && String(fields['state'] ?? '') !== '',
    )
  );
}

describe('The readers of OAR', () => {
  fuzzReaders({
    scheduler: oar,
    fixtures: new Fixtures('oar'),
    jobs: [
      { id: '301', jobName: 'jupyter-alice-00000000012d' },
      { id: '321', jobName: 'jupyter-alice-000000000141' },
      { id: '324', jobName: 'jupyter-alice-000000000144' },
      { id: '7', jobName: 'jupyter-alice-000000000144' },
    ],
    saysEnded,
    mayBeWhole,
  });
});
