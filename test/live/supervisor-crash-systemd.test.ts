import { itSurvivesCrashes } from './helpers/crash.ts';
import { crashServer } from './helpers/crash-server.ts';
import { remains } from './helpers/services.ts';
import { units, useSystemd } from './helpers/systemd.ts';

/** What describes the units that live. */
async function live(): Promise<string[]> {
  return (await units('jupyter-*.service'))
    .filter(({ active }) => ['active', 'activating'].includes(active))
    .map(({ description }) => description);
}

describe('Supervisor: a hub on systemd that is killed', () => {
  useSystemd();

  itSurvivesCrashes(() => ({
    kind: {
      spawner: 'systemd',
      options: {
        cmd: [...crashServer],
        queryInterval: 100,
        stopTimeout: 5000,
        commandTimeout: 10_000,
      },
    },
    live,
    clearsUpWithin: 1500,
    remains,
  }));
});
