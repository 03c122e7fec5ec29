import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { isAbsolute } from 'node:path';
import type { CommandResult, RunOptions } from '../../../lib/runners/runner.ts';
import type { Dialect, Outage } from './cluster.ts';
import { host } from './cluster.ts';
import type { FakeJob, FakeState } from './jobs.ts';
import type { Program } from './programs.ts';
import { accountOf, Exit } from './programs.ts';

/** Options of qsub and of #$ lines, and how many words each takes. */
const words: Readonly<Record<string, number>> = {
  ...{ '-A': 1, '-N': 1, '-P': 1, '-S': 1, '-ac': 1, '-h': 0, '-j': 1, '-l': 1, '-notify': 0 },
  ...{ '-o': 1, '-pe': 2, '-q': 1, '-r': 1, '-terse': 0, '-wd': 1 },
};

/** Those that may be given more than once. */
const many: ReadonlySet<string> = new Set(['-l', '-ac']);

/** What one place asks for. Each value of an option is a line of words. */
function optionsIn(given: readonly string[], refuse: (option: string) => Exit) {
  const asked = new Map<string, readonly string[]>();
  const warnings: string[] = [];
  for (let at = 0; at < given.length; ) {
    const option = given[at] ?? '';
    const count = Object.hasOwn(words, option) ? words[option] : undefined;
    if (count === undefined || at + count >= given.length) throw refuse(option);
    if (asked.has(option) && !many.has(option)) {
      warnings.push(
        `warning: "${option}" option has already been set, overriding previous setting\n`,
      );
    }
    const before = many.has(option) ? (asked.get(option) ?? []) : [];
    asked.set(option, [...before, given.slice(at + 1, at + 1 + count).join(' ')]);
    at += 1 + count;
  }
  return { asked, warnings };
}

/** What a job is submitted with: the arguments count for more than the lines of the script. */
function requested(args: readonly string[], script: string) {
  const lines = script.split('\n').filter((line) => line.startsWith('#$'));
  const embedded = lines.flatMap((line) => line.slice(2).match(/[^\s#]\S*/g) ?? []);
  const inScript = optionsIn(embedded, (option) => {
    const problem = `invalid option argument "${option}"`;
    return new Exit(2, `Unable to read script file because of error: ${problem}`);
  });
  const { asked } = optionsIn(args, (option) => new Exit(1, `qsub: Unknown option ${option}`));
  const all = (option: string) => asked.get(option) ?? inScript.asked.get(option) ?? [];
  const resources = [...(inScript.asked.get('-l') ?? []), ...(asked.get('-l') ?? [])];
  return {
    all,
    one: (option: string) => all(option).at(-1),
    resources: new Map(
      resources
        .flatMap((list) => list.split(','))
        .map((pair): [string, string] => [pair.replace(/=.*/, ''), pair.replace(/^[^=]*=?/, '')]),
    ),
    warnings: inScript.warnings.join(''),
  };
}

function reject(reason: string): Exit {
  return new Exit(1, `Unable to run job: ${reason}\nExiting.`);
}

const qsub: Program = (cluster, args, options) => {
  const { input: script = '', cwd = '/' } = options;
  const { all, one, resources, warnings } = requested(args, script);
  const name = one('-N') ?? 'STDIN';
  const [queue = 'all.q', pe] = [one('-q'), one('-pe')];
  if (/[\s/:@*\\?]/.test(name) || /^\d/.test(name)) {
    throw reject(`denied: "${name}" is not a valid object name`);
  }
  if (queue !== 'all.q') {
    throw reject(`Job was rejected because job requests unknown queue "${queue}"`);
  }
  if (pe !== undefined && !/^smp [1-9]\d*$/.test(pe)) {
    const [unknown = ''] = pe.split(' ');
    throw reject(`job rejected: the requested parallel environment "${unknown}" does not exist`);
  }
  for (const [resource, value] of resources) {
    const kinds: Readonly<Record<string, RegExp>> = { h_rt: /^\d+$/, h_vmem: /^[\d.]+[KMGT]?$/i };
    if (kinds[resource] === undefined) throw reject(`unknown resource "${resource}"`);
    if (!kinds[resource].test(value)) {
      throw reject(
        `attribute "${resource}" is not a ${resource === 'h_rt' ? 'time' : 'memory'} value`,
      );
    }
  }
  const [, output = ''] = /^:(.*)$/.exec(one('-o') ?? '') ?? [];
  if (
    !isAbsolute(output) ||
    one('-S') !== '/bin/bash' ||
    one('-j') !== 'y' ||
    !all('-terse').length
  ) {
    throw new Error('A fake Grid Engine has jobs of bash with one log, and says their ids alone.');
  }
  const id = cluster.nextId;
  const directory = one('-wd') ?? cwd;
  cluster.submit({
    ...{ name, script, directory, output, queue },
    user: accountOf(options),
    comment: all('-ac').join(','),
    walltime: Number(resources.get('h_rt') ?? 3600),
    hold: one('-h') !== undefined || !existsSync(directory),
    environment: {
      ENVIRONMENT: 'BATCH',
      HOSTNAME: host,
      JOB_ID: id,
      JOB_NAME: name,
      NSLOTS: pe?.split(' ')[1] ?? '1',
      QUEUE: queue,
      SGE_CELL: 'default',
      SGE_CWD_PATH: directory,
      SGE_O_HOME: cluster.home,
      SGE_O_WORKDIR: cwd,
    },
  });
  return `${warnings}${id}\n`;
};

const letters: Readonly<Record<FakeState, string>> = {
  queued: 'qw',
  held: 'hqw',
  running: 'r',
  suspended: 's',
  exiting: 'dr',
  ended: '',
};

/** A job that could not be started stays. */
function isListed({ state, launchFailed }: FakeJob): boolean {
  return state !== 'ended' || launchFailed;
}

function stateOf({ state, native, requeues, directory, launchFailed }: FakeJob): string {
  const failed = launchFailed || (state === 'held' && !existsSync(directory));
  const letter = failed ? 'Eqw' : letters[state];
  const again = state === 'queued' ? 'Rq' : state === 'ended' ? letter : `R${letter}`;
  return native ?? (requeues === 0 || failed ? letter : again);
}

/** In the zone of the TZ of the client. */
function local(date: Date | undefined, env: RunOptions['env']): string {
  if (date === undefined) return '';
  const offset = env?.['TZ'] === 'UTC' ? 0 : date.getTimezoneOffset();
  return new Date(date.getTime() - 60_000 * offset).toISOString().slice(0, 19);
}

/** As ctime(3) writes it. */
function ctime(date: Date | undefined, env: RunOptions['env']): string {
  if (date === undefined) return '-/-';
  const [weekday, day, month, year, clock] = new Date(`${local(date, env)}Z`)
    .toUTCString()
    .replace(',', '')
    .split(' ');
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${clock} ${year}`;
}

/** What qstat makes of a name, its mistake with `<` among it. */
function escaped(name: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '%lt;', '>': '&gt;' };
  return name.replace(/[&<>]/g, (sign) => entities[sign] ?? sign);
}

function rowOf(job: FakeJob, { env }: RunOptions): string {
  const runs = /running|suspended|exiting/.test(job.state);
  const time = runs ? 'JAT_start_time' : 'JB_submission_time';
  return `    <job_list state="${runs ? 'running' : 'pending'}">
      <JB_job_number>${job.id}</JB_job_number>
      <JAT_prio>0.50000</JAT_prio>
      <JB_name>${escaped(job.name)}</JB_name>
      <JB_owner>${job.user}</JB_owner>
      <state>${stateOf(job)}</state>
      <${time}>${local(runs ? job.startedAt : job.submittedAt, env)}</${time}>
      <queue_name>${runs ? `${job.queue}@${host}` : ''}</queue_name>
      <slots>1</slots>
    </job_list>
`;
}

const qstat: Program = (cluster, args, options) => {
  const [format, ...rest] = args;
  if (format === '-j') return explained(cluster, rest, options);
  const [u, user, s, ofStates] = rest;
  if (format !== '-xml' || u !== '-u' || s !== '-s' || ofStates !== 'prs' || rest.length !== 4) {
    throw new Error(`A fake Grid Engine has no qstat ${args.join(' ')}.`);
  }
  const listed = cluster.known.filter(
    (job) => isListed(job) && [job.user, '*'].includes(user ?? ''),
  );
  const rows = (wanted: boolean) =>
    listed
      .filter(({ state }) => /running|suspended|exiting/.test(state) === wanted)
      .map((job) => rowOf(job, options))
      .join('');
  return `<?xml version='1.0'?>
<job_info  xmlns:xsd="http://arc.liv.ac.uk/repos/darcs/sge/source/dist/util/resources/schemas/qstat/qstat.xsd">
  <queue_info>
${rows(true)}  </queue_info>
  <job_info>
${rows(false)}  </job_info>
</job_info>
`;
};

const explained: Program = ({ known }, [id = ''], { env }) => {
  const job = known.find((one) => one.id === id && isListed(one));
  if (job === undefined) throw new Exit(1, `Following jobs do not exist: \n${id}`);
  const { name, user, directory, output, state, reason } = job;
  const opened = job.launchFailed ? `open output file "${output}"` : `chdir to ${directory}`;
  const why =
    state === 'held' ? 'Job is in hold state' : reason || 'There are no messages available';
  const fields: Readonly<Record<string, string>> = {
    'job_number:': id,
    'submission_time:': ctime(job.submittedAt, env),
    'owner:': user,
    'account:': 'sge',
    'cwd:': directory,
    'job_name:': name,
    'stdout_path_list:': `NONE:NONE:${output}`,
    'env_list:': 'TERM=NONE',
    'script_file:': 'STDIN',
    'context:': job.comment,
    ...(stateOf(job).startsWith('E') && {
      'error reason          1:': `  03/02/2026 06:31:02 [1001:20876]: error: can't ${opened}: No such file or directory`,
    }),
    'scheduling info:': why,
  };
  const lines = Object.entries(fields).map(([field, value]) => `${field.padEnd(28)}${value}\n`);
  return `${'='.repeat(62)}\n${lines.join('')}`;
};

const qdel: Program = (cluster, args, options) => {
  const [id = '', ...more] = args;
  if (!/^\d+$/.test(id) || more.length > 0) {
    throw new Error(`A fake Grid Engine has no qdel ${args.join(' ')}.`);
  }
  const job = cluster.known.find((one) => one.id === id && isListed(one));
  const user = accountOf(options);
  if (job === undefined) throw new Exit(1, '', `denied: job "${id}" does not exist\n`);
  if (job.user !== user) {
    const refusal = `${user} - you do not have the necessary privileges to delete the job "${id}"\n`;
    throw new Exit(1, '', refusal);
  }
  if (job.state === 'exiting') return `job ${id} is already in deletion\n`;
  if (job.startedAt === undefined || job.launchFailed) {
    if (job.launchFailed) cluster.forget(id);
    else cluster.cancel(id);
    return `${user} has deleted job ${id}\n`;
  }
  cluster.setState(id, 'exiting');
  const warned = requested([], job.script).all('-notify').length > 0;
  cluster.signal(id, warned ? 'SIGUSR2' : 'SIGKILL', 'group');
  return `${user} has registered the job ${id} for deletion\n`;
};

/** `failed`, the exit status, and what the job was submitted with. */
function endOf({ cause, exitCode, signal, walltime }: FakeJob): readonly [string, string, string] {
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
  const killed = `${128 + signal}                  (${name})`;
  const limit = '37  : qmaster enforced h_rt, h_cpu, or h_vmem limit';
  if (cause === 'timeout') return [limit, killed, `-l h_rt=${walltime}`];
  if (cause === 'out-of-memory') return [limit, killed, '-l h_vmem=1M'];
  if (signal > 0) return ['100 : assumedly after job', killed, 'NONE'];
  return ['0', String(exitCode), 'NONE'];
}

const qacct: Program = (cluster, args, { env }) => {
  const [option, id, ...more] = args;
  if (option !== '-j' || more.length > 0) {
    throw new Error(`A fake Grid Engine has no qacct ${args.join(' ')}.`);
  }
  // Who is deleted before it runs leaves no record.
  const job = cluster.jobs.find((one) => one.id === id && one.state === 'ended' && one.startedAt);
  if (job === undefined) throw new Exit(1, `error: job id ${id} not found`);
  const [failed, status, category] = job.launchFailed
    ? ['26  : opening input/output file', '0', 'NONE']
    : endOf(job);
  const fields: Readonly<Record<string, string>> = {
    qname: job.queue,
    hostname: host,
    owner: job.user,
    jobname: job.name,
    jobnumber: job.id,
    taskid: 'undefined',
    qsub_time: ctime(job.submittedAt, env),
    start_time: ctime(job.startedAt, env),
    end_time: ctime(job.endedAt, env),
    slots: '1',
    failed,
    exit_status: status,
    ru_wallclock: `${job.walltime}s`,
    maxvmem: '4.605MB',
    category,
  };
  const lines = Object.entries(fields).map(
    ([field, value]) => `${field.padEnd(12)} ${value.padEnd(20)}\n`,
  );
  return `${'='.repeat(62)}\n${lines.join('')}`;
};

const commlib = 'error: commlib error: got select error (Connection refused)';
const noMessage = `unable to send message to qmaster using port 6444 on host "${host}": got send error`;

/** What the clients say while the qmaster is away; where it hangs, they do as well. */
function outage(program: string, how: Outage): Partial<CommandResult> | undefined {
  if (!['qsub', 'qstat', 'qdel'].includes(program)) return undefined;
  if (how === 'hung') return { exitCode: null, signal: 'SIGTERM', timedOut: true };
  const said: Readonly<Record<string, string>> = {
    qsub: `Unable to run job: ${noMessage}\nExiting.`,
    qstat: `error: ${noMessage}`,
  };
  return program === 'qdel'
    ? { exitCode: 1, stdout: `${noMessage}\n`, stderr: `${commlib}\n` }
    : { exitCode: 1, stderr: `${commlib}\n${said[program]}\n` };
}

/** The tools of Grid Engine 8.1.9. Accounting answers while the qmaster is away. */
export const gridEngineDialect: Dialect = {
  programs: { qsub, qstat, qdel, qacct },
  outage,
  // A client that does not reach the qmaster has asked for nothing.
  delayed: [],
  idOf: (seq) => String(seq - 1000),
};
