import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import type { CommandResult, RunOptions } from '../../../lib/runners/runner.ts';
import type { FakeCluster } from './cluster.ts';

/**
 * What stands for a program: gives its standard output, or throws an `Exit`. Any other error says
 * that this fake lacks something.
 */
export type Program = (
  cluster: FakeCluster,
  args: readonly string[],
  options: RunOptions,
) => string;

/** Thrown by what stands for a program, to end it. */
export class Exit extends Error {
  readonly result: Partial<CommandResult>;

  /** @param stderr without its last line break */
  constructor(exitCode: number, stderr: string, stdout = '') {
    super(stderr);
    this.result = { exitCode, stderr: stderr === '' ? '' : `${stderr}\n`, stdout };
  }
}

/** The account that a command runs as. */
export function accountOf({ user = userInfo().username }: RunOptions): string {
  return user;
}

const getent: Program = ({ home }, [database, account]) => {
  if (database !== 'passwd' || account === undefined) {
    throw new Error('A fake cluster has of getent only passwd ACCOUNT.');
  }
  return `${account}:x:1001:1001::${home}:/bin/bash\n`;
};

const tail: Program = (_, args) => {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { bytes: { type: 'string', short: 'c' }, lines: { type: 'string', short: 'n' } },
    allowPositionals: true,
  });
  const [file = ''] = positionals;
  if (!existsSync(file)) {
    throw new Exit(1, `tail: cannot open '${file}' for reading: No such file or directory`);
  }
  const text = readFileSync(file);
  return values.lines === undefined
    ? text.subarray(-Number(values.bytes ?? 1024)).toString()
    : text
        .toString()
        .split(/(?<=\n)/)
        .slice(-Number(values.lines))
        .join('');
};

/** Runs on this machine, where jobs run as well. */
function real(program: string): Program {
  return (_, args, { input = '', env = {}, cwd = '/' }) => {
    const { status, stdout, stderr, error } = spawnSync(program, args, {
      input,
      cwd,
      env,
      encoding: 'utf8',
    });
    // One that fails may have ended before it has read its input.
    if (error && status === null) throw error;
    if (status !== 0) throw new Exit(status ?? 1, stderr.trimEnd(), stdout);
    return stdout;
  };
}

/** Those that every cluster has, by their names. */
export const commonPrograms: Readonly<Record<string, Program>> = {
  getent,
  tail,
  sh: real('/bin/sh'),
  rm: real('/bin/rm'),
};
