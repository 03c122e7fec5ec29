import { ParseError } from '../errors.ts';
import type { ExitCause, ExitStatus } from '../events.ts';
import type { TorqueOptions } from '../generated/options.ts';
import { directiveValue } from '../quote.ts';
import type { JobEnd } from './exit.ts';
import { exitOfJob } from './exit.ts';
import { jobScript } from './job-script.ts';
import {
  accountIn,
  clock,
  dataDocuments,
  endOfStatus,
  execHosts,
  jobIdPattern,
  meaningOf,
  secondsOf,
  strictXml,
  unique,
} from './pbs-family.ts';
import type { JobStatus, MarkedJobs, QueryAnswer, Scheduler, StateTable } from './scheduler.ts';
import { BatchSpawner } from './spawner.ts';
import type { JobKnowledge } from './status.ts';
import { dateFromSeconds, jobStatus } from './status.ts';
import type { XmlElement } from './xml.ts';
import { childOf, textOf } from './xml.ts';

/**
 * A job script for Torque's qsub, and for Moab, which hands it on.
 *
 * @param destination the lines that say which queue
 * @param more lines after those for resources
 */
export function torqueScript(destination: string, more = ''): string {
  return jobScript({
    head: `#!/bin/bash
#PBS -S /bin/bash
#PBS -N {{jobName}}
#PBS -r n
#PBS -j oe
#PBS -o {{logFile}}
#PBS -d {{homedir}}
${destination}{{#runtime}}
#PBS -l walltime={{runtime}}
{{/runtime}}
{{#nprocs}}
#PBS -l nodes=1:ppn={{nprocs}}{{#ngpus}}:gpus={{ngpus}}{{/ngpus}}
{{/nprocs}}
{{^nprocs}}
{{#ngpus}}
#PBS -l nodes=1:gpus={{ngpus}}
{{/ngpus}}
{{/nprocs}}
{{#memory}}
#PBS -l mem={{memory}}
{{/memory}}
${more}{{#account}}
#PBS -A {{account}}
{{/account}}
{{#options}}
#PBS {{{options}}}
{{/options}}
`,
  });
}

const script = torqueScript(`{{#queue}}
#PBS -q {{queue}}{{#host}}@{{host}}{{/host}}
{{/queue}}
{{^queue}}
{{#host}}
#PBS -q @{{host}}
{{/host}}
{{/queue}}
`);

/** A server as an operand, and a job at it; without a host those that qstat knows by itself. */
const server = '{{#host}}@{{host}}{{/host}}';
const job = `{{jobId}}${server}`;

/** States of a job, of qstat's manual, Torque 4 to 6.1. */
const states: StateTable = {
  Q: { state: 'pending' },
  T: { state: 'pending' },
  W: { state: 'pending' },
  H: { state: 'held' },
  R: { state: 'running' },
  S: { state: 'suspended' },
  E: { state: 'completing' },
  C: { state: 'ended' },
};

/** Exit statuses that are no script's: the administrator's guide of Torque 6.1, Job Exit Status. */
export const torqueEnds: Readonly<Record<string, JobEnd>> = {
  '-1': { cause: 'failed', detail: 'it could not be started' },
  '-2': { cause: 'failed', detail: 'it could not be started' },
  '-3': { cause: 'failed', detail: 'it could not be started, and was to be tried again' },
  '-4': { cause: 'node-failure', detail: 'pbs_mom was started anew' },
  '-5': { cause: 'node-failure', detail: 'pbs_mom was started anew' },
  '-6': { cause: 'node-failure', detail: 'pbs_mom was started anew' },
  '-7': { cause: 'failed', detail: 'it could not be continued from its checkpoint' },
  '-8': { cause: 'failed', detail: 'its script could not be executed' },
  '-9': { cause: 'failed', detail: 'its log file could not be opened' },
  '-10': { cause: 'out-of-memory' },
  '-11': { cause: 'timeout' },
  '-12': { cause: 'failed', detail: 'it used more processor time than it may' },
  '-13': { cause: 'failed', detail: 'its cgroup could not be made' },
  '-14': { cause: 'failed', detail: 'the prologue of its node failed' },
};

/** Who can release a job that is held. */
const holders: Readonly<Record<string, string>> = {
  u: 'held by its user',
  o: 'held by an operator',
  s: 'held by the system',
};

/** Runs single-user servers as jobs of Torque 4 or later. */
export const torque: Scheduler = {
  name: 'torque',
  schema: 'torque.json',
  manual: 'https://docs.adaptivecomputing.com/torque/6-1-2/adminGuide/torque.htm',
  script,
  // qstat -x shows Variable_List to everybody. Without -v and -V it is a few PBS_O_ variables.
  jobEnvironment: 'public',
  // Old releases refuse longer ones.
  jobNameLength: 15,
  memory: (mebibytes) => `${mebibytes}mb`,
  runtime: clock,
  requestNames: [],
  wordLists: [],
  // What follows the prefix need not be a blank.
  directive: /^\s*#PBS/,
  directiveWord: directiveValue,
  requeue: /^\s*#PBS(?:.*[ \t])?-r[ \t]*[yn]\b/m,
  environment: ['PBS_DEFAULT'],
  ownVariables: /^PBS/,
  commands: {
    submit: ['qsub', '-N', '{{jobName}}', '{{#once}}-r{{/once}}', '{{#once}}n{{/once}}'],
    // Those of others too where the account is an operator, or the server has query_other_jobs set.
    query: ['qstat', '-x', server],
    find: ['qstat', '-x', server],
    cancel: ['qdel', job],
    // qdel -p is for operators only, and a second qdel is refused while the first is in progress.
    kill: ['qsig', '-s', 'SIGKILL', job],
  },
  patterns: {
    jobId: jobIdPattern,
    outage:
      /Unable to communicate with|[Cc]annot (?:connect to|resolve) |Can not resolve|socket_connect_unix failed|could not connect to trqauthd/,
    // Not where the server is away as well. A job in the state C is over.
    notFound:
      /^(?!.*(?:Unable to communicate|annot connect)).*(?:Unknown Job Id|nonexistent job id|invalid state for job - COMPLETE)/s,
    transient:
      /Invalid credential|End of File|Premature end of message|[Tt]imed? ?-?out|refused|trqauthd|Unable to communicate with|[Cc]annot connect to/,
    denied: /^qsub: submit error \((?:Unknown queue|Job exceeds queue resource limits) MSG=.*\)$/,
  },
  states,
  parseQuery,
  parseFind,
  // The same list: it keeps a job for a while that has ended. No command of users shows older ones.
  accounting: [{ command: ['qstat', '-x', job], parse: parseTorqueJob }],
};

/** Runs the server as a job of Torque. Options: `schemas/torque.json`. */
export class TorqueSpawner extends BatchSpawner<TorqueOptions> {
  static override readonly scheduler: Scheduler = torque;
}

function parseQuery(stdout: string, table: StateTable): QueryAnswer {
  const { records, complete } = recordsIn(stdout);
  return { jobs: records.map((record) => statusOf(record, table)), complete };
}

function parseFind(stdout: string): MarkedJobs {
  const { records, complete } = recordsIn(stdout);
  const jobs = records.map(({ id, element }) => {
    const owner = accountIn(textOf(element, 'Job_Owner'));
    return { id, tag: '', jobName: textOf(element, 'Job_Name') ?? '', owner };
  });
  return { jobs, complete };
}

/** Reads the output of `qstat -x` about one job, whose id may lack the server. */
export function parseTorqueJob(
  stdout: string,
  { id, jobName }: { readonly id: string; readonly jobName: string },
  table: StateTable,
): JobStatus | undefined {
  const { records, complete } = recordsIn(stdout);
  const record = records.find((one) => one.id === id || one.id.replace(/\..*$/s, '') === id);
  if (record === undefined && !complete) {
    throw new ParseError('The record of the job can not be read.', stdout);
  }
  const name = record && (textOf(record.element, 'Job_Name') ?? jobName);
  return record !== undefined && name === jobName ? { ...statusOf(record, table), id } : undefined;
}

interface TorqueRecord {
  readonly id: string;
  readonly word: string;
  readonly element: XmlElement;
}

/** Elements of a job that are not read: dozens, of which `Variable_List` may be long. */
const unread =
  /(?<=>)<(?!(?:Job_Id|Job_Name|Job_Owner|job_state|exec_host|ctime|start_time|start_count|walltime|comment|Hold_Types|depend|exit_status)>)(\w+)>[^<]*<\/\1>/g;

/** Each job by itself, so that one which can't be read hides no other. No value holds a `<`. */
function recordsIn(stdout: string): {
  readonly records: readonly TorqueRecord[];
  readonly complete: boolean;
} {
  const pieces = stdout.split('</Job>');
  const rest = pieces.pop() ?? '';
  const parts = pieces.map((piece) => {
    const start = piece.indexOf('<Job>');
    return start < 0 ? [piece, ''] : [piece.slice(0, start), piece.slice(start)];
  });
  const all = parts.map(([, text]) => recordIn(`${text}</Job>`));
  const frame = `${parts.map(([before]) => before).join('')}${rest}`;
  const { documents, complete } = dataDocuments(frame, 'qstat -x');
  const records = unique(all.filter((record) => record !== undefined));
  const isAll =
    records.length === all.length && documents.every(({ children }) => children.length === 0);
  return { records, complete: complete && isAll };
}

/** Elements that hold text alone. */
const plain: ReadonlySet<string> = new Set(
  'Job_Id Job_Name Job_Owner job_state queue server exec_host ctime start_time start_count comment Hold_Types depend exit_status'.split(
    ' ',
  ),
);

/** A job, unless a part of it is missing or stands twice. */
function recordIn(text: string): TorqueRecord | undefined {
  const element = parsed(text.replaceAll(unread, ''));
  const { children = [] } = element ?? {};
  const names = new Set(children.map(({ name }) => name));
  const id = textOf(element, 'Job_Id') ?? '';
  const word = textOf(element, 'job_state');
  return element !== undefined &&
    word !== undefined &&
    jobIdPattern.test(id) &&
    names.size === children.length &&
    children.every(({ name, children: inner }) => inner.length === 0 || !plain.has(name))
    ? { id, word, element }
    : undefined;
}

function parsed(text: string): XmlElement | undefined {
  try {
    return strictXml(text, 'qstat -x');
  } catch (error) {
    if (error instanceof ParseError) {
      return undefined;
    }
    throw error;
  }
}

function statusOf({ id, word, element }: TorqueRecord, table: StateTable): JobStatus {
  const { state, cause } = meaningOf(word, table);
  const waits = state === 'pending' || state === 'held';
  const known: JobKnowledge = waits
    ? { reason: reasonOf(element) }
    : {
        hosts: execHosts(textOf(element, 'exec_host') ?? ''),
        startedAt: dateFromSeconds(textOf(element, 'start_time')),
        run: textOf(element, 'start_count'),
        endsAt: state === 'running' ? endOfWalltime(element) : undefined,
        // A job that is tried again keeps the status of the attempt before.
        exit: state === 'ended' ? exitOf(element, cause) : undefined,
      };
  const submittedAt = dateFromSeconds(textOf(element, 'ctime'));
  return jobStatus({ id, state, nativeState: word }, { ...known, submittedAt });
}

/** What the scheduler says, else what the job waits for, else who holds it. */
function reasonOf(element: XmlElement): string | undefined {
  const comment = textOf(element, 'comment');
  const [, dependency] = /^((?:after|on|sync).+)$/.exec(textOf(element, 'depend') ?? '') ?? [];
  const holds = [...(textOf(element, 'Hold_Types') ?? '')].flatMap((type) => holders[type] ?? []);
  return comment ?? (dependency === undefined ? holds.join(', ') : `depends on ${dependency}`);
}

function endOfWalltime(element: XmlElement): Date | undefined {
  const start = dateFromSeconds(textOf(element, 'start_time'));
  const limit = walltimeIn(element, 'Resource_List');
  return start && limit !== undefined ? new Date(start.getTime() + 1000 * limit) : undefined;
}

function walltimeIn(element: XmlElement, list: 'Resource_List' | 'resources_used') {
  return secondsOf(textOf(childOf(element, list), 'walltime'));
}

function exitOf(element: XmlElement, cause: ExitCause = 'unknown'): ExitStatus {
  const end = endOfStatus(textOf(element, 'exit_status'), torqueEnds);
  const limit = walltimeIn(element, 'Resource_List') ?? Number.POSITIVE_INFINITY;
  // Some releases end a job at its walltime as qdel does, without a status for it.
  if (end.signal !== undefined && (walltimeIn(element, 'resources_used') ?? 0) >= limit) {
    return exitOfJob({ ...end, cause: 'timeout' });
  }
  return exitOfJob(end.cause === 'unknown' ? { ...end, cause } : end);
}
