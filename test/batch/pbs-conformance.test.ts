import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { PbsSpawner } from '../../lib/batch/pbs.ts';
import { StartError } from '../../lib/errors.ts';
import type { PbsOptions } from '../../lib/generated/options.ts';
import { sleep } from '../../lib/sleep.ts';
import { batchConformance } from '../helpers/batch-conformance.ts';
import { FakeCluster } from '../helpers/fake/cluster.ts';
import { pbsDialect } from '../helpers/fake/pbs.ts';

const request: PbsOptions['request'] = {
  queue: 'workq',
  host: 'node01',
  nprocs: 1,
  memory: '100mb',
  ngpus: 1,
  runtime: '60',
  project: 'course-2026',
  options: '-l place=pack -p 10',
};

batchConformance({
  name: 'PbsSpawner',
  Spawner: PbsSpawner,
  dialect: pbsDialect({ history: true }),
  options: { request },
});

const server = fileURLToPath(new URL('../helpers/server.mjs', import.meta.url));

describe('PbsSpawner at a server without a history', () => {
  let home: string;
  let cluster: FakeCluster;

  before(() => {
    home = mkdtempSync(join(tmpdir(), 'pbs-conformance-'));
  });
  beforeEach(() => {
    cluster = new FakeCluster({ home, dialect: pbsDialect({ history: false }) });
  });
  afterEach(() => cluster.close());
  after(() => rmSync(home, { recursive: true }));

  async function freePort(): Promise<number> {
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    listener.close();
    await once(listener, 'close');
    return port;
  }

  async function create(...args: string[]) {
    return new PbsSpawner(
      { user: { name: 'alice' }, runner: cluster.runner },
      {
        cmd: [process.execPath, server],
        args,
        endpoint: 'fixed',
        port: await freePort(),
        queryInterval: 50,
        gracePeriod: 0,
      },
    );
  }

  it('starts, watches and stops', async () => {
    const spawner = await create('--port={port}', '--ip=0.0.0.0');
    await spawner.start();
    expect(await spawner.poll()).to.equal(null);
    await spawner.stop();
    expect(cluster.jobs.map(({ state }) => state)).to.deep.equal(['ended']);
  });

  it('sees that a job has ended, and not how', async () => {
    const spawner = await create('--port={port}', '--ip=0.0.0.0');
    await spawner.start();
    await cluster.endJob(cluster.jobs[0]?.id ?? '', { cause: 'timeout', signal: 15 });
    let exit = await spawner.poll();
    while (exit === null) {
      await sleep(20);
      exit = await spawner.poll();
    }
    expect(exit).to.include({ code: null, cause: 'unknown' });
    const failing = await create('--exit=3');
    const error: unknown = await failing.start().catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(StartError).and.to.deep.nested.include({ 'exit.code': null });
  });

  it('takes no outage for an end', async () => {
    const spawner = await create('--port={port}', '--ip=0.0.0.0');
    await spawner.start();
    for (const how of ['dead', 'hung'] as const) {
      cluster.down(how);
      expect(await spawner.poll()).to.equal(null);
      cluster.up();
      expect(await spawner.poll()).to.equal(null);
    }
    await spawner.stop();
  });
});
