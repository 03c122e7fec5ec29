import { useHub } from './helpers/hub.ts';
import { queueSuite } from './helpers/slurm-suites/queue.ts';

describe('SlurmSpawner: a job in the queue of a real Slurm', () => queueSuite(useHub()));
