import { assert } from 'chai';
import { CommandError } from '../../../lib/errors.ts';
import { LocalRunner } from '../../../lib/runners/local.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../../../lib/runners/runner.ts';
import type { SystemdKind } from '../../engines/systemd.ts';
import { startSystemd, stopSystemd, systemdPid } from '../../engines/systemd.ts';

const chroot = '/usr/sbin/chroot';
const env = '/usr/bin/env';

/** What they print where they did not run the command; each begins with its own name. */
const notRun = new RegExp(`^(?:nsenter|${chroot}|${env}): `);

/**
 * Runs commands where the systemd of the tests is PID 1, as root or as the account that is asked
 * for; this process has to be root. The command finds exactly the environment that it is given.
 */
export class SystemdRunner implements CommandRunner {
  readonly #local: CommandRunner;

  /** @param local runs nsenter */
  constructor(local: CommandRunner = new LocalRunner()) {
    this.#local = local;
  }

  /** See `CommandRunner`. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    const { user, cwd, ...rest } = options;
    const [command = ''] = argv;
    if (command === '') {
      throw new CommandError('There is no command to run: the name of the program is empty.', {
        command,
      });
    }
    const namespaces = ['--mount', '--uts', '--ipc', '--pid', '--cgroup'];
    const enter = ['/usr/bin/nsenter', `--target=${systemdPid()}`, ...namespaces, '--'];
    // With the colon it is the login group of the account, in all its other groups.
    const as = user === undefined ? [] : [chroot, `--userspec=${user}:`, '/'];
    const at = cwd === undefined ? [] : [env, `--chdir=${cwd}`];
    const result = await this.#local.run([...enter, ...as, ...at, ...argv], rest);
    // They exit with 125, or as a shell does: 126 cannot be executed, 127 is not there.
    if ([1, 125, 126, 127].includes(result.exitCode ?? 0) && notRun.test(result.stderr)) {
      throw new CommandError(`The command '${command}' can't be run: ${result.stderr.trim()}`, {
        command,
        stderr: result.stderr,
      });
    }
    return result;
  }
}

/** Runs the commands of all hubs here, so that they share one monitor. */
export const runner = new SystemdRunner();

/** How a command is run inside. Without `env`, it finds a plain one. */
type InsideOptions = Pick<RunOptions, 'user' | 'input' | 'env'>;

/** Runs a command inside, as root or an account, and gives what it printed; it must succeed. */
export async function inside(argv: readonly string[], options: InsideOptions = {}) {
  const plain = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC' };
  const { env: given = {}, ...rest } = options;
  const result = await runner.run(argv, { ...rest, env: { ...plain, ...given } });
  const { stdout, stderr, exitCode } = result;
  assert.equal(exitCode, 0, `${argv.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** Runs a shell script inside; see `inside`. The arguments are its `$1`, `$2` … */
export function shell(script: string, args: readonly string[] = [], options: InsideOptions = {}) {
  return inside(['bash', '-euo', 'pipefail', '-c', script, 'shell', ...args], options);
}

/** The content of a file inside, as root. */
export function read(path: string): Promise<string> {
  return inside(['cat', '--', path]);
}

/** One unit that is loaded, as systemctl lists it. */
export interface Unit {
  readonly unit: string;
  /** As in `active`, `activating`, `deactivating` or `failed`. */
  readonly active: string;
  /** As in `running` or `exited`. */
  readonly sub: string;
  readonly description: string;
}

/** The units of a pattern, as in `jupyter-*`, of all states. One that has ended well is not loaded. */
export async function units(pattern: string): Promise<Unit[]> {
  const list: Unit[] = JSON.parse(
    await inside(['systemctl', 'list-units', '--all', '--full', '--output=json', '--', pattern]),
  );
  return list;
}

/** A property of a unit, as in `MainPID`. */
export async function property(unit: string, name: string): Promise<string> {
  const text = await inside(['systemctl', 'show', '--value', `--property=${name}`, '--', unit]);
  return text.trimEnd();
}

/** All that the journal has of a unit, without dates. */
export async function journal(unit: string): Promise<string> {
  await inside(['journalctl', '--sync']);
  return inside(['journalctl', '--quiet', '--output=cat', `--unit=${unit}`]);
}

/**
 * Puts a script in the place of a program inside, whatever the `PATH`.
 *
 * @param path as in `/usr/bin/systemctl`
 * @param script with its `#!`
 * @returns what brings the program back
 */
export async function replaceProgram(path: string, script: string): Promise<() => Promise<void>> {
  const cover = 'file=$(mktemp /run/program.XXXXXX); cat >"$file"; chmod 755 "$file"';
  await shell(`${cover}; mount --bind "$file" "$1"`, [path], { input: script });
  return async () => {
    await inside(['umount', path]);
  };
}

/**
 * Starts the service manager of an account, as its login would.
 *
 * @returns what `systemctl --user` needs in its environment, run as that account
 */
export async function startUserManager(account: string): Promise<{ XDG_RUNTIME_DIR: string }> {
  const uid = (await inside(['id', '-u', account])).trim();
  await inside(['systemctl', 'start', `user@${uid}.service`]);
  return { XDG_RUNTIME_DIR: `/run/user/${uid}` };
}

/**
 * Runs systemd for the tests of the surrounding `describe`: there is no transient unit before them,
 * and they are to leave none.
 */
export function useSystemd(kind: SystemdKind = {}): void {
  before(async () => {
    await startSystemd(kind);
    if ((await transientUnits()) !== '') {
      await stopSystemd();
      await startSystemd(kind);
    }
  });
  after(async () => {
    assert.equal(await transientUnits(), '', 'transient units are left');
  });
}

function transientUnits(): Promise<string> {
  return shell('cd /run/systemd/transient 2>/dev/null && ls || true');
}

// For all test files of the run together.
after(() => stopSystemd());
