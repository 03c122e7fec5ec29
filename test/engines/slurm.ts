/**
 * A real Slurm on this machine for live tests: nodes cn1 to cn4 with 32 cores each, partitions
 * `batch` (default) and `short` (1 minute), jobs of the accounts alice and bob. Needs root, and
 * `slurm/install.sh` to have run once, for 24.11 `slurm-2411/install.sh` as well. One release runs
 * at a time, and the functions are about that. They reject with the script's output when it fails.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** One row of the queue; `state` is Slurm's word, e.g. `PENDING`, `RUNNING` or `CANCELLED`. */
export interface SlurmJob {
  readonly id: string;
  readonly name: string;
  readonly user: string;
  readonly state: string;
}

/** That of this machine's Debian 12, and that of a Debian 13 in a directory of its own. */
export type SlurmRelease = '22.05' | '24.11';

/** What kind of cluster is wanted. */
export interface SlurmKind {
  /** Default: 22.05. */
  readonly release?: SlurmRelease;
  /** Whether `sacct` answers (slurmdbd on MariaDB); only of 22.05. Default: false. */
  readonly accounting?: boolean;
  /** In seconds: how long after its end `squeue` still lists a job, at least. Default: 300. */
  readonly minJobAge?: number;
}

// No SQUEUE_* or SLURM_* variable of the caller may change what a command does or prints.
const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC' };

function run(command: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: environment, timeout: 120_000, maxBuffer: 64 * 1024 * 1024 };
    execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout);
        return;
      }
      const how = error.killed
        ? 'took longer than 120 s'
        : `failed (${error.code ?? error.signal})`;
      const output = `${stdout}${stderr}`.trim();
      reject(new Error(`${[command, ...args].join(' ')} ${how}: ${output}`));
    });
  });
}

/** The root directory of each release; network, processes, `/home` and `/tmp` are the same. */
export const slurmRoots: Readonly<Record<SlurmRelease, string>> = {
  '22.05': '/',
  '24.11': '/var/lib/hubspawner-test/trixie',
};

let running: SlurmRelease = '22.05';

async function script(release: SlurmRelease, name: string, ...args: readonly string[]) {
  const [file, ...first] = release === '22.05' ? [`slurm/${name}.sh`] : ['slurm-2411/run.sh', name];
  await run(fileURLToPath(new URL(file, import.meta.url)), ...first, ...args);
}

/** The root directory of the release that runs. */
export function slurmRoot(): string {
  return slurmRoots[running];
}

/**
 * Makes sure that the cluster runs; about 0.3 s, 2 s with accounting, nothing when it does already.
 * A cluster that is not healthy or is of another kind is replaced by one without jobs.
 * Its first job starts 3 s after the submission, later ones within 1 s.
 */
export async function startSlurm({
  release = '22.05',
  accounting = false,
  minJobAge = 300,
}: SlurmKind = {}): Promise<void> {
  // They listen on the same ports.
  await script(release === '22.05' ? '24.11' : '22.05', 'stop');
  running = release;
  await script(
    release,
    'start',
    ...(accounting ? ['--accounting'] : []),
    ...['--min-job-age', String(minJobAge)],
  );
}

/** Cancels all jobs and ends every daemon. */
export async function stopSlurm(): Promise<void> {
  await script(running, 'stop');
  running = '22.05';
}

/** The outages of slurmctld; nodes and running jobs go on. */
export const slurmctld = {
  /** Ends it, with its state saved. Commands fail within 4 s, "Unable to contact slurm controller". */
  stop: () => script(running, 'slurmctld', 'stop'),
  /** Brings it back with the state that it saved, or wakes a hung one; resolves when all nodes are up. */
  start: () => script(running, 'slurmctld', 'start'),
  /** Kills it. It forgets the last 5 s: jobs submitted then vanish or come back held. */
  crash: () => script(running, 'slurmctld', 'crash'),
  /** Stops it: commands fail after 3 to 6 s, "Socket timed out", yet take effect at `resume`. */
  hang: () => script(running, 'slurmctld', 'hang'),
  /** Continues a hung one; resolves when it answers. */
  resume: () => script(running, 'slurmctld', 'resume'),
} as const;

/** All jobs that slurmctld remembers: the active ones, and for `minJobAge` those that have ended. */
export async function jobs(): Promise<SlurmJob[]> {
  const squeue = ['squeue', '-h', '-a', '-t', 'all', '-o', '%A|%u|%T|%j'];
  const output = await run('chroot', slurmRoot(), ...squeue);
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      // The name comes last, since it may hold any character but a line break.
      const [, id, user, state, name] = /^(\d+)\|([^|]+)\|([A-Z_]+)\|(.*)$/.exec(line) ?? [];
      if (id === undefined || user === undefined || state === undefined || name === undefined) {
        throw new Error(`squeue printed a line that is no job: ${line}`);
      }
      return { id, name, user, state };
    });
}

/** Cancels every job, and resolves when their processes have ended. */
export function cancelAll(): Promise<void> {
  return script(running, 'cancel');
}
