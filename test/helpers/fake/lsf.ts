import { resolve } from 'node:path';
import type { ExitCause } from '../../../lib/events.ts';
import type { CommandResult } from '../../../lib/runners/runner.ts';
import type { Dialect, FakeCluster, Outage } from './cluster.ts';
import { host } from './cluster.ts';
import type { FakeJob } from './jobs.ts';
import type { Program } from './programs.ts';
import { accountOf, Exit } from './programs.ts';

/** What a site has set in lsf.conf. */
export interface LsfSite {
  /** LSB_BJOBS_CONSISTENT_EXIT_CODE: whether bjobs fails where it finds no job. */
  readonly consistentExitCode: boolean;
}

type Values = Readonly<Record<string, string>>;

/** Options that stand alone, and those that have a value. */
const flags: Readonly<Record<string, RegExp>> = {
  bsub: /^-rn$/,
  bjobs: /^-(?:a|json|p)$/,
  bkill: /^-r$/,
  bhist: /^-l$/,
};
const valued: Readonly<Record<string, RegExp>> = {
  bsub: /^-(?:env|J|Jd|R|o|e|cwd|q|n|M|gpu|W|P)$/,
  bjobs: /^-[ou]$/,
  bkill: /^-s$/,
  bhist: /^-n$/,
};

function read(program: string, args: readonly string[]): { values: Values; words: string[] } {
  const values: Record<string, string> = {};
  const words: string[] = [];
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (flags[program]?.test(arg)) values[arg] = '';
    else if (valued[program]?.test(arg)) values[arg] = rest.shift() ?? '';
    else if (arg.startsWith('-')) throw new Exit(255, `${arg}: Illegal option.`);
    else words.push(arg);
  }
  return { values, words };
}

/** The words of all `#BSUB` lines of a script. */
function directives(script: string): readonly string[] {
  return [...script.matchAll(/^#BSUB (.*)$/gm)].flatMap(([, line = '']) =>
    [...line.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word),
  );
}

const bsub: Program = (lsf, args, options) => {
  const { env = {}, cwd = '/', input: script = '' } = options;
  const values = {
    ...read('bsub', directives(script)).values,
    ...read('bsub', args).values,
  };
  if (script === '') throw new Exit(255, 'Empty job. Job not submitted.');
  const directory = resolve(cwd, values['-cwd'] ?? '');
  const id = lsf.nextId;
  const [hours = '', minutes] = (values['-W'] ?? '60').split(':');
  lsf.submit({
    user: accountOf(options),
    name: values['-J'] ?? '',
    comment: values['-Jd'] ?? '',
    queue: values['-q'] ?? 'normal',
    script,
    directory,
    output: resolve(directory, values['-o'] ?? '/dev/null'),
    environment: {
      ...(values['-env'] === 'none' ? {} : env),
      LSB_JOBID: id,
      LSB_JOBNAME: values['-J'] ?? '',
      LSB_HOSTS: host,
    },
    walltime: minutes === undefined ? 60 * Number(hours) : 3600 * Number(hours) + 60 * +minutes,
  });
  const queue = values['-q'] === undefined ? 'default queue <normal>' : `queue <${values['-q']}>`;
  return `Job <${id}> is submitted to ${queue}.\n`;
};

const words = {
  queued: 'PEND',
  held: 'PSUSP',
  running: 'RUN',
  suspended: 'USUSP',
  exiting: 'RUN',
  ended: 'EXIT',
} as const;

const reasons: Partial<Readonly<Record<ExitCause, string>>> = {
  cancelled: 'TERM_OWNER: job killed by owner',
  timeout: 'TERM_RUNLIMIT: job killed after reaching LSF run time limit',
  'out-of-memory': 'TERM_MEMLIMIT: job killed after reaching LSF memory usage limit',
  preempted: 'TERM_PREEMPT: job killed after preemption',
  'node-failure': 'host failure',
};

function wordOf({ native, state, cause }: FakeJob): string {
  return native ?? (cause === 'completed' ? 'DONE' : words[state]);
}

function codeOf({ state, exitCode, signal }: FakeJob): string {
  const code = signal === 0 ? exitCode : 128 + signal;
  return state === 'ended' && code > 0 ? String(code) : '';
}

const fields: Readonly<Record<string, (job: FakeJob) => string>> = {
  jobid: ({ id }) => id,
  jobindex: () => '0',
  stat: wordOf,
  user: ({ user }) => user,
  exec_host: ({ startedAt }) => (startedAt === undefined ? '' : host),
  exit_code: codeOf,
  exit_reason: ({ cause }) => (cause && reasons[cause]) ?? '',
  job_name: ({ name }) => name,
  job_description: ({ comment }) => comment,
};

function recordOf(job: FakeJob, names: readonly string[]): Values {
  return Object.fromEntries(
    names.map((name) => {
      const value = fields[name];
      if (value === undefined) throw new Exit(255, `${name} is not a valid field name.`);
      return [name.toUpperCase(), value(job)];
    }),
  );
}

/** As IBM's bjobs writes it. */
function json(records: readonly Values[]): string {
  const text = JSON.stringify(
    { COMMAND: 'bjobs', JOBS: records.length, RECORDS: records },
    null,
    2,
  );
  return `${text.replaceAll('": ', '":').replaceAll('/', '\\/')}\n`;
}

function bjobs(lsf: FakeCluster, args: readonly string[], site: LsfSite): string {
  const { values, words: ids } = read('bjobs', args);
  const [id] = ids;
  const job = lsf.known.find((one) => one.id === id);
  if ('-p' in values) {
    if (job?.state !== 'queued') throw new Exit(255, 'No pending job found');
    const reason = job.reason || 'New job is waiting for scheduling';
    return `JOBID   USER    STAT  QUEUE       FROM_HOST      JOB_NAME           SUBMIT_TIME\n${job.id}     ${job.user}   PEND  normal      login1         ${job.name.slice(-10)} Mar  2 06:38\n ${reason}: 1 host;\n`;
  }
  if (!('-json' in values && '-a' in values)) {
    throw new Error('A fake LSF has bjobs only with -a -json, or with -p.');
  }
  const names = (values['-o'] ?? '').split(' ');
  if (id !== undefined) {
    if (job) return json([recordOf(job, names)]);
    throw new Exit(255, '', json([{ JOBID: id, ERROR: `Job <${id}> is not found` }]));
  }
  const who = values['-u'] ?? '';
  const records = lsf.known
    .filter(({ user }) => who === 'all' || who === user)
    .map((one) => recordOf(one, names));
  if (records.length > 0) return json(records);
  throw new Exit(site.consistentExitCode ? 255 : 0, 'No job found', json([]));
}

const bkill: Program = (lsf, args, { user }) => {
  const { values, words: ids } = read('bkill', args);
  const [id = ''] = ids;
  const job = lsf.known.find((one) => one.id === id);
  if (job === undefined) throw new Exit(255, `Job <${id}>: No matching job found`);
  if (job.state === 'ended') throw new Exit(255, `Job <${id}>: Job has already finished`);
  if (user !== undefined && user !== job.user) {
    throw new Exit(255, `Job <${id}>: User permission denied`);
  }
  if (values['-s'] === undefined) lsf.cancel(id);
  else if (values['-s'] === 'KILL') lsf.kill(id);
  else throw new Error(`A fake LSF has no bkill -s ${values['-s']}.`);
  return `Job <${id}> is being terminated\n`;
};

const bhist: Program = (lsf, args) => {
  const [id = ''] = read('bhist', args).words;
  const job = lsf.jobs.find((one) => one.id === id);
  if (job === undefined) throw new Exit(255, '', 'No matching job found\n');
  const event = (text: string) => `Mon Mar  2 06:38:36: ${text}`;
  const code = codeOf(job);
  const reason = job.cause && reasons[job.cause];
  const end = job.cause === 'completed' ? 'Done successfully' : `Exited with exit code ${code}`;
  const lines = [
    '',
    `Job <${id}>, Job Name <${job.name}>, User <${job.user}>, Project <default>, Command <#!/bin/bash>`,
    event('Submitted from host <login1>, to Queue <normal>, CWD <$HOME>;'),
    ...(job.startedAt ? [event(`Dispatched to <${host}>;`)] : []),
    ...(job.endedAt ? [event(`${end}. The CPU time used is 0.0 seconds;`)] : []),
    ...(job.endedAt && reason !== undefined ? [event(`Completed <exit>; ${reason};`)] : []),
    '',
    'Summary of time in seconds spent in various states by  Mon Mar  2 06:38:37',
    '',
  ];
  return lines.map((line) => line.replace(/(.{80})(?=.)/g, `$1\n${' '.repeat(21)}`)).join('\n');
};

/** The clients wait until they are ended. bhist reads files. */
function outage(program: string, how: Outage): Partial<CommandResult> | undefined {
  const daemon = how === 'dead' ? 'LSF daemon (LIM)' : 'batch system daemon';
  const stderr = `${daemon} not responding ... still trying\n`.repeat(2);
  return /^b(?:sub|jobs|kill)$/.test(program)
    ? { exitCode: null, signal: 'SIGTERM', timedOut: true, stderr }
    : undefined;
}

/** The tools of IBM Spectrum LSF 10.1. */
export function lsfDialect(site: LsfSite): Dialect {
  return {
    programs: { bsub, bjobs: (lsf, args) => bjobs(lsf, args, site), bkill, bhist },
    outage,
    delayed: ['bsub', 'bkill'],
  };
}
