import { ParseError } from '../errors.ts';
import type { ExitStatus } from '../events.ts';
import type { PbsOptions } from '../generated/options.ts';
import { directiveValue } from '../quote.ts';
import type { JobEnd } from './exit.ts';
import { exitOfJob } from './exit.ts';
import { jobScript } from './job-script.ts';
import type { FoldedRecord } from './pbs-family.ts';
import {
  accountIn,
  clock,
  endOfStatus,
  execHosts,
  foldedRecords,
  jobIdPattern,
  secondsOf,
} from './pbs-family.ts';
import type {
  JobState,
  JobStatus,
  MarkedJobs,
  QueryAnswer,
  Scheduler,
  StateTable,
} from './scheduler.ts';
import { BatchSpawner } from './spawner.ts';
import { jobStatus } from './status.ts';

/** A chunk has each part only where it is asked for: what is missing is the queue's default. */
const script = jobScript({
  head: `#!/bin/bash
#PBS -S /bin/bash
#PBS -N {{jobName}}
#PBS -r n
#PBS -j oe
#PBS -o {{logFile}}
{{#queue}}
#PBS -q {{queue}}{{#host}}@{{host}}{{/host}}
{{/queue}}
{{^queue}}
{{#host}}
#PBS -q @{{host}}
{{/host}}
{{/queue}}
{{#runtime}}
#PBS -l walltime={{runtime}}
{{/runtime}}
{{#nprocs}}
#PBS -l select=1:ncpus={{nprocs}}{{#memory}}:mem={{memory}}{{/memory}}{{#ngpus}}:ngpus={{ngpus}}{{/ngpus}}
{{/nprocs}}
{{^nprocs}}
{{#memory}}
#PBS -l select=1:mem={{memory}}{{#ngpus}}:ngpus={{ngpus}}{{/ngpus}}
{{/memory}}
{{^memory}}
{{#ngpus}}
#PBS -l select=1:ngpus={{ngpus}}
{{/ngpus}}
{{/memory}}
{{/nprocs}}
{{#account}}
#PBS -A {{account}}
{{/account}}
{{#project}}
#PBS -P {{project}}
{{/project}}
{{#options}}
#PBS {{{options}}}
{{/options}}
cd {{homedir}} || exit
`,
});

/** The server of a list, and a job at it; without a host that of the id. */
const server = '{{#host}}@{{host}}{{/host}}';
const jobAtServer = `{{jobId}}${server}`;

/**
 * All jobs that have not finished; with `-x` it would be those of the last two weeks as well. With
 * `-w` each attribute is one line, and qstat writes `\n` for line breaks in values: no value can
 * pretend to be the record of another job.
 */
const allJobs = ['qstat', '-f', '-w', server];

/** Native states of qstat's manual. */
const states: StateTable = {
  Q: { state: 'pending' },
  T: { state: 'pending' },
  W: { state: 'pending' },
  H: { state: 'held' },
  R: { state: 'running' },
  B: { state: 'running' },
  S: { state: 'suspended' },
  U: { state: 'suspended' },
  E: { state: 'completing' },
  F: { state: 'ended', cause: 'unknown' },
  X: { state: 'ended', cause: 'unknown' },
  // Another server has it, and may run it.
  M: { state: 'unknown' },
};

/** Substates of waiting jobs and of jobs that are being sent to their node. */
const stageInFailed = '37';
const beingStarted = '41';

/** Substates of finished jobs. */
const endOfSubstate: Readonly<Record<string, JobEnd['cause']>> = {
  91: 'cancelled',
  92: 'completed',
  93: 'failed',
};

const notStarted: JobEnd = { cause: 'failed', detail: 'it could not be started on its node' };
const nodeRestarted: JobEnd = { cause: 'node-failure', detail: 'the MoM of its node restarted' };
const hookRefused: JobEnd = { cause: 'failed', detail: 'a hook of the site refused it' };
const tooManyCores: JobEnd = { cause: 'failed', detail: 'it used more cores than it may' };

/** What `Exit_status` means below 0 (Administrator's Guide, Job Exit Status Codes). */
const ownStatuses: Readonly<Record<string, JobEnd>> = {
  '-1': notStarted,
  '-2': notStarted,
  '-3': notStarted,
  '-4': nodeRestarted,
  '-5': nodeRestarted,
  '-6': nodeRestarted,
  '-10': { cause: 'failed', detail: 'its account is not valid on its node' },
  '-14': { cause: 'node-failure' },
  '-16': hookRefused,
  '-17': hookRefused,
  '-18': hookRefused,
  '-19': hookRefused,
  '-20': { cause: 'node-failure' },
  '-22': hookRefused,
  '-24': tooManyCores,
  '-25': tooManyCores,
  '-26': { cause: 'out-of-memory' },
  '-27': { cause: 'out-of-memory' },
  '-28': { cause: 'failed', detail: 'it used more CPU time than it may' },
  '-29': { cause: 'timeout' },
};

/** Runs single-user servers as jobs of PBS Professional 18.1 or later, or of OpenPBS. */
export const pbs: Scheduler = {
  name: 'pbs',
  schema: 'pbs.json',
  manual: 'https://github.com/openpbs/openpbs/tree/master/doc/man1',
  script,
  // qstat -f shows Variable_List to everybody. qsub passes on PBS_O_… only.
  jobEnvironment: 'public',
  jobNameLength: 230,
  memory: (mebibytes) => `${mebibytes}mb`,
  runtime: clock,
  requestNames: ['project'],
  wordLists: [],
  directive: /^\s*#PBS/,
  directiveWord: directiveValue,
  requeue: /^\s*#PBS(?:.*[ \t])?-r[ \t]*[yn]\b/m,
  environment: ['PBS_CONF_FILE', 'PBS_EXEC', 'PBS_SERVER', 'PBS_DEFAULT'],
  ownVariables: /^PBS/,
  commands: {
    // -f: not by a process in the background, which would go on when this one was ended.
    submit: ['qsub', '-f', '-N', '{{jobName}}', '{{#once}}-r{{/once}}', '{{#once}}n{{/once}}'],
    query: allJobs,
    find: allJobs,
    cancel: ['qdel', jobAtServer],
    // qdel -W force would forget the job where its node can't be asked; its processes live on.
    kill: ['qsig', '-s', 'SIGKILL', jobAtServer],
  },
  patterns: {
    jobId: jobIdPattern,
    outage:
      /cannot connect to server|Couldn't connect to cluster|is not configured to maintain job history/u,
    // A job that has finished is in the history alone, which is asked first.
    notFound: /^q\w+: (?:Unknown Job Id|(?:\S+ )?Job has finished)/mu,
    transient:
      /cannot connect to server|Couldn't connect to cluster|^pbs_iff: |^auth: |Invalid credential|Premature end of message|No free connections|shutting down/mu,
    denied: /^qsub: Unknown (?:queue|resource: \S+)$/u,
  },
  states,
  parseQuery,
  parseFind,
  accounting: [
    {
      command: ['qstat', '-x', '-f', '-w', jobAtServer],
      absent: /is not configured to maintain job history/u,
      parse: parseHistory,
    },
    // Finds a job at the server that it was moved to.
    { command: ['qstat', '-f', '-w', jobAtServer], parse: parseJob },
  ],
};

/** Runs the server as a job of PBS. Options: `schemas/pbs.json`. */
export class PbsSpawner extends BatchSpawner<PbsOptions> {
  static override readonly scheduler: Scheduler = pbs;
}

function parseQuery(stdout: string, table: StateTable): QueryAnswer {
  const { records, complete } = foldedRecords(stdout);
  const usable = records.filter(isUsable);
  return {
    jobs: usable.map((record) => statusOf(record, table)),
    complete: complete && usable.length === records.length,
  };
}

function parseFind(stdout: string): MarkedJobs {
  const { records, complete } = foldedRecords(stdout);
  const usable = records.filter(isUsable);
  const jobs = usable.map(({ id, attributes }) => ({
    id,
    tag: '',
    jobName: attributes.get('job_name') ?? '',
    owner: accountIn(attributes.get('job_owner')),
  }));
  return { jobs, complete: complete && usable.length === records.length };
}

function isUsable({ attributes, whole }: FoldedRecord): boolean {
  return whole && /^\w$/.test(attributes.get('job_state') ?? '');
}

/** The record of our job; one with another name is of a job that had the id before. */
function parseJob(
  stdout: string,
  job: { readonly id: string; readonly jobName: string },
  table: StateTable,
): JobStatus | undefined {
  const record = foldedRecords(stdout).records.find(({ id }) => id === job.id);
  const name = record?.attributes.get('job_name');
  if (record === undefined || name === undefined || !isUsable(record)) {
    throw new ParseError(`This is not what qstat -f prints of the job ${job.id}.`, stdout);
  }
  return name === job.jobName ? statusOf(record, table) : undefined;
}

/** The history of a job that was moved ends there: the next source asks where it is. */
function parseHistory(...given: Parameters<typeof parseJob>): JobStatus | undefined {
  const status = parseJob(...given);
  return status?.nativeState === 'M' ? undefined : status;
}

function statusOf({ id, attributes }: FoldedRecord, table: StateTable): JobStatus {
  const nativeState = attributes.get('job_state') ?? '';
  const native = table[nativeState] ?? { state: 'unknown' };
  const reason = reasonOf(attributes);
  const state = stateOf(native.state, reason, attributes.get('substate'));
  const waits = state === 'pending' || state === 'held';
  const hosts = execHosts(attributes.get('exec_host2') ?? attributes.get('exec_host') ?? '');
  const hasStarted = !waits && attributes.get('substate') !== beingStarted;
  const startedAt = hasStarted ? dateOf(attributes.get('stime')) : undefined;
  const limit = secondsOf(attributes.get('resource_list.walltime'));
  return jobStatus(
    { id, state, nativeState },
    {
      reason: state === 'running' || state === 'ended' ? undefined : reason,
      hosts: waits ? [] : hosts,
      exit: state === 'ended' ? exitOf(attributes) : undefined,
      submittedAt: dateOf(attributes.get('ctime')),
      startedAt,
      run: waits ? undefined : attributes.get('run_count'),
      estimatedStart: waits ? dateOf(attributes.get('estimated.start_time')) : undefined,
      endsAt: state === 'running' ? endOfWalltime(startedAt, limit) : undefined,
    },
  );
}

function stateOf(state: JobState, reason: string, substate: string | undefined): JobState {
  const isStuck = reason.startsWith('Can Never Run') || substate === stageInFailed;
  return state === 'pending' && isStuck ? 'held' : state;
}

/** Who can release a job that is held. */
const holders: Readonly<Record<string, string>> = {
  u: 'held by its user',
  o: 'held by an operator',
  s: 'held by the system',
  p: 'held because its password is not valid',
};

/** What the scheduler says, but for a start; else what the job waits for, else who holds it. */
function reasonOf(attributes: FoldedRecord['attributes']): string {
  const comment = attributes.get('comment') ?? '';
  if (comment !== '' && !/^Job (?:run at|was sent for execution)/.test(comment)) {
    return comment;
  }
  if (attributes.get('substate') === stageInFailed) {
    return 'its files could not be staged in';
  }
  const [, dependency] = /^((?:after|on).+)$/.exec(attributes.get('depend') ?? '') ?? [];
  const holds = [...(attributes.get('hold_types') ?? '')].flatMap((type) => holders[type] ?? []);
  return dependency === undefined ? holds.join(', ') : `depends on ${dependency}`;
}

/** The server puts how a job ended at the end of its comment; old ones have 271 for more than qdel. */
function exitOf(attributes: FoldedRecord['attributes']): ExitStatus {
  const end = endOfStatus(attributes.get('exit_status'), ownStatuses);
  const comment = attributes.get('comment') ?? '';
  const [, limit, by] = / and (?:exceeded resource (\w+)|terminated by (\S+))$/.exec(comment) ?? [];
  if (limit === 'walltime') {
    return exitOfJob({ ...end, cause: 'timeout' });
  }
  if (limit !== undefined && /^p?v?mem$/.test(limit)) {
    return exitOfJob({ ...end, cause: 'out-of-memory' });
  }
  if (limit !== undefined) {
    return exitOfJob({ ...end, cause: 'failed', detail: `it used more ${limit} than it may` });
  }
  const substate = endOfSubstate[attributes.get('substate') ?? ''];
  if (by !== undefined || substate === 'cancelled') {
    const cause = by?.startsWith('Scheduler@') ? 'preempted' : 'cancelled';
    return exitOfJob({ ...end, cause, detail: by === undefined ? '' : `by ${by}` });
  }
  return exitOfJob(end.cause === 'unknown' ? { ...end, cause: substate ?? 'unknown' } : end);
}

function endOfWalltime(start: Date | undefined, limit: number | undefined): Date | undefined {
  return start && limit !== undefined ? new Date(start.getTime() + 1000 * limit) : undefined;
}

/** A time of ctime(3), which is UTC since qstat writes it in the zone of its own TZ. */
function dateOf(text: string | undefined): Date | undefined {
  const [, weekday, month, day = '', time, year] =
    /^(\w{3}) (\w{3}) ([ \d]\d) ([\d:]{8}) (\d{4})$/.exec(text ?? '') ?? [];
  const inFull = `${weekday}, ${day.replace(' ', '0')} ${month} ${year} ${time} GMT`;
  const date = new Date(inFull);
  return !Number.isNaN(date.getTime()) && date.toUTCString() === inFull ? date : undefined;
}
