import { monitorEventLoopDelay } from 'node:perf_hooks';
import { SlurmSpawner, Supervisor } from '../lib/index.ts';
import { sleep } from '../lib/sleep.ts';
import { hubOf } from './hub.ts';
import { createSpawner, jobRows, options } from './jobs.ts';
import { duration, heapInUse, ratio, timeOf } from './measure.ts';

const count = 10_000;
const sweeps = 2;

/** What something took of the processor, and for how long it kept all else waiting, in ms. */
interface Cost {
  readonly cpu: number;
  readonly pause: number;
}

/** What a hub with 10,000 servers takes to bring them back, to keep them, and to ask whether they live. */
export async function supervising(): Promise<string> {
  return `${await supervisingSome()}\n${await restoringEach()}`;
}

/** All have options of their own. */
async function restoringEach(): Promise<string> {
  const setup = await hubOf(count, (user) => ({ args: [`--user=${user}`] }));
  const creating = timeOf(() => createSpawner(0, setup.runner), 501);
  const supervisor = new Supervisor({ ...setup, pollInterval: 600_000, healthInterval: 0 });
  supervisor.register('slurm', SlurmSpawner, { ...options, queryInterval: 2000 });
  const { cpu, pause } = await costOf(() => supervisor.restore());
  const commands = setup.runner.calls.length;
  await supervisor.close();
  return [
    `restore of as many with options of their own: ${commands} commands`,
    `${duration(cpu)} CPU`,
    `longest pause ${duration(pause)}; CPU by that of as many new SlurmSpawners: ${ratio(cpu, creating * count)}`,
  ].join(', ');
}

async function supervisingSome(): Promise<string> {
  const setup = await hubOf(count);
  const { runner } = setup;
  const creating = timeOf(() => createSpawner(0, runner), 501);
  const fields = JSON.stringify(jobRows(count));
  const reading = timeOf(() => JSON.parse(fields));

  const before = heapInUse();
  const supervisor = new Supervisor({ ...setup, pollInterval: 3000, healthInterval: 0 });
  supervisor.register('slurm', SlurmSpawner, { ...options, queryInterval: 2000 });
  const restoring = await costOf(() => supervisor.restore());
  const heap = (heapInUse() - before) / count / 1024;
  const toRestore = runner.calls.length;

  const sweeping = await costOf(async () => {
    while (runner.calls.length < toRestore + sweeps) await sleep(10);
    await sleep(500);
  });
  const commands = runner.calls.length - toRestore;
  const { servers } = supervisor.metrics();
  await supervisor.close();
  if (servers.ready !== count) {
    throw new Error(`${servers.ready} servers are ready, and not ${count}`);
  }

  const cpu = sweeping.cpu / sweeps;
  const many = count.toLocaleString('en');
  const sweep = [
    `sweep of ${many} supervised: ${commands / sweeps} command`,
    `${duration(cpu)} CPU`,
    `longest pause ${duration(sweeping.pause)}`,
    `${heap.toFixed(1)} KiB heap per server; CPU by JSON.parse of the same fields: ${ratio(cpu, reading)}`,
  ];
  const restore = [
    `restore of ${many}: ${toRestore} commands`,
    `${duration(restoring.cpu)} CPU`,
    `longest pause ${duration(restoring.pause)}; CPU by that of as many new SlurmSpawners: ${ratio(restoring.cpu, creating * count)}`,
  ];
  return `${sweep.join(', ')}\n${restore.join(', ')}`;
}

async function costOf(act: () => Promise<unknown>): Promise<Cost> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await sleep(10);
  const begun = process.cpuUsage();
  await act();
  const { user, system } = process.cpuUsage(begun);
  await sleep(10);
  delay.disable();
  return { cpu: (user + system) / 1000, pause: delay.max / 1e6 };
}
