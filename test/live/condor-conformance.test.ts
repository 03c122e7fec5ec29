import { spawnerConformance } from '../../lib/testing/index.ts';
import { command, useCondor } from './helpers/condor.ts';

describe('CondorSpawner: on a real HTCondor', () => {
  const hub = useCondor();

  spawnerConformance({
    name: 'CondorSpawner',
    create: (context) => hub().create({}, context),
    createFailing: (context) =>
      hub().create({ cmd: ['sh', '-c', 'echo "no kernel today"; exit 3'] }, context),
    createSlow: (context) => hub().create({ cmd: ['sleep', '600'] }, context),
    killBehindItsBack: async (spawner) => {
      await command(['condor_rm', String(spawner.getState()['jobId'])]);
    },
    timeouts: { start: 30_000, end: 30_000 },
  });
});
