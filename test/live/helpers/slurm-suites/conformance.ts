import { spawnerConformance } from '../../../../lib/testing/index.ts';
import type { LiveHub } from '../hub.ts';
import { command } from '../slurm.ts';

/** What every spawner has to do. */
export function conformanceSuite(hub: () => LiveHub): void {
  spawnerConformance({
    name: 'SlurmSpawner',
    create: (context) => hub().create({}, context),
    createFailing: (context) =>
      hub().create({ cmd: ['sh', '-c', 'echo "no kernel today"; exit 3'] }, context),
    createSlow: (context) => hub().create({ cmd: ['sleep', '600'] }, context),
    killBehindItsBack: async (spawner) => {
      await command(['scancel', String(spawner.getState()['jobId'])]);
    },
    timeouts: { start: 30_000, end: 30_000 },
  });
}
