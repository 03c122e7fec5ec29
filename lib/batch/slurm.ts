import { ParseError } from '../errors.ts';
import type { ExitStatus } from '../events.ts';
import type { SlurmOptions } from '../generated/options.ts';
import { sbatchWord } from '../quote.ts';
import { exitOfJob } from './exit.ts';
import { expandHostlist } from './host-list.ts';
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
import type { JobKnowledge } from './status.ts';
import { decisiveRows, jobStatus } from './status.ts';

/** Since 22.05 (release notes), srun gives the server one core, whatever --cpus-per-task of its job is. */
const srunCores =
  '{{#srun.length}}{{#nprocs}}SRUN_CPUS_PER_TASK={{nprocs}} {{/nprocs}}{{/srun.length}}';

const script = jobScript({
  head: `#!/bin/bash
#SBATCH --no-requeue
#SBATCH --output={{logFile}}
#SBATCH --chdir={{homedir}}
{{#partition}}
#SBATCH --partition={{partition}}
{{/partition}}
{{#runtime}}
#SBATCH --time={{runtime}}
{{/runtime}}
{{#memory}}
#SBATCH --mem={{memory}}
{{/memory}}
{{#nprocs}}
#SBATCH --cpus-per-task={{nprocs}}
{{/nprocs}}
{{#ngpus}}
#SBATCH --gpus={{ngpus}}
{{/ngpus}}
{{#gres}}
#SBATCH --gres={{gres}}
{{/gres}}
{{#account}}
#SBATCH --account={{account}}
{{/account}}
{{#qos}}
#SBATCH --qos={{qos}}
{{/qos}}
{{#reservation}}
#SBATCH --reservation={{reservation}}
{{/reservation}}
{{#options}}
#SBATCH {{{options}}}
{{/options}}
`,
  launcher: `${srunCores}{{#srun}}{{.}} {{/srun}}`,
});

/** Between records, fields and parts of one: none can stand in a name, a reason or a time. */
const RS = '\x1e';
const US = '\x1f';
const GS = '\x1d';

/** A reason and the partitions that it may be about, which a site's own query may leave out. */
const reasonField = `%r${GS}%P`;
const queryFields = ['%A', '%T', '%B', '%N', reasonField, '%V', '%S', '%e'];

/** Comments and names may hold any character, so that only what nobody could know keeps them apart. */
const findFields = ['%A', '%k', '%j', '%T', '%u'];
const findFormat = [RS, ...findFields.map((field) => `${field}${US}`), ''].join('{{boundary}}');

/** What it prints for an account whose name it can't find out (uid_to_string of src/common/uid.c). */
const nameless = 'nobody';

/** Finished jobs too, of hidden partitions and of siblings too, without a header. */
const everyJob = ['-h', '-a', '-t', 'all'];
const cluster = '{{#cluster}}--clusters={{cluster}}{{/cluster}}';

/**
 * In a federation, and without being told so, commands ask every cluster, and leave out without a
 * word what one that does not answer would have said (src/api/job_info.c). Only the cluster to which
 * a job was submitted keeps a record of it, wherever it runs: where absence is to prove something,
 * that one is asked alone.
 */
const local = '--local';
const wide = (option: string) =>
  `{{#federation}}${option}{{/federation}}{{^federation}}${local}{{/federation}}`;

/** In a federation: a sibling cluster has the job. */
const revoked = 'REVOKED';

/**
 * Native states of squeue's and sacct's manual (JOB STATE CODES), Slurm 22.05 to 25.05. Of the flags
 * that only JSON has, such as LAUNCH_FAILED, these commands print none.
 */
const states: StateTable = {
  PENDING: { state: 'pending' },
  CONFIGURING: { state: 'pending' },
  REQUEUED: { state: 'pending' },
  REQUEUE_FED: { state: 'pending' },
  REQUEUE_HOLD: { state: 'held' },
  SPECIAL_EXIT: { state: 'held' },
  RESV_DEL_HOLD: { state: 'held' },
  RUNNING: { state: 'running' },
  SIGNALING: { state: 'running' },
  RESIZING: { state: 'running' },
  EXPEDITING: { state: 'running' },
  SUSPENDED: { state: 'suspended' },
  STOPPED: { state: 'suspended' },
  COMPLETING: { state: 'completing' },
  STAGE_OUT: { state: 'completing' },
  COMPLETED: { state: 'ended', cause: 'completed' },
  FAILED: { state: 'ended', cause: 'failed' },
  CANCELLED: { state: 'ended', cause: 'cancelled' },
  TIMEOUT: { state: 'ended', cause: 'timeout' },
  DEADLINE: { state: 'ended', cause: 'timeout' },
  OUT_OF_MEMORY: { state: 'ended', cause: 'out-of-memory' },
  PREEMPTED: { state: 'ended', cause: 'preempted' },
  NODE_FAIL: { state: 'ended', cause: 'node-failure' },
  BOOT_FAIL: { state: 'ended', cause: 'node-failure' },
  [revoked]: { state: 'unknown' },
};

/** Reasons with which a pending job does not start until someone acts (squeue's manual, JOB REASON CODES). */
const heldReason =
  /\bheld\b|^JobH[eo]ld|^(?:BadConstraints|DependencyNeverSatisfied|InvalidAccount|InvalidQOS)$/i;

/**
 * Reasons for which a job never starts in its partition: what it asks for is not allowed there. Of a
 * job that may run in any of several, the reason is that of one of them.
 */
const refusedReason =
  /^(?:Partition(?:Config|NodeLimit|TimeLimit)|(?:Account|QOS)NotAllowed|MaxMemPerLimit|QOSMin\w+|(?:Assoc|QOS)Max\w+Per(?:Job|Node)(?:Limit)?)$/;

/** The most common of the reasons in https://slurm.schedmd.com/job_reason_codes.html. */
const reasons: Readonly<Record<string, string>> = {
  AccountNotAllowed: 'the partition is closed to its account',
  AssocGrpCpuLimit: 'the jobs of its account use all the CPUs that they may',
  AssocGrpGRES: 'the jobs of its account use all the generic resources that they may',
  AssocGrpJobsLimit: 'as many jobs of its account run as may',
  AssocGrpMemLimit: 'the jobs of its account use all the memory that they may',
  AssocMaxJobsLimit: 'as many jobs of its owner run as may',
  BadConstraints: 'no node can ever have all that it asks for',
  BeginTime: 'its earliest start is still to come',
  Dependency: 'another job has to end first',
  DependencyNeverSatisfied: 'the job that it depends on has ended in another way',
  FedJobLock: 'the clusters of the federation are about to agree on who starts it',
  InvalidAccount: 'its account is not valid',
  InvalidQOS: 'its quality of service is not valid',
  JobHeldAdmin: 'an administrator holds it',
  JobHeldUser: 'its owner holds it',
  JobHoldMaxRequeue: 'it was put back into the queue too often',
  Licenses: 'all licences are in use',
  MaxMemPerLimit: 'it asks for more memory than is allowed',
  NodeDown: 'a node that it needs is down',
  PartitionConfig: 'the partition does not allow what it asks for',
  PartitionDown: 'the partition is down',
  PartitionInactive: 'the partition starts no jobs now',
  PartitionNodeLimit: 'the partition does not have, or does not allow, as many nodes',
  PartitionTimeLimit: 'it asks for more time than the partition allows',
  Priority: 'other jobs come first',
  QOSGrpCpuLimit: 'the jobs of its quality of service use all the CPUs that they may',
  QOSGrpGRES: 'the jobs of its quality of service use all the generic resources that they may',
  QOSMaxCpuPerUserLimit: 'the jobs of its owner would use more CPUs than they may',
  QOSMaxGRESPerUser: 'the jobs of its owner would use more generic resources than they may',
  QOSMaxJobsPerUserLimit: 'as many jobs of its owner run as may',
  QOSMaxMemoryPerUser: 'the jobs of its owner would use more memory than they may',
  QOSMaxWallDurationPerJobLimit: 'it asks for more time than its quality of service allows',
  QOSNotAllowed: 'its quality of service is not allowed to its account or in the partition',
  ReqNodeNotAvail: 'a node that it needs is not available',
  Reservation: 'its reservation has not begun',
  ReservationDeleted: 'its reservation was deleted',
  Resources: 'it waits for free resources',
};

/** Runs single-user servers as jobs of Slurm 22.05 or later. */
export const slurm: Scheduler = {
  name: 'slurm',
  schema: 'slurm.json',
  manual: 'https://slurm.schedmd.com/man_index.html',
  script,
  jobEnvironment: 'private',
  jobNameLength: 90,
  requestNames: ['cluster', 'federation', 'qos', 'srun', 'reservation', 'gres'],
  wordLists: ['srun'],
  directive: /^#SBATCH\b/,
  directiveWord: sbatchWord,
  requeue: /^#SBATCH[ \t](?:.*[ \t])?--(?:no-)?requeue\b/m,
  environment: ['SLURM_CONF'],
  // sbatch --export takes the last three, in small letters too, for no names.
  ownVariables: /^(?:(?:SBATCH|SLURM|SQUEUE|SACCT|SCANCEL|SRUN|SCONTROL)_|(?:ALL|NONE|NIL)$)/i,
  commands: {
    submit: [
      'sbatch',
      '--parsable',
      '{{#once}}--no-requeue{{/once}}',
      '--job-name={{jobName}}',
      '--comment={{tag}}',
      '--export={{exportNames}}',
      cluster,
    ],
    // Of the federated views only that with siblings has the row of the job that runs: the others
    // take the first row that has its id, which may be the revoked one.
    query: [
      'squeue',
      ...everyJob,
      wide('--sibling'),
      '-o',
      `${RS}${queryFields.join(US)}${US}`,
      cluster,
    ],
    find: ['squeue', ...everyJob, local, '-o', findFormat, cluster],
    cancel: ['scancel', cluster, '{{jobId}}'],
    kill: ['scancel', '--signal=KILL', '--full', cluster, '{{jobId}}'],
  },
  patterns: {
    jobId:
      /^(?:(?:sbatch: )?Submitted batch job )?(?<id>\d+)(?:(?:;| on cluster )(?<cluster>\S+))?$/u,
    outage: /\b(?:error|fatal):/mu,
    notFound: /Invalid job id specified|already completing or completed/mu,
    transient:
      /Unable to contact slurm controller|Socket timed out|temporarily unable to accept job|Zero Bytes were transmitted|Protocol authentication error/mu,
    denied:
      /Batch job submission failed: (?:Invalid (?:partition name|account or account\/partition combination|qos) specif\w+|Requested node configuration is not available)$|error: Invalid --time specification$/u,
  },
  states,
  reasons,
  parseQuery,
  parseFind,
  accounting: [
    // First, while it still knows the job: sacct takes 128 off the exit codes above that (143 is
    // `15:0` there), and has the end of a job only some seconds later.
    {
      command: ['scontrol', cluster, local, '-o', 'show', 'job', '{{jobId}}'],
      parse: parseScontrol,
    },
    {
      command: [
        'sacct',
        wide('--federation'),
        '-n',
        '-P',
        '-X',
        '-D',
        '-j',
        '{{jobId}}',
        '-o',
        'JobIDRaw,State,ExitCode,Reason,Submit,Start,End,NodeList,JobName',
        cluster,
      ],
      absent: /accounting storage is disabled/i,
      parse: parseSacct,
    },
  ],
};

/** Runs the server as a job of Slurm. Options: `schemas/slurm.json`. */
export class SlurmSpawner extends BatchSpawner<SlurmOptions> {
  static override readonly scheduler: Scheduler = slurm;
}

function parseQuery(stdout: string, table: StateTable): QueryAnswer {
  const { records, complete } = recordsIn(stdout, queryFields.length);
  const jobs = records.map(
    ([id = '', word = '', batchHost = '', nodes = '', why = '', submit, start, end]) => {
      const [reason = '', partitions] = why.split(GS);
      const native = meaning(word, reason, table, partitions);
      return statusOf(id, word, native, {
        reason,
        hosts: hostsOf(batchHost, nodes),
        exit: exitOf(native, '', reason),
        submittedAt: dateOf(submit),
        [waits(native) ? 'estimatedStart' : 'startedAt']: dateOf(start),
        endsAt: waits(native) ? undefined : dateOf(end),
      });
    },
  );
  // In a federation a job has a row in each cluster: a revoked one decides only where it is alone.
  return { jobs: decisiveRows(jobs, ({ nativeState }) => nativeState === revoked), complete };
}

/** Without a boundary it is a site's own list of one account: id, comment and name of each job. */
function parseFind(stdout: string, boundary = ''): MarkedJobs {
  const { records, complete } = recordsIn(
    stdout,
    boundary === '' ? 3 : findFields.length,
    boundary,
  );
  const jobs = records.map((fields) => {
    const [id = '', tag = '', jobName = '', nativeState = '', owner = ''] = fields;
    return boundary === ''
      ? { id, tag, jobName }
      : { id, tag, jobName, nativeState, ...(owner !== nameless && { owner }) };
  });
  return { jobs, complete };
}

/** Records of squeue; each ends with a separator, so that one which was cut is noticed. */
function recordsIn(
  stdout: string,
  width: number,
  boundary = '',
): { readonly records: readonly (readonly string[])[]; readonly complete: boolean } {
  const [before = '', ...parts] = stdout.split(`${RS}${boundary}`);
  const records: string[][] = [];
  let complete = /^(?:CLUSTER: \S+\s*|\s*)$/.test(before);
  for (const part of parts) {
    const fields = part.split(`${US}${boundary}`);
    const rest = fields[width];
    if (
      fields.length !== width + 1 ||
      !/^\d+$/.test(fields[0] ?? '') ||
      !/^\n\s*(?:CLUSTER: \S+\s*)?$/.test(rest ?? '')
    ) {
      complete = false;
    } else {
      records.push(fields);
    }
  }
  if (!complete && records.length === 0) {
    throw new ParseError('This is not what squeue prints.', stdout);
  }
  return { records, complete };
}

/** `None` is no reason. */
function statusOf(
  id: string,
  nativeState: string,
  { state }: NativeState,
  known: JobKnowledge,
): JobStatus {
  const reason = known.reason === 'None' ? '' : known.reason;
  return jobStatus({ id, state, nativeState }, { ...known, reason });
}

/** `CANCELLED by 1001` and `RUNNING+` are the words in front; reasons tell held from waiting. */
function meaning(word: string, reason: string, table: StateTable, partitions = ''): NativeState {
  const native = table[/^[A-Z_]*/.exec(word)?.[0] ?? ''] ?? { state: 'unknown' };
  const isRefused = refusedReason.test(reason) && !partitions.includes(',');
  const isHeld = isRefused || heldReason.test(reason);
  return native.state === 'pending' && isHeld ? { state: 'held' } : native;
}

/** A time of squeue with TZ=UTC; undefined for `N/A`, `Unknown`, `NONE` and the like. */
function dateOf(text: string | undefined): Date | undefined {
  if (text === undefined || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(text)) {
    return undefined;
  }
  const date = new Date(`${text}Z`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function hostsOf(batchHost: string, nodes: string): readonly string[] {
  const all = expandHostlist(nodes);
  return /^(?:n\/a|\(null\))?$/.test(batchHost) ? all : [...new Set([batchHost, ...all])];
}

/**
 * The latest run of our job; a row with another name is a job that had the id before. In a
 * federation the revoked row of a sibling may be younger than that of the cluster that runs the job.
 */
function parseSacct(
  stdout: string,
  job: { readonly id: string; readonly jobName: string },
  table: StateTable,
): JobStatus | undefined {
  if (stdout.trim() !== '' && !/^\d+\|.*\n$/s.test(stdout)) {
    throw new ParseError('This is not what sacct prints, or not all of it.', stdout);
  }
  const rows = stdout
    .split('\n')
    .map((line) => line.split('|'))
    .filter((fields) => fields.length === 9 && fields[0] === job.id && fields[8] === job.jobName)
    .sort(([, , , , a = ''], [, , , , b = '']) => a.localeCompare(b));
  const latest = rows.findLast(([, word]) => word !== revoked) ?? rows[0];
  if (latest === undefined) {
    return undefined;
  }
  const [id = '', word = '', exitCode = '', reason = '', submit, start, end, nodes = ''] = latest;
  refuseRevoked(word, stdout);
  const native = meaning(word, reason, table);
  return statusOf(id, word, native, {
    reason,
    hosts: expandHostlist(nodes),
    exit: exitOf(native, exitCode, reason),
    submittedAt: dateOf(submit),
    startedAt: dateOf(start),
    endsAt: dateOf(end),
  });
}

function parseScontrol(
  stdout: string,
  job: { readonly id: string; readonly jobName: string },
  table: StateTable,
): JobStatus | undefined {
  if (!/^JobId=\d.*\n$/s.test(stdout)) {
    throw new ParseError('This is not what scontrol prints, or not all of it.', stdout);
  }
  const record = stdout.split(/^(?=JobId=\d)/m).find((text) => text.startsWith(`JobId=${job.id} `));
  const field = (name: string) => new RegExp(`\\s${name}=(\\S*)`).exec(record ?? '')?.[1];
  const word = field('JobState');
  if (word === undefined || field('JobName') !== job.jobName) {
    return undefined;
  }
  refuseRevoked(word, stdout);
  const reason = field('Reason') ?? '';
  const native = meaning(word, reason.replaceAll('_', ' '), table, field('Partition'));
  return statusOf(job.id, word, native, {
    reason,
    hosts: hostsOf(field('BatchHost') ?? '', field('NodeList') ?? ''),
    exit: exitOf(native, field('ExitCode') ?? '', reason),
    submittedAt: dateOf(field('SubmitTime')),
    [waits(native) ? 'estimatedStart' : 'startedAt']: dateOf(field('StartTime')),
    endsAt: waits(native) ? undefined : dateOf(field('EndTime')),
  });
}

/** A time of its start is then one that is expected. */
function waits({ state }: NativeState): boolean {
  return state === 'pending' || state === 'held';
}

/** Neither an answer nor silence: only another cluster of the federation can say more. */
function refuseRevoked(word: string, stdout: string): void {
  if (word === revoked) {
    throw new ParseError('Another cluster of the federation has the job.', stdout);
  }
}

/** No signal: slurmd could not launch the job. */
const launchFailure = 53;
/** No signal: the job was killed because of its memory (`SIG_OOM` of slurm.h is 253, less 128). */
const outOfMemory = 125;

/** `ExitCode` is `code:signal`. */
function exitOf(native: NativeState, exitCode: string, reason: string): ExitStatus | undefined {
  if (native.state !== 'ended') {
    return undefined;
  }
  const [code, signal] = /^\d+:\d+$/.test(exitCode) ? exitCode.split(':').map(Number) : [];
  const detail = reason === 'None' ? '' : reason;
  const cause = native.cause ?? 'unknown';
  if (signal === launchFailure) {
    return exitOfJob({
      cause,
      detail: "the job's log file or working directory could not be opened",
    });
  }
  // Of a job whose node was lost, releases report this signal or that.
  if (signal === outOfMemory || cause === 'node-failure') {
    return exitOfJob({ cause, detail });
  }
  return signal === undefined || signal === 0
    ? exitOfJob({ cause, code, detail })
    : exitOfJob({ cause, signal, detail });
}
