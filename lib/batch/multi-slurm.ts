import type { MultiSlurmOptions } from '../generated/options.ts';
import type { Scheduler } from './scheduler.ts';
import { slurm } from './slurm.ts';
import { BatchSpawner } from './spawner.ts';

/**
 * Runs the server as a job of a Slurm that has several daemons on a host, each under the name of a
 * node of its own. Options: `schemas/multi-slurm.json`.
 */
export class MultiSlurmSpawner extends BatchSpawner<MultiSlurmOptions> {
  static override readonly scheduler: Scheduler = {
    ...slurm,
    name: 'multi-slurm',
    schema: 'multi-slurm.json',
  };

  /** The host that `daemonResolver` has for the node, else what `execHost` makes of its name. */
  protected override hostOf(node: string): string {
    const { daemonResolver } = this.options;
    const host = Object.hasOwn(daemonResolver, node) ? daemonResolver[node] : undefined;
    return host ?? super.hostOf(node);
  }
}
