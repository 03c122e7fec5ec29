import { assert } from 'chai';

import { SystemdSpawner } from '../../lib/systemd/spawner.ts';
import { spawnerConformance } from '../../lib/testing/index.ts';
import { killUnit, remains, serviceContext, serviceOptions, unitOf } from './helpers/services.ts';
import { useSystemd } from './helpers/systemd.ts';

describe('SystemdSpawner on a real systemd', () => {
  useSystemd();
  afterEach(async () => assert.deepEqual(await remains(), []));

  spawnerConformance({
    name: 'SystemdSpawner',
    create: (context) =>
      new SystemdSpawner({ ...serviceContext(), ...context }, { ...serviceOptions }),
    createFailing: (context) =>
      new SystemdSpawner(
        { ...serviceContext(), ...context },
        { ...serviceOptions, cmd: ['sh', '-c', 'echo it fails; exit 3'] },
      ),
    createSlow: (context) =>
      new SystemdSpawner(
        { ...serviceContext(), ...context },
        { ...serviceOptions, cmd: ['sleep', '600'] },
      ),
    killBehindItsBack: (spawner) => killUnit(unitOf(spawner)),
  });
});
