import { CondorSpawner } from '../../lib/batch/condor.ts';
import { batchConformance } from '../helpers/batch-conformance.ts';
import { condorDialect } from '../helpers/fake/condor.ts';

batchConformance({ name: 'CondorSpawner', Spawner: CondorSpawner, dialect: condorDialect });
