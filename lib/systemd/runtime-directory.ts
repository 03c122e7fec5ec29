import { StartError } from '../errors.ts';
import { printfText, shellWord } from '../quote.ts';
import type { ServiceEnd } from './exit.ts';
import type { Manager } from './manager.ts';
import { failed } from './manager.ts';

/** Another start of the same server is under way: `begin` says so by this exit code. */
const busy = 75;

/** Takes the directory for one start, until the time in seconds that its second argument gives. */
const beginScript = `
umask 077
mkdir -p -- "$1" || exit 1
set -C
if ! echo "$2" 2>/dev/null >"$1/starting"; then
  until=
  read -r until <"$1/starting"
  if [ "\${until:-0}" -gt "$(date +%s)" ]; then exit ${busy}; fi
  mv -- "$1/starting" "$1/stale.$$" && rm -f -- "$1/stale.$$" && echo "$2" >"$1/starting" || exit ${busy}
fi`;

const writeScript = `
umask 077
rm -f -- "$1/exit" "$1/environment" && cat >"$1/environment" && chmod 400 "$1/environment"`;

const removeScript = `
rm -rf -- "$1" && { rmdir -- "$2" 2>/dev/null || true; }`;

/**
 * What PID 1 runs after the service, as root: keeps how it ended, which a unit that is not loaded
 * any more can't say. On cgroup v1 the kernel's count tells a want of memory from any other SIGKILL.
 */
const keepEnd = (directory: string, removesEnvironment: boolean) => `
cd ${shellWord(directory)} || exit 0
v1=$(sed -n "s/^[0-9]*:memory://p" /proc/self/cgroup)
v2=$(sed -n "s/^0:://p" /proc/self/cgroup)
kills=$(cat "/sys/fs/cgroup/memory\${v1%/.control}/memory.oom_control" "/sys/fs/cgroup\${v2%/.control}/memory.events" 2>/dev/null | sed -n "s/^oom_kill //p" | sort -n | tail -n 1)
echo "$SERVICE_RESULT:$EXIT_CODE:$EXIT_STATUS:\${kills:-0}" >exit.new && mv exit.new exit
${removesEnvironment ? 'rm -f environment' : ':'}`;

/** The directory of one unit: a file with its environment, and one that says how it ended. */
export class RuntimeDirectory {
  readonly #manager: Manager;
  readonly path: string;

  constructor(manager: Manager, path: string) {
    this.#manager = manager;
    this.path = path;
  }

  get environmentFile(): string {
    return `${this.path}/environment`;
  }

  /** The value of ExecStopPost. */
  keepEnd(removesEnvironment: boolean): string {
    return keepEnd(this.path, removesEnvironment);
  }

  /**
   * Takes it for one start.
   *
   * @param seconds after which the start is over, even if it never says so
   * @throws StartError where another start has it; CommandError
   */
  async begin(seconds: number): Promise<void> {
    const until = String(Math.ceil(Date.now() / 1000 + seconds));
    const result = await this.#sh(beginScript, [this.path, until]);
    if (result.exitCode === busy) {
      throw new StartError('The server is being started already, by another spawner or hub.', {
        retryable: true,
      });
    }
    this.#check(result, 'could not be made');
  }

  /** Lets others start. */
  async settle(): Promise<void> {
    await this.#manager.run(['rm', '-f', '--', `${this.path}/starting`]);
  }

  /**
   * Writes the environment, in one variable of plain characters: systemd would leave out values with
   * control characters.
   *
   * @throws CommandError
   */
  async write(environment: Readonly<Record<string, string>>): Promise<void> {
    const lines = Object.entries(environment).map(
      ([name, value]) => `export ${name}=${shellWord(value)}`,
    );
    const text = `HUBSPAWNER_ENVIRONMENT='${printfText(lines.join('\n'))}'\n`;
    this.#check(await this.#sh(writeScript, [this.path], text), 'could not be written to');
  }

  /** How the service ended; undefined where that is not known. */
  async end(): Promise<ServiceEnd | undefined> {
    const { stdout, exitCode } = await this.#manager.run(['cat', '--', `${this.path}/exit`]);
    const [, result, code, status, kills] =
      /^([a-z-]+):([a-z]*):([A-Z0-9+-]*):(\d+)\n$/.exec(stdout) ?? [];
    if (exitCode !== 0 || result === undefined) {
      return undefined;
    }
    return { result, code: code ?? '', status: status ?? '', oomKills: Number(kills) };
  }

  /** @throws CommandError */
  async remove(): Promise<void> {
    const parent = this.path.slice(0, this.path.lastIndexOf('/'));
    this.#check(await this.#sh(removeScript, [this.path, parent]), 'could not be removed');
  }

  #sh(script: string, args: readonly string[], input = '') {
    return this.#manager.run(['/bin/sh', '-c', script, 'sh', ...args], { input });
  }

  #check(result: Awaited<ReturnType<Manager['run']>>, what: string): void {
    if (result.exitCode !== 0 || result.timedOut) {
      throw failed('sh', result, `The directory ${this.path} ${what}`);
    }
  }
}
