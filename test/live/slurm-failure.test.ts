import { useHub } from './helpers/hub.ts';
import { failureSuite } from './helpers/slurm-suites/failure.ts';

describe('SlurmSpawner: a start that fails on a real Slurm', () => failureSuite(useHub()));
