import type { Dialect, FakeCluster } from './cluster.ts';
import { host } from './cluster.ts';
import type { FakeJob, FakeState } from './jobs.ts';
import type { Program } from './programs.ts';
import { accountOf, Exit } from './programs.ts';
import { escaped, isSignal, qstat, statusOf, submitAs, torqueOutage } from './torque.ts';

const msub: Program = (...given) => `\n${submitAs('msub', ...given).id}\n`;

/** Moab takes a job for running until Torque has said that it is over. */
const words: Readonly<Record<FakeState, string>> = {
  queued: 'Idle',
  held: 'Idle',
  running: 'Running',
  suspended: 'Suspended',
  exiting: 'Running',
  ended: 'Completed',
};

function epoch(date: Date | undefined): number {
  return date === undefined ? 0 : Math.floor(date.getTime() / 1000);
}

function elementOf(job: FakeJob): string {
  const neverRan = job.state === 'ended' && job.startedAt === undefined;
  const waits = job.state === 'queued' || job.state === 'held';
  const attributes: Readonly<Record<string, string | number | undefined>> = {
    BlockReason: waits && job.reason !== '' ? `IdlePolicy:${job.reason}` : undefined,
    CompletionCode: neverRan ? 'CNCLD' : job.state === 'ended' ? statusOf(job) : undefined,
    EState: waits ? 'Idle' : 'Running',
    GJID: job.id,
    Hold: job.state === 'held' ? 'User' : undefined,
    JobID: job.id,
    JobName: job.name,
    QueueStatus: waits ? 'eligible' : 'active',
    ReqAWDuration: job.walltime,
    StartCount: job.startedAt && job.requeues + 1,
    StartTime: epoch(job.startedAt),
    State: job.native ?? (neverRan ? 'Removed' : words[job.state]),
    SubmissionTime: epoch(job.submittedAt),
    User: job.user,
  };
  const all = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}="${escaped(String(value))}"`);
  const nodes = waits || neverRan ? '' : ` AllocNodeList="${host}:1"`;
  return `<job ${all.join(' ')}><req${nodes} TCReqMin="1"/><tx/></job>`;
}

function documentOf(jobs: readonly FakeJob[]): string {
  return `<Data>\n${jobs.map((job) => `${elementOf(job)}\n`).join('')}</Data>\n`;
}

/** Without the jobs that have ended. */
const mdiag: Program = ({ known }, args) => {
  if (args.join(' ') !== '-j --format=xml') {
    throw new Error('A fake Moab has of mdiag only -j --format=xml.');
  }
  return documentOf(known.filter(({ state }) => state !== 'ended'));
};

const checkjob: Program = ({ known }, [format, id]) => {
  if (format !== '--format=xml') throw new Error('A fake Moab has only XML of checkjob.');
  const job = known.find((one) => one.id === id);
  if (job === undefined) throw new Exit(1, `ERROR:    cannot locate job '${id}'`);
  return documentOf([job]);
};

/** The job of an operand; Moab forgets which jobs have ended, as far as changing them goes. */
function active({ known }: FakeCluster, id: string | undefined, user: string): FakeJob {
  const job = known.find((one) => one.id === id && one.state !== 'ended');
  if (job === undefined) throw new Exit(1, `ERROR:  invalid job specified (${id})\n`);
  if (job.user !== user) throw new Exit(1, `ERROR:  user '${user}' is not authorized`);
  return job;
}

const mjobctl: Program = (cluster, args, options) => {
  const [action, ...words] = args;
  const { id } = active(cluster, words.at(-1), accountOf(options));
  if (action === '-c' && words.length === 1) {
    cluster.cancel(id);
    return `\njob '${id}' cancelled\n\n`;
  }
  const signal = `SIG${words[0]}`;
  if (action !== '-N' || words.length !== 2 || !isSignal(signal)) {
    throw new Error('A fake Moab has of mjobctl only -c and -N.');
  }
  cluster.signal(id, signal, 'group');
  return `\njob '${id}' signalled\n\n`;
};

const programs: Readonly<Record<string, Program>> = { msub, mdiag, checkjob, mjobctl, qstat };

const unreachable = `ERROR:    cannot send request to server node01:42559 (server may not be running)
ERROR:    cannot request service (status)
`;

/** The tools of Moab, above a Torque whose tools know its jobs by no id of Moab's. */
export const moabDialect: Dialect = {
  programs,
  outage(program, how) {
    if (!(program in programs)) return undefined;
    return program === 'qstat' || how === 'hung'
      ? torqueOutage(program, how)
      : { exitCode: 1, stderr: unreachable };
  },
  delayed: ['msub', 'mjobctl'],
  idOf: (seq) => `Moab.${seq}`,
};
