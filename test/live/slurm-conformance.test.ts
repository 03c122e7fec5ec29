import { spawnerConformance } from '../../lib/testing/index.ts';
import { useHub } from './helpers/hub.ts';
import { command } from './helpers/slurm.ts';

describe('SlurmSpawner: on a real Slurm', () => {
  const hub = useHub();

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
});
