import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { assert } from 'chai';
import { usageOf } from '../../lib/local/usage.ts';
import { LocalRunner } from '../../lib/runners/local.ts';
import { StubRunner } from '../../lib/testing/index.ts';

describe('The usage of a process group', () => {
  it('is that of its members, and of what has descended from them', async () => {
    const runner = new StubRunner({
      ps: [
        '    1     0     1   9999 10:00:00\n',
        '  100     1   100   1000 00:00:03\n',
        '  101   100   100    500 1-00:00:01\n',
        // A kernel in a group of its own, and its child.
        '  200   101   200   2000 00:01:00\n',
        '  201   200   200    100    0:02.50\n',
        '  300     1   300   4000 00:00:09\n',
      ].join(''),
    });
    assert.deepEqual(await usageOf(runner, 100), {
      memory: 3600 * 1024,
      cpu: 3 + 86_401 + 60 + 2.5,
      tasks: 4,
    });
  });

  it('is not known where there are no members, or ps fails', async () => {
    assert.isNull(await usageOf(new StubRunner({ ps: '1 0 1 9 00:00:01\n' }), 100));
    assert.isNull(await usageOf(new StubRunner({ ps: { exitCode: 1 } }), 100));
  });

  it('is what ps of this machine says', async () => {
    const script = 'const b = Buffer.alloc(1e8, 1); setInterval(() => b.length, 1000)';
    const child = spawn(process.execPath, ['-e', script], { detached: true, stdio: 'ignore' });
    await once(child, 'spawn');
    try {
      for (;;) {
        const usage = await usageOf(new LocalRunner(), child.pid ?? 0);
        assert(usage !== null);
        assert.equal(usage.tasks, 1);
        if ((usage.memory ?? 0) > 1e8) break;
      }
    } finally {
      child.kill('SIGKILL');
    }
  });
});
