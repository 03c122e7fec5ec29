import { assert } from 'chai';
import { CommandError, OptionsError } from '../../lib/errors.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../../lib/runners/runner.ts';
import { SudoRunner } from '../../lib/runners/sudo.ts';

type Call = readonly [argv: readonly string[], options?: RunOptions];

/** Answers as the account `hub` on a machine that has sudo; `answer` is what sudo comes back with. */
class StubRunner implements CommandRunner {
  readonly calls: Call[] = [];
  readonly #answer: Partial<CommandResult>;

  constructor(answer: Partial<CommandResult> = {}) {
    this.#answer = answer;
  }

  async run(...call: Call): Promise<CommandResult> {
    const [command, argument] = call[0];
    const none = { stdout: '', stderr: '', exitCode: 0, signal: null, timedOut: false };
    switch (command) {
      case 'id':
        return { ...none, stdout: 'hub\n' };
      case 'which':
        return argument === 'squeue'
          ? { ...none, stdout: '/opt/slurm/bin/squeue\n' }
          : { ...none, exitCode: 1 };
      default:
        this.calls.push(call);
        return { ...none, ...this.#answer };
    }
  }
}

async function commandError(stub: StubRunner, argv: readonly string[], options: RunOptions) {
  try {
    await new SudoRunner({ runner: stub }).run(argv, options);
  } catch (error) {
    assert.instanceOf(error, CommandError);
    return error;
  }
  throw new Error(`${argv[0]} could be run`);
}

describe('SudoRunner', () => {
  it('runs a command as another account', async () => {
    const stub = new StubRunner({ stdout: 'queue\n' });
    const result = await new SudoRunner({ runner: stub }).run(['squeue', '-u', 'alice'], {
      user: 'alice',
    });
    assert.equal(result.stdout, 'queue\n');
    assert.deepEqual(stub.calls, [
      [['/usr/bin/sudo', '-n', '-H', '-u', 'alice', '--', 'squeue', '-u', 'alice'], {}],
    ]);
  });

  it('names the variables to sudo, and keeps their values off its command line', async () => {
    const stub = new StubRunner();
    const env = { PATH: '/opt/slurm/bin', TOKEN: 'secret, and more' };
    await new SudoRunner({ runner: stub, sudo: '/run/wrappers/bin/sudo' }).run(['sbatch'], {
      user: 'alice',
      env,
    });
    assert.deepEqual(stub.calls, [
      [
        [
          '/run/wrappers/bin/sudo',
          '-n',
          '-H',
          '-u',
          'alice',
          '--preserve-env=PATH,TOKEN',
          '--',
          'sbatch',
        ],
        { env },
      ],
    ]);
  });

  it('passes no variables on that would act on sudo itself', async () => {
    const stub = new StubRunner();
    const env = { LD_PRELOAD: '/home/alice/evil.so', GCONV_PATH: '/home/alice', A: '1' };
    await new SudoRunner({ runner: stub }).run(['sbatch'], { user: 'alice', env });
    assert.deepEqual(stub.calls, [
      [
        ['/usr/bin/sudo', '-n', '-H', '-u', 'alice', '--preserve-env=A', '--', 'sbatch'],
        { env: { A: '1' } },
      ],
    ]);
  });

  it('leaves input, working directory, time-out and signal to the wrapped runner', async () => {
    const stub = new StubRunner();
    const options = { input: 'in', cwd: '/srv', timeout: 5, signal: new AbortController().signal };
    await new SudoRunner({ runner: stub }).run(['cat'], { user: 'alice', ...options });
    assert.deepEqual(stub.calls[0]?.[1], options);
  });

  for (const user of [undefined, 'hub']) {
    it(`runs a command without sudo for ${user ? 'the own account' : 'no account'}`, async () => {
      const stub = new StubRunner({ exitCode: 1, stderr: 'sudo: a password is required\n' });
      const env = { LD_LIBRARY_PATH: '/opt/lib' };
      const result = await new SudoRunner({ runner: stub }).run(['squeue'], {
        ...(user && { user }),
        env,
      });
      assert.equal(result.exitCode, 1);
      assert.deepEqual(stub.calls, [[['squeue'], { env }]]);
    });
  }

  for (const user of ['', '-alice', '#0', 'al\0ice', 'alice\nbob', 'alice\r']) {
    it(`refuses the account ${JSON.stringify(user)}`, async () => {
      const stub = new StubRunner();
      const { message } = await commandError(stub, ['squeue'], { user });
      assert.include(message, `${JSON.stringify(user)}, which is no name of an account`);
      assert.isEmpty(stub.calls);
    });
  }

  it('refuses a variable that sudo would take for two', async () => {
    const stub = new StubRunner();
    const { message } = await commandError(stub, ['squeue'], {
      user: 'alice',
      env: { 'A,B': 'secret' },
    });
    assert.include(message, '"A,B"');
    assert.notInclude(message, 'secret');
    assert.isEmpty(stub.calls);
  });

  it('refuses to run nothing', async () => {
    assert.include(
      (await commandError(new StubRunner(), [], { user: 'alice' })).message,
      'no command',
    );
  });

  it('refuses a sudo that would have to be looked up', () => {
    assert.throws(() => new SudoRunner({ sudo: 'sudo' }), OptionsError, 'absolute path of sudo');
  });

  describe('a refusal', () => {
    const rule = 'hub ALL = (alice) NOPASSWD: SETENV: /opt/slurm/bin/squeue';
    for (const [line, advice] of [
      ['sudo: a password is required', rule],
      ['sudo: sorry, a password is required to run sudo', rule],
      ['sudo: a terminal is required to read the password; either use the -S option', rule],
      ['sudo: sorry, you are not allowed to set the following environment variables: TOKEN', rule],
      ['sudo: sorry, you are not allowed to preserve the environment', rule],
      ["Sorry, user hub is not allowed to execute '/opt/slurm/bin/squeue' as alice on vm.", rule],
      ['Sorry, user hub may not run sudo on vm.', rule],
      ['hub is not in the sudoers file.', rule],
      ['sudo: sorry, you must have a tty to run sudo', 'Defaults:hub !requiretty'],
      ['sudo: unknown user alice', 'no such account'],
      ['sudo: unknown user: alice', 'no such account'],
      ['sudo: squeue: command not found', 'give the absolute path'],
      ['sudo: unable to execute /opt/slurm/bin/squeue: Permission denied', 'allowed to execute'],
      ['sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set', 'set up'],
      [
        'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.',
        'set up',
      ],
    ] as const) {
      it(`is an error: ${line}`, async () => {
        const stderr = `sudo: unable to resolve host vm: Name or service not known\n${line}\n`;
        const error = await commandError(new StubRunner({ exitCode: 1, stderr }), ['squeue'], {
          user: 'alice',
        });
        assert.include(error.message, `'squeue' can't be run as 'alice'. sudo says: '${line}'.`);
        assert.include(error.message, advice);
        assert.deepEqual([error.command, error.exitCode, error.stderr], ['squeue', null, stderr]);
      });
    }

    it('names the cause, where sudo has more to say', async () => {
      const stderr =
        'sudo: account validation failure, is your account locked?\nsudo: a password is required\n';
      const { message } = await commandError(new StubRunner({ exitCode: 1, stderr }), ['id'], {
        user: 'alice',
      });
      assert.include(message, 'is your account locked?');
    });

    it('gives a rule for an absolute path, and for an account of a domain', async () => {
      const stub = new StubRunner({ exitCode: 1, stderr: 'sudo: a password is required\n' });
      const { message } = await commandError(stub, ['/usr/bin/sbatch'], { user: 'SITE\\alice' });
      assert.include(message, 'hub ALL = (SITE\\\\alice) NOPASSWD: SETENV: /usr/bin/sbatch');
    });

    it('gives a rule for a program that is not found', async () => {
      const stub = new StubRunner({ exitCode: 1, stderr: 'sudo: a password is required\n' });
      const { message } = await commandError(stub, ['qsub'], { user: 'alice' });
      assert.include(message, 'NOPASSWD: SETENV: /path/to/qsub');
    });
  });

  for (const [what, answer] of [
    ['another exit code', { exitCode: 2, stderr: 'sudo: a password is required\n' }],
    ['output', { exitCode: 1, stdout: 'job 7\n', stderr: 'sudo: a password is required\n' }],
    ['a message of its own', { exitCode: 1, stderr: 'squeue: error: a password is required\n' }],
    ['a warning of sudo', { exitCode: 1, stderr: 'sudo: unable to resolve host vm\nno job\n' }],
    ['no message', { exitCode: 1 }],
  ] as const) {
    it(`a failure of the command with ${what} is a result`, async () => {
      const stub = new StubRunner(answer);
      const result = await new SudoRunner({ runner: stub }).run(['squeue'], { user: 'alice' });
      assert.include(result, answer);
    });
  }
});
