import { GenericBatchSpawner } from '../../lib/batch/generic.ts';
import type { GenericOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import { fuzzReaders } from '../helpers/damage.ts';
import { Fixtures } from '../helpers/fixtures.ts';

/** The scheduler that options describe. */
function described(query: readonly string[], more: Partial<GenericOptions>) {
  const options = checkOptions<GenericOptions>('generic.json', {
    script: '{{cmd}}',
    ...more,
    commands: {
      submit: ['submit', '{{jobName}}'],
      query,
      cancel: ['cancel', '{{jobId}}'],
      ...(more.patterns?.job !== undefined && { accounting: [query] }),
    },
  });
  return GenericBatchSpawner.schedulerFor(options);
}

const columns = 9;

/** Of a list as sacct prints it, the lines that have their end. */
function linesIn(text: string): readonly string[] {
  return text.split('\n').slice(0, -1);
}

describe('The readers made of patterns for lines, with output that is damaged', () => {
  fuzzReaders({
    scheduler: described(['sacct'], {
      states: {
        PENDING: { state: 'pending' },
        RUNNING: { state: 'running' },
        COMPLETED: { state: 'ended', cause: 'completed' },
        FAILED: { state: 'ended' },
        CANCELLED: { state: 'ended', cause: 'cancelled' },
      },
      patterns: {
        jobId: '^(?<id>\\d+)$',
        job: '^(?<id>\\d+)\\|(?<state>[A-Z_]+)[^|]*\\|(?<code>\\d+):\\d+\\|(?<reason>[^|]*)(?:\\|[^|]*){3}\\|(?<host>[^|]*)\\|(?<name>[^|]*)$',
      },
    }),
    fixtures: new Fixtures('slurm'),
    jobs: [
      { id: '12', jobName: 'jupyter-alice-exit0' },
      { id: '22', jobName: 'jupyter-alice-toolong' },
      { id: '4711', jobName: 'jupyter-alice' },
    ],
    saysEnded: (text, { id, jobName }) =>
      linesIn(text).some((line) => {
        const [first, state = '', ...others] = line.replace(/\r$/, '').split('|');
        const isAsked = first === id && (jobName === '' || others.at(-1) === jobName);
        return isAsked && /^(?:COMPLETED|FAILED|CANCELLED)(?![A-Z_])/.test(state);
      }),
    mayBeWhole: (text) =>
      /(?:^|\n)\s*$/.test(text) &&
      linesIn(text).every((line) => line.trim() === '' || line.split('|').length === columns),
  });
});

describe('The readers made of patterns for one job, with output that is damaged', () => {
  const scheduler = described(['qstat', '-f', '{{jobId}}'], {
    patterns: {
      jobId: '^(?<id>\\d+\\.\\S+)$',
      held: '^\\s*job_state = H$',
      running: '^\\s*job_state = R$',
      pending: '^\\s*job_state = [QW]$',
      ended: '^\\s*job_state = F$[^]*^\\s*Exit_status = (?<code>\\d+)$',
      host: '^\\s*exec_host = (?<host>[^/]+)',
      notFound: 'Unknown Job Id',
    },
  });
  fuzzReaders({
    // Nothing lists its jobs.
    scheduler: { ...scheduler, parseFind: () => ({ jobs: [], complete: false }) },
    fixtures: new Fixtures('pbs'),
    jobs: [{ id: '12.node01', jobName: 'jupyter-alice' }],
    saysEnded: (text) => {
      const states = text
        .split(/[\n\r\u2028\u2029]/)
        .filter((line) => line.includes('job_state = '));
      return states.some((line) => line.trim() === 'job_state = F');
    },
    // A question about one job is no list.
    mayBeWhole: () => false,
  });
});
