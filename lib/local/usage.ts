import type { ServerUsage } from '../abilities.ts';
import type { CommandRunner } from '../runners/runner.ts';

interface Row {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly memory: number;
  readonly cpu: number;
}

/**
 * What a process group uses, and what has descended from it: Jupyter's kernels lead groups of their
 * own. Memory that several processes share is counted for each of them.
 *
 * @returns null where ps does not say it
 */
export async function usageOf(runner: CommandRunner, group: number): Promise<ServerUsage | null> {
  const columns = ['pid', 'ppid', 'pgid', 'rss', 'time'].flatMap((name) => ['-o', `${name}=`]);
  const { stdout, exitCode } = await runner.run(['ps', '-A', ...columns], {
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
  });
  const rows = stdout.split('\n').flatMap(rowIn);
  const members = new Set(rows.filter((row) => row.group === group).map(({ pid }) => pid));
  for (let before = -1; before < members.size; ) {
    before = members.size;
    for (const { pid, parent } of rows) {
      if (members.has(parent)) {
        members.add(pid);
      }
    }
  }
  const own = rows.filter(({ pid }) => members.has(pid));
  return exitCode !== 0 || own.length === 0
    ? null
    : {
        memory: own.reduce((sum, { memory }) => sum + memory, 0),
        cpu: own.reduce((sum, { cpu }) => sum + cpu, 0),
        tasks: own.length,
      };
}

/** ps(1): rss is in units of 1024 bytes, time is `[days-]hours:minutes:seconds`. */
function rowIn(line: string): readonly Row[] {
  const [, pid, parent, group, rss, days = '0', clock = ''] =
    /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(?:(\d+)-)?([\d:.]+)\s*$/.exec(line) ?? [];
  if (pid === undefined) {
    return [];
  }
  const cpu = clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
  return [
    {
      pid: Number(pid),
      parent: Number(parent),
      group: Number(group),
      memory: Number(rss) * 1024,
      cpu: Number(days) * 86_400 + cpu,
    },
  ];
}
