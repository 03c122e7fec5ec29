import { expect } from 'chai';
import { gridEngine } from '../../lib/batch/grid-engine.ts';
import { lsf } from '../../lib/batch/lsf.ts';
import { pbs } from '../../lib/batch/pbs.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import { torque } from '../../lib/batch/torque.ts';
import { Fixtures } from '../helpers/fixtures.ts';

describe('Word that a submission has made no job', () => {
  for (const [{ name, patterns }, fixtures, doubtful] of [
    [
      slurm,
      ['sbatch-bad-partition.err.txt', 'sbatch-bad-time.err.txt'],
      [
        'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation',
        'sbatch: error: Batch job submission failed: Unexpected message received',
      ],
    ],
    [
      gridEngine,
      ['qsub-badqueue.err.txt'],
      ['Unable to run job: got no response from JSV script.\nExiting.'],
    ],
    [pbs, ['qsub-badqueue.err.txt', 'qsub-badresource.err.txt'], ['qsub: Invalid credential']],
    [
      torque,
      ['qsub-badqueue.err.txt', 'qsub-toobig.err.txt'],
      ['qsub: submit error (Time out)', 'qsub: submit error (End of File)'],
    ],
    [
      lsf,
      ['bsub-badqueue.err.txt', 'bsub-badresreq.err.txt'],
      [
        'Communication time out. Job not submitted.',
        'Failed in an LSF library call: Communication time out. Job not submitted.',
      ],
    ],
  ] as const) {
    const denied = (text: string) => patterns.denied?.test(text.trimEnd());

    it(`is taken from ${name} in the words that leave no doubt`, () => {
      for (const fixture of fixtures) {
        const text = new Fixtures(name).text(fixture);
        expect(denied(text), fixture).to.equal(true);
        expect(denied(`${text}Connection to login1 closed.\n`), fixture).to.equal(false);
      }
    });

    it(`is not taken from ${name} where the answer may have been lost`, () => {
      for (const text of [...doubtful, 'Connection closed by remote host.', '']) {
        expect(denied(text), text).to.equal(false);
      }
    });
  }
});
