import { CommandError } from '../../../lib/errors.ts';
import { LocalRunner } from '../../../lib/runners/local.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../../../lib/runners/runner.ts';

const chroot = '/usr/sbin/chroot';
const env = '/usr/bin/env';

/** What they print where they did not run the command; each begins with its own name. */
const notRun = new RegExp(`^(?:${chroot}|${env}): `);

/**
 * Runs commands in another root directory, which has accounts, programs and a working directory of
 * its own; this process has to be root. The command finds exactly the environment that it is given.
 */
export class ChrootRunner implements CommandRunner {
  readonly #root: string;
  readonly #local = new LocalRunner();

  /** @param root the directory that is `/` for the commands */
  constructor(root: string) {
    this.#root = root;
  }

  /** See `CommandRunner`. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    const { user, cwd, ...rest } = options;
    // With the colon it is the login group of the account, in all its other groups.
    const as = user === undefined ? [] : [`--userspec=${user}:`];
    const inside = cwd === undefined ? [] : [env, `--chdir=${cwd}`];
    const result = await this.#local.run([chroot, ...as, this.#root, ...inside, ...argv], rest);
    // Both exit with 125, or as a shell does: 126 cannot be executed, 127 is not there.
    if ([125, 126, 127].includes(result.exitCode ?? 0) && notRun.test(result.stderr)) {
      const [command = ''] = argv;
      throw new CommandError(`The command '${command}' can't be run: ${result.stderr.trim()}`, {
        command,
        stderr: result.stderr,
      });
    }
    return result;
  }
}
