import { resolve } from 'node:path';
import type { CommandResult } from '../../../lib/runners/runner.ts';
import type { Dialect, FakeCluster, Outage } from './cluster.ts';
import { host } from './cluster.ts';
import type { FakeJob } from './jobs.ts';
import type { Program } from './programs.ts';
import { accountOf, Exit } from './programs.ts';

const option = /^--(name|resource|directory|stdout|stderr|queue|project|property|type)=(.*)$/s;

/** What oarsub takes for the name of a file. */
const fileName = /^[a-zA-Z0-9_./\-% \\]+$/;

const oarsub: Program = (oar, args, options) => {
  const given = args.slice(0, -1).map((word) => {
    const [, name = '', value = ''] = option.exec(word) ?? [];
    if (name === '') throw new Exit(1, `Unknown option: ${word}`);
    return [name, value] as const;
  });
  const values: Readonly<Record<string, string>> = Object.fromEntries(given);
  const command = args.at(-1) ?? '';
  if (command === '' || option.test(command)) throw new Exit(5, 'Usage: oarsub [options]');
  const { stdout = '', stderr = '', resource = '', directory = '' } = values;
  if (![stdout, stderr].every((file) => fileName.test(file))) {
    throw new Exit(8, '/!\\ Invalid stdout file name (bad character)', 'OAR_JOB_ID=-12\n');
  }
  const [, hours = '1', minutes = '0', rest = '0'] =
    /,walltime=(\d+):(\d+):(\d+)$/.exec(resource) ?? [];
  if (!/^(?:\/\w+=\d+)+(?:,|$)/.test(resource)) {
    throw new Exit(255, `# Error: cannot recognize the resource description: ${resource}`);
  }
  const id = oar.nextId;
  const home = resolve(options.cwd ?? '/', directory);
  oar.submit({
    user: accountOf(options),
    name: values['name'] ?? '',
    queue: values['queue'] ?? 'default',
    // The login shell is given the command; nothing is passed on.
    script: `#!/bin/sh\n${command}\n`,
    directory: home,
    output: resolve(home, stdout),
    error: resolve(home, stderr),
    environment: { OAR_JOB_ID: id, OAR_JOB_NAME: values['name'] ?? '' },
    walltime: 3600 * Number(hours) + 60 * Number(minutes) + Number(rest),
  });
  return `[ADMISSION RULE] Modify resource description with type constraints\nOAR_JOB_ID=${id}\n`;
};

const words = {
  queued: 'Waiting',
  held: 'Hold',
  running: 'Running',
  suspended: 'Suspended',
  exiting: 'Finishing',
  ended: 'Error',
} as const;

const events: Readonly<Record<string, string>> = {
  cancelled: 'FRAG_JOB_REQUEST',
  timeout: 'WALLTIME',
  preempted: 'BESTEFFORT_KILL',
  'node-failure': 'PING_CHECKER_NODE_SUSPECTED',
};

const seconds = (date: Date | undefined) => Math.floor((date?.getTime() ?? 0) / 1000);

function recordOf(job: FakeJob, full: boolean): unknown {
  const { id, name, user, state, native, cause, startedAt, endedAt, exitCode, signal } = job;
  const event = events[cause ?? ''];
  return {
    Job_Id: full ? id : Number(id),
    name,
    owner: user,
    state: native ?? (endedAt && event === undefined ? 'Terminated' : words[state]),
    assigned_network_address: startedAt ? [host] : [],
    submissionTime: seconds(job.submittedAt),
    startTime: seconds(startedAt),
    message: `R=1,W=1:0:0,J=B,N=${name}${job.reason === '' ? '' : ` (${job.reason})`}`,
    command: job.script,
    ...(full && {
      stopTime: seconds(endedAt),
      exit_code: endedAt === undefined || event !== undefined ? null : exitCode * 256 + signal,
      events: event === undefined ? [] : [{ type: event, description: `[oar] job ${id}` }],
    }),
  };
}

/** As JSON of Perl 4 writes it. */
function json(jobs: readonly FakeJob[], full: boolean): string {
  const records = Object.fromEntries(jobs.map((job) => [job.id, recordOf(job, full)]));
  return jobs.length === 0 ? 'null\n' : `${JSON.stringify(records, null, 3)}\n`;
}

const oarstat: Program = (oar, args) => {
  const [j, f, one, id] = args;
  if (j === '-J' && args.length === 1) {
    return json(
      oar.known.filter(({ state }) => state !== 'ended'),
      false,
    );
  }
  if (j !== '-J' || f !== '-f' || one !== '-j') {
    throw new Error(`A fake OAR has no oarstat ${args.join(' ')}.`);
  }
  return json(
    oar.jobs.filter((job) => job.id === id),
    true,
  );
};

/** Those that were deleted, for each cluster. */
const deleted = new WeakMap<FakeCluster, Set<string>>();

const oardel: Program = (oar, args, { user }) => {
  const [first = '', second] = args;
  const id = second ?? first;
  const job = oar.jobs.find((one) => one.id === id);
  const isMine = job !== undefined && (user === undefined || user === job.user);
  if (second !== undefined) {
    if (first !== '--signal=KILL') throw new Error(`A fake OAR has no oardel ${first}.`);
    const says = `Signaling the job ${id} with KILL signal.\n`;
    if (!isMine) throw new Exit(1, `Cannot signal ${id} ; You are not the right user.`, says);
    if (job.state !== 'running') {
      throw new Exit(5, `Cannot signal ${id} ; This job is not running.`, says);
    }
    oar.signal(id, 'SIGKILL', 'script');
    return `${says}DONE.\n`;
  }
  const says = `Deleting the job = ${id} ...`;
  if (!isMine)
    throw new Exit(1, `Cannot frag ${id} ; You are not the right user.`, `${says}ERROR.`);
  const before = deleted.get(oar) ?? new Set();
  if (before.has(id)) {
    throw new Exit(6, `Cannot frag ${id} ; This job was already killed.`, `${says}ERROR.`);
  }
  deleted.set(oar, before.add(id));
  oar.kill(id);
  return `${says}REGISTERED.\nThe job(s) [ ${id} ] will be deleted in a near future.\n`;
};

/** oarstat tries once to reach the database, the others go on for long. */
function outage(program: string, how: Outage): Partial<CommandResult> {
  const stderr = 'DB connection error, exiting.\n';
  return program === 'oarstat' && how === 'dead'
    ? { exitCode: 255, stderr }
    : {
        exitCode: null,
        signal: 'SIGTERM',
        timedOut: true,
        stderr: '[OAR::IO] I will retry to connect to the database in 2 s\n',
      };
}

/** The tools of OAR 2.5. */
export const oarDialect: Dialect = {
  programs: { oarsub, oarstat, oardel },
  outage,
  delayed: ['oarsub', 'oardel'],
};
