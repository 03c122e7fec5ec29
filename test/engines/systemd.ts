/**
 * A real systemd on this machine for live tests: PID 1 of a container with this machine's files,
 * accounts and network. What is written there vanishes with it; `/tmp` and `/run` are empty at
 * first. Needs root, and `systemd/install.sh` to have run once. The functions reject with the
 * script's output when it fails.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What kind of machine is wanted. */
export interface SystemdKind {
  /**
   * `hybrid`: cgroup v1 with all the controllers that this machine has there, and v2 without any.
   * `unified`: v2 alone, with the controllers that v2 has here. A limit whose controller is
   * elsewhere is accepted and does nothing. Default: where the controller of memory is.
   */
  readonly cgroup?: 'hybrid' | 'unified';
  /** Directories that are this machine's own inside. Others are seen as they were at the start. */
  readonly binds?: readonly string[];
}

function script(name: string, ...args: readonly string[]): Promise<void> {
  const file = fileURLToPath(new URL(`systemd/${name}.sh`, import.meta.url));
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC' };
  return new Promise((resolve, reject) => {
    execFile(file, args, { env, timeout: 60_000 }, (error, stdout, stderr) => {
      if (error === null) {
        resolve();
        return;
      }
      const how = error.killed ? 'took longer than 60 s' : `failed (${error.code ?? error.signal})`;
      reject(new Error(`${[file, ...args].join(' ')} ${how}: ${`${stdout}${stderr}`.trim()}`));
    });
  });
}

/**
 * Makes sure that it runs; about 0.5 s, nothing when it does already, with its units. One that does
 * not answer or is of another kind is replaced by a new one.
 */
export function startSystemd({ cgroup, binds = [] }: SystemdKind = {}): Promise<void> {
  const wanted = cgroup === undefined ? [] : ['--cgroup', cgroup];
  return script('start', ...wanted, ...binds.flatMap((directory) => ['--bind', directory]));
}

/** Kills all of its processes; nothing of it is left. */
export function stopSystemd(): Promise<void> {
  return script('stop');
}

/**
 * The pid of its PID 1 as this machine sees it, which is the way into its namespaces.
 *
 * @throws Error where it does not run: no command of a test must reach this machine's own systemd
 */
export function systemdPid(): number {
  try {
    const [pid, began] = readFileSync('/run/systemd-test/pid', 'utf8').trim().split(' ');
    // The 22nd field of proc_pid_stat(5); the second, in brackets, may hold blanks.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    if (stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] === began) {
      return Number(pid);
    }
  } catch {}
  throw new Error('The systemd of the tests does not run.');
}

/** The outages of PID 1; units go on. */
export const pid1 = {
  /** Stops it: systemctl and systemd-run fail after 90 s, and what they asked is never done. */
  hang: () => script('outage', 'hang'),
  /** Continues a hung one; resolves when it answers. */
  resume: () => script('outage', 'resume'),
} as const;

/** The outages of the system bus, by which all accounts but root speak with PID 1. */
export const systemBus = {
  /** Ends it: commands fail at once, "Failed to connect to bus". */
  stop: () => script('outage', 'bus-stop'),
  /** Brings it back. */
  start: () => script('outage', 'bus-start'),
} as const;
