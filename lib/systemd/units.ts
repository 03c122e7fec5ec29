import { isPort } from '../address.ts';
import type { JobStatus, QueryAnswer, StateTable } from '../batch/scheduler.ts';
import { ParseError } from '../errors.ts';
import type { MarkedServer } from '../mark.ts';
import { serverOf } from '../mark.ts';
import { directoryName } from './unit-name.ts';

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

/** What the description of a unit says; undefined where it is no server of a hub. */
export function descriptionOf(
  text: string,
): { readonly tag: string; readonly port: number } | undefined {
  const [, tag, port] = /^(hubspawner:\S+) port (\d{1,5})$/.exec(text) ?? [];
  return tag !== undefined && isPort(Number(port)) ? { tag, port: Number(port) } : undefined;
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

/** The servers of a hub among the units of a list, those of one directory. */
export function serversIn(
  units: ReadonlyMap<string, JobStatus>,
  hubId: string,
  directory: string,
): readonly MarkedServer[] {
  return [...units.values()].flatMap(({ id, state, reason: description = '' }) => {
    const { tag = '' } = descriptionOf(description) ?? {};
    const server = serverOf(tag, hubId);
    if (server === undefined || state === 'ended' || state === 'completing') {
      return [];
    }
    const fields = { unit: id, directory: `${directory}/${directoryName(id)}`, description };
    const startedAt = new Date(0).toISOString();
    return [
      { ...server, id, tag, state: { version: 1, spawner: 'systemd', ...fields, startedAt } },
    ];
  });
}
