import { useHub } from './helpers/hub.ts';
import { statesSuite } from './helpers/slurm-suites/states.ts';

describe('SlurmSpawner: a job of a real Slurm', () => statesSuite(useHub()));
