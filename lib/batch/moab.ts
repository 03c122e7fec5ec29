import { ParseError } from '../errors.ts';
import type { ExitCause, ExitStatus } from '../events.ts';
import type { MoabOptions } from '../generated/options.ts';
import { directiveValue } from '../quote.ts';
import { exitOfJob } from './exit.ts';
import { clock, dataDocuments, endOfStatus, execHosts, meaningOf, unique } from './pbs-family.ts';
import type {
  JobStatus,
  MarkedJobs,
  NativeState,
  QueryAnswer,
  Scheduler,
  StateTable,
} from './scheduler.ts';
import { BatchSpawner } from './spawner.ts';
import type { JobKnowledge } from './status.ts';
import { dateFromSeconds, jobStatus } from './status.ts';
import { parseTorqueJob, torque, torqueEnds, torqueScript } from './torque.ts';
import type { XmlElement } from './xml.ts';
import { childOf, descendantsOf } from './xml.ts';

const script = torqueScript(
  `{{#queue}}
#PBS -q {{queue}}
{{/queue}}
`,
  `{{#partition}}
#PBS -l partition={{partition}}
{{/partition}}
{{#qos}}
#PBS -l qos={{qos}}
{{/qos}}
{{#reservation}}
#PBS -l advres={{reservation}}
{{/reservation}}
`,
);

/** Job states of Moab's manual (checkjob, Job States), 6.0 to 9.1. */
const states: StateTable = {
  Idle: { state: 'pending' },
  Staging: { state: 'pending' },
  Staged: { state: 'pending' },
  Migrated: { state: 'pending' },
  Starting: { state: 'pending' },
  Hold: { state: 'held' },
  UserHold: { state: 'held' },
  SystemHold: { state: 'held' },
  BatchHold: { state: 'held' },
  Deferred: { state: 'held' },
  NotQueued: { state: 'held' },
  NotRun: { state: 'held' },
  Blocked: { state: 'held' },
  Running: { state: 'running' },
  Suspended: { state: 'suspended' },
  Completed: { state: 'ended' },
  Removed: { state: 'ended', cause: 'cancelled' },
  Vacated: { state: 'ended', cause: 'preempted' },
  Lost: { state: 'unknown' },
  Unknown: { state: 'unknown' },
};

/** Moab is not there, or does not answer. */
const away =
  /ERROR:\s+(?:cannot (?:send request|connect) to|cannot request service|lost connection to|client timed out)/;

/** What is said of an id that Moab does not know differs from release to release. */
const unknownJob = /ERROR:\s+(?:cannot locate job|invalid job specified)/;

/** Runs single-user servers as jobs of Moab 6.0 or later. */
export const moab: Scheduler = {
  name: 'moab',
  schema: 'moab.json',
  manual: 'https://docs.adaptivecomputing.com/9-1-3/MWM/moab.htm',
  script,
  // Torque, which runs the jobs, shows the variables of all to everybody.
  jobEnvironment: 'public',
  jobNameLength: 15,
  memory: (mebibytes) => `${mebibytes}mb`,
  runtime: clock,
  requestNames: ['qos', 'reservation'],
  wordLists: [],
  directive: /^\s*#(?:PBS|MSUB)/,
  directiveWord: moabWord,
  requeue: /^\s*#(?:PBS|MSUB)(?:.*[ \t])?-r[ \t]*[yn]\b/m,
  environment: ['MOABHOMEDIR', 'PBS_DEFAULT'],
  ownVariables: /^(?:MOAB|PBS)/,
  commands: {
    submit: ['msub', '-N', '{{jobName}}', '{{#once}}-r{{/once}}', '{{#once}}n{{/once}}'],
    // Those of others too where the account is one of Moab's administrators.
    query: ['mdiag', '-j', '--format=xml'],
    find: ['mdiag', '-j', '--format=xml'],
    cancel: ['mjobctl', '-c', '{{jobId}}'],
    kill: ['mjobctl', '-N', 'KILL', '{{jobId}}'],
  },
  patterns: {
    // Of `msub`, and of `msub --xml`.
    jobId:
      /^(?:<Data><job JobID=")?(?<id>[A-Za-z]+\.\d+|\d+(?:\[\d*\])?(?:\.[\w.-]+)?)(?:"\s*\/><\/Data>)?$/,
    outage: new RegExp(`${away.source}|${torque.patterns.outage.source}`),
    notFound: unknownJob,
    transient: new RegExp(`${away.source}|${torque.patterns.transient.source}`),
  },
  states,
  parseQuery,
  parseFind,
  // Neither says alone that a job is gone: Moab, started anew, learns its jobs from Torque, which
  // does not have those that wait in Moab.
  accounting: [
    {
      command: ['checkjob', '--format=xml', '{{jobId}}'],
      absent: unknownJob,
      parse: parseCheckjob,
    },
    {
      command: ['qstat', '-x', '{{jobId}}'],
      absent: /Unknown Job Id|Unknown queue destination|illegally formed|command not found/,
      parse: parseQstat,
    },
  ],
  // Moab asks Torque about its jobs twice a minute, and loses one from view when it hands it on.
  accountingDelay: 60_000,
};

/** Runs the server as a job of Moab. Options: `schemas/moab.json`. */
export class MoabSpawner extends BatchSpawner<MoabOptions> {
  static override readonly scheduler: Scheduler = moab;
}

/** After a comma, `-l` has another resource, such as the walltime. */
function moabWord(text: string): string {
  if (text.includes(',')) {
    throw new RangeError('holds a comma, after which -l has another resource');
  }
  return directiveValue(text);
}

/** A job has several ids, and msub gives any of them: one row for each. */
function parseQuery(stdout: string, table: StateTable): QueryAnswer {
  const { records, complete } = recordsIn(stdout, 'mdiag');
  return { jobs: records.map(({ id, job }) => statusOf(id, job, table)), complete };
}

function parseFind(stdout: string): MarkedJobs {
  const { records, complete } = recordsIn(stdout, 'mdiag');
  const jobs = records
    .filter(({ id, job }) => id === job.attributes.get('JobID'))
    .map(({ id, job: { attributes } }) => ({
      id,
      tag: '',
      jobName: attributes.get('JobName') ?? '',
      owner: attributes.get('User') ?? '',
    }));
  return { jobs, complete };
}

function parseCheckjob(
  stdout: string,
  asked: { readonly id: string; readonly jobName: string },
  table: StateTable,
): JobStatus | undefined {
  const { records, complete } = recordsIn(stdout, 'checkjob');
  const record = records.find(({ id }) => id === asked.id);
  if (record === undefined && !complete) {
    throw new ParseError('The record of the job can not be read.', stdout);
  }
  const name = record && (record.job.attributes.get('JobName') ?? asked.jobName);
  return record !== undefined && name === asked.jobName
    ? statusOf(record.id, record.job, table)
    : undefined;
}

/** What the two call the node, and how they count the starts of a job, differs. */
function parseQstat(
  stdout: string,
  job: { readonly id: string; readonly jobName: string },
): JobStatus | undefined {
  const status = parseTorqueJob(stdout, job, torque.states);
  return status && jobStatus(status, { reason: status.reason, exit: status.exit });
}

/** The jobs by each of their ids: Moab's own, and those of the resource managers that had it. */
function recordsIn(stdout: string, what: string) {
  const { documents, complete } = dataDocuments(stdout, what);
  if (documents.length === 0) {
    throw new ParseError(`This is not what ${what} prints.`, stdout);
  }
  const all = documents.flatMap((document) => descendantsOf(document, 'job'));
  const whole = all.filter((job) => isWhole(job));
  const named = whole.flatMap((job) => idsOf(job).map((id) => ({ id, job })));
  const records = unique(named);
  const isFramed = documents.every(({ children }) => children.every(({ name }) => frame.has(name)));
  const isAll = whole.length === all.length && records.length === named.length;
  return { records, complete: complete && isFramed && isAll };
}

function idsOf({ attributes }: XmlElement): readonly string[] {
  const ids = ['JobID', 'GJID', 'DRMJID', 'SRMJID'].map((name) => attributes.get(name) ?? '');
  return [...new Set(ids)].filter((id) => id !== '');
}

function isWhole(job: XmlElement): boolean {
  const { attributes } = job;
  return (
    (attributes.get('JobID') ?? '') !== '' &&
    attributes.has('State') &&
    idsOf(job).every((id) => /^[\w.[\]-]+$/.test(id))
  );
}

/** What stands in the answers of mdiag, checkjob and showq. */
const frame: ReadonlySet<string> = new Set(['job', 'queue', 'Object', 'cluster']);

function statusOf(id: string, job: XmlElement, table: StateTable): JobStatus {
  const { attributes } = job;
  const word = attributes.get('State') ?? '';
  const { state, cause } = meaning(word, attributes, table);
  const waits = state === 'pending' || state === 'held';
  const startedAt = dateFromSeconds(attributes.get('StartTime'));
  const known: JobKnowledge = waits
    ? {
        reason: reasonOf(job),
        estimatedStart: dateFromSeconds(attributes.get('RsvStartTime')),
      }
    : {
        hosts: hostsOf(job),
        startedAt,
        run: attributes.get('StartCount'),
        endsAt: state === 'running' ? endOfWalltime(startedAt, attributes) : undefined,
        exit: state === 'ended' ? exitOf(attributes.get('CompletionCode'), cause) : undefined,
      };
  const submittedAt = dateFromSeconds(attributes.get('SubmissionTime'));
  return jobStatus({ id, state, nativeState: word }, { ...known, submittedAt });
}

type Attributes = XmlElement['attributes'];

/** A job that is held says `Idle` all the same; one that was put back says `Vacated`. */
function meaning(word: string, attributes: Attributes, table: StateTable): NativeState {
  const native = meaningOf(word, table);
  if (native.state === 'pending' && (attributes.get('Hold') ?? '') !== '') {
    return { state: 'held' };
  }
  const isRestartable = /\bRESTARTABLE\b/.test(attributes.get('Flags') ?? '');
  return word === 'Vacated' && isRestartable ? { state: 'pending' } : native;
}

/** `HostList` is what was asked for, and says nothing of where the job runs. */
function hostsOf(job: XmlElement): readonly string[] {
  const hosts = childOf(job, 'req')?.attributes.get('AllocNodeList');
  return execHosts(hosts ?? job.attributes.get('MasterHost') ?? '', ',');
}

function reasonOf(job: XmlElement): string | undefined {
  const hold = job.attributes.get('Hold') ?? '';
  const message = descendantsOf(job, 'message').find(
    ({ attributes }) => attributes.get('TYPE') === 'hold',
  );
  return (
    message?.attributes.get('DATA') ??
    job.attributes.get('BlockReason') ??
    (hold === '' ? undefined : `held: ${hold}`)
  );
}

/** All in seconds. */
function endOfWalltime(startedAt: Date | undefined, attributes: Attributes): Date | undefined {
  const limit = Number(attributes.get('ReqAWDuration'));
  const suspended = Number(attributes.get('SuspendDuration') ?? 0);
  const seconds = limit + suspended;
  return startedAt && seconds > 0 && seconds < 1e9
    ? new Date(startedAt.getTime() + 1000 * seconds)
    : undefined;
}

/** The code is that of the resource manager, or a word of Moab's own; the state may say more. */
function exitOf(code: string | undefined, cause: ExitCause | undefined): ExitStatus {
  if (code === 'CNCLD' || code === 'REMOVED') {
    return exitOfJob({ cause: 'cancelled' });
  }
  const end = endOfStatus(code, torqueEnds);
  const isVague = ['completed', 'failed', 'unknown'].includes(end.cause);
  return exitOfJob(isVague && cause !== undefined ? { ...end, cause } : end);
}
