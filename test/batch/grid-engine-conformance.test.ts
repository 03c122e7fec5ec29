import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { GridEngineSpawner, gridEngine } from '../../lib/batch/grid-engine.ts';
import { StartError } from '../../lib/errors.ts';
import type { GridEngineOptions } from '../../lib/generated/options.ts';
import { sleep } from '../../lib/sleep.ts';
import { batchConformance } from '../helpers/batch-conformance.ts';
import { FakeCluster } from '../helpers/fake/cluster.ts';
import { gridEngineDialect } from '../helpers/fake/grid-engine.ts';

/** Who is deleted before it runs has no record: that is known at once, since here none is late. */
class PromptSpawner extends GridEngineSpawner {
  static override readonly scheduler = { ...gridEngine, accountingDelay: 200 };
}

const request: GridEngineOptions['request'] = {
  queue: 'all.q',
  pe: 'smp',
  nprocs: 2,
  memory: '4G',
  runtime: '60',
  project: 'course-2026',
  options: '-r y -l h_vmem=8G',
};

batchConformance({
  name: 'GridEngineSpawner',
  Spawner: PromptSpawner,
  dialect: gridEngineDialect,
  options: { request },
});

describe('GridEngineSpawner', () => {
  let home: string;
  let cluster: FakeCluster;

  before(() => {
    home = mkdtempSync(join(tmpdir(), 'grid-engine-'));
  });
  beforeEach(() => {
    cluster = new FakeCluster({ home, dialect: gridEngineDialect });
  });
  afterEach(() => cluster.close());
  after(() => rmSync(home, { recursive: true }));

  function create(options: Partial<GridEngineOptions>) {
    return new PromptSpawner(
      { user: { name: 'alice' }, runner: cluster.runner },
      { endpoint: 'fixed', port: 9, queryInterval: 50, gracePeriod: 0, ...options },
    );
  }

  async function failure(options: Partial<GridEngineOptions>): Promise<StartError> {
    const error: unknown = await create(options)
      .start()
      .catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(StartError);
    return error instanceof StartError ? error : expect.fail();
  }

  it('fails a start whose job can not be started, with the reason, and leaves no job', async () => {
    const { message } = await failure({ logFile: '/nowhere/{{jobName}}.log' });
    expect(message).to.match(/can't open output file "\/nowhere\/jupyter-alice-\w+\.log": No such/);
    expect(cluster.known).to.deep.equal([]);
  });

  for (const code of [99, 100]) {
    it(`does not let Grid Engine see the exit code ${code} of a server`, async () => {
      const { exit } = await failure({ cmd: ['sh', '-c', `exit ${code}`] });
      expect(exit).to.include({ code: 1, cause: 'failed' });
    });
  }

  it('gives a server time to end, and the epilogue its turn, where the job is notified', async () => {
    const log = join(home, 'epilogue');
    const spawner = create({
      cmd: [
        'sh',
        '-c',
        `trap 'sleep 0.2; echo saved >>${log}; exit 3' TERM; echo up >>${log}; sleep 60 & wait`,
      ],
      request: { notify: true, epilogue: `echo "epilogue after $status" >>${log}` },
    });
    const starting = spawner.start().catch((reason: unknown) => reason);
    while (!existsSync(log)) {
      await sleep(20);
    }
    await spawner.stop();
    await starting;
    expect(readFileSync(log, 'utf8')).to.equal('up\nsaved\nepilogue after 3\n');
  });
});
