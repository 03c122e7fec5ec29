/**
 * A real Grid Engine on this machine for live tests: the queue `all.q` with 128 slots, the parallel
 * environment `smp`, jobs of the accounts alice and bob. Needs root, and `grid-engine/install.sh` to
 * have run once. Every function rejects with the script's output when it fails.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** One row of the queue; `state` is Grid Engine's word, e.g. `qw`, `Eqw`, `r` or `dr`. */
export interface GridJob {
  readonly id: string;
  readonly name: string;
  readonly user: string;
  readonly state: string;
}

const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC' };

function run(command: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: environment, timeout: 180_000, maxBuffer: 64 * 1024 * 1024 };
    execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout);
        return;
      }
      const how = error.killed ? 'took too long' : `failed (${error.code ?? error.signal})`;
      reject(new Error(`${[command, ...args].join(' ')} ${how}: ${`${stdout}${stderr}`.trim()}`));
    });
  });
}

async function script(name: string, ...args: readonly string[]): Promise<void> {
  await run(fileURLToPath(new URL(`grid-engine/${name}.sh`, import.meta.url)), ...args);
}

/**
 * Makes sure that the cluster runs; about 4 s, nothing when it does already. A cluster that is not
 * healthy is replaced by one without jobs. A job starts within 1 s of its submission.
 *
 * @param flush in seconds: how much later than its end a job is in the accounting, at most
 */
export function startGridEngine({ flush = 1 }: { readonly flush?: number } = {}): Promise<void> {
  return script('start', '--flush', String(flush));
}

/** Deletes all jobs and ends every daemon. */
export function stopGridEngine(): Promise<void> {
  return script('stop');
}

/** The outages of the qmaster; its host and running jobs go on. */
export const qmaster = {
  /** Ends it, with its state saved. Commands fail at once. */
  stop: () => script('qmaster', 'stop'),
  /** Brings it back, or wakes a hung one; resolves when the host has reported, within some 30 s. */
  start: () => script('qmaster', 'start'),
  /** Kills it. */
  crash: () => script('qmaster', 'crash'),
  /** Stops it: commands hang without end, and what was asked meanwhile never happens. */
  hang: () => script('qmaster', 'hang'),
  /** Continues a hung one; resolves when it answers. */
  resume: () => script('qmaster', 'resume'),
} as const;

/** All jobs that have not ended. */
export async function jobs(): Promise<GridJob[]> {
  const output = await run('qstat', '-xml', '-u', '*', '-s', 'prs');
  return (output.match(/<job_list .*?<\/job_list>/gs) ?? []).map((row) => {
    const [id, name, user, state] = ['JB_job_number', 'JB_name', 'JB_owner', 'state'].map(
      (field) => new RegExp(`<${field}>([^<]*)</${field}>`).exec(row)?.[1],
    );
    if (id === undefined || name === undefined || user === undefined || state === undefined) {
      throw new Error(`qstat printed a row that is no job: ${row}`);
    }
    return { id, name, user, state };
  });
}

/** Deletes every job, and resolves when their processes have ended. */
export function cancelAll(): Promise<void> {
  return script('cancel');
}
