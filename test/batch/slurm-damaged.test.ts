import { expect } from 'chai';
import fc from 'fast-check';
import type { JobStatus } from '../../lib/batch/scheduler.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import { ParseError } from '../../lib/errors.ts';
import { Fixtures } from '../helpers/fixtures.ts';
import { shuffled } from '../helpers/mutate.ts';

const fixtures = new Fixtures('slurm');
const { states } = slurm;
const [scontrol, sacct] = slurm.accounting;

const jobs = [
  { id: '10', jobName: 'jupyter-alice-nodefailrequeue' },
  { id: '13', jobName: 'jupyter-alice-exit7' },
  { id: '12', jobName: 'jupyter-alice-completed' },
  { id: '2', jobName: 'jupyter-alice-running' },
  { id: '4711', jobName: 'jupyter-alice-running' },
];

/** What a reader gives; undefined where it refuses the text. */
function read(reader: () => JobStatus | undefined): JobStatus | undefined {
  try {
    return reader();
  } catch (error) {
    expect(error).to.be.instanceOf(ParseError);
    return undefined;
  }
}

/** Damage within records is for test/fuzz/slurm.test.ts. */
describe('The readers of Slurm, with rows that are missing, doubled or in another order', () => {
  const listings = ['squeue-query.esc', 'squeue-query-ended.esc'];
  const whole = new Map(
    listings
      .flatMap((name) => slurm.parseQuery(fixtures.text(name), states).jobs)
      .map((status) => [status.id, status]),
  );

  it('say of a listed job what its record says', () => {
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
        expect(answer.jobs.map(({ id }) => id)).to.deep.equal([...new Set(ids)]);
        for (const status of answer.jobs) {
          expect(status).to.deep.equal(whole.get(status.id));
        }
      }),
      { numRuns: 2000 },
    );
  }).timeout(20_000);

  const accounts = [
    { name: 'sacct-jobs.txt', source: sacct },
    { name: 'scontrol-jobs.txt', source: scontrol },
  ];
  for (const { name, source } of accounts) {
    it(`say of one job what its rows say (${name})`, () => {
      const text = fixtures.text(name);
      const parse = (of: string, job: (typeof jobs)[number]) =>
        read(() => source?.parse(of, job, states));
      const rowsOf = (of: string, { jobName }: (typeof jobs)[number]) =>
        new Set(of.split('\n').filter((line) => line.includes(jobName)));
      let compared = 0;
      fc.assert(
        fc.property(shuffled(text), fc.constantFrom(...jobs), (rows, job) => {
          const status = parse(rows, job);
          const there = parse(text, job);
          if (status !== undefined && rowsOf(rows, job).size === rowsOf(text, job).size) {
            compared += 1;
            expect(status).to.deep.equal(there);
          } else if (there?.state !== 'ended' && rowsOf(text, job).size === 1) {
            expect(status?.state).not.to.equal('ended');
          }
        }),
        { numRuns: 1000 },
      );
      expect(compared).to.be.above(100);
    }).timeout(20_000);
  }
});
