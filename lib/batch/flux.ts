import { ParseError } from '../errors.ts';
import type { ExitStatus } from '../events.ts';
import type { FluxOptions } from '../generated/options.ts';
import { directiveValue } from '../quote.ts';
import { exitOfJob } from './exit.ts';
import { expandHostlist } from './host-list.ts';
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
import { dateFromSeconds, jobStatus } from './status.ts';

/** One slot, for a slot is on one node. What the job prints, of either kind, goes to its output. */
const script = jobScript({
  head: `#!/bin/bash
#FLUX: --output={{logFile}}
#FLUX: --cwd={{homedir}}
#FLUX: --nslots=1
{{#nprocs}}
#FLUX: --cores-per-slot={{nprocs}}
{{/nprocs}}
{{#ngpus}}
#FLUX: --gpus-per-slot={{ngpus}}
{{/ngpus}}
{{#queue}}
#FLUX: --queue={{queue}}
{{/queue}}
{{#runtime}}
#FLUX: --time-limit={{runtime}}
{{/runtime}}
{{#account}}
#FLUX: --setattr=system.bank={{account}}
{{/account}}
{{#options}}
#FLUX: {{{options}}}
{{/options}}
`,
});

/** States of RFC 21; for INACTIVE, the results of flux-jobs(1). */
const states: StateTable = {
  NEW: { state: 'pending' },
  DEPEND: { state: 'pending' },
  PRIORITY: { state: 'pending' },
  SCHED: { state: 'pending' },
  RUN: { state: 'running' },
  CLEANUP: { state: 'completing' },
  COMPLETED: { state: 'ended', cause: 'completed' },
  FAILED: { state: 'ended', cause: 'failed' },
  CANCELED: { state: 'ended', cause: 'cancelled' },
  TIMEOUT: { state: 'ended', cause: 'timeout' },
};

/** Of all users, how many ever there are; those that have ended, for an hour. */
const allJobs = ['flux', 'jobs', '-A', '--since=-1h', '--count=0', '--json'];

/** Runs single-user servers as jobs of Flux: flux-core 0.49 or later. */
export const flux: Scheduler = {
  name: 'flux',
  schema: 'flux.json',
  manual: 'https://flux-framework.readthedocs.io/projects/flux-core/en/latest/index.html',
  script,
  // It is in the jobspec, which job-info shows to the owner of the job and of the instance alone.
  jobEnvironment: 'private',
  jobNameLength: 90,
  runtime: (seconds) => `${seconds}s`,
  requestNames: [],
  wordLists: [],
  directive: /^#FLUX:/,
  directiveWord: fluxWord,
  environment: ['FLUX_URI'],
  // The commands are written in Python and Lua. What a rule of --env sets, no later rule replaces.
  ownVariables: /^(?:FLUX|PYTHON|LUA|XDG_CONFIG|(?:HOME|USER|LOGNAME|SHELL)$)/,
  commands: {
    submit: [
      'flux',
      'batch',
      '--job-name={{jobName}}',
      '--setattr=user.hubspawner={{tag}}',
      // The job starts from nothing, not even a home; PATH has to lead to flux on the node as well.
      '--env-remove=*',
      '--env=HOME={{homedir}}',
      '--env=USER={{username}}',
      '--env=LOGNAME={{username}}',
      '--env=SHELL=/bin/bash',
      '--env=/^(PATH{{#exportNames}}|{{.}}{{/exportNames}})$/',
    ],
    query: allJobs,
    find: allJobs,
    cancel: ['flux', 'cancel', '{{jobId}}'],
    kill: ['flux', 'job', 'kill', '--signal=KILL', '{{jobId}}'],
  },
  patterns: {
    // `ƒ` stands for the `f` where the locale has it; LC_ALL=C has not.
    jobId: /^(?<id>f[1-9A-HJ-NP-Za-km-z]{1,12})$/u,
    // Up to 0.79 flux-jobs does not fail for a job that it does not know.
    outage: /: ERROR: |^JobID \S+ unknown$|output truncated at \d+ jobs/mu,
    notFound: /^JobID \S+ unknown$|: unknown job id$|: job is (?:inactive|not running)$/mu,
    transient:
      /Unable to connect to Flux|Connection (?:refused|reset|timed out)|Function not implemented|No route to host|lost connection|Resource temporarily unavailable/mu,
  },
  states,
  parseQuery,
  parseFind,
  accounting: [{ command: ['flux', 'jobs', '--json', '{{jobId}}'], parse: parseJob }],
};

/** Runs the server as a job of Flux. Options: `schemas/flux.json`. */
export class FluxSpawner extends BatchSpawner<FluxOptions> {
  static override readonly scheduler: Scheduler = flux;
}

/**
 * flux-batch(1) splits at shell operators as well (RFC 36), and expands `$` in `--env` and `{{id}}` in
 * `--output`.
 */
function fluxWord(text: string): string {
  const special = /[();<>|&$]|\{\{/.exec(text)?.[0];
  if (special !== undefined) {
    throw new RangeError(`holds ${special}, which can't be quoted on a directive line`);
  }
  return directiveValue(text);
}

function parseQuery(stdout: string, table: StateTable): QueryAnswer {
  const { records, complete } = recordsIn(stdout);
  return { jobs: records.map((record) => statusOf(record, table)), complete };
}

function parseFind(stdout: string): MarkedJobs {
  const { records, complete } = recordsIn(stdout);
  const jobs = records.map((record) => ({
    id: idOf(record),
    tag: '',
    jobName: fieldOf(record, 'name'),
    owner: fieldOf(record, 'username'),
  }));
  return { jobs, complete };
}

/** One job is printed by itself, and nothing for none. */
function parseJob(
  stdout: string,
  job: { readonly id: string; readonly jobName: string },
  table: StateTable,
): JobStatus | undefined {
  if (stdout === '') {
    return undefined;
  }
  const record = documentIn(stdout);
  return isReadable(record) && idOf(record) === job.id && record['name'] === job.jobName
    ? statusOf(record, table)
    : undefined;
}

function recordsIn(stdout: string): {
  readonly records: readonly JsonRecord[];
  readonly complete: boolean;
} {
  const { jobs } = documentIn(stdout);
  if (!Array.isArray(jobs)) {
    throw new ParseError('This is not the list that flux jobs prints.', stdout);
  }
  const records = jobs.filter(isRecord).filter(isReadable);
  return { records, complete: records.length === jobs.length };
}

/** A job id has 64 bits, more than a number holds; no text in JSON can have this form. */
function documentIn(stdout: string): JsonRecord {
  return parseJson(
    stdout.replace(/"id":\s*(0|[1-9]\d{0,19})(?=\s*[,}])/g, '"id":"$1"'),
    'flux jobs',
  );
}

function isReadable(record: JsonRecord): boolean {
  const { id } = record;
  return typeof id === 'string' && /^\d+$/.test(id) && wordOf(record) !== '';
}

const digits = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** As flux-batch(1) prints it: base 58 (RFC 19). */
function idOf(record: JsonRecord): string {
  let rest = BigInt(fieldOf(record, 'id'));
  let text = '';
  do {
    text = `${digits[Number(rest % 58n)]}${text}`;
    rest /= 58n;
  } while (rest > 0n);
  return `f${text}`;
}

/** The state, or the result of a job that is INACTIVE. */
function wordOf(record: JsonRecord): string {
  const state = fieldOf(record, 'state');
  return state === 'INACTIVE' ? fieldOf(record, 'result') || state : state;
}

function statusOf(record: JsonRecord, table: StateTable): JobStatus {
  const nativeState = wordOf(record);
  const known = Object.hasOwn(table, nativeState) ? table[nativeState] : undefined;
  const { state, cause } = known ?? { state: 'unknown' };
  const waits = state === 'pending';
  const isHeld = waits && record['urgency'] === 0;
  const { annotations, duration } = record;
  const { sched } = isRecord(annotations) ? annotations : {};
  const plan = isRecord(sched) ? sched : {};
  const started = dateFromSeconds(record['t_run']);
  return jobStatus(
    { id: idOf(record), state: isHeld ? 'held' : state, nativeState },
    {
      reason: isHeld ? 'its urgency is 0' : waits ? reasonOf(record, plan) : '',
      hosts: started && expandHostlist(fieldOf(record, 'nodelist')),
      exit: exitOf(record, { state, ...(cause && { cause }) }),
      submittedAt: dateFromSeconds(record['t_submit']),
      startedAt: started,
      estimatedStart: waits ? dateFromSeconds(plan['t_estimate']) : undefined,
      // Without a time limit it is the end of time.
      endsAt: Number(duration) > 0 ? dateFromSeconds(record['expiration']) : undefined,
    },
  );
}

function reasonOf(record: JsonRecord, plan: JsonRecord): string {
  const { dependencies } = record;
  const first = Array.isArray(dependencies) ? dependencies.slice(0, 3).join(', ') : '';
  return fieldOf(plan, 'reason_pending') || (first && `depends on ${first}`);
}

/** `returncode` is negative for a signal, and -128 for a job that was cancelled before it ran. */
function exitOf(
  record: JsonRecord,
  { state, cause = 'unknown' }: NativeState,
): ExitStatus | undefined {
  if (state !== 'ended') {
    return undefined;
  }
  const { exception, returncode } = record;
  const { type, note } = isRecord(exception) ? exception : {};
  const isLost = cause === 'failed' && type === 'node-failure';
  const code = typeof returncode === 'number' ? returncode : undefined;
  return exitOfJob({
    cause: isLost ? 'node-failure' : cause,
    ...(code !== undefined && code >= 0 && { code }),
    ...(code !== undefined && code < 0 && code > -128 && { signal: -code }),
    detail: typeof note === 'string' ? note : '',
  });
}
