import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { SpawnerContext } from '../../lib/context.ts';
import { SystemdSpawner } from '../../lib/systemd/spawner.ts';
import { spawnerConformance } from '../../lib/testing/index.ts';
import { FakeSystemd } from '../helpers/fake-systemd.ts';

const server = fileURLToPath(new URL('../helpers/server.mjs', import.meta.url));

describe('SystemdSpawner with services that run', () => {
  let home: string;
  let systemd: FakeSystemd;

  before(() => {
    home = mkdtempSync(join(tmpdir(), 'systemd-conformance-'));
    systemd = new FakeSystemd(home);
  });
  after(async () => {
    await systemd.close();
    expect(readdirSync(join(home, 'run'))).to.deep.equal([]);
    rmSync(home, { recursive: true });
  });

  const create =
    (...args: readonly string[]) =>
    (context: Partial<SpawnerContext> = {}) =>
      new SystemdSpawner(
        { user: { name: 'alice' }, runner: systemd.runner, ...context },
        {
          cmd: [process.execPath, server, ...args],
          runtimeDir: join(home, 'run'),
          queryInterval: 50,
        },
      );

  spawnerConformance({
    name: 'SystemdSpawner',
    create: create('--port={port}', '--ip=127.0.0.1'),
    createFailing: create('--exit=3'),
    createSlow: create('--never'),
    killBehindItsBack: (spawner) => systemd.kill(String(spawner.getState()['unit'])),
  });
});
