import { ParseError } from '../errors.ts';
import type { ExitCause, ExitStatus } from '../events.ts';
import type { LsfOptions } from '../generated/options.ts';
import { directiveValue } from '../quote.ts';
import { exitOfJob } from './exit.ts';
import { isHostName } from './host-list.ts';
import { jobScript } from './job-script.ts';
import type { JsonRecord } from './json.ts';
import { fieldOf, isRecord, parseJson } from './json.ts';
import type {
  JobStatus,
  MarkedJobs,
  NativeState,
  QueryAnswer,
  Scheduler,
  StateTable,
} from './scheduler.ts';
import { BatchSpawner } from './spawner.ts';
import { jobStatus } from './status.ts';

/** The two files are one: LSF then puts what the job prints, of either kind, into it (bsub's manual, -e). */
const script = jobScript({
  head: `#!/bin/bash
#BSUB -R "select[type==any]"
#BSUB -R "span[hosts=1]"
#BSUB -J {{jobName}}
#BSUB -o {{logFile}}
#BSUB -e {{logFile}}
#BSUB -cwd {{homedir}}
{{#queue}}
#BSUB -q {{queue}}
{{/queue}}
{{#nprocs}}
#BSUB -n {{nprocs}}
{{/nprocs}}
{{#memory}}
#BSUB -M {{memory}}
#BSUB -R "rusage[mem={{memory}}]"
{{/memory}}
{{#ngpus}}
#BSUB -gpu "num={{ngpus}}"
{{/ngpus}}
{{#runtime}}
#BSUB -W {{runtime}}
{{/runtime}}
{{#project}}
#BSUB -P {{project}}
{{/project}}
{{#options}}
#BSUB {{{options}}}
{{/options}}
`,
});

/** Values of `STAT` in the manuals of bjobs and lsb_readjobinfo, LSF 10.1. */
const states: StateTable = {
  PEND: { state: 'pending' },
  // The host is being powered up for it.
  PROV: { state: 'pending' },
  // One of several jobs that were sent to a host together, which runs them in turn.
  WAIT: { state: 'pending' },
  PSUSP: { state: 'held' },
  RUN: { state: 'running' },
  USUSP: { state: 'suspended' },
  SSUSP: { state: 'suspended' },
  DONE: { state: 'ended', cause: 'completed' },
  EXIT: { state: 'ended', cause: 'failed' },
  // What became of the post-processing, after DONE or EXIT.
  PDONE: { state: 'ended', cause: 'unknown' },
  PERR: { state: 'ended', cause: 'unknown' },
  // The execution host is out of reach: the job may well run there.
  UNKWN: { state: 'unknown' },
  ZOMBI: { state: 'unknown' },
};

/** Why LSF ended a job (Termination reasons, LSF 10.1); a reason that is not here is a failure. */
const terminations: readonly (readonly [ExitCause, RegExp])[] = [
  ['timeout', /\bTERM_(?:RUNLIMIT|DEADLINE)\b/],
  ['out-of-memory', /\bTERM_(?:MEMLIMIT|SWAP)\b/],
  ['cancelled', /\bTERM_(?:(?:FORCE_|REQUEUE_)?(?:OWNER|ADMIN)|BUCKET_KILL)\b/],
  ['preempted', /\bTERM_(?:PREEMPT|LOAD|WINDOW|RC_RECLAIM)\b/],
  ['node-failure', /\bTERM_ZOMBI\b|\bhost failure\b/],
];

const stateFields = 'jobid jobindex stat exec_host exit_code exit_reason';

/** Finished jobs too, and in a list those of all users. */
const inJson = ['bjobs', '-a', '-json', '-o'];

/** Runs single-user servers as jobs of IBM Spectrum LSF 10.1.0.2 or later. */
export const lsf: Scheduler = {
  name: 'lsf',
  schema: 'lsf.json',
  manual: 'https://www.ibm.com/docs/en/spectrum-lsf/10.1.0?topic=reference-command',
  script,
  // `bjobs -env` prints it, and the manual does not say that it does so for the owner alone.
  jobEnvironment: 'public',
  jobNameLength: 200,
  // With a unit: without one it would be that of LSF_UNIT_FOR_LIMITS, which each site sets.
  memory: (mebibytes) => `${mebibytes}MB`,
  runtime: hoursAndMinutes,
  requestNames: ['project'],
  wordLists: [],
  directive: /^#BSUB\b/,
  directiveWord: directiveValue,
  // The script has no -rn before `options`: by its manual, bsub does not take -r and -rn together.
  requeue: /^#BSUB[ \t](?:.*[ \t])?-rn?(?:[ \t]|$)/m,
  environment: ['LSF_ENVDIR', 'LSF_SERVERDIR', 'LSF_LIBDIR', 'LSF_BINDIR'],
  ownVariables: /^(?:LSB|LSF|LS|BSUB)_/,
  commands: {
    // Else the job would get all of the environment that bsub itself has.
    submit: [
      'bsub',
      '-env',
      'none',
      '{{#once}}-rn{{/once}}',
      '-J',
      '{{jobName}}',
      '-Jd',
      '{{tag}}',
    ],
    query: [...inJson, stateFields, '-u', 'all'],
    // Of all users: where an account has no jobs, bjobs may fail.
    find: [...inJson, 'jobid jobindex stat user job_name job_description', '-u', 'all'],
    cancel: ['bkill', '{{jobId}}'],
    kill: ['bkill', '-s', 'KILL', '{{jobId}}'],
  },
  patterns: {
    jobId: /^Job <(?<id>\d+)> is submitted to (?:default )?queue <[^>]*>\.$/u,
    // Others, such as `LSF is down. Please wait ...`, may be followed by the answer.
    outage: /Failed in an LSF library call|LIM is down; try later|is not a valid field name/mu,
    notFound:
      /Job <\d+> is not found|Job <\d+>: (?:No matching job found|Job has already finished)/mu,
    transient:
      /LSF library call|LIM is down|LIM configuration is not ready|lsb_init|ls_getclustername|(?:Please wait \.\.\.|still trying|retrying in \d)(?![\s\S]*Job not submitted)/mu,
    // `Job not submitted` alone follows what befell a connection, too.
    denied:
      /(?:No such queue|Too many processors requested|Bad resource requirement syntax|User permission denied)\. Job not submitted\.$/u,
  },
  states,
  parseQuery,
  parseFind,
  listsNothing,
  explanation: { command: ['bjobs', '-p', '{{jobId}}'], parse: parseReasons },
  // As the user: the hub's own account may not be allowed to see all jobs (SECURE_JOB_INFO_LEVEL).
  accounting: [
    { command: [...inJson, `${stateFields} job_name`, '{{jobId}}'], parse: parseBjobs },
    {
      command: ['bhist', '-n', '0', '-l', '{{jobId}}'],
      absent: /No matching job found/,
      parse: parseBhist,
    },
  ],
};

/** Runs the server as a job of LSF. Options: `schemas/lsf.json`. */
export class LsfSpawner extends BatchSpawner<LsfOptions> {
  static override readonly scheduler: Scheduler = lsf;
}

/** `[hours:]minutes`, the seconds rounded up. */
function hoursAndMinutes(seconds: number): string {
  const minutes = Math.ceil(seconds / 60);
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}`;
}

/**
 * Where bjobs lists no jobs at all, it fails at some sites and releases
 * (LSB_BJOBS_CONSISTENT_EXIT_CODE), with or without a list in JSON. It says the same of an account
 * that there is not, so that this is believed of all users alone.
 */
function listsNothing(
  argv: readonly string[],
  { stdout, stderr }: { readonly stdout: string; readonly stderr: string },
): boolean {
  const isOfAll = argv.some((word, index) => word === '-u' && argv[index + 1] === 'all');
  const isEmpty = /^\s*$|"JOBS":\s*0,\s*"RECORDS":\s*\[\s*\]\s*\}\s*$/.test(stdout);
  return isOfAll && isEmpty && /^No (?:unfinished )?job found$/m.test(stderr);
}

function parseQuery(stdout: string, table: StateTable): QueryAnswer {
  const { records, complete } = recordsIn(stdout);
  const jobs = new Map<string, JobStatus>();
  for (const record of records) {
    const status = statusOf(record, table);
    // Without `jobindex`, the elements of an array have one id.
    if ((jobs.get(status.id)?.state ?? 'ended') === 'ended') {
      jobs.set(status.id, status);
    }
  }
  return { jobs: [...jobs.values()], complete };
}

function parseFind(stdout: string): MarkedJobs {
  const { records, complete } = recordsIn(stdout);
  const jobs = records.map((record) => ({
    id: idOf(record),
    tag: fieldOf(record, 'JOB_DESCRIPTION'),
    jobName: fieldOf(record, 'JOB_NAME'),
    owner: fieldOf(record, 'USER'),
    nativeState: fieldOf(record, 'STAT'),
  }));
  return { jobs, complete };
}

function parseBjobs(
  stdout: string,
  job: { readonly id: string; readonly jobName: string },
  table: StateTable,
): JobStatus | undefined {
  const record = recordsIn(stdout).records.find(
    (one) => idOf(one) === job.id && fieldOf(one, 'JOB_NAME') === job.jobName,
  );
  return record && statusOf(record, table);
}

/** The records, of the first line that is `{` on: something else may come before it. */
function recordsIn(stdout: string): {
  readonly records: readonly JsonRecord[];
  readonly complete: boolean;
} {
  const start = stdout.search(/^\{/m);
  const answer = parseJson(stdout.slice(Math.max(start, 0)), 'bjobs');
  const { RECORDS: all, JOBS: count } = answer;
  if (!Array.isArray(all)) {
    throw new ParseError('This is not the list that bjobs prints.', stdout);
  }
  const known = all.filter(isRecord).filter((record) => !isOther(record));
  const records = known.filter(
    (record) =>
      /^\d+$/.test(idOf(record)) &&
      /^(?:0|-)?$/.test(fieldOf(record, 'JOBINDEX')) &&
      fieldOf(record, 'STAT') !== '',
  );
  const counted = all.every(isRecord) && count === all.length;
  return { records, complete: counted && records.length === known.length };
}

/** The element of an array, or a job that was asked about and is not there. */
function isOther(record: JsonRecord): boolean {
  const id = idOf(record);
  const index = fieldOf(record, 'JOBINDEX');
  return (
    (/^\d+$/.test(id) && /^[1-9]\d*$/.test(index)) ||
    /^\d+\[\d+\]$/.test(id) ||
    /^Job <\d+(?:\[\d+\])?> is not found$/.test(fieldOf(record, 'ERROR'))
  );
}

function idOf(record: JsonRecord): string {
  return 'ERROR' in record ? '' : fieldOf(record, 'JOBID');
}

function statusOf(record: JsonRecord, table: StateTable): JobStatus {
  const nativeState = fieldOf(record, 'STAT');
  const native = meaning(nativeState, table);
  const reason = fieldOf(record, 'EXIT_REASON');
  return jobStatus(
    { id: idOf(record), state: native.state, nativeState },
    {
      hosts: hostsOf(fieldOf(record, 'EXEC_HOST')),
      exit: exitOf(native, fieldOf(record, 'EXIT_CODE'), reason === '-' ? '' : reason),
    },
  );
}

function meaning(word: string, table: StateTable): NativeState {
  return (Object.hasOwn(table, word) ? table[word] : undefined) ?? { state: 'unknown' };
}

/** `3*node01:node02`, `node01:node01:node02`, with blanks instead of colons, or `-`. */
function hostsOf(list: string): readonly string[] {
  const names = list.split(/[:\s]+/).map((name) => name.replace(/^\d+\*|@.*$/g, ''));
  // Another would be taken for that of the script.
  return isHostName(names[0] ?? '') ? [...new Set(names.filter(isHostName))] : [];
}

/** A DONE is trusted: its code may be that of the post-processing. */
function exitOf(
  { state, cause = 'unknown' }: NativeState,
  exitCode: string,
  reason: string,
): ExitStatus | undefined {
  if (state !== 'ended') {
    return undefined;
  }
  if (cause === 'completed') {
    return exitOfJob({ cause, code: 0 });
  }
  const code = /^\d{1,5}$/.test(exitCode) ? Number(exitCode) : undefined;
  const [known = cause] = terminations.find(([, word]) => word.test(reason)) ?? [];
  return exitOfJob({ cause: known, code, detail: reason });
}

/** What `bjobs -p` has on the indented lines below the job. */
function parseReasons(stdout: string): string | undefined {
  const reasons = [...stdout.matchAll(/^ +(\S.*?);?\s*$/gm)].map(([, reason = '']) => reason);
  return reasons.length === 0 ? undefined : reasons.slice(0, 3).join(', ');
}

const eventTime = /^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d(?: \d{4})?: (.*)$/;

/** The last record of the job: it is over where nothing but its end is the last that happened. */
function parseBhist(
  stdout: string,
  job: { readonly id: string; readonly jobName: string },
  table: StateTable,
): JobStatus | undefined {
  // Lines are folded in the middle of words.
  const text = stdout.replaceAll(`\n${' '.repeat(21)}`, '');
  const records = text.split(/^(?=Job <\d)/m).filter((one) => one.startsWith('Job <'));
  if (records[0] === undefined || !records.every((one) => /^Summary of time in/m.test(one))) {
    throw new ParseError('This is not what bhist prints, or not all of it.', stdout);
  }
  const record = records
    .filter((one) => one.startsWith(`Job <${job.id}>, Job Name <${job.jobName}>, User <`))
    .at(-1);
  const events = (record ?? '').split('\n').flatMap((line) => eventTime.exec(line)?.[1] ?? []);
  const isEnd = (event: string) => /^(?:Done successfully|Exited|Completed <)/.test(event);
  const last = events.filter((event) => !/^Post[- ]/.test(event));
  const end = last.slice(last.findLastIndex((event) => !isEnd(event)) + 1).join(' ');
  if (end === '') {
    return undefined;
  }
  const nativeState = /^Done|<done>/.test(end) ? 'DONE' : 'EXIT';
  const { code, signal } =
    /exit code (?<code>\d+)|by signal (?<signal>\d+)/.exec(end)?.groups ?? {};
  const exitCode = signal === undefined ? (code ?? '') : String(128 + Number(signal));
  const reason = /\bTERM_[^;]*|\bhost failure\b/.exec(end)?.[0] ?? '';
  const native = meaning(nativeState, table);
  return jobStatus(
    { id: job.id, state: native.state, nativeState },
    { exit: exitOf(native, exitCode, reason) },
  );
}
