import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../errors.ts';
import type { CommandRunner } from '../runners/runner.ts';

/** A process, told from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /**
   * When it was started, as the system has it: ticks since the boot, or a date. '' where it had
   * ended before it was looked at.
   */
  readonly started: string;
  /** Of the boot that `started` counts from. */
  readonly bootId?: string;
}

/**
 * What is known of a process: `ended` if it has no successor yet or is a zombie, `replaced` if its
 * number is another's now, or the machine was booted since. `unknown`: it could not be looked up.
 */
export type ProcessStatus = 'alive' | 'ended' | 'replaced' | 'unknown';

/** Where the system tells about its processes. */
export interface ProcessTable {
  /** Throws the system's error where a process could not be looked up. */
  identify(pid: number): Promise<ProcessIdentity>;
  status(process: ProcessIdentity): Promise<ProcessStatus>;
  /**
   * The members of a process group that have not ended. Zombies are none: the first process of a
   * container need not clear them away, so that their group would never end.
   */
  members(group: number): Promise<readonly number[]>;
}

/** The process table of this machine. */
export function processTable(runner: CommandRunner): ProcessTable {
  return existsSync('/proc/self/stat') ? procTable('/proc') : psTable(runner);
}

/**
 * Sends a signal to all of a process group, or asks whether it has members by 0.
 *
 * @returns whether it has any; zombies count
 * @throws the system's error EPERM where this process may signal none of them
 */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  return signalled(-group, signal);
}

function signalled(id: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(id, signal);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') {
      return false;
    }
    throw error;
  }
}

interface ProcessRow {
  readonly state: string;
  readonly group: number;
  readonly started: string;
}

/** Linux: proc(5). */
export function procTable(folder: string): ProcessTable {
  /** Undefined where there is no such process. */
  async function row(pid: number): Promise<ProcessRow | undefined> {
    try {
      return parseStat(await readFile(join(folder, `${pid}`, 'stat'), 'utf8'));
    } catch (error) {
      if (!isGone(error)) {
        throw error;
      }
      // Of other accounts' processes a `hidepid` mount shows nothing.
      if (isTaken(pid)) {
        throw new Error(`There is a process ${pid} of which ${folder} says nothing.`);
      }
      return undefined;
    }
  }

  async function bootId(): Promise<string | undefined> {
    try {
      return (await readFile(join(folder, 'sys/kernel/random/boot_id'), 'utf8')).trim();
    } catch {
      return undefined;
    }
  }

  return {
    async identify(pid) {
      const [found, boot] = await Promise.all([row(pid), bootId()]);
      return { pid, started: found?.started ?? '', ...(boot !== undefined && { bootId: boot }) };
    },

    async status(process) {
      const boot = await bootId();
      if (process.bootId !== undefined && boot !== undefined && process.bootId !== boot) {
        return 'replaced';
      }
      try {
        return statusOf(process, await row(process.pid));
      } catch {
        return 'unknown';
      }
    },

    async members(group) {
      if (isEmpty(group)) {
        return [];
      }
      const pids = (await readdir(folder)).filter((name) => /^\d+$/.test(name)).map(Number);
      const rows = await Promise.all(
        pids.map(async (pid) => ({ pid, row: await row(pid).catch(() => undefined) })),
      );
      return rows.filter(({ row }) => row?.group === group && !isOver(row)).map(({ pid }) => pid);
    },
  };
}

/** Systems without /proc: ps(1), whose options `-o` are those of POSIX but for `lstart`. */
export function psTable(runner: CommandRunner): ProcessTable {
  async function rows(...select: readonly string[]): Promise<Map<number, ProcessRow>> {
    const { stdout, stderr, exitCode } = await runner.run(
      ['ps', '-o', 'pid=', '-o', 'pgid=', '-o', 'stat=', '-o', 'lstart=', ...select],
      { env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } },
    );
    // 1 without a word: there is no such process.
    if (exitCode !== 0 && (exitCode !== 1 || stdout.trim() !== '' || stderr.trim() !== '')) {
      throw new Error(`ps failed with exit code ${exitCode}: ${stderr.trim()}`);
    }
    const found = new Map<number, ProcessRow>();
    for (const line of stdout.split('\n').filter((text) => text.trim() !== '')) {
      const [, pid, group, state, started] =
        /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.+?)\s*$/.exec(line) ?? [];
      if (state === undefined || started === undefined) {
        throw new Error(`ps printed a line that is no process: ${line}`);
      }
      found.set(Number(pid), {
        state,
        group: Number(group),
        started: started.replace(/\s+/g, ' '),
      });
    }
    return found;
  }

  async function row(pid: number): Promise<ProcessRow | undefined> {
    return (await rows('-p', String(pid))).get(pid);
  }

  return {
    async identify(pid) {
      return { pid, started: (await row(pid))?.started ?? '' };
    },

    async status(process) {
      try {
        return statusOf(process, await row(process.pid));
      } catch {
        return 'unknown';
      }
    },

    async members(group) {
      if (isEmpty(group)) {
        return [];
      }
      return [...(await rows('-A'))]
        .filter(([, row]) => row.group === group && !isOver(row))
        .map(([pid]) => pid);
    },
  };
}

function statusOf(process: ProcessIdentity, row: ProcessRow | undefined): ProcessStatus {
  if (row === undefined) {
    return 'ended';
  }
  if (row.started !== process.started) {
    return 'replaced';
  }
  return isOver(row) ? 'ended' : 'alive';
}

/** A zombie, or a process that is being cleared away. */
function isOver({ state }: ProcessRow): boolean {
  return /^[ZXx]/.test(state);
}

/** The name of the program, in brackets, may hold blanks and brackets itself. */
function parseStat(text: string): ProcessRow {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, , group] = fields;
  const started = fields[19];
  if (state === undefined || !/^\d+$/.test(group ?? '') || !/^\d+$/.test(started ?? '')) {
    throw new Error('A file stat in /proc can not be read.');
  }
  return { state, group: Number(group), started: started ?? '' };
}

/** ESRCH: the process ended while its file was open. */
function isGone(error: unknown): boolean {
  return ['ENOENT', 'ESRCH'].includes(codeOf(error) ?? '');
}

function isTaken(pid: number): boolean {
  try {
    return signalled(pid, 0);
  } catch {
    return true;
  }
}

function isEmpty(group: number): boolean {
  try {
    return !signalGroup(group, 0);
  } catch {
    return false;
  }
}
