import { spawnerConformance } from '../../lib/testing/index.ts';
import { useGridHub } from './helpers/grid-engine.ts';
import { command } from './helpers/slurm.ts';

describe('GridEngineSpawner: on a real Grid Engine', () => {
  const hub = useGridHub();

  spawnerConformance({
    name: 'GridEngineSpawner',
    create: (context) => hub().create({}, context),
    createFailing: (context) =>
      hub().create({ cmd: ['sh', '-c', 'echo "no kernel today"; exit 3'] }, context),
    createSlow: (context) => hub().create({ cmd: ['sleep', '600'] }, context),
    killBehindItsBack: async (spawner) => {
      await command(['qdel', String(spawner.getState()['jobId'])]);
    },
    timeouts: { start: 30_000, end: 60_000 },
  });
});
