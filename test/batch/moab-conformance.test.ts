import { MoabSpawner, moab } from '../../lib/batch/moab.ts';
import type { Scheduler } from '../../lib/batch/scheduler.ts';
import { batchConformance } from '../helpers/batch-conformance.ts';
import { moabDialect } from '../helpers/fake/moab.ts';

/** Does not wait for what is in no list and no record. */
class ImpatientMoabSpawner extends MoabSpawner {
  static override readonly scheduler: Scheduler = { ...moab, accountingDelay: 100 };
}

batchConformance({
  name: 'MoabSpawner',
  Spawner: ImpatientMoabSpawner,
  dialect: moabDialect,
});
