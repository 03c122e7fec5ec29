import type { ExitCause, ExitStatus } from '../events.ts';
import type { OarOptions } from '../generated/options.ts';
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
import { dateFromSeconds, jobStatus } from './status.ts';

/** What oarsub is asked for stands on its command line: it reads no script, and no directives. */
const script = jobScript({ head: '#!/bin/bash\n' });

/** States of the table `jobs` (Database scheme, OAR 2.5). */
const states: StateTable = {
  Waiting: { state: 'pending' },
  Hold: { state: 'held' },
  toAckReservation: { state: 'pending' },
  toLaunch: { state: 'pending' },
  Launching: { state: 'pending' },
  Running: { state: 'running' },
  Suspended: { state: 'suspended' },
  Resuming: { state: 'suspended' },
  Finishing: { state: 'completing' },
  toError: { state: 'completing' },
  Terminated: { state: 'ended', cause: 'completed' },
  Error: { state: 'ended', cause: 'failed' },
};

/** What the events of a job (Database scheme, table `event_logs`) say of its end, the surest first. */
const endings: readonly (readonly [ExitCause, RegExp])[] = [
  ['preempted', /^BESTEFFORT_KILL$/],
  // OAR itself requests the deletion of a job whose walltime is over.
  ['timeout', /^WALLTIME$/],
  ['cancelled', /^FRAG_JOB_REQUEST$/],
  ['node-failure', /^(?:PING_CHECKER_NODE_SUSPECTED|EXTERMINATE_JOB)/],
];

const resources =
  '{{#resources}}{{resources}}{{/resources}}' +
  '{{^resources}}/nodes=1' +
  '{{#ngpus}}/gpu={{ngpus}}{{/ngpus}}' +
  '{{^ngpus}}/core={{#nprocs}}{{nprocs}}{{/nprocs}}{{^nprocs}}1{{/nprocs}}{{/ngpus}}' +
  '{{/resources}}';

/** Runs single-user servers as jobs of OAR 2.5. */
export const oar: Scheduler = {
  name: 'oar',
  schema: 'oar.json',
  manual: 'https://oar.readthedocs.io/en/2.5/',
  script,
  // OAR passes none on.
  jobEnvironment: 'public',
  jobNameLength: 90,
  runtime: hoursMinutesSeconds,
  requestNames: ['project', 'properties', 'resources', 'type'],
  wordLists: [],
  directive: /^#OAR\b/,
  directiveWord: directiveValue,
  environment: [],
  ownVariables: /^OAR/,
  commands: {
    submit: [
      'oarsub',
      '--name={{jobName}}',
      `--resource=${resources}{{#runtime}},walltime={{runtime}}{{/runtime}}`,
      '--directory={{homedir}}',
      '--stdout={{logFile}}',
      '--stderr={{logFile}}',
      '{{#queue}}--queue={{queue}}{{/queue}}',
      '{{#project}}--project={{project}}{{/project}}',
      '{{#properties}}--property={{properties}}{{/properties}}',
      '{{#type}}--type={{type}}{{/type}}',
      // The login shell of the account reads this, whichever it is.
      `exec bash -c 's=$(printf %b "$0"); eval "$s"' '{{scriptLine}}'`,
    ],
    query: ['oarstat', '-J'],
    find: ['oarstat', '-J'],
    // It gives no time: OAR kills at once.
    cancel: ['oardel', '{{jobId}}'],
    kill: ['oardel', '--signal=KILL', '{{jobId}}'],
  },
  patterns: {
    jobId: /^OAR_JOB_ID=(?<id>\d+)$/u,
    outage: /DB connection error|Cannot connect to database|DBI connect\(|DBD::\w+::/mu,
    // JSON of Perl up to 3 does not write what stands for no jobs at all.
    notFound: /^hash- or arrayref expected|This job was already killed/mu,
    transient:
      /DB connection error|[Cc]annot connect to (?:the )?(?:database|executor)|retry to connect to the database/mu,
  },
  states,
  parseQuery,
  parseFind,
  accounting: [{ command: ['oarstat', '-J', '-f', '-j', '{{jobId}}'], parse: parseJob }],
};

/** Runs the server as a job of OAR. Options: `schemas/oar.json`. */
export class OarSpawner extends BatchSpawner<OarOptions> {
  static override readonly scheduler: Scheduler = oar;
}

function hoursMinutesSeconds(seconds: number): string {
  const two = (number: number) => String(Math.floor(number)).padStart(2, '0');
  return `${Math.floor(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
}

function parseQuery(stdout: string, table: StateTable): QueryAnswer {
  const { records, complete } = recordsIn(stdout);
  return { jobs: records.map((record) => statusOf(record, table)), complete };
}

function parseFind(stdout: string): MarkedJobs {
  const { records, complete } = recordsIn(stdout);
  const jobs = records.map(({ id, fields }) => ({
    id,
    tag: '',
    jobName: fieldOf(fields, 'name'),
    owner: fieldOf(fields, 'owner'),
  }));
  return { jobs, complete };
}

function parseJob(
  stdout: string,
  job: { readonly id: string; readonly jobName: string },
  table: StateTable,
): JobStatus | undefined {
  const record = recordsIn(stdout).records.find(
    ({ id, fields }) => id === job.id && fields['name'] === job.jobName,
  );
  return record && statusOf(record, table);
}

interface OarRecord {
  readonly id: string;
  readonly fields: JsonRecord;
}

/** An object of jobs by their ids; `null` where there are none. */
function recordsIn(stdout: string): {
  readonly records: readonly OarRecord[];
  readonly complete: boolean;
} {
  if (/^null\s*$/.test(stdout)) {
    return { records: [], complete: true };
  }
  const all = Object.entries(parseJson(stdout, 'oarstat'));
  const records = all.flatMap(([id, fields]) =>
    /^\d+$/.test(id) && isRecord(fields) && wordOf(fields) !== '' ? { id, fields } : [],
  );
  return { records, complete: records.length === all.length };
}

/** `Running (To be Deleted)` is the word in front. */
function wordOf(fields: JsonRecord): string {
  return /^\w*/.exec(fieldOf(fields, 'state'))?.[0] ?? '';
}

function statusOf({ id, fields }: OarRecord, table: StateTable): JobStatus {
  const word = wordOf(fields);
  const native: NativeState = (Object.hasOwn(table, word) ? table[word] : undefined) ?? {
    state: 'unknown',
  };
  const { state } = native;
  const waits = state === 'pending' || state === 'held';
  // The one name or the other: data format 3 of OAR 2.5.10 has others.
  const time = (...names: string[]) =>
    dateFromSeconds(names.map((name) => fieldOf(fields, name)).find((text) => text !== ''));
  const { assigned_network_address: hosts } = fields;
  return jobStatus(
    { id, state, nativeState: fieldOf(fields, 'state') },
    {
      reason: waits ? reasonIn(fieldOf(fields, 'message')) : '',
      hosts: waits || !Array.isArray(hosts) ? [] : [...new Set(hosts.filter(isHost))],
      exit: exitOf(native, fields),
      submittedAt: time('submissionTime', 'submission_time'),
      // The scheduler's plan, before it starts.
      [waits ? 'estimatedStart' : 'startedAt']: time('startTime', 'start_time'),
    },
  );
}

function isHost(host: unknown): host is string {
  return typeof host === 'string' && isHostName(host);
}

/** What the scheduler remarks at the end of a summary as in `R=1,W=1:0:0,J=B (Karma=0.1,quota_ok)`. */
function reasonIn(message: string): string {
  return /^R=\d+,W=/.test(message) ? (/\(([^()]*)\)$/.exec(message)?.[1] ?? '') : message;
}

/** `exit_code` is the status of wait(2). */
function exitOf(
  { state, cause = 'unknown' }: NativeState,
  fields: JsonRecord,
): ExitStatus | undefined {
  if (state !== 'ended') {
    return undefined;
  }
  const text = fieldOf(fields, 'exit_code');
  const status = /^\d{1,5}$/.test(text) ? Number(text) : undefined;
  if (cause === 'completed' && status === 0) {
    return exitOfJob({ cause, code: 0 });
  }
  const { events: given } = fields;
  const events = Array.isArray(given) ? given.filter(isRecord) : [];
  const found = endings.flatMap(([why, type]) => {
    const event = events.find((one) => type.test(fieldOf(one, 'type')));
    return event ? [{ why, detail: fieldOf(event, 'description') }] : [];
  })[0];
  const signal = status === undefined ? 0 : status & 127;
  return exitOfJob({
    cause: found?.why ?? (status === undefined ? cause : 'failed'),
    ...(status !== undefined && (signal > 0 ? { signal } : { code: status >> 8 })),
    detail: found?.detail,
  });
}
