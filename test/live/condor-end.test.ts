import { existsSync } from 'node:fs';
import { assert } from 'chai';
import { command, report, useCondor } from './helpers/condor.ts';
import { ended, until } from './helpers/slurm.ts';

describe('CondorSpawner: a server on a real HTCondor', () => {
  const hub = useCondor();

  it('has the account, home and environment of its user, and nothing of the hub', async () => {
    const spawner = hub().create({ environment: { COLOUR: 'it\'s "blue" $HOME\nand é' } });
    const { account, directory, environment } = await report(await spawner.start());
    assert.equal(account, 'alice');
    assert.equal(directory, '/home/alice');
    assert.containsSubset(environment, {
      HOME: '/home/alice',
      USER: 'alice',
      LOGNAME: 'alice',
      COLOUR: 'it\'s "blue" $HOME\nand é',
    });
    assert.match(environment['PATH'] ?? '', /(?:^|:)\/usr\/bin(?:$|:)/);
    assert.notProperty(environment, 'npm_lifecycle_event');
    assert.isFalse(Object.keys(environment).some((name) => name.startsWith('hubspawner_')));
  });

  it('runs by way of a schedd that is named', async () => {
    const spawner = hub().create({ request: { host: 'hubspawner@localhost' } });
    await report(await spawner.start());
    assert.isNull(await spawner.poll());
    await spawner.stop();
    assert.equal((await spawner.poll())?.cause, 'cancelled');
  });

  it('ends with its exit code', async () => {
    const spawner = hub().create();
    const { url } = await spawner.start();
    await fetch(new URL('/stop', url)).catch(() => {});
    assert.containsSubset(await ended(spawner), { cause: 'failed', code: 7, signal: null });
  });

  it('ends with its walltime, of which the state knows', async () => {
    const spawner = hub().create({ request: { runtime: '0:08' } });
    await spawner.start();
    assert.isNull(await spawner.poll());
    const endsAt = Date.parse(String(spawner.getState()['endsAt']));
    assert.approximately(endsAt, Date.now(), 10_000);
    assert.containsSubset(await ended(spawner), { cause: 'timeout', code: null });
    assert.isAtLeast(Date.now(), endsAt);
  });

  it('ends when someone removes its job', async () => {
    const spawner = hub().create();
    await spawner.start();
    await command(['condor_rm', String(spawner.getState()['jobId'])]);
    const exit = await ended(spawner);
    assert.equal(exit.cause, 'cancelled');
    assert.match(exit.message, /via condor_rm \(by user \w+\)/);
  });

  const trapping = (seconds: number) => [
    'python3',
    '-c',
    `
import http.server, signal, sys, threading, time
def end(*_):
    time.sleep(${seconds})
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
`,
    '{port}',
  ];

  it('is told by SIGTERM when it is stopped, and has time to end; then the epilogue runs', async () => {
    const file = `${hub().scratch}/alice/epilogue`;
    const spawner = hub().create({
      cmd: trapping(3),
      request: { epilogue: `cat ${hub().scratch}/alice/*.log | grep -c saved > ${file}` },
    });
    await spawner.start();
    await spawner.stop();
    assert.isTrue(existsSync(file), 'the epilogue did not run');
    assert.equal((await command(['cat', file])).trim(), '1');
  });

  it('is killed where it does not end, also by a stop that is in a hurry', async () => {
    const spawner = hub().create({ cmd: trapping(600) });
    const { port } = await spawner.start();
    const begun = Date.now();
    await spawner.stop({ now: true });
    assert.isBelow(Date.now() - begun, 40_000);
    const listening = await command(['cat', '/proc/net/tcp']);
    const hex = port.toString(16).toUpperCase().padStart(4, '0');
    await until(
      'the end of its processes',
      () => !listening.includes(`:${hex} 00000000:0000 0A`),
      1,
    );
  });
});
