import { LsfSpawner } from '../../lib/batch/lsf.ts';
import { batchConformance } from '../helpers/batch-conformance.ts';
import { lsfDialect } from '../helpers/fake/lsf.ts';

batchConformance({
  name: 'LsfSpawner',
  Spawner: LsfSpawner,
  dialect: lsfDialect({ consistentExitCode: false }),
});

describe('Where bjobs fails for an empty list', () => {
  batchConformance({
    name: 'LsfSpawner',
    Spawner: LsfSpawner,
    dialect: lsfDialect({ consistentExitCode: true }),
    options: { unknownBudget: { time: 200, count: 2 } },
  });
});
