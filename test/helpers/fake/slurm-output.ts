import { constants } from 'node:os';
import type { ExitCause } from '../../../lib/events.ts';
import type { RunOptions } from '../../../lib/runners/runner.ts';
import { host } from './cluster.ts';
import type { FakeJob, FakeState } from './jobs.ts';

interface Meaning {
  readonly state: FakeState;
  readonly cause?: ExitCause;
}

/** Of several with one meaning the first is printed, unless a test has set another. */
const words: Readonly<Record<string, Meaning>> = {
  PENDING: { state: 'queued' },
  RUNNING: { state: 'running' },
  SUSPENDED: { state: 'suspended' },
  COMPLETING: { state: 'exiting' },
  COMPLETED: { state: 'ended', cause: 'completed' },
  FAILED: { state: 'ended', cause: 'failed' },
  CANCELLED: { state: 'ended', cause: 'cancelled' },
  TIMEOUT: { state: 'ended', cause: 'timeout' },
  DEADLINE: { state: 'ended', cause: 'timeout' },
  OUT_OF_MEMORY: { state: 'ended', cause: 'out-of-memory' },
  PREEMPTED: { state: 'ended', cause: 'preempted' },
  NODE_FAIL: { state: 'ended', cause: 'node-failure' },
  BOOT_FAIL: { state: 'ended', cause: 'node-failure' },
};

/** What a job is doing in a state of Slurm's own. */
export function meaningOf(word: string): Meaning {
  return words[word] ?? { state: 'running' };
}

/** The state in Slurm's own word, as in RUNNING. */
export function wordOf({ native, state, cause }: FakeJob): string {
  const [word = 'PENDING'] =
    Object.entries(words).find(([, one]) => one.state === state && one.cause === cause) ?? [];
  return native ?? word;
}

/** slurmd could not launch the job. */
const launchFailure = 53;

const signalNames = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
);

/** Code and signal; a job that was cancelled has none. */
function endOfScript({ cause, exitCode, signal, launchFailed }: FakeJob) {
  if (cause === 'cancelled') return { code: 0, signal: 0 };
  return { code: exitCode, signal: launchFailed ? launchFailure : signal };
}

function reasonOf(job: FakeJob): string {
  const { code, signal } = endOfScript(job);
  if (job.reason !== '') return job.reason;
  if (job.state === 'held') return 'JobHeldUser';
  if (job.cause !== 'failed') return 'None';
  if (signal > 0) return `RaisedSignal:${signal}(${signalNames.get(signal) ?? 'Real-time signal'})`;
  return code > 0 ? 'NonZeroExitCode' : 'None';
}

function exitCodeOf(job: FakeJob): string {
  const { code, signal } = endOfScript(job);
  return `${code}:${signal}`;
}

/** As the clients print it: in the zone of their TZ, which they do not name. */
function time(date: Date | undefined, env: RunOptions['env'], none: string): string {
  if (date === undefined) return none;
  const offset = env?.['TZ'] === 'UTC' ? 0 : date.getTimezoneOffset();
  return new Date(date.getTime() - offset * 60_000).toISOString().slice(0, 19);
}

function clock(seconds: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  return `${Math.floor(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
}

function endOf({ endedAt, startedAt, walltime }: FakeJob): Date | undefined {
  return endedAt ?? (startedAt && new Date(startedAt.getTime() + walltime * 1000));
}

type Column = readonly [title: string, value: (job: FakeJob, env: RunOptions['env']) => string];

const columns: Readonly<Record<string, Column>> = {
  A: ['JOBID', ({ id }) => id],
  B: ['EXEC_HOST', ({ startedAt }) => (startedAt ? host : 'n/a')],
  N: ['NODELIST', ({ startedAt }) => (startedAt ? host : '')],
  P: ['PARTITION', ({ queue }) => queue],
  S: ['START_TIME', (job, env) => time(job.startedAt ?? job.estimatedStart, env, 'N/A')],
  T: ['STATE', wordOf],
  V: ['SUBMIT_TIME', ({ submittedAt }, env) => time(submittedAt, env, 'N/A')],
  e: ['END_TIME', (job, env) => time(endOf(job), env, 'N/A')],
  i: ['JOBID', ({ id }) => id],
  j: ['NAME', ({ name }) => name],
  k: ['COMMENT', ({ comment }) => comment || '(null)'],
  l: ['TIME_LIMIT', ({ walltime }) => clock(walltime)],
  r: ['REASON', reasonOf],
  u: ['USER', ({ user }) => user],
};

/** A line of squeue; without a job the line of titles. */
export function squeueLine(format: string, job: FakeJob | undefined, env: RunOptions['env']) {
  return format.replace(/%(\.?)(\d*)([A-Za-z])/g, (_, right: string, width: string, letter) => {
    const [title, value] = columns[letter] ?? [];
    if (title === undefined || value === undefined) {
      throw new Error(`FakeSlurm has no column %${letter} of squeue.`);
    }
    const shown = job === undefined ? title : value(job, env);
    if (width === '') return shown;
    const cut = shown.slice(0, Number(width));
    return right === '.' ? cut.padStart(Number(width)) : cut.padEnd(Number(width));
  });
}

const fields: Readonly<Record<string, Column[1]>> = {
  cluster: ({ cluster }) => cluster,
  comment: ({ comment }) => comment,
  derivedexitcode: () => '0:0',
  end: ({ endedAt }, env) => time(endedAt, env, 'Unknown'),
  exitcode: exitCodeOf,
  jobid: ({ id }) => id,
  jobidraw: ({ id }) => id,
  jobname: ({ name }) => name,
  nodelist: ({ startedAt }) => (startedAt ? host : 'None assigned'),
  reason: () => 'None',
  start: (job, env) => time(job.startedAt, env, job.endedAt === undefined ? 'Unknown' : 'None'),
  state: (job) => wordOf(job).replace(/^CANCELLED$/, 'CANCELLED by 0'),
  submit: ({ submittedAt }, env) => time(submittedAt, env, 'Unknown'),
  user: ({ user }) => user,
};

/** A line of sacct; without a job the line of titles. */
export function sacctLine(format: string, job: FakeJob | undefined, env: RunOptions['env']) {
  const shown = format.split(',').map((name) => {
    const value = fields[name.toLowerCase()];
    if (value === undefined) throw new Error(`FakeSlurm has no field ${name} of sacct.`);
    return job === undefined ? name : value(job, env);
  });
  return `${shown.join('|')}\n`;
}

/** What scontrol says of a job. */
export function scontrolFields(job: FakeJob, env: RunOptions['env']): readonly string[] {
  const { id, name, user, startedAt, queue } = job;
  return [
    `JobId=${id} JobName=${name}`,
    `UserId=${user}(1001) GroupId=${user}(1001) MCS_label=N/A`,
    'Priority=1 Nice=0 Account=(null) QOS=(null)',
    `JobState=${wordOf(job)} Reason=${reasonOf(job).replaceAll(' ', '_')} Dependency=(null)`,
    `Requeue=0 Restarts=${job.requeues} BatchFlag=1 Reboot=0 ExitCode=${exitCodeOf(job)}`,
    `TimeLimit=${clock(job.walltime)} TimeMin=N/A`,
    `SubmitTime=${time(job.submittedAt, env, 'Unknown')}`,
    `StartTime=${time(startedAt ?? job.estimatedStart, env, 'Unknown')}`,
    `EndTime=${time(endOf(job), env, 'Unknown')} Deadline=N/A`,
    `Partition=${queue} AllocNode:Sid=${host}:6732`,
    startedAt ? `NodeList=${host} BatchHost=${host}` : 'NodeList=(null)',
    'NumNodes=1 NumCPUs=1 NumTasks=1',
    ...(job.comment === '' ? [] : [`Comment=${job.comment} `]),
    `WorkDir=${job.directory}`,
    `StdErr=${job.error}`,
    'StdIn=/dev/null',
    `StdOut=${job.output}`,
  ];
}
