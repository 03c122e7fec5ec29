import { expect } from 'chai';
import { AbortError, CommandError } from '../../lib/errors.ts';
import { StubRunner } from '../../lib/testing/index.ts';

const success = { stdout: '', stderr: '', exitCode: 0, signal: null, timedOut: false };

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail('it did not reject'),
    (error: unknown) => error,
  );
}

describe('StubRunner', () => {
  it('takes a text for standard output, and completes a part of a result', async () => {
    const runner = new StubRunner({
      sbatch: '1012\n',
      scancel: { exitCode: 8, stderr: 'no\n' },
      squeue: {},
    });
    expect(await runner.run(['sbatch'])).to.deep.equal({ ...success, stdout: '1012\n' });
    expect(await runner.run(['scancel'])).to.deep.equal({
      ...success,
      exitCode: 8,
      stderr: 'no\n',
    });
    expect(await runner.run(['squeue'])).to.deep.equal(success);
  });

  it('gives no exit code to a command that was ended', async () => {
    const runner = new StubRunner({
      killed: { signal: 'SIGKILL' },
      late: { timedOut: true },
      stubborn: { timedOut: true, exitCode: 0 },
    });
    expect((await runner.run(['killed'])).exitCode).to.equal(null);
    expect((await runner.run(['late'])).exitCode).to.equal(null);
    expect((await runner.run(['stubborn'])).exitCode).to.equal(0);
  });

  it('knows a program in any directory', async () => {
    const runner = new StubRunner({ squeue: 'rows' });
    expect((await runner.run(['/opt/slurm/bin/squeue'])).stdout).to.equal('rows');
  });

  it('uses a list one after the other, and its last answer for ever', async () => {
    const runner = new StubRunner({
      squeue: ['one', { exitCode: 1 }, (argv) => argv.join(' ')],
      sbatch: 'id',
    });
    const answers = [];
    for (let turn = 0; turn < 4; turn += 1) {
      const { stdout, exitCode } = await runner.run(['squeue', String(turn)]);
      answers.push([stdout, exitCode]);
      await runner.run(['sbatch']);
    }
    expect(answers).to.deep.equal([
      ['one', 0],
      ['', 1],
      ['squeue 2', 0],
      ['squeue 3', 0],
    ]);
  });

  it('asks a function, which is told everything', async () => {
    const runner = new StubRunner(
      async ([program], { user, input }) => `${program} ${user} ${input}`,
    );
    const { stdout } = await runner.run(['sbatch'], { user: 'alice', input: '#!/bin/sh' });
    expect(stdout).to.equal('sbatch alice #!/bin/sh');
  });

  it('rejects with an error that is the answer', async () => {
    const error = new CommandError('No.', { command: 'squeue' });
    const runner = new StubRunner({ squeue: [error, 'rows'] });
    expect(await failureOf(runner.run(['squeue']))).to.equal(error);
    expect((await runner.run(['squeue'])).stdout).to.equal('rows');
  });

  for (const [what, runner] of [
    ['a table', new StubRunner({ squeue: 'rows' })],
    ['a function', new StubRunner(() => undefined)],
    ['an empty list', new StubRunner({ sbatch: [], constructor: [] })],
  ] as const) {
    it(`rejects a command for which there is no answer in ${what}`, async () => {
      for (const program of ['sbatch', 'constructor']) {
        const error = await failureOf(runner.run([program, '--parsable']));
        expect(error).to.be.an.instanceOf(CommandError);
        expect(error).to.include({ command: program, exitCode: null, retryable: false });
        expect(String(error)).to.contain(program).and.not.to.contain('--parsable');
      }
    });
  }

  it('keeps what it was asked', async () => {
    const runner = new StubRunner({ sbatch: '1', squeue: 'rows' });
    const argv = ['/usr/bin/sbatch', '--parsable'];
    await runner.run(argv, { user: 'alice' });
    argv.push('changed later');
    await runner.run(['squeue']);
    await runner.run(['nothing']).catch(() => {});
    expect(runner.calls).to.deep.equal([
      { argv: ['/usr/bin/sbatch', '--parsable'], options: { user: 'alice' } },
      { argv: ['squeue'], options: {} },
      { argv: ['nothing'], options: {} },
    ]);
    expect(runner.callsOf('sbatch')).to.deep.equal([runner.calls[0]]);
  });

  it('runs nothing when the signal is aborted already', async () => {
    const runner = new StubRunner({ sbatch: '1' });
    const error = await failureOf(runner.run(['sbatch'], { signal: AbortSignal.abort('why') }));
    expect(error).to.be.an.instanceOf(AbortError);
    expect(error).to.include({ name: 'AbortError', cause: 'why' });
    expect(runner.calls).to.deep.equal([]);
  });
});
