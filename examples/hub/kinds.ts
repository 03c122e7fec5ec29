import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Json, Spawner, SpawnerClass, SpawnerOptions } from 'hubspawner';
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
  readonly spawner: SpawnerClass<SpawnerOptions>;
  /** What its servers listen on. */
  readonly ip: string;
  /** The options that choices make. */
  readonly optionsOf: (choices: Choices) => Readonly<Record<string, Json>>;
}

/** For servers of all kinds. Jupyter reads its token here: a command line, everybody could read. */
export const environment = { JUPYTER_TOKEN: (spawner: Spawner) => spawner.apiToken ?? '' };

const local: Kind = {
  name: 'local',
  label: 'On this machine',
  fields: [],
  offered: () => true,
  spawner: LocalProcessSpawner,
  ip: '127.0.0.1',
  optionsOf: () => ({}),
};

const slurm: Kind = {
  name: 'slurm',
  label: 'As a Slurm job',
  fields: [
    { name: 'partition', option: 'request.partition', label: 'Partition', hint: 'the default one' },
    { name: 'runtime', option: 'request.runtime', label: 'Walltime', hint: 'as in 1:00:00' },
  ],
  offered: () => find('sbatch') !== undefined,
  spawner: SlurmSpawner,
  ip: '0.0.0.0',
  optionsOf: (request) => ({ request }),
};

/** All kinds, also those that this machine does not offer. */
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
