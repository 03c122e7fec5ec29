import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { SlurmSpawner } from '../../lib/batch/slurm.ts';
import { endpointHandler } from '../../lib/endpoint/handler.ts';
import type { SlurmOptions } from '../../lib/generated/options.ts';
import type { Spawner } from '../../lib/spawner.ts';
import type { ConformanceSubject } from '../../lib/testing/index.ts';
import { spawnerConformance } from '../../lib/testing/index.ts';
import { FakeSlurm } from '../helpers/fake-slurm.ts';

const server = fileURLToPath(new URL('../helpers/server.mjs', import.meta.url));

describe('SlurmSpawner with jobs that run', () => {
  let home: string;
  let slurm: FakeSlurm;
  let hub: Server;
  let apiUrl: string;
  const spawners = new Set<SlurmSpawner>();

  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'slurm-conformance-'));
    slurm = new FakeSlurm({ home });
    const endpoint = endpointHandler(spawners);
    hub = createServer(endpoint.node).listen(0, '127.0.0.1');
    await once(hub, 'listening');
    apiUrl = `http://127.0.0.1:${(hub.address() as AddressInfo).port}/hub/api`;
  });
  after(async () => {
    await slurm.close();
    hub.close();
    rmSync(home, { recursive: true });
  });

  const create =
    (args: readonly string[], options: Partial<SlurmOptions> = {}): ConformanceSubject['create'] =>
    (context) => {
      const spawner = new SlurmSpawner(
        { user: { name: 'alice' }, hub: { apiUrl }, runner: slurm.runner, ...context },
        { cmd: [process.execPath, server], args, queryInterval: 50, gracePeriod: 500, ...options },
      );
      spawners.add(spawner);
      return spawner;
    };

  const jobOf = (spawner: Spawner): string => {
    const state = Object.values(spawner.getState());
    return slurm.jobs.find(({ id }) => state.includes(id))?.id ?? '';
  };

  describe('that start at once', () => {
    before(() => {
      slurm.queueDelay = 0;
    });
    spawnerConformance({
      name: 'SlurmSpawner',
      create: create(['--port={port}', '--ip=0.0.0.0']),
      createFailing: create(['--exit=3']),
      createSlow: create(['--never']),
      killBehindItsBack: (spawner) =>
        slurm.endJob(jobOf(spawner), { state: 'NODE_FAIL', signal: 1 }),
    });
  });

  describe('that wait in the queue, and are soon forgotten', () => {
    before(() => {
      slurm.queueDelay = 120;
    });
    spawnerConformance({
      name: 'SlurmSpawner',
      create: create(['--port={port}', '--ip=0.0.0.0'], { gracePeriod: 50 }),
      createFailing: create(['--exit=3'], { endpoint: 'fixed', port: 9 }),
      createSlow: create([], { request: { options: '--hold' } }),
      async killBehindItsBack(spawner) {
        const id = jobOf(spawner);
        await slurm.endJob(id);
        slurm.forget(id);
      },
    });
  });

  afterEach('no job is left', () => {
    expect(slurm.jobs.filter(({ endedAt }) => endedAt === undefined)).to.deep.equal([]);
    spawners.clear();
  });
});
