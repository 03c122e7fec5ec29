import { assert } from 'chai';
import type { ExitStatus } from '../../../lib/events.ts';
import { LocalRunner } from '../../../lib/runners/local.ts';
import { sleep } from '../../../lib/sleep.ts';
import type { Spawner } from '../../../lib/spawner.ts';
import { slurmRoot } from '../../engines/slurm.ts';

const local = new LocalRunner();
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC' };

/** Runs a command where Slurm is, as root or an account, and gives what it printed; it must succeed. */
export async function command(
  argv: readonly string[],
  { user, input = '' }: { readonly user?: string; readonly input?: string } = {},
): Promise<string> {
  const as = user === undefined ? [] : ['/usr/sbin/runuser', '-u', user, '--'];
  const there = slurmRoot() === '/' ? [] : ['/usr/sbin/chroot', slurmRoot()];
  const { stdout, stderr, exitCode } = await local.run([...there, ...as, ...argv], { env, input });
  assert.equal(exitCode, 0, `${argv.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** Waits until something is so, asking every 50 ms; fails after some seconds. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  seconds = 30,
): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !(await isSo()); ) {
    assert.isBelow(Date.now(), end, `${what}: not within ${seconds} s`);
    await sleep(50);
  }
}

/** Polls until the server is said to have ended. */
export async function ended(spawner: Spawner): Promise<ExitStatus> {
  for (const end = Date.now() + 30_000; ; ) {
    const exit = await spawner.poll();
    if (exit !== null) {
      return exit;
    }
    assert.isBelow(Date.now(), end, 'poll() says null for 30 s');
  }
}

/** The error with which a promise rejects. Any other than one of this class is thrown. */
export async function rejection<E extends Error>(
  promise: Promise<unknown>,
  kind: abstract new (...args: never[]) => E,
): Promise<E> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof kind) {
      return error;
    }
    throw error;
  }
  throw new Error(`It did not reject with a ${kind.name}.`);
}
