import { readFileSync } from 'node:fs';
import { assert } from 'chai';
import type { SystemdOptions } from '../../lib/generated/options.ts';
import { sleep } from '../../lib/sleep.ts';
import type { SystemdSpawner } from '../../lib/systemd/spawner.ts';
import { gorge, said, script, unitOf, useServices, warningsOf } from './helpers/services.ts';
import { ended } from './helpers/slurm.ts';
import { inside, property } from './helpers/systemd.ts';

/** Where the controllers of this machine are. */
const isV1 = /^\d+:memory:/m.test(readFileSync('/proc/self/cgroup', 'utf8'));

const hog = 'nohup sh -c "while :; do :; done" >/dev/null 2>&1 &';

/** Starts processes until that fails, and prints how many were started. */
const fork = `exec python3 -c '
import subprocess
count = 0
try:
    while count < 200:
        subprocess.Popen(["sleep", "60"], stdout=-3, stderr=-3)
        count += 1
except BlockingIOError:
    pass
print(count)'`;

async function cpuOf(spawner: SystemdSpawner): Promise<number> {
  const usage = await spawner.usage();
  assert.isNumber(usage?.cpu);
  return usage?.cpu ?? Number.NaN;
}

/** The cores that servers use, in one stretch of time. */
async function coresOf(spawners: readonly SystemdSpawner[], ms: number): Promise<number[]> {
  const before = await Promise.all(spawners.map(cpuOf));
  const began = performance.now();
  await sleep(ms);
  const after = await Promise.all(spawners.map(cpuOf));
  const seconds = (performance.now() - began) / 1000;
  return after.map((cpu, index) => (cpu - (before[index] ?? 0)) / seconds);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

describe('SystemdSpawner: limits that the kernel enforces', () => {
  const create = useServices();

  it('memLimit: a server that takes more is killed, and its end says so', async () => {
    const spawner = create({ memLimit: '100M' });
    const warnings = warningsOf(spawner);
    await spawner.start();
    assert.equal(await said(spawner, 'echo $MEM_LIMIT'), '104857600');
    await gorge(spawner);
    const exit = await ended(spawner);
    assert.containsSubset(exit, { cause: 'out-of-memory', signal: 'SIGKILL', code: null });
    assert.include(exit.message, 'memLimit');
    assert.deepEqual(warnings, []);
  });

  it('without memLimit a SIGKILL is no want of memory', async () => {
    const spawner = create();
    await spawner.start();
    await script(spawner, 'kill -KILL $PPID').catch(() => {});
    assert.containsSubset(await ended(spawner), { cause: 'failed', signal: 'SIGKILL' });
  });

  it('cpuLimit: 0.2 is a fifth of a core', async () => {
    const spawner = create({ cpuLimit: 0.2 });
    await spawner.start();
    await said(spawner, hog);
    const stretches: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      const [cores = Number.NaN] = await coresOf([spawner], 1500);
      stretches.push(cores);
    }
    assert.isAbove(median(stretches), 0.15, String(stretches));
    assert.isBelow(median(stretches), 0.25, String(stretches));
  });

  it('tasksMax: no process more than that', async () => {
    const spawner = create({ tasksMax: 20 });
    await spawner.start();
    const count = Number(await said(spawner, fork));
    assert.isAbove(count, 10);
    assert.isBelow(count, 20);
  });

  it('slice: what it limits holds for two servers together', async () => {
    const together = {
      slice: 'jupyter-{{account}}',
      sliceProperties: { TasksMax: '40', MemoryMax: '150M' },
    };
    const [first, second] = [create(together), create(together, { serverName: 'second' })];
    await first.start();
    await second.start();
    assert.equal(await property(unitOf(second), 'Slice'), 'jupyter-alice.slice');
    const [count, rest] = [Number(await said(first, fork)), Number(await said(second, fork))];
    assert.isAbove(count, 20);
    assert.isBelow(count + rest, 40);
    // The second one has no limit of its own, and is the one that takes the memory.
    await gorge(second);
    assert.containsSubset(await ended(second), { cause: 'out-of-memory' });
    assert.isNull(await first.poll());
  });

  describe('on one core', () => {
    const unitExtraProperties = { CPUAffinity: '0' };

    /** How many times as much the first uses as the second, with two hogs against one. */
    async function compared(
      options: Partial<SystemdOptions>,
      others: Partial<SystemdOptions>,
    ): Promise<number> {
      const first = create({ ...options, unitExtraProperties });
      const bob = { user: { name: 'bob' } };
      const second = create({ ...others, unitExtraProperties }, bob);
      await Promise.all([first.start(), second.start()]);
      await Promise.all([said(first, `${hog} ${hog}`), said(second, hog)]);
      const ratios: number[] = [];
      for (let i = 0; i < 3; i += 1) {
        const [a = Number.NaN, b = Number.NaN] = await coresOf([first, second], 1000);
        ratios.push(a / b);
      }
      return median(ratios);
    }

    it('two processes of one user get as much as one of another', async () => {
      const ratio = await compared({}, {});
      assert.isAbove(ratio, 0.7);
      assert.isBelow(ratio, 1.4);
    });

    it('cpuWeight: a server with a third of the weight gets a third', async () => {
      const ratio = await compared({ cpuWeight: 300 }, { cpuWeight: 100 });
      assert.isAbove(ratio, 2.2);
      assert.isBelow(ratio, 4);
    });
  });

  it('usage() says what the server really uses', async () => {
    const spawner = create();
    await spawner.start();
    const before = await spawner.usage();
    const burn = 'import time; x = b"x" * 60_000_000\nwhile time.process_time() < 1: pass';
    const burnt = 'open("burnt", "w")\ntime.sleep(60)';
    await said(spawner, `python3 -c '${burn}\n${burnt}' >/dev/null 2>&1 &`);
    // On a busy machine a second of the processor takes several.
    const wait = 'until [ -e burnt ]; do sleep 0.2; done';
    await said(spawner, `for i in $(seq 9); do sleep 60 >/dev/null 2>&1 & done; ${wait}`);
    const after = await spawner.usage();
    assert.isAbove(Number(before?.memory), 4_000_000);
    assert.isBelow(Number(before?.memory), 60_000_000);
    assert.isAbove(Number(after?.memory) - Number(before?.memory), 55_000_000);
    assert.isBelow(Number(after?.memory) - Number(before?.memory), 120_000_000);
    assert.isAbove(Number(after?.cpu) - Number(before?.cpu), 0.9);
    assert.isBelow(Number(after?.cpu) - Number(before?.cpu), 2.5);
    assert.equal(Number(after?.tasks) - Number(before?.tasks), 10);
    await spawner.stop();
    assert.isNull(await spawner.usage());
  });

  it('says so of limits that are accepted, and that cgroup v1 does not enforce', async () => {
    if (!isV1) return;
    const none = { memHigh: '200M', swapMax: 0, memGuarantee: '50M' };
    const spawner = create({ ...none, memLimit: '1G', cpuLimit: 2, cpuWeight: 50, tasksMax: 99 });
    const warnings = warningsOf(spawner);
    await spawner.start();
    assert.deepEqual(unenforced(warnings), ['memHigh', 'memGuarantee', 'swapMax']);
    // They were asked for all the same.
    assert.equal(await property(unitOf(spawner), 'MemoryHigh'), '209715200');
    assert.equal(await property(unitOf(spawner), 'MemorySwapMax'), '0');
  });
});

/** The options that warnings name, each of which has to be about a limit. */
function unenforced(warnings: readonly { code: string; message: string }[]): string[] {
  return warnings.map(({ code, message }) => {
    assert.equal(code, 'limit-not-enforced', message);
    return /option (\w+) /.exec(message)?.[1] ?? message;
  });
}

describe('SystemdSpawner: limits where the kernel has no controllers', () => {
  const create = useServices({ cgroup: 'unified' });

  it('says so of each, where that is how this machine is', async () => {
    if (!isV1) return;
    const options = { memLimit: '100M', cpuLimit: 0.2, cpuWeight: 50, tasksMax: 20 };
    const spawner = create({ ...options, memHigh: '80M', swapMax: 0, memGuarantee: '50M' });
    const warnings = warningsOf(spawner);
    await spawner.start();
    assert.equal(await property(unitOf(spawner), 'MemoryMax'), '104857600');
    assert.sameMembers(unenforced(warnings), [
      ...['memLimit', 'memHigh', 'memGuarantee', 'swapMax', 'cpuLimit', 'cpuWeight', 'tasksMax'],
    ]);
    await said(spawner, `python3 -c 'x = b"x" * 150_000_000'`);
    const usage = await spawner.usage();
    assert.containsSubset(usage, { memory: null, tasks: null });
    assert.isAbove(Number(usage?.cpu), 0);
  });

  it('is silent where nothing was asked for', async () => {
    const spawner = create();
    const warnings = warningsOf(spawner);
    await spawner.start();
    assert.deepEqual(warnings, []);
    assert.include(await inside(['systemctl', 'is-active', unitOf(spawner)]), 'active');
  });
});
