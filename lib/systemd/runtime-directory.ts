import { OptionsError, StartError } from '../errors.ts';
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

/** The unit's account may read what it runs, and nothing else. */
const writeScript = `
umask 077
chmod 711 -- "$2" "$1" && cd -- "$1" && rm -f exit environment run end || exit 1
cat >environment && chmod 400 environment && printf %s "$3" >run && chmod 444 run && printf %s "$4" >end`;

/** In bytes: Linux takes no longer string in an environment. */
const longestVariable = 131_000;

const removeScript = `
rm -rf -- "$1" && { rmdir -- "$2" 2>/dev/null || true; }`;

/**
 * What is run after the service, as root: keeps how it ended, which a unit that is not loaded any
 * more can't say. On cgroup v1 the kernel's count tells a want of memory from any other SIGKILL.
 */
const endScript = (directory: string, removesEnvironment: boolean) => `
cd ${shellWord(directory)} || exit 0
v1=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
v2=$(sed -n 's/^0:://p' /proc/self/cgroup)
kills=$(cat "/sys/fs/cgroup/memory\${v1%/.control}/memory.oom_control" \\
  "/sys/fs/cgroup\${v2%/.control}/memory.events" 2>/dev/null |
  sed -n 's/^oom_kill //p' | sort -n | tail -n 1)
echo "$SERVICE_RESULT:$EXIT_CODE:$EXIT_STATUS:\${kills:-0}" >exit.new && mv exit.new exit
${removesEnvironment ? 'rm -f environment' : ''}
`;

/** Gives the server its environment, says what is missing, and becomes the server. */
const runScript = (argv: readonly string[]) => `
hubspawner_environment=$(printf %b "$HUBSPAWNER_ENVIRONMENT")
unset HUBSPAWNER_ENVIRONMENT
eval "$hubspawner_environment"
unset hubspawner_environment
set -- ${argv.map(shellWord).join(' ')}
if ! command -v "$1" >/dev/null 2>&1; then
  echo "hubspawner: There is no program $1 that this account can run; looked for in the PATH $PATH" >&2
  exit 127
fi
exec "$@"
`;

/** What a unit runs, and with what. */
export interface ServiceCommand {
  /** The server, one word each. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Whether the environment is to be removed when the service has ended: it is not run again. */
  readonly once: boolean;
}

/** The directory of one unit: a file with its environment, and one that says how it ended. */
export class RuntimeDirectory {
  readonly #manager: Manager;
  readonly path: string;

  constructor(manager: Manager, path: string) {
    this.#manager = manager;
    this.path = path;
  }

  /** Holds the environment, in one variable. */
  get environmentFile(): string {
    return `${this.path}/environment`;
  }

  /**
   * What the unit runs, and what is run after it. Files, since systemd 252 garbles commands with `$`
   * and `;` when it is reloaded, and loses those with a prefix.
   */
  get commands(): { readonly run: readonly string[]; readonly end: readonly string[] } {
    return { run: ['/bin/sh', `${this.path}/run`], end: ['/bin/sh', `${this.path}/end`] };
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
   * Writes what the unit needs. The environment is one variable of plain characters, which all
   * releases of systemd read in the same way.
   *
   * @throws OptionsError where it is too large for a variable; CommandError
   */
  async write({ argv, environment, once }: ServiceCommand): Promise<void> {
    const lines = Object.entries(environment).map(
      ([name, value]) => `export ${name}=${shellWord(value)}`,
    );
    const text = `HUBSPAWNER_ENVIRONMENT='${printfText(lines.join('\n'))}'\n`;
    if (text.length > longestVariable) {
      throw new OptionsError(
        'environment',
        `of less than ${longestVariable} bytes in all, where each other byte than a letter counts up to five times`,
      );
    }
    const args = [this.path, this.#parent, runScript(argv), endScript(this.path, once)];
    this.#check(await this.#sh(writeScript, args, text), 'could not be written to');
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
    this.#check(await this.#sh(removeScript, [this.path, this.#parent]), 'could not be removed');
  }

  get #parent(): string {
    return this.path.slice(0, this.path.lastIndexOf('/'));
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
