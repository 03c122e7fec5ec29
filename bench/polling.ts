import { monitorEventLoopDelay } from 'node:perf_hooks';
import { sleep } from '../lib/sleep.ts';
import { StubRunner } from '../lib/testing/index.ts';
import { createSpawner, jobRows, squeueOutput, stateOf } from './jobs.ts';
import { duration, heapInUse, median, ratio } from './measure.ts';

const rounds = 7;

interface Cost {
  readonly line: string;
  /** In ms, of one poll of all. */
  readonly cpu: number;
}

/** One poll of all the servers of a hub, that of 1,000 and that of 10,000. */
export async function polling(): Promise<string> {
  const few = await poll(1000);
  const many = await poll(10_000);
  return `${few.line}\n${many.line}; 10,000 by 1,000 (linear is 10): ${ratio(many.cpu, few.cpu)}`;
}

async function poll(count: number): Promise<Cost> {
  const runner = new StubRunner({ squeue: squeueOutput(jobRows(count)) });
  createSpawner(0, runner);
  const before = heapInUse();
  const spawners = Array.from({ length: count }, (_, index) => {
    const spawner = createSpawner(index, runner);
    spawner.loadState(stateOf(index));
    return spawner;
  });
  const heap = (heapInUse() - before) / count / 1024;

  const costs: number[] = [];
  const pauses: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    await sleep(10);
    const begun = process.cpuUsage();
    const exits = await Promise.all(spawners.map((spawner) => spawner.poll()));
    const { user, system } = process.cpuUsage(begun);
    await sleep(10);
    delay.disable();
    if (exits.some((exit) => exit !== null)) {
      throw new Error('a poll said that a job has ended');
    }
    costs.push((user + system) / 1000);
    pauses.push(delay.max / 1e6);
  }
  const cpu = median(costs);
  const line = [
    `poll of ${count.toLocaleString('en')}: ${runner.calls.length / rounds} command`,
    `${duration(cpu / count)} CPU per spawner`,
    `longest pause ${duration(median(pauses))}`,
    `${heap.toFixed(1)} KiB heap per spawner`,
  ].join(', ');
  return { cpu, line };
}
