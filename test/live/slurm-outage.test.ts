import { useHub } from './helpers/hub.ts';
import { outageSuite } from './helpers/slurm-suites/outage.ts';

describe('SlurmSpawner: while slurmctld is stopped for a while', () => {
  outageSuite(useHub(), 'stop');
});

describe('SlurmSpawner: while slurmctld is killed and restarted', () => {
  outageSuite(useHub(), 'crash');
});

describe('SlurmSpawner: while slurmctld is hung for a while', () => {
  outageSuite(useHub(), 'hang');
});
