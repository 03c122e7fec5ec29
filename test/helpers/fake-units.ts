import { basename, dirname } from 'node:path';
import type { CommandResult } from '../../lib/runners/runner.ts';
import { sleep } from '../../lib/sleep.ts';
import { StubRunner } from '../../lib/testing/index.ts';

/** A service that runs. */
interface Unit {
  readonly description: string;
  /** Where its end is written to. */
  readonly directory: string;
  isStopping: boolean;
}

/** A runtime directory, as the scripts of the spawner leave it. */
interface Directory {
  /** The start that has it: until when, in s, and its tag. */
  starting?: string | undefined;
  /** What its unit is to run; '' where that is not there. */
  run: string;
  /** How its unit ended. */
  exit?: string | undefined;
}

type Answer = string | Partial<CommandResult>;

const fails = (stderr: string, exitCode = 1): Answer => ({ exitCode, stderr: `${stderr}\n` });

/** In ms: how long a service takes to end. */
const stopTime = 300;

/**
 * systemctl, systemd-run and journalctl of systemd 252, and the scripts by which the spawner keeps
 * its directories, over services and directories that are only written down: it waits on the global
 * `setTimeout`, which a test is to fake. A command that it does not have is an error.
 */
export class FakeUnits {
  readonly runner: StubRunner;
  /** The most that ever were there at once. */
  most = 0;
  readonly #units = new Map<string, Unit>();
  readonly #directories = new Map<string, Directory>();
  readonly #listens: (port: number, isAlive: () => boolean) => void;

  /** @param listens is told of each server that listens, once */
  constructor(listens: (port: number, isAlive: () => boolean) => void) {
    this.#listens = listens;
    this.runner = new StubRunner((argv) => this.#answer(argv));
  }

  /** The descriptions of the services that run. */
  get alive(): readonly string[] {
    return [...this.#units.values()].map(({ description }) => description);
  }

  /** The runtime directories that are there. */
  get directories(): readonly string[] {
    return [...this.#directories.keys()];
  }

  async #answer([program = '', ...args]: readonly string[]): Promise<Answer> {
    switch (basename(program)) {
      case 'getent':
        return `${args[1]}:x:1001:1001::/home/${args[1]}:/bin/bash\n`;
      case 'journalctl':
        return '';
      case 'sh':
        return this.#sh(args);
      case 'cat':
        return this.#cat(args.at(-1) ?? '');
      case 'systemd-run':
        return this.#run(args);
      case 'systemctl':
        return this.#systemctl(args);
      default:
        throw new Error(`FakeUnits has no ${program}.`);
    }
  }

  async #systemctl([verb = '', ...args]: readonly string[]): Promise<Answer> {
    const name = args.at(-1) ?? '';
    const unit = this.#units.get(name);
    switch (verb) {
      case '--version':
        return 'systemd 252 (252.1)\n+PAM\n';
      case 'list-units':
        return [...this.#units]
          .map(
            ([one, { description }]) =>
              `${one} loaded ${stateOf(this.#units.get(one))} running ${description}\n`,
          )
          .join('');
      case 'show':
        return [
          `LoadState=${unit ? 'loaded' : 'not-found'}`,
          `ActiveState=${stateOf(unit)}`,
          `Description=${unit?.description ?? name}`,
          `ControlGroup=\nTransient=${unit ? 'yes' : 'no'}\n`,
        ].join('\n');
      case 'stop':
        if (unit === undefined) return fails(`Failed to stop ${name}: Unit ${name} not loaded.`, 5);
        await this.#stop(name, unit);
        return '';
      case 'reset-failed':
        return unit === undefined ? fails(`Unit ${name} not loaded.`) : '';
      default:
        throw new Error(`FakeUnits has no systemctl ${verb}.`);
    }
  }

  async #stop(name: string, unit: Unit): Promise<void> {
    unit.isStopping = true;
    await sleep(stopTime);
    const directory = this.#directories.get(unit.directory);
    if (directory !== undefined && this.#units.get(name) === unit) {
      directory.exit = 'success:killed:TERM:0\n';
    }
    if (this.#units.get(name) === unit) this.#units.delete(name);
  }

  #run(args: readonly string[]): Answer {
    const option = (name: string) =>
      args.flatMap((arg) => (arg.startsWith(`--${name}=`) ? [arg.slice(name.length + 3)] : []));
    const [name = ''] = option('unit');
    const [description = ''] = option('description');
    const [file = '', start = ''] = args.slice(-2);
    const directory = dirname(file);
    if (this.#units.has(name)) {
      return fails(
        `Failed to start transient service unit: Unit ${name} was already loaded or has a fragment file.`,
      );
    }
    // Another start may have written what this one finds.
    if (this.#directories.get(directory)?.run.includes(start) !== true) {
      return fails(`Job for ${name} failed.\nSee "journalctl -xeu ${name}" for details.`);
    }
    const unit: Unit = { description, directory, isStopping: false };
    this.#units.set(name, unit);
    this.most = Math.max(this.most, this.#units.size);
    const [, port] = / port (\d+)$/.exec(description) ?? [];
    this.#listens(Number(port), () => this.#units.get(name) === unit && !unit.isStopping);
    return '';
  }

  /** What the scripts of a `RuntimeDirectory` come to; each is known by a command of it. */
  #sh([, script = '', , path = '', ...given]: readonly string[]): Answer {
    const directory = this.#directories.get(path);
    const [until, holder] = directory?.starting?.split(' ') ?? [];
    const isHeld = Number(until) > Date.now() / 1000;
    if (script.includes('mkdir -p -m 711')) {
      if (isHeld) return { exitCode: 75 };
      this.#directories.set(path, { run: '', ...directory, starting: given[1] });
    } else if (script.includes('cat >environment')) {
      if (directory === undefined) return fails(`sh: ${path}: No such file or directory`);
      Object.assign(directory, { run: given[0], exit: undefined });
    } else if (script.includes('rm -rf -- "$1"')) {
      if (!(isHeld && holder !== given[1])) this.#directories.delete(path);
    } else if (script.includes('rmdir -- "$1"')) {
      if (directory === undefined || directory.starting !== given[1]) return '';
      directory.starting = undefined;
      if (directory.run === '' && directory.exit === undefined) this.#directories.delete(path);
    } else {
      throw new Error(`FakeUnits has no sh ${script}`);
    }
    return '';
  }

  #cat(file: string): Answer {
    return (
      this.#directories.get(dirname(file))?.exit ?? fails(`cat: ${file}: No such file or directory`)
    );
  }
}

function stateOf(unit: Unit | undefined): string {
  return unit === undefined ? 'inactive' : unit.isStopping ? 'deactivating' : 'active';
}
