/**
 * A real HTCondor for live tests: a pool of one machine with 64 slots, in a Debian 13 of its own,
 * with jobs of the accounts alice and bob. Needs root, and `condor/install.sh` to have run once.
 * Every function rejects with the script's output when it fails.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The directory that is `/` for HTCondor and its jobs. `/home` is that of the machine. */
export const condorRoot = '/var/lib/hubspawner-test/trixie';

/** One job of the queue; `status` is HTCondor's number, as in 2 for a job that runs. */
export interface CondorJob {
  readonly id: string;
  readonly name: string;
  readonly user: string;
  readonly status: number;
}

// No _CONDOR_* variable of the caller may change what a command does or prints.
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

async function script(name: string, ...args: readonly string[]): Promise<void> {
  await run(fileURLToPath(new URL(`condor/${name}.sh`, import.meta.url)), ...args);
}

/** Makes sure that the pool runs; about 5 s, nothing when it does already. */
export function startCondor(): Promise<void> {
  return script('start');
}

/** Removes all jobs and ends every daemon. */
export function stopCondor(): Promise<void> {
  return script('stop');
}

/** The outages of the schedd; the machine and running jobs go on. */
export const schedd = {
  /** Kills it. Commands fail at once. */
  crash: () => script('schedd', 'crash'),
  /** Brings it back with its queue, or wakes a hung one; resolves when it answers. */
  start: () => script('schedd', 'start'),
  /** Stops it: commands fail after 20 s, and a submission waits until `resume`. */
  hang: () => script('schedd', 'hang'),
  /** Continues a hung one; resolves when it answers. */
  resume: () => script('schedd', 'resume'),
} as const;

/** An execution host that does not answer; its jobs go on. */
export const startd = {
  /** Stops it: nobody can say whether its jobs run. */
  hang: () => script('startd', 'hang'),
  /** Continues it; resolves when the pool is well. */
  resume: () => script('startd', 'resume'),
} as const;

/** All jobs of the queue. */
export async function jobs(): Promise<CondorJob[]> {
  const attributes = ['ClusterId', 'ProcId', 'JobStatus', 'Owner', 'JobBatchName'];
  const output = await run('chroot', condorRoot, 'condor_q', '-allusers', '-af', ...attributes);
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [cluster, proc, status, user = '', ...name] = line.split(' ');
      return { id: `${cluster}.${proc}`, status: Number(status), user, name: name.join(' ') };
    });
}

/** Removes every job, and resolves when their processes have ended. */
export function cancelAll(): Promise<void> {
  return script('cancel');
}
