import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Spawner, SpawnerContext } from 'hubspawner';
import { LocalProcessSpawner, SlurmSpawner } from 'hubspawner';

/** The program that runs as a person's server. */
export interface Program {
  /** For a person, as in `JupyterLab`. */
  readonly name: string;
  /**
   * Program and arguments. The text `{port}` in them stands for the port.
   *
   * @param ip the address to listen on
   * @param path the path below which the server answers, as in `/user/alice/`
   */
  readonly argv: (ip: string, path: string) => readonly string[];
}

/** What a person may choose in the form of a kind, by the name of the field; nothing else counts. */
export type Choices = Readonly<Record<string, string>>;

/** A field of the form of a kind. */
export interface Field {
  readonly name: string;
  /** The option that it sets, as errors name it. */
  readonly option: string;
  /** For a person. */
  readonly label: string;
  readonly hint: string;
}

/** Where a server can run. */
export interface Kind {
  readonly name: string;
  /** For a person. */
  readonly label: string;
  /** What a person fills in. */
  readonly fields: readonly Field[];
  /** Whether it can be used on this machine. */
  readonly offered: () => boolean;
  /**
   * @param path below which the server answers
   * @param logFile takes what the server prints
   * @throws OptionsError if a choice is not what it must be
   */
  readonly create: (
    context: SpawnerContext,
    program: Program,
    path: string,
    choices: Choices,
    logFile: string,
  ) => Spawner;
}

/** Jupyter reads its token here: on the command line, everybody on the machine could. */
const environment = { JUPYTER_TOKEN: (spawner: Spawner) => spawner.apiToken ?? '' };

const local: Kind = {
  name: 'local',
  label: 'On this machine',
  fields: [],
  offered: () => true,
  create(context, program, path, _choices, logFile) {
    const ip = '127.0.0.1';
    return new LocalProcessSpawner(context, {
      cmd: program.argv(ip, path),
      ip,
      environment,
      logFile,
      pollInterval: 2000,
    });
  },
};

const slurm: Kind = {
  name: 'slurm',
  label: 'As a Slurm job',
  fields: [
    { name: 'partition', option: 'request.partition', label: 'Partition', hint: 'the default one' },
    { name: 'runtime', option: 'request.runtime', label: 'Walltime', hint: 'as in 1:00:00' },
  ],
  offered: () => find('sbatch') !== undefined,
  create(context, program, path, { partition, runtime }, logFile) {
    const ip = '0.0.0.0';
    return new SlurmSpawner(context, {
      cmd: program.argv(ip, path),
      ip,
      environment,
      request: {
        ...(partition && { partition }),
        ...(runtime && { runtime }),
      },
      logFile,
      pollInterval: 5000,
    });
  },
};

/** All kinds, also those that this machine does not offer: a saved state may be of one. */
export const kinds: readonly Kind[] = [local, slurm];

/** A page that says who runs it where; see server.mjs. */
export const builtIn: Program = {
  name: 'the built-in page',
  argv: (ip, path) => [
    process.execPath,
    fileURLToPath(new URL('server.mjs', import.meta.url)),
    `--ip=${ip}`,
    '--port={port}',
    `--base-url=${path}`,
  ],
};

/** Jupyter Notebook; its settings are called otherwise up to version 6 than from 7 on. */
export const notebook: Program = {
  name: 'Jupyter Notebook',
  argv: (ip, path) => [
    find('jupyter-notebook') ?? 'jupyter-notebook',
    ...jupyterArguments(ip),
    `--NotebookApp.base_url=${path}`,
    `--ServerApp.base_url=${path}`,
  ],
};

const lab: Program = {
  name: 'JupyterLab',
  argv: (ip, path) => [
    find('jupyter-lab') ?? 'jupyter-lab',
    ...jupyterArguments(ip),
    `--ServerApp.base_url=${path}`,
  ],
};

/** The best program that this machine has. */
export function chooseProgram(): Program {
  if (find('jupyter-lab') !== undefined) {
    return lab;
  }
  return find('jupyter-notebook') === undefined ? builtIn : notebook;
}

/** Jupyter refuses to run as root unless it is told to. */
function jupyterArguments(ip: string): string[] {
  const root = process.getuid?.() === 0 ? ['--allow-root'] : [];
  return ['--no-browser', `--ip=${ip}`, '--port={port}', ...root];
}

/** Where a program is, by the PATH of this process; undefined where it is not. */
function find(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
}
