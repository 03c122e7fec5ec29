import { resolve } from 'node:path';
import type { CommandResult } from '../../../lib/runners/runner.ts';
import type { Dialect, FakeCluster, Outage } from './cluster.ts';
import { host } from './cluster.ts';
import type { FakeJob } from './jobs.ts';
import type { Program } from './programs.ts';
import { accountOf, Exit } from './programs.ts';

type Env = Readonly<Record<string, string>>;

/** Jobs have ids of 64 bits. */
const idOf = (seq: number) => 1316374020423680n + BigInt(seq) * 2n ** 24n;

function f58(id: bigint): string {
  const digits = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
  return `${id >= 58n ? f58(id / 58n) : ''}${digits[Number(id % 58n)]}`;
}

const submission =
  /^--(output|cwd|nslots|cores-per-slot|gpus-per-slot|queue|time-limit|urgency|job-name|setattr|env|env-remove)=(.+)$/s;

/** The options of `flux batch`, in their order; those of the command line come last. */
function optionsOf(script: string, args: readonly string[]): readonly [string, string][] {
  const lines = script.split('\n');
  const begin = lines.findIndex((line) => line.startsWith('#FLUX:'));
  const count = lines.slice(begin).findIndex((line) => line !== '' && !line.startsWith('#'));
  const orphan = lines.findIndex(
    (line, index) => /^\W*(?:flux|FLUX):/.test(line) && (index < begin || index >= begin + count),
  );
  if (orphan >= 0) {
    throw new Exit(
      1,
      `flux-batch: ERROR: stdin: line ${orphan + 1}: orphan 'FLUX:' detected: directives disabled`,
    );
  }
  const directives = lines
    .filter((line) => line.startsWith('#FLUX:'))
    .flatMap((line) => line.slice(6).trim().split(/\s+/));
  return [...directives, ...args].map((word) => {
    const [, name = '', value = ''] = submission.exec(word) ?? [];
    if (name === '') throw new Exit(2, `flux-batch: error: unrecognized arguments: ${word}`);
    return [name, value];
  });
}

/** What the rules of --env and --env-remove leave of an environment. */
function environmentOf(options: readonly (readonly [string, string])[], env: Env): Env {
  let passed: Record<string, string> = { ...env };
  for (const [name, rule] of options) {
    const [, variable, value] = /^(\w+)=(.*)$/s.exec(rule) ?? [];
    if (name === 'env-remove' && rule === '*') passed = {};
    else if (name === 'env' && variable !== undefined) passed[variable] = value ?? '';
    else if (name === 'env' && rule.startsWith('/')) {
      const pattern = new RegExp(rule.replace(/^\/|\/$/g, ''));
      const found = Object.entries(env).filter(([key]) => pattern.test(key));
      passed = { ...Object.fromEntries(found), ...passed };
    } else if (/^env/.test(name)) throw new Error(`A fake Flux has no --${name}=${rule}.`);
  }
  return passed;
}

function batch(flux: FakeCluster, args: readonly string[], ...[options]: [Parameters<Program>[2]]) {
  const { env = {}, cwd = '/', input: script = '' } = options;
  const given = optionsOf(script, args);
  const values = Object.fromEntries(given);
  if (values['nslots'] === undefined) {
    throw new Exit(1, 'flux-batch: ERROR: Number of slots to allocate must be specified');
  }
  if (!script.startsWith('#!')) {
    throw new Exit(1, "flux-batch: ERROR: batch does not appear to start with '#!'");
  }
  const id = flux.nextId;
  const directory = resolve(cwd, values['cwd'] ?? '');
  flux.submit({
    user: accountOf(options),
    name: values['job-name'] ?? 'batch',
    queue: values['queue'] ?? '',
    script,
    directory,
    output: resolve(directory, values['output'] ?? `flux-${id}.out`),
    environment: { ...environmentOf(given, env), FLUX_JOB_ID: id },
    walltime: Number(/^(\d+)s$/.exec(values['time-limit'] ?? '')?.[1] ?? 0),
    hold: values['urgency'] === '0',
  });
  return `${id}\n`;
}

const words = {
  queued: 'SCHED',
  held: 'SCHED',
  running: 'RUN',
  suspended: 'RUN',
  exiting: 'CLEANUP',
  ended: 'INACTIVE',
} as const;

const results: Readonly<Record<string, string>> = {
  completed: 'COMPLETED',
  cancelled: 'CANCELED',
  timeout: 'TIMEOUT',
};

const seconds = (date: Date) => date.getTime() / 1000;

/** As `flux jobs --json` writes it: what is not known is missing. */
function recordOf(job: FakeJob): string {
  const { name, user, state, native, cause, startedAt, submittedAt, endedAt, walltime } = job;
  const { reason, exitCode, signal } = job;
  const result = state === 'ended' ? (native ?? results[cause ?? ''] ?? 'FAILED') : undefined;
  const type = { cancelled: 'cancel', timeout: 'timeout', 'node-failure': 'node-failure' }[
    String(cause)
  ];
  const fields = {
    duration: walltime,
    ...(startedAt && { t_run: seconds(startedAt), nodelist: host }),
    ...(startedAt && walltime > 0 && { expiration: seconds(startedAt) + walltime }),
    ...(endedAt && { t_inactive: seconds(endedAt), returncode: signal > 0 ? -signal : exitCode }),
    name,
    t_submit: seconds(submittedAt),
    state: state === 'ended' ? 'INACTIVE' : (native ?? words[state]),
    ...(result !== undefined && { result }),
    username: user,
    urgency: state === 'held' ? 0 : 16,
    dependencies: [],
    annotations: reason === '' ? {} : { sched: { reason_pending: reason } },
    exception: type === undefined ? { occurred: false } : { occurred: true, type, note: '' },
  };
  return JSON.stringify({ id: 0, ...fields }).replace('"id":0', `"id": ${idOf(job.seq)}`);
}

function jobs(flux: FakeCluster, args: readonly string[]): string {
  const [json, id] = args.filter((arg) => !/^(?:-A|--since=-1h|--count=0)$/.test(arg));
  if (json !== '--json' || args.length > 4) {
    throw new Error(`A fake Flux has no flux jobs ${args.join(' ')}.`);
  }
  if (id === undefined) return `{"jobs": [${flux.known.map(recordOf).join(', ')}]}\n`;
  const job = flux.known.find((one) => one.id === id);
  if (job === undefined) throw new Exit(1, `JobID ${id} unknown`);
  return `${recordOf(job)}\n`;
}

function active(flux: FakeCluster, id: string, user: string | undefined, says: string): string {
  const job = flux.known.find((one) => one.id === id);
  if (job === undefined) throw new Exit(1, `${says} ${id}: unknown job id`);
  if (user !== undefined && user !== job.user) {
    throw new Exit(1, `${says} ${id}: guests may only cancel their own jobs`);
  }
  if (job.state === 'ended') throw new Exit(1, `${says} ${id}: job is inactive`);
  return id;
}

const flux: Program = (cluster, [command, ...args], options) => {
  const { user } = options;
  const [first = '', signal, id = ''] = args;
  switch (command) {
    case 'batch':
      return batch(cluster, args, options);
    case 'jobs':
      return jobs(cluster, args);
    case 'cancel':
      cluster.cancel(active(cluster, first, user, 'flux-cancel: ERROR:'));
      return '';
    case 'job':
      if (first !== 'kill' || signal !== '--signal=KILL') break;
      cluster.kill(active(cluster, id, user, 'flux-job: kill'));
      return '';
  }
  throw new Error(`A fake Flux has no flux ${command} ${args.join(' ')}.`);
};

/** A broker that does not answer is waited for. */
function outage(_: string, how: Outage, [command]: readonly string[]): Partial<CommandResult> {
  return how === 'hung'
    ? { exitCode: null, signal: 'SIGTERM', timedOut: true }
    : {
        exitCode: 1,
        stderr: `flux-${command}: ERROR: [Errno 111] Unable to connect to Flux: ECONNREFUSED: Connection refused\n`,
      };
}

/** The commands of flux-core 0.80 or later. */
export const fluxDialect: Dialect = {
  programs: { flux },
  outage,
  delayed: ['flux'],
  idOf: (seq) => `f${f58(idOf(seq))}`,
};
