import type { RunOptions } from '../../../lib/runners/runner.ts';
import type { SlurmJob } from './slurmctld.ts';
import { host } from './slurmctld.ts';

/** As the clients print it: in the zone of their TZ, which they do not name. */
function time(date: Date | undefined, env: RunOptions['env'], none: string): string {
  if (date === undefined) return none;
  const offset = env?.['TZ'] === 'UTC' ? 0 : date.getTimezoneOffset();
  return new Date(date.getTime() - offset * 60_000).toISOString().slice(0, 19);
}

function clock(minutes: number): string {
  const seconds = Math.round(minutes * 60);
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  return `${Math.floor(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
}

function endOf({ endedAt, startedAt, timeLimit }: SlurmJob): Date | undefined {
  return endedAt ?? (startedAt && new Date(startedAt.getTime() + timeLimit * 60_000));
}

type Column = readonly [title: string, value: (job: SlurmJob, env: RunOptions['env']) => string];

const columns: Readonly<Record<string, Column>> = {
  A: ['JOBID', ({ id }) => id],
  B: ['EXEC_HOST', ({ startedAt }) => (startedAt ? host : 'n/a')],
  N: ['NODELIST', ({ startedAt }) => (startedAt ? host : '')],
  P: ['PARTITION', ({ partition }) => partition],
  S: ['START_TIME', (job, env) => time(job.startedAt ?? job.estimatedStart, env, 'N/A')],
  T: ['STATE', ({ state }) => state],
  V: ['SUBMIT_TIME', ({ submittedAt }, env) => time(submittedAt, env, 'N/A')],
  e: ['END_TIME', (job, env) => time(endOf(job), env, 'N/A')],
  i: ['JOBID', ({ id }) => id],
  j: ['NAME', ({ name }) => name],
  k: ['COMMENT', ({ comment }) => comment || '(null)'],
  l: ['TIME_LIMIT', ({ timeLimit }) => clock(timeLimit)],
  r: ['REASON', ({ reason }) => reason],
  u: ['USER', ({ user }) => user],
};

/** A line of squeue; without a job the line of titles. */
export function squeueLine(format: string, job: SlurmJob | undefined, env: RunOptions['env']) {
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
  exitcode: ({ exitCode, signal }) => `${exitCode}:${signal}`,
  jobid: ({ id }) => id,
  jobidraw: ({ id }) => id,
  jobname: ({ name }) => name,
  nodelist: ({ startedAt }) => (startedAt ? host : 'None assigned'),
  reason: () => 'None',
  start: (job, env) => time(job.startedAt, env, job.endedAt === undefined ? 'Unknown' : 'None'),
  state: ({ state }) => (state === 'CANCELLED' ? 'CANCELLED by 0' : state),
  submit: ({ submittedAt }, env) => time(submittedAt, env, 'Unknown'),
  user: ({ user }) => user,
};

/** A line of sacct; without a job the line of titles. */
export function sacctLine(format: string, job: SlurmJob | undefined, env: RunOptions['env']) {
  const shown = format.split(',').map((name) => {
    const value = fields[name.toLowerCase()];
    if (value === undefined) throw new Error(`FakeSlurm has no field ${name} of sacct.`);
    return job === undefined ? name : value(job, env);
  });
  return `${shown.join('|')}\n`;
}

/** What scontrol says of a job. */
export function scontrolFields(job: SlurmJob, env: RunOptions['env']): readonly string[] {
  const { id, name, user, state, reason, exitCode, signal, startedAt, partition } = job;
  return [
    `JobId=${id} JobName=${name}`,
    `UserId=${user}(1001) GroupId=${user}(1001) MCS_label=N/A`,
    'Priority=1 Nice=0 Account=(null) QOS=(null)',
    `JobState=${state} Reason=${reason.replaceAll(' ', '_')} Dependency=(null)`,
    `Requeue=0 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=${exitCode}:${signal}`,
    `TimeLimit=${clock(job.timeLimit)} TimeMin=N/A`,
    `SubmitTime=${time(job.submittedAt, env, 'Unknown')}`,
    `StartTime=${time(startedAt ?? job.estimatedStart, env, 'Unknown')}`,
    `EndTime=${time(endOf(job), env, 'Unknown')} Deadline=N/A`,
    `Partition=${partition} AllocNode:Sid=${host}:6732`,
    startedAt ? `NodeList=${host} BatchHost=${host}` : 'NodeList=(null)',
    'NumNodes=1 NumCPUs=1 NumTasks=1',
    ...(job.comment === '' ? [] : [`Comment=${job.comment} `]),
    `WorkDir=${job.directory}`,
    `StdErr=${job.error}`,
    'StdIn=/dev/null',
    `StdOut=${job.output}`,
  ];
}
