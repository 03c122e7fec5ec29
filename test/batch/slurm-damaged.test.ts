import { expect } from 'chai';
import fc from 'fast-check';
import type { JobStatus } from '../../lib/batch/scheduler.ts';
import { jobIdIn } from '../../lib/batch/scheduler.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import { ParseError } from '../../lib/errors.ts';
import { Fixtures } from '../helpers/fixtures.ts';
import { damaged, shuffled } from '../helpers/mutate.ts';

const fixtures = new Fixtures('slurm');
const { patterns, states } = slurm;

const names = Object.keys(fixtures.index).filter((name) => /^(?:s|outage)/.test(name));
const anyText = fc.constantFrom(...names.map((name) => fixtures.text(name)));

/** Any of the fixtures, damaged, with parts of another in it; most often one that our readers read. */
const anyDamaged = fc.oneof(
  ...names.map((name) => ({
    weight: /-(?:query|find|jobs)/.test(name) ? 8 : 1,
    arbitrary: anyText.chain((other) => damaged(fixtures.text(name), other)),
  })),
);

/** What the readers are asked about, besides jobs that are in no fixture. */
const jobs = [
  { id: '10', jobName: 'jupyter-alice-nodefailrequeue' },
  { id: '13', jobName: 'jupyter-alice-exit7' },
  { id: '12', jobName: 'jupyter-alice-completed' },
  { id: '2', jobName: 'jupyter-alice-running' },
  { id: '40', jobName: 'nf' },
  { id: '4711', jobName: 'jupyter-alice-running' },
];

/** What a reader gives; undefined where it refuses the text. */
function read<T>(reader: () => T): T | undefined {
  try {
    return reader();
  } catch (error) {
    expect(error).to.be.instanceOf(ParseError);
    return undefined;
  }
}

function queried(text: string): readonly JobStatus[] {
  return read(() => slurm.parseQuery(text, states).jobs) ?? [];
}

const finals = Object.keys(states).filter((word) => states[word]?.state === 'ended');
const final = `(?:${finals.join('|')})(?![A-Z_])`;
const inRecord = '[^\\x1e\\x1f]*';

/** Whether a text has a record of the job, from its first to its last byte, that says it is over. */
const holdsEnd = {
  squeue: (text: string, id: string) =>
    new RegExp(`\\x1e${id}\\x1f${final}${inRecord}(?:\\x1f${inRecord}){6}\\x1f`).test(text),
  sacct: (text: string, { id, jobName }: { id: string; jobName: string }) => {
    const submits = (state: string) =>
      [
        ...text.matchAll(
          new RegExp(
            `^${id}\\|${state}[^|\n]*(?:\\|[^|\n]*){2}\\|([^|\n]*)(?:\\|[^|\n]*){3}\\|${jobName}\n`,
            'gm',
          ),
        ),
      ].map(([, submit = '']) => submit);
    const latest = (all: readonly string[]) => all.toSorted().at(-1);
    return submits(final).length > 0 && latest(submits(final)) === latest(submits(''));
  },
  scontrol: (text: string, { id, jobName }: { id: string; jobName: string }) =>
    new RegExp(`^JobId=${id} (?:.*\\s)?JobName=${jobName}\\s.*JobState=${final}`, 'ms').test(
      text,
    ) && text.endsWith('\n'),
};

function holdsNumber(text: string, id: string): boolean {
  return new RegExp(`(?<!\\d)${id}(?!\\d)`).test(text);
}

function expectSoundDates(status: JobStatus): void {
  const { submittedAt, startedAt, estimatedStart, endsAt } = status;
  for (const date of [submittedAt, startedAt, estimatedStart, endsAt]) {
    expect(date?.getTime()).not.to.be.NaN;
  }
}

describe('The readers of Slurm, with damaged output', () => {
  it('refuse it or read what is in it', () => {
    fc.assert(
      fc.property(anyDamaged, fc.constantFrom(...jobs), (text, job) => {
        const submitted = read(() => jobIdIn(text, patterns.jobId));
        expect(submitted === undefined || holdsNumber(text, submitted.id)).to.equal(true);

        for (const status of queried(text)) {
          expect(holdsNumber(text, status.id), status.id).to.equal(true);
          expectSoundDates(status);
          if (status.state === 'ended') {
            expect(holdsEnd.squeue(text, status.id), `${status.id} has ended`).to.equal(true);
          }
        }

        for (const { id } of read(() => slurm.parseFind(text))?.jobs ?? []) {
          expect(holdsNumber(text, id), id).to.equal(true);
        }

        const [byScontrol, bySacct] = slurm.accounting.map(({ parse }) =>
          read(() => parse(text, job, states)),
        );
        for (const status of [bySacct, byScontrol].filter((one) => one !== undefined)) {
          expect(status.id).to.equal(job.id);
          expectSoundDates(status);
        }
        expect(bySacct?.state !== 'ended' || holdsEnd.sacct(text, job)).to.equal(true);
        expect(byScontrol?.state !== 'ended' || holdsEnd.scontrol(text, job)).to.equal(true);
      }),
      { numRuns: 6000 },
    );
  }).timeout(20_000);

  const listings = ['squeue-query.esc', 'squeue-query-ended.esc'];
  const whole = new Map(
    listings.flatMap((name) => queried(fixtures.text(name))).map((status) => [status.id, status]),
  );

  it('say of no job what its record does not say, whichever records are there', () => {
    const texts = fc.oneof(
      ...listings.map((name) => shuffled(fixtures.text(name))),
      shuffled(listings.map((name) => fixtures.text(name)).join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const answer = slurm.parseQuery(text, states);
        expect(answer.complete).to.equal(true);
        const ids = text
          .split('\x1e')
          .slice(1)
          .map((one) => one.split('\x1f')[0]);
        expect(answer.jobs.map(({ id }) => id)).to.deep.equal(ids);
        for (const status of answer.jobs) {
          expect(status).to.deep.equal(whole.get(status.id));
        }
      }),
      { numRuns: 2000 },
    );
  }).timeout(20_000);

  const accounts = ['sacct-jobs.txt', 'scontrol-jobs.txt'] as const;
  for (const [index, name] of accounts.entries()) {
    it(`say of no job what its record does not say, whichever rows are there (${name})`, () => {
      const text = fixtures.text(name);
      const parse = (of: string, job: (typeof jobs)[number]) =>
        read(() => slurm.accounting[index]?.parse(of, job, states));
      fc.assert(
        fc.property(shuffled(text), fc.constantFrom(...jobs), (rows, job) => {
          const status = parse(rows, job);
          const lines = rows.split('\n').filter((line) => line.includes(job.jobName));
          const isWhole = lines.length === text.split(job.jobName).length - 1;
          const there = parse(text, job);
          if (status !== undefined && isWhole) {
            expect(status).to.deep.equal(there);
          } else if (status?.state === 'ended') {
            expect(holdsEnd[index === 0 ? 'sacct' : 'scontrol'](rows, job)).to.equal(true);
          }
        }),
        { numRuns: 1000 },
      );
    }).timeout(20_000);
  }
});
