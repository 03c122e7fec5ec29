import type { QueryAnswer, StateTable } from '../batch/scheduler.ts';
import { ParseError } from '../errors.ts';

/** Active states of systemctl(1), as a monitor knows jobs. */
export const states: StateTable = {
  active: { state: 'running' },
  activating: { state: 'running' },
  reloading: { state: 'running' },
  refreshing: { state: 'running' },
  maintenance: { state: 'running' },
  deactivating: { state: 'completing' },
  inactive: { state: 'ended' },
  failed: { state: 'ended' },
};

/** The list of all units of a pattern: names, states and descriptions, whatever runs. */
export function listUnits(systemctl: readonly string[], pattern: string): readonly string[] {
  return [
    ...systemctl,
    ...['list-units', '--all', '--plain', '--full', '--no-legend', '--no-pager', '--', pattern],
  ];
}

/** Reads that list; `reason` is the description of the unit. */
export function parseUnits(stdout: string, table: StateTable): QueryAnswer {
  // A line that begins with a blank goes on with the description of somebody's unit before it.
  const lines = stdout.split('\n').filter((line) => /^\S/.test(line));
  const jobs = lines.map((line) => {
    const [, id, active, description] =
      /^(\S+\.service)\s+\S+\s+(\S+)\s+\S+\s+(.*)$/.exec(line) ?? [];
    if (id === undefined || active === undefined || description === undefined) {
      throw new ParseError('This is not what systemctl list-units prints.', stdout);
    }
    const state = table[active]?.state ?? 'unknown';
    // Where a unit of the list has a job, its kind stands before the description.
    const reason = description.trim().replace(/^[a-z-]+\s+(?=hubspawner:)/, '');
    return { id, state, nativeState: active, reason };
  });
  return { jobs, complete: stdout === '' || stdout.endsWith('\n') };
}
