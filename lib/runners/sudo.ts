import { CommandError, OptionsError } from '../errors.ts';
import { createLog } from '../log.ts';
import { LocalRunner } from './local.ts';
import type { CommandResult, CommandRunner, RunOptions } from './runner.ts';

const log = createLog('runner');

/** The options of `SudoRunner`. */
export interface SudoRunnerOptions {
  /** What runs sudo. Default: a `LocalRunner`. */
  readonly runner?: CommandRunner;
  /**
   * The absolute path of sudo: were it looked up, the `PATH` that is meant for the command would
   * decide which program runs with the hub's rights. Default: `/usr/bin/sudo`.
   */
  readonly sudo?: string;
}

/**
 * Runs commands as other accounts, by sudo. Without `user`, or if it is the account that the
 * wrapped runner runs as, a command goes straight to the wrapped runner.
 *
 * For a hub with an account of its own, a file in `/etc/sudoers.d` has to say what it may do:
 *
 *     hub ALL = (alice, bob) NOPASSWD: SETENV: /usr/bin/sbatch, /usr/bin/squeue, /usr/bin/scancel
 *
 * `SETENV` is needed where `env` is used. It also means that the hub can make these commands run any
 * code as these accounts, by variables such as `BASH_ENV`. Facts of sudo 1.9.13:
 *
 * - **Environment.** Variables are named on sudo's command line, and their values stand in its
 *   environment alone. Those in `env` arrive as they are, even `HOME` and `PATH`. Beside them the
 *   command finds what sudo sets itself: `HOME`, `LOGNAME`, `MAIL`, `PATH` (the `secure_path` of
 *   sudoers), `SHELL`, `TERM`, `USER`, `SUDO_COMMAND`, `SUDO_GID`, `SUDO_UID` and `SUDO_USER`.
 *   Not passed on, and dropped without an error, is what the C library removes from the environment
 *   of a setuid program: `LD_*`, `GLIBC_TUNABLES`, `GCONV_PATH`, `GETCONF_DIR`, `HOSTALIASES`,
 *   `LOCALDOMAIN`, `LOCPATH`, `MALLOC_CHECK_`, `MALLOC_TRACE`, `NIS_PATH`, `NLSPATH`,
 *   `RESOLV_HOST_CONF`, `RES_OPTIONS`, `TMPDIR`, `TZDIR`. sudo itself runs with the rest, for a hub
 *   that is root without its usual caution: `env` must not hold what a person who is served by the
 *   hub may choose.
 * - **Programs** without a slash in their name are looked up in the `secure_path` of sudoers. The
 *   `PATH` in `env` arrives, but counts only where there is no `secure_path`.
 * - **Working directory.** It is entered before sudo runs, hence by the hub's account. A home
 *   directory that only its owner may enter can't be `cwd`, unless the hub is root. sudo's own
 *   `--chdir` would need another permission (`CWD`), which even root does not have.
 * - **Time-outs and aborts.** A hub that is root ends all processes of the command. Any other can
 *   signal sudo only, which hands SIGTERM on to the command itself: its children, and a command
 *   that ignores SIGTERM, live on. `run()` comes back all the same.
 * - **Refusals** are told from a failure of the command by sudo's messages in English. Where `env`
 *   asks for another language (`LANG`, `LANGUAGE`, `LC_ALL`, `LC_MESSAGES`), a refusal may therefore
 *   come as a result with exit code 1.
 *
 * @throws OptionsError from the constructor, where an option is not what it must be
 */
export class SudoRunner implements CommandRunner {
  readonly #runner: CommandRunner;
  readonly #sudo: string;
  #account: string | undefined;

  constructor({ runner = new LocalRunner(), sudo = '/usr/bin/sudo' }: SudoRunnerOptions = {}) {
    if (!sudo.startsWith('/')) {
      throw new OptionsError('sudo', 'the absolute path of sudo');
    }
    this.#runner = runner;
    this.#sudo = sudo;
  }

  /**
   * See `CommandRunner`. Rejects with a `CommandError` also where sudo does not know the account or
   * refuses; it then says which line in sudoers would allow the command.
   */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    const { user, env, ...rest } = options;
    const [command = ''] = argv;
    if (user === undefined) {
      return this.#runner.run(argv, options);
    }
    if (command === '') {
      throw new CommandError('There is no command to run: the name of the program is empty.', {
        command,
      });
    }
    if (user === '' || /^[-#]|[\n\r]/.test(user) || user.includes('\0')) {
      throw new CommandError(
        `The command '${command}' can't be run as ${JSON.stringify(user)}, which is no name of an ` +
          'account: it is empty, starts with a `-` or a `#`, or has a line break or a NUL character.',
        { command },
      );
    }
    if (user === (await this.#ownAccount(rest))) {
      return this.#runner.run(argv, { ...rest, ...(env && { env }) });
    }
    const passed = env && withoutUnsafe(env);
    const names = Object.keys(passed ?? {});
    const odd = names.find((name) => name.includes(','));
    if (odd !== undefined) {
      throw new CommandError(
        `The command '${command}' can't be run as '${user}' with the environment variable ` +
          `${JSON.stringify(odd)}: sudo takes its name, with the comma, for two names.`,
        { command },
      );
    }
    const preserve = names.length === 0 ? [] : [`--preserve-env=${names.join(',')}`];
    const started = performance.now();
    const result = await this.#runner.run(
      [this.#sudo, '-n', '-H', '-u', user, ...preserve, '--', ...argv],
      { ...rest, ...(passed && { env: passed }) },
    );
    const took = Math.round(performance.now() - started);
    log('%s as %s by sudo: %s after %d ms', command, user, result.signal ?? result.exitCode, took);
    await this.#checkRefusal(result, command, user);
    return result;
  }

  /** The account that sudo is run by. Undefined where it has no name, which is asked again. */
  async #ownAccount({ timeout, signal }: RunOptions): Promise<string | undefined> {
    if (this.#account === undefined) {
      const { stdout, exitCode } = await this.#runner.run(['id', '-un'], {
        ...(timeout !== undefined && { timeout }),
        ...(signal && { signal }),
      });
      this.#account = exitCode === 0 ? stdout.trim() : undefined;
    }
    return this.#account;
  }

  /** Throws where sudo did not run the command, which it says on standard error alone. */
  async #checkRefusal(result: CommandResult, command: string, user: string): Promise<void> {
    if (result.exitCode !== 1 || result.stdout !== '') {
      return;
    }
    const { stderr } = result;
    for (const { says, kind } of refusals) {
      const line = stderr.split(/\r?\n/).find((text) => says.test(text));
      if (line !== undefined) {
        const advice = await this.#advice(kind, command, user);
        throw new CommandError(
          `The command '${command}' can't be run as '${user}'. sudo says: '${line}'. ${advice}`,
          { command, stderr },
        );
      }
    }
  }

  async #advice(kind: Refusal, command: string, user: string): Promise<string> {
    const account = this.#account ?? 'ACCOUNT';
    switch (kind) {
      case 'account':
        return 'There is no such account on the machine where it runs.';
      case 'lookup':
        return 'It looks in the secure_path of sudoers, or else in PATH: give the absolute path.';
      case 'execution':
        return `The account '${user}' must be allowed to execute the program and its interpreter.`;
      case 'terminal':
        return `Allow it with this line in /etc/sudoers.d: Defaults:${word(account)} !requiretty`;
      case 'rule': {
        const path = word(await this.#pathOf(command));
        return (
          'Allow it with this line in /etc/sudoers.d: ' +
          `${word(account)} ALL = (${word(user)}) NOPASSWD: SETENV: ${path}`
        );
      }
      case 'setup':
        return 'This is to be settled where sudo or the account is set up.';
    }
  }

  /** Rules in sudoers need absolute paths. */
  async #pathOf(command: string): Promise<string> {
    if (command.startsWith('/')) {
      return command;
    }
    const found = await this.#runner.run(['which', command]).catch(() => undefined);
    return found?.exitCode === 0 ? found.stdout.trim() : `/path/to/${command}`;
  }
}

type Refusal = 'account' | 'lookup' | 'execution' | 'terminal' | 'rule' | 'setup';

/** What sudo 1.8 and 1.9 print when they do not run a command; the first that fits counts. */
const refusals: readonly { readonly says: RegExp; readonly kind: Refusal }[] = [
  { says: /^sudo: unknown user/, kind: 'account' },
  { says: /^sudo: .+: command not found$/, kind: 'lookup' },
  { says: /^sudo: unable to execute /, kind: 'execution' },
  { says: /^sudo: sorry, you must have a tty/, kind: 'terminal' },
  {
    says: /^sudo: (account validation failure|(account|password) (or|expired)|PAM |effective uid|no valid sudoers|The "no new privileges"|.+ have the setuid bit set)/i,
    kind: 'setup',
  },
  {
    says: /^sudo: ((sorry, )?a password is required|a terminal is required|no tty present)/,
    kind: 'rule',
  },
  { says: /^sudo: sorry, you are not allowed to (preserve|set) the/, kind: 'rule' },
  { says: /^Sorry, user .+ (is not allowed to execute|may not run sudo)/, kind: 'rule' },
  { says: / is not (in the sudoers file|allowed to run sudo on)/, kind: 'rule' },
];

/** What the C library (glibc 2.36) removes from the environment of a setuid program. */
const unsafe =
  /^(LD_.*|GLIBC_TUNABLES|GCONV_PATH|GETCONF_DIR|HOSTALIASES|LOCALDOMAIN|LOCPATH|MALLOC_CHECK_|MALLOC_TRACE|NIS_PATH|NLSPATH|RESOLV_HOST_CONF|RES_OPTIONS|TMPDIR|TZDIR)$/;

function withoutUnsafe(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !unsafe.test(name)));
}

/** Escapes what has a meaning in sudoers: `DOMAIN\alice` is written `DOMAIN\\alice`. */
function word(text: string): string {
  return text.replace(/[\\,:=\s]/g, '\\$&');
}
