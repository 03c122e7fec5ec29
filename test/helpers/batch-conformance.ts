import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { BatchSpawner } from '../../lib/batch/spawner.ts';
import type { SpawnerContext } from '../../lib/context.ts';
import { endpointHandler } from '../../lib/endpoint/handler.ts';
import type { BatchOptions } from '../../lib/generated/options.ts';
import type { Spawner } from '../../lib/spawner.ts';
import type { ConformanceSubject } from '../../lib/testing/index.ts';
import { spawnerConformance } from '../../lib/testing/index.ts';
import type { Dialect } from './fake/cluster.ts';
import { FakeCluster } from './fake/cluster.ts';

const server = fileURLToPath(new URL('server.mjs', import.meta.url));

/** A spawner of jobs, and the batch system that it runs them on. */
export interface BatchSubject<O extends BatchOptions> {
  /** Of the class. */
  readonly name: string;
  readonly Spawner: new (context: SpawnerContext, options: Partial<O>) => BatchSpawner<O>;
  readonly dialect: Dialect;
  /** Beside those that the suite sets. */
  readonly options?: Partial<O>;
}

/** Declares the tests of conformance for jobs that run on this machine. */
export function batchConformance<O extends BatchOptions>(subject: BatchSubject<O>): void {
  const { name, dialect } = subject;

  describe(`${name} with jobs that run`, () => {
    let home: string;
    let cluster: FakeCluster;
    let hub: Server;
    let apiUrl: string;
    const spawners = new Set<BatchSpawner<O>>();

    before(async () => {
      home = mkdtempSync(join(tmpdir(), 'batch-conformance-'));
      cluster = new FakeCluster({ home, dialect });
      hub = createServer(endpointHandler(spawners).node).listen(0, '127.0.0.1');
      await once(hub, 'listening');
      apiUrl = `http://127.0.0.1:${(hub.address() as AddressInfo).port}/hub/api`;
    });
    after(async () => {
      await cluster.close();
      hub.close();
      rmSync(home, { recursive: true });
    });

    const create =
      (
        args: readonly string[],
        options: Partial<BatchOptions> = {},
      ): ConformanceSubject['create'] =>
      (context) => {
        const own: Partial<BatchOptions> = {
          cmd: [process.execPath, server],
          args,
          queryInterval: 50,
          gracePeriod: 500,
          ...options,
        };
        const spawner = new subject.Spawner(
          { user: { name: 'alice' }, hub: { apiUrl }, runner: cluster.runner, ...context },
          // These are options of each of the spawners.
          { ...subject.options, ...own } as Partial<O>,
        );
        spawners.add(spawner);
        return spawner;
      };

    const jobOf = (spawner: Spawner): string => {
      const state = Object.values(spawner.getState());
      return cluster.jobs.find(({ id }) => state.includes(id))?.id ?? '';
    };

    describe('that start at once', () => {
      before(() => {
        cluster.queueDelay = 0;
      });
      spawnerConformance({
        name,
        create: create(['--port={port}', '--ip=0.0.0.0']),
        createFailing: create(['--exit=3']),
        createSlow: create(['--never']),
        killBehindItsBack: (spawner) =>
          cluster.endJob(jobOf(spawner), { cause: 'node-failure', signal: 1 }),
      });
    });

    describe('that wait in the queue, and are soon forgotten', () => {
      before(() => {
        cluster.queueDelay = 120;
      });
      const createWaiting = create([]);
      spawnerConformance({
        name,
        create: create(['--port={port}', '--ip=0.0.0.0'], { gracePeriod: 50 }),
        createFailing: create(['--exit=3'], { endpoint: 'fixed', port: 9 }),
        createSlow(context) {
          cluster.pend('Resources');
          return createWaiting(context);
        },
        async killBehindItsBack(spawner) {
          const id = jobOf(spawner);
          await cluster.endJob(id);
          cluster.forget(id);
        },
      });
    });

    afterEach('no job is left', () => {
      expect(cluster.jobs.filter(({ endedAt }) => endedAt === undefined)).to.deep.equal([]);
      cluster.releaseAll();
      spawners.clear();
    });
  });
}
