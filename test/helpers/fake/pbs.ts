import { constants } from 'node:os';
import { isAbsolute } from 'node:path';
import { parseArgs } from 'node:util';
import type { CommandResult, RunOptions } from '../../../lib/runners/runner.ts';
import type { Dialect, FakeCluster, Outage } from './cluster.ts';
import { host } from './cluster.ts';
import type { FakeJob, FakeState } from './jobs.ts';
import type { Program } from './programs.ts';
import { accountOf, Exit } from './programs.ts';

/** What a site has of PBS. */
export interface PbsSite {
  /** Whether the server keeps a history of finished jobs. */
  readonly history: boolean;
}

type PbsProgram = (...given: [...Parameters<Program>, site: PbsSite]) => string;

const server = 'node01';
const where = 'node01.cluster.example';

/** Options of qsub that take a value, of those that a job of ours may have. */
const valued = 'A N P S W e j l o p q r'.split(' ');
const options = Object.fromEntries([
  ...valued.map((name) => [name, { type: 'string', short: name, multiple: true } as const]),
  ...['f', 'h'].map((name) => [name, { type: 'boolean', short: name } as const]),
]);

/** What options of qsub and #PBS lines ask for, the former first: those count. */
function requested(args: readonly string[], script: string) {
  const lines = script.split('\n');
  const end = lines.findIndex((line) => !/^\s*(?:#|$)/.test(line));
  const directives = lines
    .slice(0, end < 0 ? lines.length : end)
    .flatMap((line) => /^\s*#PBS(.*)$/.exec(line)?.[1]?.match(/\S+/g) ?? []);
  let values: Readonly<Record<string, unknown>>;
  try {
    ({ values } = parseArgs({ args: [...args, ...directives], options }));
  } catch {
    throw new Exit(2, 'usage: qsub [-a date_time] [-A account_string] [-c interval]');
  }
  const all = (name: string) => [values[name] ?? []].flat().map(String);
  return { all, first: (name: string) => all(name)[0], isHeld: values['h'] === true };
}

/** The walltime; throws for resources that there are not, and for both ways to ask for nodes. */
function walltimeIn(resources: readonly string[]): number {
  const kinds: Readonly<Record<string, RegExp>> = {
    walltime: /^\d+(?::\d\d){0,2}$/,
    ncpus: /^[1-9]\d*$/,
    ngpus: /^\d+$/,
    mem: /^\d+[kmgtp]?[bw]?$/i,
    place: /^\w+$/,
  };
  let walltime = '01:00:00';
  for (const resource of resources.flatMap((list) => list.split(','))) {
    const parts = resource.replace(/^select=\d+:?/, '').split(':');
    for (const part of resource.startsWith('select=') ? parts : [resource]) {
      const [name = '', value = ''] = part.split('=');
      const kind = kinds[name];
      if (kind === undefined) throw new Exit(187, `qsub: Unknown resource: ${name}`);
      if (!kind.test(value)) {
        throw new Exit(166, `qsub: Illegal attribute or resource value Resource_List.${name}`);
      }
      if (name === 'walltime') walltime = value;
    }
  }
  return walltime.split(':').reduce((sum, part) => 60 * sum + Number(part), 0);
}

const qsub: PbsProgram = (cluster, args, options) => {
  const { input: script = '' } = options;
  const { all, first, isHeld } = requested(args, script);
  const {
    N: name = 'STDIN',
    o: output = '',
    q: destination = '',
  } = Object.fromEntries(['N', 'o', 'q'].map((letter) => [letter, first(letter)]));
  if (!/^[\w+.-]{1,230}$/.test(name)) throw new Exit(2, 'qsub: illegal -N value');
  if (!isAbsolute(output)) throw new Exit(2, 'qsub: illegal -o value');
  if (first('S') !== '/bin/bash' || first('j') !== 'oe' || first('r') !== 'n') {
    throw new Error('A fake PBS runs jobs of bash, with one log, once.');
  }
  const [queue = '', at = server] = destination.split('@');
  if (at !== server) throw new Exit(162, `qsub: cannot connect to server ${at} (errno=15010)`);
  if (queue !== '' && queue !== 'workq') throw new Exit(170, 'qsub: Unknown queue');
  const { id } = cluster.submit({
    user: accountOf(options),
    name,
    script,
    output,
    directory: cluster.home,
    queue: 'workq',
    walltime: walltimeIn(all('l')),
    hold: isHeld,
    environment: {
      PBS_ENVIRONMENT: 'PBS_BATCH',
      PBS_JOBID: cluster.nextId,
      PBS_JOBNAME: name,
      PBS_O_HOME: cluster.home,
      PBS_QUEUE: 'workq',
    },
  });
  return `${id}\n`;
};

/** A job is in the state R until its processes have ended, after qdel as well. */
const letters: Readonly<Record<FakeState, string>> = {
  queued: 'Q',
  held: 'H',
  running: 'R',
  suspended: 'S',
  exiting: 'R',
  ended: 'F',
};

const substates: Readonly<Record<FakeState, number>> = {
  queued: 10,
  held: 20,
  running: 42,
  suspended: 43,
  exiting: 42,
  ended: 93,
};

function substateOf({ state, cause }: FakeJob): number {
  const finished = cause === 'cancelled' ? 91 : cause === 'completed' ? 92 : 93;
  return state === 'ended' ? finished : substates[state];
}

/** `Exit_status`; undefined for a job that never ran. */
function exitStatusOf({ cause, exitCode, signal, startedAt, launchFailed }: FakeJob) {
  if (launchFailed) return -1;
  const own = { timeout: -29, 'out-of-memory': -27, 'node-failure': -20 };
  const ofCause = Object.entries(own).find(([name]) => name === cause)?.[1];
  return startedAt && (ofCause ?? (signal > 0 ? 256 + signal : exitCode));
}

function commentOf({ state, cause, reason, startedAt, user }: FakeJob): string | undefined {
  const ran = startedAt ? `Job run at Mon Mar 02 at 06:05 on (${server}:ncpus=1)` : 'Not Running';
  if (state === 'exiting' || cause === 'cancelled')
    return `${ran} and terminated by ${user}@${where}`;
  if (cause === 'completed') return `${ran} and finished`;
  if (cause === 'failed') return `${ran} and failed`;
  if (state !== 'queued') return reason || (startedAt && ran);
  return reason === '' ? undefined : `Not Running: ${reason}`;
}

/** As ctime(3) of qstat writes it, in the zone of its TZ. */
function time(date: Date | undefined, env: RunOptions['env']): string | undefined {
  if (date === undefined) return undefined;
  const offset = env?.['TZ'] === 'UTC' ? 0 : date.getTimezoneOffset();
  const local = new Date(date.getTime() - 60_000 * offset).toUTCString();
  const [weekday = '', day = '', month, year, clock] = local.replace(',', '').split(' ');
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${clock} ${year}`;
}

/** As -f -w prints it: an attribute to a line. */
function recordOf(job: FakeJob, { env }: RunOptions): string {
  const waits = job.state === 'queued' || job.state === 'held';
  const started = waits ? undefined : job.startedAt;
  const attributes: Readonly<Record<string, string | number | undefined>> = {
    Job_Name: job.name,
    Job_Owner: `${job.user}@${where}`,
    job_state: job.native ?? letters[job.state],
    queue: job.queue,
    server,
    ctime: time(job.submittedAt, env),
    exec_host: started && `${host}/0`,
    Hold_Types: job.state === 'held' ? 'u' : 'n',
    Output_Path: `${where}:${job.output}`,
    stime: time(started, env),
    substate: substateOf(job),
    Variable_List: `PBS_O_LOGNAME=${job.user},PBS_O_QUEUE=${job.queue}`,
    euser: job.user,
    hashname: job.id,
    comment: commentOf(job),
    run_count: job.startedAt && job.requeues + 1,
    Exit_status: job.state === 'ended' ? exitStatusOf(job) : undefined,
    'estimated.start_time': time(job.estimatedStart, env),
    project: '_pbs_project_default',
  };
  const lines = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `    ${name} = ${String(value).replaceAll('\n', '\\n')}\n`);
  return `Job Id: ${job.id}\n${lines.join('')}\n`;
}

/** The job of an operand `id` or `id@server`. */
function known(program: string, { known }: FakeCluster, operand = '', site: PbsSite): FakeJob {
  const [id = '', at = server] = operand.split('@');
  if (at !== server)
    throw new Exit(255, `${program}: cannot connect to server ${at} (errno=15010)`);
  const job = known.find((one) => one.id === id || one.id === `${id}.${server}`);
  if (job === undefined || (job.state === 'ended' && !site.history)) {
    const full = id.includes('.') ? id : `${id}.${server}`;
    throw new Exit(153, `${program}: Unknown Job Id ${full}`);
  }
  return job;
}

const qstat: PbsProgram = (cluster, args, options, site) => {
  const flags = args
    .filter((word) => word.startsWith('-'))
    .join('')
    .replaceAll('-', '');
  const operands = args.filter((word) => !word.startsWith('-'));
  if (!/^x?fw$/.test(flags) || operands.length > 1) {
    throw new Exit(2, 'qstat: conflicting options.\nusage: ');
  }
  const [operand = `@${server}`] = operands;
  const withHistory = flags.includes('x');
  if (withHistory && !site.history) {
    throw new Exit(0, `qstat: PBS is not configured to maintain job history ${operand}`);
  }
  if (operand.startsWith('@')) {
    if (operand !== `@${server}`) {
      throw new Exit(255, `qstat: cannot connect to server ${operand.slice(1)} (errno=15010)`);
    }
    const all = cluster.known.filter(({ state }) => withHistory || state !== 'ended');
    return all.map((job) => recordOf(job, options)).join('');
  }
  if (!/^\d/.test(operand)) throw new Exit(170, `qstat: Unknown queue destination ${operand}`);
  const job = known('qstat', cluster, operand, site);
  if (job.state === 'ended' && !withHistory) {
    const advice = 'use -x or -H to obtain historical job information';
    throw new Exit(35, `qstat: ${job.id} Job has finished, ${advice}`);
  }
  return recordOf(job, options);
};

/** The owner's job, which has not finished. */
function owned(
  program: string,
  cluster: FakeCluster,
  operand: string | undefined,
  { user }: RunOptions,
  site: PbsSite,
): FakeJob {
  const job = known(program, cluster, operand, site);
  if (user !== undefined && user !== job.user) {
    throw new Exit(159, `${program}: Unauthorized Request  ${job.id}`);
  }
  if (job.state === 'ended') throw new Exit(35, `${program}: Job has finished ${job.id}`);
  return job;
}

const qdel: PbsProgram = (cluster, [operand, ...more], options, site) => {
  if (operand?.startsWith('-') !== false || more.length > 0) {
    throw new Error('A fake PBS has of qdel only one id.');
  }
  cluster.cancel(owned('qdel', cluster, operand, options, site).id);
  return '';
};

const qsig: PbsProgram = (cluster, [option, signal = '', operand, ...more], options, site) => {
  if (option !== '-s' || more.length > 0) throw new Exit(2, 'usage: qsig [-s signal] job_id...');
  const { id, state } = owned('qsig', cluster, operand, options, site);
  if (state === 'queued' || state === 'held') {
    throw new Exit(168, `qsig: Request invalid for state of job ${id}`);
  }
  if (!isSignal(signal)) throw new Exit(171, `qsig: Unknown signal name ${id}`);
  cluster.signal(id, signal, 'group');
  return '';
};

function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(constants.signals, name);
}

const programs: Readonly<Record<string, PbsProgram>> = { qsub, qstat, qdel, qsig };

/** A client whose server hangs waits for ever. */
function outage(program: string, how: Outage): Partial<CommandResult> | undefined {
  if (!(program in programs)) return undefined;
  if (how === 'hung') return { exitCode: null, signal: 'SIGKILL', timedOut: true };
  const message =
    program === 'qdel'
      ? `Couldn't connect to cluster: ${server}`
      : `${program}: cannot connect to server ${server} (errno=15010)`;
  const exitCode = program === 'qstat' ? 255 : 162;
  return { exitCode, stderr: `Connection refused\n${message}\n` };
}

/** The tools of OpenPBS 23.06. */
export function pbsDialect(site: PbsSite): Dialect {
  return {
    programs: Object.fromEntries(
      Object.entries(programs).map(([name, program]) => [
        name,
        (...given: Parameters<Program>) => program(...given, site),
      ]),
    ),
    outage,
    delayed: ['qsub', 'qdel', 'qsig'],
    idOf: (seq) => `${seq}.${server}`,
  };
}
