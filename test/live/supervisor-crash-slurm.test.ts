import { join } from 'node:path';
import { itSurvivesCrashes } from './helpers/crash.ts';
import { crashServer } from './helpers/crash-server.ts';
import { useHub } from './helpers/hub.ts';
import { command } from './helpers/slurm.ts';

/** The marks of the jobs that live. */
async function live(): Promise<string[]> {
  const list = await command(['squeue', '-h', '-a', '-o', '%T %k']);
  return list
    .split('\n')
    .filter((line) => /^(PENDING|CONFIGURING|RUNNING|SUSPENDED) /.test(line))
    .map((line) => line.replace(/^\S+ /, ''));
}

describe('Supervisor: a hub on Slurm that is killed', () => {
  const hub = useHub();

  itSurvivesCrashes(() => ({
    kind: {
      spawner: 'slurm',
      options: {
        cmd: [...crashServer],
        logFile: join(hub().scratch, '{{username}}', '{{jobName}}.log'),
        queryInterval: 100,
        held: 'wait',
        // A submission that was cut off is given up after both together.
        gracePeriod: 3000,
        commandTimeout: 10_000,
        killTimeout: 5000,
      },
    },
    live,
    // Two looks for a job, 5 s apart.
    clearsUpWithin: 6500,
    remains: live,
  }));
});
