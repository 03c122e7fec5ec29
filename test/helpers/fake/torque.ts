import { constants } from 'node:os';
import { isAbsolute, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { CommandResult } from '../../../lib/runners/runner.ts';
import type { Dialect, FakeCluster, Outage } from './cluster.ts';
import { host } from './cluster.ts';
import type { FakeJob, FakeState } from './jobs.ts';
import type { Program } from './programs.ts';
import { accountOf, Exit } from './programs.ts';

/** The server, as ids have it. */
const server = 'node01.cluster.example';

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const letter = <O extends object, L extends string>(option: O, short: L) => ({ ...option, short });

/** The options of qsub that a job of a single-user server may have. */
const qsubOptions = {
  A: letter(text, 'A'),
  N: letter(text, 'N'),
  S: letter(text, 'S'),
  V: letter(flag, 'V'),
  W: letter(text, 'W'),
  d: letter(text, 'd'),
  h: letter(flag, 'h'),
  j: letter(text, 'j'),
  l: { ...letter(text, 'l'), multiple: true },
  o: letter(text, 'o'),
  q: letter(text, 'q'),
  r: letter(text, 'r'),
  v: letter(text, 'v'),
} as const;

/** What the options of qsub and of the #PBS lines ask for; the former count for more. */
function requested(program: string, args: readonly string[], script: string) {
  const read = (words: readonly string[]) => {
    try {
      return parseArgs({ args: [...words], options: qsubOptions });
    } catch {
      throw new Exit(2, `usage: ${program} [-a date_time] [-A account_string] [-b secs]`);
    }
  };
  const lines = script.split('\n');
  const end = lines.findIndex((line) => !/^\s*(?:#|$)/.test(line));
  const directives = lines
    .slice(0, end < 0 ? lines.length : end)
    .flatMap((line) => /^\s*#PBS(.*)$/.exec(line)?.[1]?.match(/\S+/g) ?? []);
  return { ...read(directives).values, ...read(args).values };
}

/** What qsub does, and msub, which has its options. */
export function submitAs(program: 'qsub' | 'msub', ...given: Parameters<Program>): FakeJob {
  const [cluster, args, options] = given;
  const { input: script = '', cwd = '/', env = {} } = options;
  const { N: name = 'STDIN', ...asked } = requested(program, args, script);
  if (!/^[A-Za-z]\S{0,14}$/.test(name)) {
    throw new Exit(2, `${program}: illegal -N value`);
  }
  if (asked.S !== '/bin/bash' || asked.j !== 'oe' || asked.r !== 'n' || asked.V || asked.v) {
    throw new Error(`A fake ${program} runs jobs of bash, with one log, once, without variables.`);
  }
  const resources = new Map(
    (asked.l ?? []).flatMap((list) =>
      list.split(',').map((entry) => entry.split(/=(.*)/s, 2) as [string, string]),
    ),
  );
  const { o: output = '', d: directory = cwd } = asked;
  if (!isAbsolute(output) || !isAbsolute(directory)) {
    throw new Exit(2, `${program}: illegal -o value`);
  }
  const user = accountOf(options);
  return cluster.submit({
    user,
    name,
    script,
    directory,
    output: resolve(output),
    queue: asked.q?.replace(/@.*/, '') || 'batch',
    walltime: secondsIn(resources.get('walltime') ?? '01:00:00'),
    hold: asked.h ?? false,
    environment: {
      PBS_ENVIRONMENT: 'PBS_BATCH',
      PBS_JOBID: cluster.nextId,
      PBS_JOBNAME: name,
      PBS_O_LANG: env['LC_ALL'] ?? '',
    },
  });
}

function secondsIn(walltime: string): number {
  if (!/^\d+(?::\d\d){0,2}$/.test(walltime)) {
    throw new Exit(2, 'qsub: illegal -l value');
  }
  return walltime.split(':').reduce((sum, part) => 60 * sum + Number(part), 0);
}

const qsub: Program = (...given) => `${submitAs('qsub', ...given).id}\n`;

/** Between qdel and its end a job is in the state R. */
const letters: Readonly<Record<FakeState, string>> = {
  queued: 'Q',
  held: 'H',
  running: 'R',
  suspended: 'S',
  exiting: 'R',
  ended: 'C',
};

/** What the server puts into `exit_status`; undefined for a job that never ran. */
export function statusOf({ cause, exitCode, signal, launchFailed, startedAt }: FakeJob) {
  if (launchFailed) return -9;
  if (startedAt === undefined) return undefined;
  const ofCause = { timeout: -11, 'out-of-memory': -10, 'node-failure': -4 };
  const own = Object.entries(ofCause).find(([name]) => name === cause)?.[1];
  return own ?? (signal > 0 ? 256 + signal : exitCode);
}

function epoch(date: Date | undefined): number | undefined {
  return date && Math.floor(date.getTime() / 1000);
}

function recordOf(job: FakeJob): string {
  const waits = job.state === 'queued' || job.state === 'held';
  const started = waits ? undefined : job.startedAt;
  const fields: Readonly<Record<string, string | number | undefined>> = {
    Job_Id: job.id,
    Job_Name: job.name,
    Job_Owner: `${job.user}@${server}`,
    job_state: job.native ?? letters[job.state],
    queue: job.queue,
    server,
    ctime: epoch(job.submittedAt),
    exec_host: started && `${host}/0`,
    Hold_Types: job.state === 'held' ? 'u' : 'n',
    Join_Path: 'oe',
    comment: job.reason === '' ? undefined : `Not Running: ${job.reason}`,
    exit_status: job.state === 'ended' ? statusOf(job) : undefined,
    start_time: epoch(started),
    start_count: started && job.requeues + 1,
    comp_time: epoch(job.endedAt),
  };
  const limit = new Date(1000 * job.walltime).toISOString().slice(11, 19);
  const list = `<Resource_List>${element('walltime', limit)}</Resource_List>`;
  const all = Object.entries(fields).map(([name, value]) => element(name, value));
  return `<Job>${all.join('')}${list}</Job>`;
}

function element(name: string, value: string | number | undefined): string {
  return value === undefined ? '' : `<${name}>${escaped(String(value))}</${name}>`;
}

const entities: Readonly<Record<string, string>> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  '"': '&quot;',
  "'": '&apos;',
};

export function escaped(value: string): string {
  return value.replace(/[<>&"']/g, (one) => entities[one] ?? one);
}

/** The job of an operand `id` or `id@server`, where ids may lack the server. */
function known(program: string, cluster: FakeCluster, operand = ''): FakeJob {
  const id = operand.replace(/@.*/, '');
  const job = cluster.known.find((one) => one.id === id || one.id.startsWith(`${id}.`));
  if (job !== undefined) return job;
  const full = id.includes('.') ? id : `${id}.${server}`;
  throw program === 'qdel'
    ? new Exit(153, `qdel: nonexistent job id: ${id}`)
    : new Exit(153, `${program}: Unknown Job Id Error ${full}`);
}

export const qstat: Program = (cluster, [option, operand = '@', ...more]) => {
  if (option !== '-x' || more.length > 0) {
    throw new Error('A fake Torque has of qstat only -x of all jobs or one.');
  }
  if (!/^\d|^@/.test(operand)) {
    throw new Exit(172, `qstat: Unknown queue destination ${operand}`);
  }
  const jobs = operand.startsWith('@') ? cluster.known : [known('qstat', cluster, operand)];
  return `<?xml version="1.0"?>\n<Data>${jobs.map(recordOf).join('')}</Data>\n`;
};

/** The owner's job, which has not ended. */
function owned(program: string, given: Parameters<Program>, operand: string | undefined): FakeJob {
  const [cluster, , options] = given;
  const job = known(program, cluster, operand);
  if (options.user !== undefined && options.user !== job.user) {
    throw new Exit(159, `${program}: Unauthorized Request  MSG=operation not permitted ${job.id}`);
  }
  if (job.state === 'ended') {
    throw new Exit(
      170,
      `${program}: Request invalid for state of job MSG=invalid state for job - COMPLETE ${job.id}`,
    );
  }
  return job;
}

const qdel: Program = (...given) => {
  const [cluster, [operand, ...more]] = given;
  if (operand?.startsWith('-') !== false || more.length > 0) throw new Exit(2, 'usage: qdel JOBID');
  const { id, state } = owned('qdel', given, operand);
  if (state === 'exiting') {
    throw new Exit(176, `qdel: Invalid request MSG=job cancel in progress ${id}`);
  }
  cluster.cancel(id);
  return '';
};

const qsig: Program = (...given) => {
  const [cluster, [option, signal = '', operand, ...more]] = given;
  if (option !== '-s' || more.length > 0) throw new Exit(2, 'usage: qsig [-s signal] JOBID');
  const { id, state } = owned('qsig', given, operand);
  if (state === 'queued' || state === 'held') {
    throw new Exit(170, `qsig: Request invalid for state of job ${id}`);
  }
  const name = `SIG${signal.replace(/^SIG/, '')}`;
  if (!isSignal(name)) throw new Exit(181, `qsig: Unknown signal name ${id}`);
  cluster.signal(id, name, 'group');
  return '';
};

export function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(constants.signals, name);
}

const unreachable =
  "\nUnable to communicate with node01(192.0.2.1)\nCannot connect to specified server host 'node01'.\n";

/** What a client says whose server does not listen; with one that hangs, nothing is ever said. */
export function torqueOutage(program: string, how: Outage): Partial<CommandResult> {
  return how === 'hung'
    ? { exitCode: null, signal: 'SIGKILL', timedOut: true }
    : {
        exitCode: 111,
        stderr: `${unreachable.repeat(3)}${program}: cannot connect to server node01 (errno=111) Connection refused\n`,
      };
}

const programs: Readonly<Record<string, Program>> = { qsub, qstat, qdel, qsig };

/** The tools of Torque 6.1. */
export const torqueDialect: Dialect = {
  programs,
  outage: (program, how) => (program in programs ? torqueOutage(program, how) : undefined),
  delayed: ['qsub', 'qdel', 'qsig'],
  idOf: (seq) => `${seq}.${server}`,
};
