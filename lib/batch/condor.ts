import { ParseError } from '../errors.ts';
import type { ExitCause, ExitStatus } from '../events.ts';
import type { CondorOptions } from '../generated/options.ts';
import { directiveValue } from '../quote.ts';
import { exitOfJob } from './exit.ts';
import { isHostName } from './host-list.ts';
import { jobScript } from './job-script.ts';
import type { JsonRecord } from './json.ts';
import { fieldOf, isRecord } from './json.ts';
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

/** HTCondor gives a job hardly any environment; the shell has a PATH, but does not pass it on. */
const script = jobScript({
  head: `#!/bin/sh
export HOME={{homedir}} USER={{username}} LOGNAME={{username}} PATH
`,
});

/**
 * condor_submit takes no script on standard input, so it travels in an argument (Arguments, New
 * Syntax). HTCondor sends the SIGTERM of a removal to the first process of a job alone: timeout(1),
 * here without a limit, passes it on to all, and ends as the script does.
 */
const description = `universe = vanilla
executable = /bin/sh
arguments = "-c 'script=\`printf %b ""$1""\`; command -v timeout >/dev/null && exec timeout 0 /bin/sh -c ""$script""; eval ""$script""' hubspawner '{{scriptLine}}'"
initialdir = {{homedir}}
output = {{logFile}}
error = {{logFile}}
should_transfer_files = NO
getenv = false
notification = never
leave_in_queue = false
batch_name = {{jobName}}
+SpawnerTag = "{{tag}}"
# Killed after so many seconds, if it does not end by itself.
job_max_vacate_time = 20
# When its walltime is over, and when it is held for good: it has used too much memory or time.
{{#runtime}}
+SpawnerRuntime = {{runtime}}
{{/runtime}}
periodic_remove = {{#runtime}}((JobStatus == 2 || JobStatus == 7) && time() - JobCurrentStartDate > SpawnerRuntime) || {{/runtime}}(JobStatus == 5 && (HoldReasonCode == 34 || HoldReasonCode == 46 || HoldReasonCode == 47 || (HoldReasonCode == 21 && HoldReasonSubCode == 102)))
{{#memory}}
request_memory = {{memory}}
{{/memory}}
{{#nprocs}}
request_cpus = {{nprocs}}
{{/nprocs}}
{{#ngpus}}
request_gpus = {{ngpus}}
{{/ngpus}}
{{#account}}
accounting_group = {{account}}
{{/account}}
{{#requirements}}
requirements = {{requirements}}
{{/requirements}}
{{#options}}
{{{options}}}
{{/options}}
queue 1
`;

/** Names of `JobStatus`, in the order of their numbers from 1 (Appendix A, Job ClassAd Attributes). */
const names = [
  'Idle',
  'Running',
  'Removed',
  'Completed',
  'Held',
  'Transferring Output',
  'Suspended',
  'Failed',
  'Blocked',
  'Preparing',
];

const states: StateTable = {
  // Also one that was evicted, and is to start anew.
  Idle: { state: 'pending' },
  Running: { state: 'running' },
  // As long as it is in the queue, its execution host has not said that it is over.
  Removed: { state: 'completing', cause: 'cancelled' },
  Completed: { state: 'ended', cause: 'completed' },
  Held: { state: 'held' },
  'Transferring Output': { state: 'completing' },
  Suspended: { state: 'suspended' },
  Failed: { state: 'ended', cause: 'failed' },
  Blocked: { state: 'held' },
  Preparing: { state: 'pending' },
};

/** Names and tags are not asked for: users choose them. */
const attributes = [
  'ClusterId,ProcId,JobStatus,LastJobStatus,QDate,JobCurrentStartDate,SpawnerRuntime,RemoteHost',
  'HoldReasonCode,HoldReasonSubCode,HoldReason,LastHoldReasonCode,LastHoldReasonSubCode',
  'LastRejMatchReason,RemoveReason,ExitBySignal,ExitCode,ExitSignal',
].join(',');

/** The same of one job, to be compared with its name. */
const named = `${attributes},JobBatchName`;

/** The schedd, where it is not that of this host. */
const schedd = ['{{#host}}-name{{/host}}', '{{host}}'];

/** Runs single-user servers as jobs of HTCondor 8.8 or later. */
export const condor: Scheduler = {
  name: 'condor',
  schema: 'condor.json',
  manual: 'https://htcondor.readthedocs.io/en/latest/man-pages/',
  script,
  description: { template: description, value: submitValue },
  // condor_q -l shows it.
  jobEnvironment: 'public',
  jobNameLength: 90,
  runtime: String,
  requestNames: ['requirements'],
  wordLists: [],
  directive: /(?!)/,
  directiveWord: directiveValue,
  environment: ['CONDOR_CONFIG'],
  ownVariables: /^_?CONDOR_/i,
  commands: {
    submit: ['condor_submit', ...schedd, '-terse', '-'],
    query: ['condor_q', ...schedd, '-allusers', '-json', '-attributes', attributes],
    find: [
      'condor_q',
      ...schedd,
      '-allusers',
      '-json',
      '-attributes',
      'ClusterId,ProcId,Owner,SpawnerTag,JobBatchName',
    ],
    cancel: ['condor_rm', ...schedd, '{{jobId}}'],
    // The job is forgotten, whether its execution host answers or not: only after the time in which
    // that one kills it.
    kill: [
      'condor_rm',
      ...schedd,
      '-forcex',
      '-constraint',
      'strcat(ClusterId, ".", ProcId) == "{{jobId}}" && time() - EnteredCurrentStatus > 25',
    ],
  },
  patterns: {
    jobId: /^(?<id>\d+\.\d+) - \k<id>$/u,
    outage: /^(?:Error|ERROR): |^SECMAN:|^-- Failed to fetch ads/mu,
    notFound: /^Job \d+\.\d+ (?:not found|already marked for removal)$/mu,
    transient: /Can't find address (?:of|for) |^SECMAN:20(?:03|07|11):|^CEDAR:600[0-9]:/mu,
  },
  states,
  reasons: {
    'no match found': 'no machine that is free now is what it asks for',
    'insufficient priority': 'other jobs come first',
  },
  parseQuery,
  parseFind,
  accounting: [
    {
      command: ['condor_q', ...schedd, '-allusers', '{{jobId}}', '-json', '-attributes', named],
      parse: (stdout, job, table) => parseOne(stdout, job, table, 'condor_q'),
    },
    {
      command: [
        'condor_history',
        ...schedd,
        '{{jobId}}',
        '-match',
        '1',
        '-json',
        '-attributes',
        named,
      ],
      absent: /\bHISTORY is unset\b/,
      parse: (stdout, job, table) => parseOne(stdout, job, table, 'condor_history'),
    },
  ],
};

/**
 * Runs the server as a job of HTCondor. Options: `schemas/condor.json`. The pool should have
 * RemoteHost in PROTECTED_JOB_ATTRS: else the owner of a job can edit where the hub looks for the
 * server.
 */
export class CondorSpawner extends BatchSpawner<CondorOptions> {
  static override readonly scheduler: Scheduler = condor;

  static override schedulerFor(options: CondorOptions): Scheduler {
    const template = options.description ?? description;
    return { ...super.schedulerFor(options), description: { template, value: submitValue } };
  }
}

/**
 * One value, or a part of one, of a submit description, as it is (Submit Description File Commands;
 * Substitution in the Submit Description File).
 */
function submitValue(text: string): string {
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) {
    throw new RangeError('holds a line break or another control character');
  }
  if (/\$(?=[$([]|\w*[([]|$)/.test(text)) {
    throw new RangeError('holds a $ that HTCondor would take for the beginning of a macro');
  }
  if (/^\s|[\s\\]$/.test(text)) {
    throw new RangeError('begins with a blank, or ends with one or a backslash');
  }
  return text;
}

function parseQuery(stdout: string, table: StateTable): QueryAnswer {
  const { ads, complete } = adsIn(stdout, 'condor_q');
  return { jobs: ads.map((ad) => statusOf(ad, table)), complete };
}

function parseFind(stdout: string): MarkedJobs {
  const { ads, complete } = adsIn(stdout, 'condor_q');
  const jobs = ads.map((ad) => ({
    id: idOf(ad),
    tag: fieldOf(ad, 'SpawnerTag'),
    jobName: fieldOf(ad, 'JobBatchName'),
    owner: fieldOf(ad, 'Owner'),
  }));
  return { jobs, complete };
}

/** A job of that id with another name is one that had it before. */
function parseOne(
  stdout: string,
  job: { readonly id: string; readonly jobName: string },
  table: StateTable,
  what: 'condor_q' | 'condor_history',
): JobStatus | undefined {
  const { ads, complete } = adsIn(stdout, what);
  const ad = ads.find((one) => idOf(one) === job.id && one['JobBatchName'] === job.jobName);
  if (ad === undefined && !complete) {
    throw new ParseError(`Not all of what ${what} printed could be read.`, stdout);
  }
  return ad && statusOf(ad, table, what === 'condor_history');
}

/**
 * A list of ClassAds, where condor_q prints nothing at all for none. A list of which something is
 * printed before it, as by a wrapper of the site, may not be all.
 */
function adsIn(
  stdout: string,
  what: string,
): { readonly ads: readonly JsonRecord[]; readonly complete: boolean } {
  if (stdout === '') {
    return { ads: [], complete: true };
  }
  const start = Math.max(0, stdout.search(/^\[$/m));
  let list: unknown;
  try {
    list = JSON.parse(stdout.slice(start));
  } catch {
    // Told below.
  }
  if (!Array.isArray(list)) {
    throw new ParseError(`This is not what ${what} prints, or not all of it.`, stdout);
  }
  const readable = list.filter(isRecord).filter((ad) => /^[1-9]\d*\.\d+$/.test(idOf(ad)));
  const times = new Map<string, number>();
  for (const id of readable.map(idOf)) {
    times.set(id, (times.get(id) ?? 0) + 1);
  }
  const ads = readable.filter((ad) => times.get(idOf(ad)) === 1);
  return { ads, complete: start === 0 && ads.length === list.length };
}

function idOf(ad: JsonRecord): string {
  return `${fieldOf(ad, 'ClusterId')}.${fieldOf(ad, 'ProcId')}`;
}

/** The name of a `JobStatus`; a number that has none is itself. */
function nameOf(status: unknown): string {
  return typeof status === 'number' ? (names[status - 1] ?? String(status)) : '';
}

/** @param left whether the job is no longer in the queue */
function statusOf(ad: JsonRecord, table: StateTable, left = false): JobStatus {
  const nativeState = nameOf(ad['JobStatus']);
  const native = stateOf(ad, nativeState, table);
  const state = left && nativeState === 'Removed' ? 'ended' : native.state;
  const runs = state === 'running' || state === 'suspended';
  const startedAt = runs ? dateFromSeconds(ad['JobCurrentStartDate']) : undefined;
  const runtime = Number(fieldOf(ad, 'SpawnerRuntime'));
  return jobStatus(
    { id: idOf(ad), state, nativeState },
    {
      reason: reasonOf(ad, nativeState),
      hosts: runs ? hostsOf(fieldOf(ad, 'RemoteHost')) : [],
      exit: state === 'ended' ? exitOf(ad, nativeState, native.cause ?? 'unknown') : undefined,
      submittedAt: dateFromSeconds(ad['QDate']),
      startedAt,
      endsAt: startedAt && runtime > 0 ? dateFromSeconds(+startedAt / 1000 + runtime) : undefined,
    },
  );
}

/** As the table has it, but for the holds that are no holds. */
function stateOf(ad: JsonRecord, nativeState: string, table: StateTable): NativeState {
  if (nativeState === 'Held') {
    const cause = causeOfHold(ad['HoldReasonCode'], ad['HoldReasonSubCode']);
    if (cause !== undefined) {
      return { state: 'ended', cause };
    }
    // Its input is on the way, and then it is released.
    if (ad['HoldReasonCode'] === 16) {
      return { state: 'pending' };
    }
  }
  const native = Object.hasOwn(table, nativeState) ? table[nativeState] : undefined;
  return native ?? { state: 'unknown' };
}

/**
 * Why a hold is the end of a job (Appendix A, HoldReasonCode): 34, it used more than it had; 46 and
 * 47, its time was over; 21, a policy of the machine, with 102 for memory in HTCondor's own one.
 */
function causeOfHold(code: unknown, detail: unknown): ExitCause | undefined {
  switch (code) {
    case 46:
    case 47:
      return 'timeout';
    case 34:
      return detail === undefined || detail === 0 || detail === 102 ? 'out-of-memory' : 'failed';
    case 21:
      return detail === 102 ? 'out-of-memory' : undefined;
    default:
      return undefined;
  }
}

function reasonOf(ad: JsonRecord, nativeState: string): string {
  switch (nativeState) {
    case 'Held':
      return fieldOf(ad, 'HoldReason');
    case 'Idle':
      return fieldOf(ad, 'LastRejMatchReason').trim() || 'no machine has been found for it yet';
    default:
      return '';
  }
}

/** As in `slot1_2@node01.cluster.example`. */
function hostsOf(remoteHost: string): readonly string[] {
  const host = remoteHost.slice(remoteHost.lastIndexOf('@') + 1);
  return isHostName(host) ? [host] : [];
}

function exitOf(ad: JsonRecord, nativeState: string, cause: ExitCause): ExitStatus {
  switch (nativeState) {
    case 'Held':
      return exitOfJob({ cause, detail: fieldOf(ad, 'HoldReason') });
    case 'Removed':
      return removalOf(ad, cause);
    case 'Completed': {
      // Elsewhere these say nothing: a job that is held may have them from a run before.
      const { ExitBySignal: bySignal, ExitSignal: signal, ExitCode: code } = ad;
      if (bySignal === true && typeof signal === 'number') {
        return exitOfJob({ cause: 'failed', signal });
      }
      return bySignal === false && typeof code === 'number'
        ? exitOfJob({ cause: code === 0 ? cause : 'failed', code })
        : exitOfJob({ cause });
    }
    default:
      return exitOfJob({ cause });
  }
}

/** A job whose periodic_remove came true was held, or its time was over, or it is for a user to know. */
function removalOf(ad: JsonRecord, cause: ExitCause): ExitStatus {
  const reason = fieldOf(ad, 'RemoveReason');
  if (!reason.includes('PeriodicRemove expression')) {
    return exitOfJob({ cause, detail: reason });
  }
  const why =
    nameOf(ad['LastJobStatus']) === 'Held'
      ? causeOfHold(ad['LastHoldReasonCode'], ad['LastHoldReasonSubCode'])
      : /time\(\)|CurrentTime/.test(reason) && 'timeout';
  return why ? exitOfJob({ cause: why }) : exitOfJob({ cause, detail: reason });
}
