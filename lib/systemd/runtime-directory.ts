import { randomBytes } from 'node:crypto';
import { OptionsError, StartError } from '../errors.ts';
import { printfText, shellWord } from '../quote.ts';
import type { ServiceEnd } from './exit.ts';
import type { Manager } from './manager.ts';
import { failed } from './manager.ts';

/** Another start of the same server is under way: `begin` says so by this exit code. */
const busy = 75;

/** Somebody else owns the directory, or the one that it is in, and could put there what root runs. */
const strange = 76;

/**
 * Takes the directory for one start. Its third argument is the line by which that start is known,
 * with the time in seconds until which it lasts. A parent that is empty may be removed at any time
 * by the end of another unit, so that there are two tries.
 */
const beginScript = `
umask 077
make() {
  { [ -d "$2" ] || (umask 022; mkdir -p -m 711 -- "$2"); } && { [ -d "$1" ] || mkdir -- "$1"; }
}
make "$@" 2>/dev/null || make "$@" || exit 1
[ ! -L "$1" ] && [ -O "$1" ] && [ ! -L "$2" ] && [ -O "$2" ] || exit ${strange}
new="$1/starting.$$"
echo "$3" >"$new" || exit 1
if ! ln -- "$new" "$1/starting" 2>/dev/null; then
  until=
  read -r until _ 2>/dev/null <"$1/starting"
  if [ "\${until:-0}" -gt "$(date +%s)" ]; then
    rm -f -- "$new"
    exit ${busy}
  fi
  mv -f -- "$new" "$1/starting" || exit 1
fi
rm -f -- "$new"`;

/** Ends what `beginScript` has begun, unless another start has taken the directory meanwhile. */
const settleScript = `
[ "$(cat -- "$1/starting" 2>/dev/null)" = "$3" ] || exit 0
rm -f -- "$1/starting" || exit 1
rmdir -- "$1" 2>/dev/null && [ -n "$4" ] && rmdir -- "$2" 2>/dev/null
exit 0`;

/** The unit's account may read what it runs, and nothing else. */
const writeScript = `
umask 077
chmod 711 -- "$1" && cd -- "$1" && rm -f exit environment run end || exit 1
cat >environment && chmod 400 environment && printf %s "$2" >run && chmod 444 run && printf %s "$3" >end`;

/** In bytes: Linux takes no longer string in an environment. */
const longestVariable = 131_000;

/** Leaves the directory to another start that is under way: the tag of the own one is the third argument. */
const removeScript = `
until= tag=
read -r until tag 2>/dev/null <"$1/starting"
[ -n "$tag" ] && [ "$tag" != "$3" ] && [ "$until" -gt "$(date +%s)" ] && exit 0
rm -rf -- "$1" || exit 1
[ -n "$4" ] && rmdir -- "$2" 2>/dev/null
exit 0`;

/**
 * What is run after the service, as root: keeps how it ended, which a unit that is not loaded any
 * more can't say. On cgroup v1 the kernel's count tells a want of memory from any other SIGKILL.
 * Until that is written it starts no process: others of the slice may have taken the last task.
 */
const endScript = (start: string, directory: string, removesEnvironment: boolean) => `
[ "$1" = ${start} ] || exit 0
cd ${shellWord(directory)} || exit 0
while IFS=: read -r _ controllers group; do
  case $controllers in
    memory | memory,* | *,memory | *,memory,*) v1=\${group%/.control} ;;
    '') v2=\${group%/.control} ;;
  esac
done </proc/self/cgroup
kills=0
for file in "/sys/fs/cgroup/memory$v1/memory.oom_control" "/sys/fs/cgroup$v2/memory.events"; do
  [ -r "$file" ] && while read -r name count; do
    if [ "$name" = oom_kill ] && [ "$count" -gt $kills ]; then kills=$count; fi
  done <"$file"
done
echo "$SERVICE_RESULT:$EXIT_CODE:$EXIT_STATUS:$kills" >exit
${removesEnvironment ? 'rm -f environment' : ''}
`;

/** Gives the server its environment, says what is missing, and becomes the server. */
const runScript = (start: string, argv: readonly string[]) => `
if [ "$1" != ${start} ]; then
  echo "hubspawner: The server is being started anew, and this start of it is too late." >&2
  exit 1
fi
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
  /** By which its own start is known. */
  #line = '';
  /** By which the scripts know a unit that was made late, when another start had written them. */
  readonly #start = randomBytes(6).toString('hex');

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
    const command = (name: string) => ['/bin/sh', `${this.path}/${name}`, this.#start];
    return { run: command('run'), end: command('end') };
  }

  /**
   * Takes it for one start.
   *
   * @param tag tells that start from others
   * @param seconds after which the start is over, even if it never says so
   * @throws StartError where another start has it, or another account; CommandError
   */
  async begin(tag: string, seconds: number): Promise<void> {
    const until = Math.ceil(Date.now() / 1000 + seconds);
    this.#line = `${until} ${tag}`;
    const result = await this.#sh(beginScript, [this.path, this.#parent, this.#line]);
    if (result.exitCode === strange) {
      throw new StartError(
        `The directory ${this.path}, or the one that it is in, belongs to another account or is a link: runtimeDir has to be a directory that belongs to the account that runs the commands.`,
      );
    }
    if (result.exitCode === busy) {
      throw new StartError('The server is being started already, by another spawner or hub.', {
        retryable: true,
      });
    }
    this.#check(result, 'could not be made');
  }

  /**
   * Lets others start.
   *
   * @throws CommandError
   */
  async settle(): Promise<void> {
    if (this.#line === '') {
      return;
    }
    const args = [this.path, this.#parent, this.#line, this.#ownParent];
    this.#check(await this.#sh(settleScript, args), 'could not be left to others');
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
    const end = endScript(this.#start, this.path, once);
    const args = [this.path, runScript(this.#start, argv), end];
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

  /**
   * Removes it, unless another start has it.
   *
   * @param tag of the start that it belongs to
   * @throws CommandError
   */
  async remove(tag: string): Promise<void> {
    const args = [this.path, this.#parent, tag, this.#ownParent];
    this.#check(await this.#sh(removeScript, args), 'could not be removed');
  }

  get #parent(): string {
    return this.path.slice(0, this.path.lastIndexOf('/'));
  }

  /** Not empty where the parent is the default one: another is its owner's to keep. */
  get #ownParent(): string {
    return /^\/run\/(?:user\/\d+\/)?hubspawner$/.test(this.#parent) ? 'yes' : '';
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
