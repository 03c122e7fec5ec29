import { SlurmSpawner } from '../../lib/batch/slurm.ts';
import { SudoRunner } from '../../lib/runners/sudo.ts';
import { cancelAll, jobs, slurmctld, startSlurm, stopSlurm } from '../engines/slurm.ts';
import { supervisorOutageSuite } from './helpers/supervisor-outage.ts';

describe('Supervisor: outages of the slurmctld of a real Slurm', () => {
  before(async () => {
    // It is to forget no job, and to have none of another test.
    await stopSlurm();
    await startSlurm({ minJobAge: 3600 });
  });

  supervisorOutageSuite({
    runner: new SudoRunner(),
    lister: 'squeue',
    outages: [
      ['is stopped', slurmctld.stop, slurmctld.start],
      ['is killed', slurmctld.crash, slurmctld.start],
      ['hangs', slurmctld.hang, slurmctld.resume],
    ],
    // It saves its jobs every 5 s.
    settling: 6000,
    register(supervisor, { options }) {
      supervisor.register('patient', SlurmSpawner, options);
      supervisor.register('hasty', SlurmSpawner, { ...options, stopTimeout: 20_000 });
    },
    async jobNames() {
      return (await jobs()).map(({ name }) => name);
    },
  });

  after(() => cancelAll());
});

// For all test files of the run together.
after(() => stopSlurm());
