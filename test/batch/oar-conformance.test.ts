import { OarSpawner } from '../../lib/batch/oar.ts';
import { batchConformance } from '../helpers/batch-conformance.ts';
import { oarDialect } from '../helpers/fake/oar.ts';

batchConformance({ name: 'OarSpawner', Spawner: OarSpawner, dialect: oarDialect });
