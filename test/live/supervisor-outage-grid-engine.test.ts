import { join } from 'node:path';
import { GridEngineSpawner } from '../../lib/batch/grid-engine.ts';
import { SudoRunner } from '../../lib/runners/sudo.ts';
import {
  cancelAll,
  jobs,
  qmaster,
  startGridEngine,
  stopGridEngine,
} from '../engines/grid-engine.ts';
import { command } from './helpers/slurm.ts';
import { supervisorOutageSuite } from './helpers/supervisor-outage.ts';

describe('Supervisor: outages of the qmaster of a real Grid Engine', () => {
  before(async () => {
    // Its accounting is to have no job of another test.
    await stopGridEngine();
    await startGridEngine();
  });

  supervisorOutageSuite({
    runner: new SudoRunner(),
    lister: 'qstat',
    outages: [
      ['is stopped', qmaster.stop, qmaster.start],
      ['is killed', qmaster.crash, qmaster.start],
      ['hangs', qmaster.hang, qmaster.resume],
    ],
    settling: 0,
    register(supervisor, { options, scratch }) {
      const all = {
        ...options,
        environmentFile: join(scratch, '{{username}}', '.{{jobName}}.env'),
        commandTimeout: 10_000,
      };
      supervisor.register('patient', GridEngineSpawner, all);
      supervisor.register('hasty', GridEngineSpawner, { ...all, stopTimeout: 20_000 });
    },
    async jobNames() {
      // It fails before the first job has ended.
      const ended = await command(['sh', '-c', 'qacct -j || :']);
      return [
        ...(await jobs()).map(({ name }) => name),
        ...[...ended.matchAll(/^jobname +(\S+)/gm)].map(([, name = '']) => name),
      ];
    },
  });

  after(() => cancelAll());
});

// For all test files of the run together.
after(() => stopGridEngine());
