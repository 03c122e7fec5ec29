import { moab } from '../../lib/batch/moab.ts';
import type { AskedJob } from '../helpers/damage.ts';
import { fuzzReaders } from '../helpers/damage.ts';
import { Fixtures } from '../helpers/fixtures.ts';

/** The attributes of each job, as they are written. */
function tagsIn(text: string): readonly string[] {
  return [...text.matchAll(/<job(?=[\s/>])([^<>]*)>/g)].map(([, attributes = '']) => attributes);
}

function written(tag: string, name: string): string | undefined {
  return new RegExp(`(?:^|\\s)${name}\\s*=\\s*(["'])(.*?)\\1`, 's').exec(tag)?.[2];
}

/** A tag of the job that says it has ended, and has no other name. */
function saysEnded(text: string, { id, jobName }: AskedJob): boolean {
  return tagsIn(text).some((tag) => {
    const ids = ['JobID', 'GJID', 'DRMJID', 'SRMJID'].map((name) => written(tag, name));
    const name = written(tag, 'JobName') ?? jobName;
    return (
      ids.includes(id) &&
      (jobName === '' || name === jobName) &&
      /^(?:Completed|Removed|Vacated)$/.test(written(tag, 'State') ?? '')
    );
  });
}

/** Documents with nothing before, between and after them, in which each job has an id and a state. */
function mayBeWhole(text: string): boolean {
  const tags = tagsIn(text);
  const ids = tags.map((tag) => written(tag, 'JobID'));
  const opened = tags.filter((tag) => !tag.endsWith('/')).length;
  return (
    /^(?:\s*(?:<\?xml[^<>]*\?>)?\s*<Data(?:\s[^<>]*)?(?:\/>|>(?:(?!<Data\b).)*<\/Data\s*>))+\s*$/s.test(
      text,
    ) &&
    opened === text.split(/<\/job\s*>/).length - 1 &&
    !ids.includes(undefined) &&
    new Set(ids).size === ids.length &&
    tags.every((tag) => written(tag, 'State') !== undefined)
  );
}

describe('The readers of Moab, with output that is damaged', () => {
  fuzzReaders({
    scheduler: moab,
    fixtures: new Fixtures('moab'),
    jobs: [
      { id: '1012', jobName: 'jupyter-alice' },
      { id: '1012.node01.cluster.example', jobName: 'jupyter-alice' },
      { id: 'Moab.17', jobName: 'jupyter-alice' },
      { id: '1014', jobName: 'job' },
      { id: '4711', jobName: 'jupyter-alice' },
    ],
    saysEnded,
    mayBeWhole,
  });
});
