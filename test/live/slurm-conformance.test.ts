import { useHub } from './helpers/hub.ts';
import { conformanceSuite } from './helpers/slurm-suites/conformance.ts';

describe('SlurmSpawner: on a real Slurm', () => conformanceSuite(useHub()));
