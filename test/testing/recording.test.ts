import { expect } from 'chai';
import { SlurmSpawner } from '../../lib/batch/slurm.ts';
import { AbortError, CommandError, OptionsError, StartError } from '../../lib/errors.ts';
import type { CommandRunner } from '../../lib/runners/runner.ts';
import type { Recording } from '../../lib/testing/index.ts';
import { RecordingRunner, ReplayRunner, StubRunner } from '../../lib/testing/index.ts';
import { FakeSlurm } from '../helpers/fake-slurm.ts';

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail('it did not reject'),
    (error: unknown) => error,
  );
}

/** The error of a start of a SlurmSpawner. */
function failedStart(runner: CommandRunner, submitted = async () => {}): Promise<unknown> {
  const spawner = new SlurmSpawner(
    { user: { name: 'alice' }, runner },
    { endpoint: 'fixed', port: 8888, queryInterval: 5, gracePeriod: 5 },
  );
  spawner.once('submitted', submitted);
  return failureOf(spawner.start());
}

/** What comes back from a file. */
const saved = (recording: Recording): unknown => JSON.parse(JSON.stringify(recording));

describe('RecordingRunner and ReplayRunner', () => {
  it('give a session again, each command in its order', async () => {
    const stub = new StubRunner({
      sbatch: '1012\n',
      squeue: ['PENDING', { exitCode: 1, stderr: 'away' }, 'RUNNING'],
      scancel: { signal: 'SIGKILL', timedOut: true },
    });
    const recorder = new RecordingRunner(stub);
    const session = [
      ['sbatch', '--parsable'],
      ['squeue', '-h'],
      ['squeue', '-h'],
      ['squeue', '-h'],
      ['scancel', '1012'],
    ];
    const results = [];
    for (const argv of session) results.push(await recorder.run(argv));

    const replay = new ReplayRunner(saved(recorder.recording));
    const again = [];
    // In another order, which is the same for each command.
    for (const index of [4, 1, 0, 2, 3]) again[index] = await replay.run(session[index] ?? []);
    expect(again).to.deep.equal(results);
    expect(await replay.run(['squeue', '-h'])).to.deep.equal(results[3]);
  });

  it('record neither environment nor standard input, and nothing that is to be redacted', async () => {
    const stub = new StubRunner({
      'sq.eue+': { stdout: 'alice alice2 node07', stderr: 'for alice2' },
      gone: new CommandError('No node07.', { command: 'gone', retryable: true }),
    });
    const recorder = new RecordingRunner(stub, { redact: ['alice', 'alice2', 'node07', '.e+'] });
    const options = { user: 'alice', env: { TOKEN: 'secret-1' }, input: 'secret-2' };
    const result = await recorder.run(['sq.eue+', '-u', 'alice'], options);
    expect(result.stdout, 'redacted for its caller').to.equal('alice alice2 node07');
    await failureOf(recorder.run(['gone']));

    const { commands } = recorder.recording;
    expect(JSON.stringify(commands)).not.to.match(/alice|node07|secret|TOKEN/);
    expect(commands[0]).to.deep.include({
      argv: ['sq.eue+', '-u', '[redacted]'],
      user: '[redacted]',
      outcome: {
        ...result,
        stdout: '[redacted] [redacted] [redacted]',
        stderr: 'for [redacted]',
      },
    });
    expect(stub.calls[0]).to.deep.include({ argv: ['sq.eue+', '-u', 'alice'], options });
  });

  it('keep the order in which commands were begun', async () => {
    const ends = new Map<string, () => void>();
    const stub = new StubRunner(
      ([program = '']) => new Promise((resolve) => ends.set(program, () => resolve(program))),
    );
    const recorder = new RecordingRunner(stub);
    const [slow, fast] = [recorder.run(['slow']), recorder.run(['fast'])];
    ends.get('fast')?.();
    await fast;
    expect(recorder.recording.commands.map(({ argv }) => argv)).to.deep.equal([['fast']]);
    ends.get('slow')?.();
    await slow;
    const { commands } = recorder.recording;
    expect(commands.map(({ argv }) => argv)).to.deep.equal([['slow'], ['fast']]);
    expect(commands.every(({ duration }) => Number.isInteger(duration))).to.equal(true);
  });

  it('give a command that could not be run as one that can not be run', async () => {
    const error = new CommandError('Too many processes.', { command: 'squeue', retryable: true });
    const recorder = new RecordingRunner(new StubRunner({ squeue: error }));
    expect(await failureOf(recorder.run(['squeue']))).to.equal(error);
    const again = await failureOf(new ReplayRunner(saved(recorder.recording)).run(['squeue']));
    expect(again).to.be.an.instanceOf(CommandError);
    expect(again).to.include({
      message: 'Too many processes.',
      command: 'squeue',
      retryable: true,
      exitCode: null,
    });
  });

  it('do not take an abort for an answer of the cluster', async () => {
    const recorder = new RecordingRunner(new StubRunner({ squeue: 'rows' }));
    const signal = AbortSignal.abort();
    const aborted = await failureOf(recorder.run(['squeue'], { signal }));
    expect(aborted).to.be.an.instanceOf(AbortError);
    expect(recorder.recording.commands).to.deep.equal([]);

    await recorder.run(['squeue']);
    const replay = new ReplayRunner(recorder.recording);
    const again = await failureOf(replay.run(['squeue'], { signal }));
    expect(again).to.be.an.instanceOf(AbortError);
  });

  it('name a command that was not recorded, and those that were', async () => {
    const recorder = new RecordingRunner(new StubRunner({ squeue: 'rows' }));
    await recorder.run(['squeue', '-u', 'alice']);
    const replay = new ReplayRunner(recorder.recording);
    const other = await failureOf(replay.run(['squeue', '-u', 'bob']));
    expect(other).to.be.an.instanceOf(CommandError).and.to.include({ command: 'squeue' });
    expect(String(other)).to.contain('["squeue","-u","bob"]').and.to.contain('"-u","alice"');
    const byOther = await failureOf(replay.run(['squeue', '-u', 'alice'], { user: 'bob' }));
    expect(String(byOther)).to.contain('as bob');
    expect(String(await failureOf(replay.run(['sacct'])))).to.contain('none of sacct');
  });

  it('give what differs at each run in the words of the replay', async () => {
    const stub = new StubRunner({
      sbatch: ['1\n', '2\n'],
      squeue: '1 jupyter-aaaa\n2 jupyter-bbbb\n3 jupyter-cccc',
    });
    const recorder = new RecordingRunner(stub);
    for (const argv of [
      ['sbatch', '-J', 'jupyter-aaaa'],
      ['sbatch', '-J', 'jupyter-bbbb'],
      ['squeue'],
    ]) {
      await recorder.run(argv);
    }
    const replay = new ReplayRunner(saved(recorder.recording), { varying: /(?<=-)[a-z]{4}$/m });
    expect((await replay.run(['sbatch', '-J', 'jupyter-dddd'])).stdout).to.equal('1\n');
    expect((await replay.run(['sbatch', '-J', 'jupyter-eeee'])).stdout).to.equal('2\n');
    expect((await replay.run(['squeue'])).stdout).to.equal(
      '1 jupyter-dddd\n2 jupyter-eeee\n3 jupyter-cccc',
    );
    const other = await failureOf(replay.run(['sbatch', '-J', 'rstudio-dddd']));
    expect(String(other)).to.contain('jupyter-aaaa');
  });

  it('serve a whole start of a spawner', async () => {
    const slurm = new FakeSlurm({ home: '/home/alice', run: false });
    const recorder = new RecordingRunner(slurm.runner);
    const recorded = failedStart(recorder, async () => {
      slurm.setState('1001', 'RUNNING');
      await slurm.endJob('1001', { state: 'FAILED', exitCode: 3 });
    });
    const error = await recorded;
    expect(error).to.be.an.instanceOf(StartError).with.nested.property('exit.code', 3);
    const replay = new ReplayRunner(saved(recorder.recording), { varying: /[0-9a-f]{12}/ });
    const again = await failedStart(replay);
    expect(again).to.deep.include({ name: 'StartError', exit: Object(error).exit });
  });

  const command = {
    argv: ['squeue'],
    duration: 1,
    outcome: { stdout: '', stderr: '', exitCode: 0, signal: null, timedOut: false },
  };
  for (const [path, recording] of [
    ['recording', null],
    ['recording', 'x'],
    ['recording.version', []],
    ['recording.version', { version: 2, commands: [] }],
    ['recording.commands', { version: 1 }],
    ['recording.commands[1]', { version: 1, commands: [command, null] }],
    ['recording.commands[0]', { version: 1, commands: [{ ...command, argv: [1] }] }],
    ['recording.commands[0]', { version: 1, commands: [{ ...command, user: 1 }] }],
    ['recording.commands[0]', { version: 1, commands: [{ ...command, outcome: {} }] }],
  ] as const) {
    it(`refuse to replay ${JSON.stringify(recording)}`, () => {
      expect(() => new ReplayRunner(recording))
        .to.throw(OptionsError)
        .with.property('path', path);
    });
  }

  it('refuse to redact an empty text', () => {
    const stub = new StubRunner({});
    expect(() => new RecordingRunner(stub, { redact: ['a', ''] })).to.throw(OptionsError, 'redact');
  });
});
