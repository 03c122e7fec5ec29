import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { OptionsError, StartError } from '../errors.ts';
import { explain } from '../runners/local-failure.ts';
import type { Account } from './account.ts';

/** A server to be launched. */
export interface Launch {
  readonly account: Account;
  /** The program and its arguments. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** An absolute path. */
  readonly logFile: string;
}

/** A process that is, or is about to become, a server. */
export interface Launched {
  readonly process: ChildProcess;
  /** Lets it go on. Until then it does nothing, and it ends if this process does. */
  readonly goOn: () => void;
  /** What it said before it became the server: its standard output, and standard error. */
  readonly said: Promise<readonly [string, string]>;
}

/**
 * What is done in the server's place, as its account, before it: $1 is the home directory, $2 the
 * log file, $3 the PATH and $4 the name of the program; all that follows is for env. It says on
 * standard output what it comes to; both outputs are closed when it is done.
 *
 * `set -C` lets no file be opened that was put in the place of the old one. What is no file, like
 * /dev/null, is opened as it is. `rm` and `env` come from the hub's PATH.
 */
const script = `
read -r _ || exit
echo directory
cd -- "$1" || exit
echo program
case $4 in
  */*) [ -f "$4" ] && [ -x "$4" ] ;;
  *) (PATH=$3; command -v -- "$4") >/dev/null ;;
esac || exit
echo log
if [ -f "$2" ] || [ -L "$2" ]; then rm -f -- "$2"; fi
mask=$(umask)
umask 077
set -C
exec 3>&1 >"$2" 2>&1 </dev/null || exit
echo launched >&3
exec 3>&-
umask "$mask"
shift 4
exec env "$@"
`;

/**
 * Variables that are kept from the programs that run before the server: some, setpriv, still as
 * root, where no loader may be told what to load; a shell changes others; and messages are to be
 * English. They are handed over as arguments of env, where anyone can see them for a moment: none is
 * a place for a secret.
 */
const special =
  /^(PATH|_|PWD|OLDPWD|SHLVL|CDPATH|IFS|OPTIND|ENV|BASH.*|PS4|LD_.*|GLIBC_TUNABLES|GCONV_PATH|GETCONF_DIR|HOSTALIASES|LANG|LANGUAGE|LC_.*|LOCALDOMAIN|LOCPATH|MALLOC_.*|NIS_PATH|NLSPATH|RES_OPTIONS|RESOLV_HOST_CONF)$/;

/** Where env looks for a program when there is no PATH. */
const defaultPath = '/bin:/usr/bin';

/** What shells set by themselves. */
const setByShells = ['_', 'PWD', 'OLDPWD', 'SHLVL'];

/**
 * Starts the process of a server, in a session of its own. A file is touched, and the home directory
 * entered, only as the server's account: what a person has put there, a symbolic link say, can't
 * make the hub write elsewhere, and a home directory that root may not enter (NFS) is no hindrance.
 *
 * @throws OptionsError if env can't tell the name of the program from a variable
 * @throws CommandError if no process could be started
 */
export async function launch(server: Launch): Promise<Launched> {
  const { account, argv, environment, logFile } = server;
  const [program = ''] = argv;
  if (program.includes('=')) {
    throw new OptionsError('cmd[0]', "a program without '=' in its name");
  }
  const variables = Object.entries(environment);
  const passed = variables.filter(([name]) => special.test(name));
  const unset = [...setByShells, 'PATH'].filter((name) => environment[name] === undefined);
  const command = [
    ...account.prefix,
    ...['/bin/sh', '-c', script, 'hubspawner'],
    ...[account.home, logFile, environment['PATH'] ?? defaultPath, program],
    ...unset.flatMap((name) => ['-u', name]),
    ...['--', ...passed.map(([name, value]) => `${name}=${value}`)],
    ...argv,
  ];
  const [first = '', ...args] = command;
  try {
    const child = spawn(first, args, {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...Object.fromEntries(variables.filter(([name]) => !special.test(name))),
        PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
      },
    });
    child.unref();
    await once(child, 'spawn');
    // Read from now on: Node throws away what nobody reads when the process ends.
    const said = Promise.all([text(child.stdout), text(child.stderr)]);
    // It may have ended by then.
    child.stdin.on('error', () => {});
    return { process: child, goOn: () => child.stdin.end('\n'), said };
  } catch (error) {
    throw await explain(error, first, { cwd: '/' });
  }
}

/**
 * Waits until the server takes the place of what is done before it.
 *
 * @throws StartError if that has failed
 */
export async function handedOver({ said }: Launched, server: Launch): Promise<void> {
  const [steps, errors] = await said;
  const { account, argv, environment, logFile } = server;
  const reason = errors.trim().replaceAll(/^hubspawner: /gm, '');
  switch (steps.trim().split('\n').at(-1)) {
    case 'launched':
      return;
    case 'directory':
      throw new StartError(
        `The account '${account.name}' can't enter its home directory ${account.home}: ${reason}`,
      );
    case 'program':
      throw new StartError(
        `There is no program '${argv[0]}' that the account '${account.name}' can run; looked for ` +
          `in the PATH ${environment['PATH'] ?? defaultPath} (option envKeep or environment).`,
      );
    case 'log':
      throw new StartError(
        `The account '${account.name}' can't make the log file ${logFile} (option logFile): ${reason}`,
      );
    default:
      throw new StartError(
        `The server could not be launched as the account '${account.name}': ${reason}`,
      );
  }
}
