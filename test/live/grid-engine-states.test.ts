import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { AbortError, StartTimeoutError } from '../../lib/errors.ts';
import type { ProgressEvent } from '../../lib/progress.ts';
import { EventLog } from '../../lib/testing/harness.ts';
import { idOf, jobOf, report, useGridHub } from './helpers/grid-engine.ts';
import { command, rejection, until } from './helpers/slurm.ts';

describe('GridEngineSpawner: a job that waits on a real Grid Engine', () => {
  const hub = useGridHub();

  /** Waits for a progress event with this text. */
  async function told({ progress }: EventLog, text: string): Promise<ProgressEvent> {
    const find = () => progress.find(({ message }) => message.includes(text));
    await until(`progress with ${text}`, () => find() !== undefined);
    return find() ?? assert.fail();
  }

  it('that is held says so, and starts when it is released', async () => {
    const spawner = hub().create({ held: 'wait', request: { options: '-h' } });
    const events = new EventLog(spawner);
    const starting = spawner.start();
    const { message } = await told(events, 'is held');
    assert.include(message, `Job ${idOf(spawner)} is held and does not start until`);
    assert.isNull(await spawner.poll());
    await command(['qrls', idOf(spawner)]);
    assert.equal((await report(await starting)).account, 'alice');
    assert.containsSubset(events.progress.at(-1), { progress: 100, outcome: 'ready' });
  });

  it('that is held fails its start, if nothing else was asked for', async () => {
    const spawner = hub().create({ request: { options: '-h' } });
    const error: unknown = await spawner.start().catch((reason: unknown) => reason);
    assert.match(String(error), /is held and does not start/);
  });

  it('for what there is not says why, and can be given up by queueTimeout', async () => {
    const request = { pe: 'smp', nprocs: 200 };
    const spawner = hub().create({ request, queueTimeout: 6000 });
    const events = new EventLog(spawner);
    const error = await rejection(spawner.start(), StartTimeoutError);
    assert.equal(error.step, 'queue');
    assert.match(
      events.progress.map(({ message }) => message).join(),
      /waits in the queue \(cannot run in PE "smp" because it only offers \d+ slots\)/,
    );
  });

  it('is cancelled by stop()', async () => {
    const spawner = hub().create({ held: 'wait', request: { options: '-h' } });
    const events = new EventLog(spawner);
    const starting = rejection(spawner.start(), AbortError);
    await told(events, 'is held');
    await spawner.stop();
    await starting;
    assert.isUndefined(await jobOf(spawner));
    assert.equal((await spawner.poll())?.cause, 'cancelled');
  });
});

describe('GridEngineSpawner: a job that runs on a real Grid Engine', () => {
  const hub = useGridHub();

  it('has what it was given, and nothing of the hub', async () => {
    process.env['HUBSPAWNER_TEST_OF_THE_HUB'] = 'not for the job';
    const spawner = hub().create({ environment: { WORDS: "a 'b'\n#$ -N x", TZ: 'Asia/Tokyo' } });
    const { account, directory, environment } = await report(await spawner.start());
    delete process.env['HUBSPAWNER_TEST_OF_THE_HUB'];
    assert.equal(account, 'alice');
    assert.equal(directory, '/home/alice');
    assert.containsSubset(environment, {
      HOME: '/home/alice',
      USER: 'alice',
      LOGNAME: 'alice',
      WORDS: "a 'b'\n#$ -N x",
      TZ: 'Asia/Tokyo',
      QUEUE: 'all.q',
    });
    assert.match(environment['PATH'] ?? '', /(?:^|:)\/usr\/bin(?::|$)/);
    assert.notInclude(JSON.stringify(environment), 'not for the job');
    assert.notProperty(environment, 'SUDO_USER');
    assert.notProperty(environment, 'LD_PRELOAD');
  });

  it('that is suspended has not ended, and goes on', async () => {
    const spawner = hub().create();
    const address = await spawner.start();
    await command(['qmod', '-sj', idOf(spawner)]);
    await until('the suspension', async () => (await jobOf(spawner))?.state === 's');
    assert.isNull(await spawner.poll());
    await command(['qmod', '-usj', idOf(spawner)]);
    await until('the end of it', async () => (await jobOf(spawner))?.state === 'r');
    assert.isNull(await spawner.poll());
    assert.equal((await report(address)).account, 'alice');
  });

  it('that is suspended is ended by stop()', async () => {
    const spawner = hub().create();
    await spawner.start();
    await command(['qmod', '-sj', idOf(spawner)]);
    await spawner.stop();
    assert.isUndefined(await jobOf(spawner));
  });

  it('is not put back into the queue', async () => {
    const spawner = hub().create();
    const address = await spawner.start();
    await command(['sh', '-c', 'qmod -rj "$1" || true', 'sh', idOf(spawner)]);
    assert.equal((await jobOf(spawner))?.state, 'r');
    assert.equal((await report(address)).account, 'alice');
  });

  it('that is put back into the queue, as was asked for, is found where it runs again', async () => {
    const token = 'the-same-for-each-run';
    const spawner = hub().create({ request: { options: '-r y' } }, { apiToken: token });
    const events = new EventLog(spawner);
    const moves: number[] = [];
    spawner.on('moved', ({ port }) => moves.push(port));
    await spawner.start();
    await command(['qmod', '-rj', idOf(spawner)]);
    await until('the queue', async () => (await jobOf(spawner))?.state === 'Rq');
    await until('the loss of the address', async () => {
      assert.isNull(await spawner.poll());
      return spawner.address === undefined;
    });
    await until('the next run', async () => {
      assert.isNull(await spawner.poll());
      return moves.length > 0;
    });
    assert.equal((await jobOf(spawner))?.state, 'Rr');
    const { address } = spawner;
    assert(address);
    assert.equal(address.port, moves[0]);
    await until('an answer', async () => {
      const answer = await report(address).catch(() => undefined);
      return answer?.environment['JUPYTERHUB_API_TOKEN'] === token;
    });
    assert.deepEqual(events.exited, []);
    assert.lengthOf(moves, 1);
  });

  it('gives its server time to end, and the epilogue its turn, where that was asked for', async () => {
    const log = join(hub().scratch, 'alice', 'end');
    const spawner = hub().create({
      cmd: ['python3', '-c', saving, log, '{port}'],
      request: { notify: true, epilogue: `echo "epilogue after $status" >>'${log}'` },
    });
    await spawner.start();
    const jobName = String(spawner.getState()['jobName']);
    // Of this it has a warning as well, which must not end it.
    await command(['qmod', '-sj', idOf(spawner)]);
    await until('the suspension', async () => (await jobOf(spawner))?.state === 's');
    await command(['qmod', '-usj', idOf(spawner)]);
    await until('the end of it', async () => (await jobOf(spawner))?.state === 'r');
    assert.isNull(await spawner.poll());
    await spawner.stop();
    assert.equal(readFileSync(log, 'utf8'), 'saved\nepilogue after 7\n');
    const left = 'grep -als "JOB_NAME=$1" /proc/[0-9]*/environ || true';
    assert.equal(await command(['sh', '-c', left, 'sh', jobName]), '');
  });
});

/** A server that does something before it ends. */
const saving = `
import http.server, signal, sys, time

def end(*_):
    time.sleep(1)
    with open(sys.argv[1], 'a') as log:
        log.write('saved\\n')
    sys.exit(7)

signal.signal(signal.SIGTERM, end)
http.server.HTTPServer(('127.0.0.1', int(sys.argv[2])), http.server.SimpleHTTPRequestHandler).serve_forever()
`;
