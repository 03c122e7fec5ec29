import { FluxSpawner } from '../../lib/batch/flux.ts';
import { batchConformance } from '../helpers/batch-conformance.ts';
import { fluxDialect } from '../helpers/fake/flux.ts';

batchConformance({ name: 'FluxSpawner', Spawner: FluxSpawner, dialect: fluxDialect });
