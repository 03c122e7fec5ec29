import { assert } from 'chai';
import type { RunOptions } from '../../../lib/runners/runner.ts';
import type { SystemdKind } from '../../engines/systemd.ts';
import { startSystemd, stopSystemd } from '../../engines/systemd.ts';
import { SystemdRunner } from './systemd-runner.ts';

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
