import { TorqueSpawner } from '../../lib/batch/torque.ts';
import { batchConformance } from '../helpers/batch-conformance.ts';
import { torqueDialect } from '../helpers/fake/torque.ts';

batchConformance({ name: 'TorqueSpawner', Spawner: TorqueSpawner, dialect: torqueDialect });
