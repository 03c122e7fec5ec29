import { MultiSlurmSpawner } from '../../lib/batch/multi-slurm.ts';
import { SlurmSpawner } from '../../lib/batch/slurm.ts';
import { batchConformance } from '../helpers/batch-conformance.ts';
import { slurmDialect } from '../helpers/fake/slurm.ts';

const dialect = slurmDialect({ clusters: ['cluster1'], accounting: 'on' });

batchConformance({ name: 'SlurmSpawner', Spawner: SlurmSpawner, dialect });

batchConformance({
  name: 'MultiSlurmSpawner',
  Spawner: MultiSlurmSpawner,
  dialect,
  // Another name for this machine.
  options: { daemonResolver: { '127.0.0.1': '127.0.0.2' } },
});
