import { CommandError } from '../../../lib/errors.ts';
import { LocalRunner } from '../../../lib/runners/local.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../../../lib/runners/runner.ts';
import { systemdPid } from '../../engines/systemd.ts';

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
