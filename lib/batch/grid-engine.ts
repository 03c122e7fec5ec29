import { constants } from 'node:os';
import { OptionsError, ParseError } from '../errors.ts';
import type { ExitStatus } from '../events.ts';
import type { GridEngineOptions } from '../generated/options.ts';
import { directiveValue } from '../quote.ts';
import { bytes } from '../units.ts';
import { exitOfJob } from './exit.ts';
import { jobScript } from './job-script.ts';
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
import type { XmlElement } from './xml.ts';
import { descendantsOf, parseXml, textOf } from './xml.ts';

/** `-r n` stands here so that `options` can say something else. */
const script = jobScript({
  head: `#!/bin/bash
#$ -S /bin/bash
#$ -r n
#$ -j y
#$ -o :{{logFile}}
#$ -wd {{homedir}}
{{#queue}}
#$ -q {{queue}}
{{/queue}}
{{#runtime}}
#$ -l h_rt={{runtime}}
{{/runtime}}
{{#memory}}
#$ -l h_vmem={{memory}}
{{/memory}}
{{#pe}}
#$ -pe {{pe}} {{nprocs}}{{^nprocs}}1{{/nprocs}}
{{/pe}}
{{#account}}
#$ -A {{account}}
{{/account}}
{{#project}}
#$ -P {{project}}
{{/project}}
{{#notify}}
#$ -notify
{{/notify}}
{{#options}}
#$ {{{options}}}
{{/options}}
{{#notify}}

# SIGUSR2 comes some time before SIGKILL, SIGUSR1 before SIGSTOP. All of the job ignores both, but
# for this process, which then asks all of the job to end.
(
  trap 'kill -TERM 0' USR2
  trap : USR1
  while :; do
    sleep 60 &
    wait
  done
) &
notified=$!
trap '' USR1 USR2
{{/notify}}
`,
  beforeExit: `{{#notify}}
kill "$notified" 2>/dev/null
{{/notify}}
# Grid Engine would run a job with 99 again, and keep one with 100 for ever.
if [ "$status" -eq 99 ] || [ "$status" -eq 100 ]; then
  status=1
fi
`,
});

/**
 * Pending, running and suspended jobs, whatever a file .sge_qstat says. It must not have -q or -l: with
 * them qstat leaves out waiting jobs that can't run where they say.
 */
const allJobs = ['qstat', '-xml', '-u', '*', '-s', 'prs'];

/**
 * Letters of native states (sge_status's manual, Job state), of which one has several: the first of
 * these decides. `R`, which says that it was started before, and `w` beside `q` say nothing more.
 */
const states: StateTable = {
  d: { state: 'completing' },
  // Could not be started, and is not tried again before someone clears that.
  E: { state: 'held' },
  s: { state: 'suspended' },
  S: { state: 'suspended' },
  T: { state: 'suspended' },
  N: { state: 'suspended' },
  P: { state: 'suspended' },
  r: { state: 'running' },
  t: { state: 'pending' },
  h: { state: 'held' },
  q: { state: 'pending' },
  w: { state: 'pending' },
  z: { state: 'ended', cause: 'unknown' },
};

/** Runs single-user servers as jobs of Grid Engine 8.1 or its relatives. */
export const gridEngine: Scheduler = {
  name: 'grid-engine',
  schema: 'grid-engine.json',
  manual: 'https://manpages.debian.org/bookworm/gridengine-common/sge_status.5.en.html',
  script,
  // qstat -j shows env_list to everybody. Without -v and -V it holds nothing of the hub's.
  jobEnvironment: 'public',
  jobNameLength: 200,
  memory: memoryOfSlot,
  runtime: String,
  requestNames: ['pe', 'project', 'notify'],
  wordLists: [],
  directive: /^#\$/,
  directiveWord: directiveValue,
  environment: ['SGE_ROOT', 'SGE_CELL', 'SGE_ARCH', 'SGE_QMASTER_PORT', 'SGE_EXECD_PORT'],
  ownVariables: /^(?:SGE_|DRMAA_|DISPLAY$|MORE_INFO$)/,
  commands: {
    submit: ['qsub', '-terse', '-N', '{{jobName}}', '-ac', 'tag={{tag}}'],
    query: allJobs,
    find: allJobs,
    cancel: ['qdel', '{{jobId}}'],
    // There is nothing stronger: `qdel -f`, where its owner may, only forgets the job.
    kill: ['qdel', '{{jobId}}'],
  },
  patterns: {
    jobId:
      /^(?:Your job(?:-array)? (?=.*"\) has been submitted$))?(?<id>\d+)(?:\.\d+-\d+:\d+)?(?:$| \(")/u,
    outage: /^error: |commlib error|unable to (?:send message to|contact) qmaster/mu,
    // On standard output of qdel, on standard error of qstat -j.
    notFound: /^denied: job "\d+" does not exist|^Following jobs do not exist/mu,
    transient:
      /commlib error|unable to (?:send message to|contact) qmaster|failed receiving gdi request/mu,
    denied: /Unable to run job: Job was rejected because .*\nExiting\.$/u,
  },
  states,
  parseQuery,
  parseFind,
  explanation: { command: ['qstat', '-j', '{{jobId}}'], parse: parseExplanation },
  accounting: [
    {
      command: ['qacct', '-j', '{{jobId}}'],
      // A record comes late, and with the first record the file.
      absent: /job id \d+ not found|unable to open \S*accounting|No such file or directory/u,
      parse: parseQacct,
    },
  ],
  // A record is written within 15 s (`flush_time` of sge_conf), when the report of the node has come.
  accountingDelay: 30_000,
};

/** Runs the server as a job of Grid Engine. Options: `schemas/grid-engine.json`. */
export class GridEngineSpawner extends BatchSpawner<GridEngineOptions> {
  static override readonly scheduler: Scheduler = gridEngine;

  /** @throws OptionsError where there is no parallel environment for the slots of `cpuLimit` */
  static override schedulerFor(options: GridEngineOptions): Scheduler {
    const { cpuLimit = 1, request, script } = options;
    // A site's own lines may ask for them in another way.
    const isAsked = request.pe ?? request.options ?? script;
    if (cpuLimit > 1 && isAsked === undefined) {
      throw new OptionsError(
        'request.pe',
        'given where cpuLimit is above 1',
        `The option request.pe is missing: cpuLimit (${cpuLimit}) asks for as many slots, which come from a parallel environment.`,
      );
    }
    return super.schedulerFor(options);
  }
}

/** h_vmem is that of one slot: the part of each in what all of the job may use. */
function memoryOfSlot(
  mebibytes: number,
  { pe, nprocs = 1 }: Readonly<Record<string, unknown>>,
): string {
  const slots = pe === undefined ? 1 : Number(nprocs);
  return `${Math.ceil(mebibytes / slots)}M`;
}

function parseQuery(stdout: string, table: StateTable): QueryAnswer {
  const { rows, complete } = rowsIn(stdout);
  return { jobs: rows.map((row) => statusOf(row, table)), complete };
}

function parseFind(stdout: string): MarkedJobs {
  const { rows, complete } = rowsIn(stdout);
  const jobs = rows.map(({ id, element }) => ({
    id,
    tag: '',
    jobName: textOf(element, 'JB_name') ?? '',
    owner: textOf(element, 'JB_owner') ?? '',
  }));
  return { jobs, complete };
}

/** A row of the list. */
interface Row {
  readonly id: string;
  readonly element: XmlElement;
  /** As in `all.q@node01`; '' for a job that waits. */
  readonly queue: string;
}

/**
 * The rows of the list; of several with one id the first: that of the script, or of a task that runs.
 * What a site's own qstat says in front makes the list no other, but perhaps not all.
 */
function rowsIn(stdout: string): { readonly rows: readonly Row[]; readonly complete: boolean } {
  const [before = ''] = stdout.split(/<(?:\?xml|job_info)/, 1);
  const root = parseXml(stdout.slice(before.length), 'qstat');
  if (root.name !== 'job_info') {
    throw new ParseError('This is not the list of jobs that qstat prints.', stdout);
  }
  const lists = root.children.flatMap(({ children }) => jobLists(children));
  let complete =
    before.trim() === '' &&
    root.children.map(({ name }) => name).join() === 'queue_info,job_info' &&
    // Nothing stands inside of what has lost its end.
    ['queue_info', 'job_info'].every((name) => descendantsOf(root, name).length === 1) &&
    descendantsOf(root, 'job_list').length === lists.length &&
    [root, ...root.children].every(({ text }) => text.trim() === '');
  const rows = new Map<string, Row>();
  for (const { element, queue } of lists) {
    const id = textOf(element, 'JB_job_number') ?? '';
    if (element.name !== 'job_list' || !/^\d+$/.test(id) || !isWhole(element)) {
      complete = false;
    } else if (!rows.has(id)) {
      rows.set(id, { id, element, queue: textOf(element, 'queue_name') ?? queue });
    }
  }
  return { rows: [...rows.values()], complete };
}

/** Whether a row has one state, nothing that we read twice, and no text between its elements. */
function isWhole(element: XmlElement): boolean {
  return (
    element.text.trim() === '' &&
    textOf(element, 'state') !== undefined &&
    readNames.every((name) => descendantsOf(element, name).length <= 1)
  );
}

const readNames = [
  'JB_job_number',
  'JB_name',
  'JB_owner',
  'state',
  'JB_submission_time',
  'JAT_start_time',
  'queue_name',
];

/** With -f, which a file .sge_qstat may say, jobs that run stand below their queues. */
function jobLists(elements: readonly XmlElement[]): readonly Omit<Row, 'id'>[] {
  return elements.flatMap((element) =>
    element.name === 'Queue-List'
      ? element.children
          .filter(({ name }) => name === 'job_list')
          .map((row) => ({ element: row, queue: textOf(element, 'name') ?? '' }))
      : [{ element, queue: '' }],
  );
}

function statusOf({ id, element, queue }: Row, table: StateTable): JobStatus {
  const nativeState = textOf(element, 'state') ?? '';
  const { state, cause } = meaning(nativeState, table);
  const waits = state === 'pending' || state === 'held';
  const host = /@([^@\s]+)$/.exec(queue)?.[1];
  return jobStatus(
    { id, state, nativeState },
    {
      hosts: host === undefined ? [] : [host],
      exit: state === 'ended' ? exitOfJob({ cause: cause ?? 'unknown' }) : undefined,
      // Of a job that was put back into the queue it is the time of that.
      submittedAt: nativeState.includes('R')
        ? undefined
        : isoDate(textOf(element, 'JB_submission_time')),
      startedAt: waits ? undefined : isoDate(textOf(element, 'JAT_start_time')),
    },
  );
}

/** A word that the options name, or its letters. */
function meaning(word: string, table: StateTable): NativeState {
  if (Object.hasOwn(table, word)) {
    return table[word] ?? { state: 'unknown' };
  }
  const isRead = [...word].every((letter) => letter === 'R' || Object.hasOwn(table, letter));
  const decides = Object.keys(table).find((letter) => letter.length === 1 && word.includes(letter));
  return (isRead && table[decides ?? '']) || { state: 'unknown' };
}

/** A time of qstat -xml with TZ=UTC. */
function isoDate(text: string | undefined): Date | undefined {
  if (text === undefined || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?$/.test(text)) {
    return undefined;
  }
  const date = new Date(`${text}Z`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

const mostMessages = 3;

/** Why a job could not be started; else what the scheduler says of it, without the queues it tried. */
function parseExplanation(stdout: string): string | undefined {
  const [, error] =
    /^error reason +\d+: +(?:[\d/]+ [\d:.]+ \[\d+:\d+\]: )?(.*)$/m.exec(stdout) ?? [];
  if (error !== undefined) {
    return error;
  }
  const [, info = ''] = /^scheduling info: +(.*(?:\n {8,}.*)*)/m.exec(stdout) ?? [];
  const messages = info
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => !/^(?:There are no messages available|\(Collecting of .*\)|)$/.test(line));
  const own = messages.filter((line) => !line.startsWith('queue instance '));
  const told = own.length > 0 ? own.slice(0, mostMessages) : messages.slice(0, 1);
  return told.length === 0 ? undefined : told.join('; ');
}

/**
 * The last record of our job; one with another name is of a job that had the id before. A job that
 * could not be started, or is to run again, has records as well, so only the codes count after which
 * there is nothing to come.
 */
function parseQacct(
  stdout: string,
  job: { readonly id: string; readonly jobName: string },
): JobStatus | undefined {
  const [before, ...records] = stdout.split(/^={10,}\n/m);
  if (before !== '' || records.length === 0 || !stdout.endsWith('\n')) {
    throw new ParseError('This is not what qacct prints, or not all of it.', stdout);
  }
  const last = records
    .map(fieldsOf)
    .filter((fields) => fields.get('jobnumber') === job.id && fields.get('jobname') === job.jobName)
    .at(-1);
  const exit = last && exitOf(last);
  const host = last?.get('hostname') ?? '';
  const nativeState = `failed ${last?.get('failed')}`;
  return exit && jobStatus({ id: job.id, state: 'ended', nativeState }, { hosts: [host], exit });
}

/** The fields of a record of qacct; what stands twice is not to be trusted. */
function fieldsOf(record: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  const twice = new Set<string>();
  for (const line of record.split('\n')) {
    const [, name = '', value = ''] = /^(\w+) +(.*?) *$/.exec(line) ?? [];
    if (fields.has(name)) {
      twice.add(name);
    }
    fields.set(name, value);
  }
  for (const name of twice) {
    fields.delete(name);
  }
  return fields;
}

/** How a job ended, by `failed` (sge_status's manual): 0, a limit, or a signal to all of the job. */
function exitOf(fields: ReadonlyMap<string, string>): ExitStatus | undefined {
  const [, failed, detail] = /^(\d{1,3})(?: *: (.*))?$/.exec(fields.get('failed') ?? '') ?? [];
  const [, status] = /^(\d{1,3})(?: +\(.*\))?$/.exec(fields.get('exit_status') ?? '') ?? [];
  if (status === undefined || (failed !== '0' && failed !== '37' && failed !== '100')) {
    return undefined;
  }
  const code = Number(status);
  const end = failed === '0' || code <= 128 ? { code } : { signal: code - 128 };
  // Only some relatives of Grid Engine have it.
  const deletedBy = fields.get('deleted_by') ?? 'NONE';
  if (deletedBy !== 'NONE') {
    return exitOfJob({ ...end, cause: 'cancelled', detail: `by ${deletedBy}` });
  }
  if (failed === '0') {
    return exitOfJob({ ...end, cause: code === 0 ? 'completed' : 'failed' });
  }
  const limit = limitOf(fields);
  if (limit !== undefined) {
    return exitOfJob({ ...end, cause: limit });
  }
  // SIGKILL to all of a job is what qdel sends.
  return failed === '100' && end.signal === constants.signals.SIGKILL
    ? exitOfJob({ ...end, cause: 'cancelled' })
    : exitOfJob({ ...end, cause: 'failed', detail });
}

/** Which limit a job that was killed had reached, of those that it was submitted with. */
function limitOf(fields: ReadonlyMap<string, string>): 'timeout' | 'out-of-memory' | undefined {
  const limits = / ?-l (\S+)/.exec(fields.get('category') ?? '')?.[1]?.split(',') ?? [];
  const [walltime, memory] = ['h_rt=', 'h_vmem='].map((name) =>
    limits.find((limit) => limit.startsWith(name))?.slice(name.length),
  );
  if (Number.parseInt(fields.get('ru_wallclock') ?? '', 10) >= Number(walltime)) {
    return 'timeout';
  }
  const allowed = size(memory) * Number(fields.get('slots'));
  return size(fields.get('maxvmem')) > allowed ? 'out-of-memory' : undefined;
}

/** The bytes of `250M` and `389.891MB`; NaN for what is no size. */
function size(text = ''): number {
  const [, number, unit = ''] = /^([\d.]+)([KMGT]?)B?$/i.exec(text) ?? [];
  return number === undefined ? Number.NaN : bytes(`${number}${unit.toUpperCase()}`);
}
