import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { LocalProcessSpawner } from '../../lib/local/spawner.ts';
import type { ConformanceSubject } from '../../lib/testing/index.ts';
import { spawnerConformance } from '../../lib/testing/index.ts';

const server = fileURLToPath(new URL('../helpers/server.mjs', import.meta.url));

describe('LocalProcessSpawner with a real server', () => {
  let logs: string;
  const started: number[] = [];

  before(() => {
    logs = mkdtempSync(join(tmpdir(), 'local-conformance-'));
  });
  after(() => rmSync(logs, { recursive: true }));

  const create =
    (...args: readonly string[]): ConformanceSubject['create'] =>
    (context) => {
      const user = { name: 'ada@example.org', account: userInfo().username };
      const spawner = new LocalProcessSpawner(
        { user, ...context },
        { cmd: [process.execPath, server], args, logFile: join(logs, '{{name}}.log') },
      );
      return spawner.on('submitted', ({ id }) => started.push(Number(id)));
    };

  spawnerConformance({
    name: 'LocalProcessSpawner',
    create: create('--port={port}'),
    createFailing: create('--exit=3'),
    createSlow: create('--never'),
    killBehindItsBack: async (spawner) => {
      process.kill(Number(spawner.getState()['pid']), 'SIGKILL');
    },
  });

  afterEach('no process is left', () => {
    expect(started.splice(0).filter(isAlive)).to.deep.equal([]);
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
