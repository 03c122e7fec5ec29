import { isAbsolute } from 'node:path';
import { shellWord } from '../../../lib/quote.ts';
import type { CommandResult, RunOptions } from '../../../lib/runners/runner.ts';
import type { Dialect, FakeCluster, Outage } from './cluster.ts';
import { host } from './cluster.ts';
import type { FakeJob, FakeState } from './jobs.ts';
import type { Program } from './programs.ts';
import { accountOf, Exit } from './programs.ts';

/** The commands of a submit description that a job of ours may have, and what they may say. */
const commands: Readonly<Record<string, RegExp>> = {
  universe: /^vanilla$/,
  executable: /^\/bin\/sh$/,
  arguments: /^".*"$/,
  initialdir: /^\//,
  output: /^\//,
  error: /^\//,
  should_transfer_files: /^NO$/,
  getenv: /^false$/,
  notification: /^never$/,
  leave_in_queue: /^false$/,
  batch_name: /^\S+$/,
  '+spawnertag': /^"[^"\\]*"$/,
  '+spawnerruntime': /^\d+$/,
  job_max_vacate_time: /^\d+$/,
  periodic_remove: /./,
  request_memory: /^\d+(?:\.\d+)?(?:[kmgt]b?)?$/i,
  request_cpus: /^\d+$/,
  request_gpus: /^\d+$/,
  accounting_group: /^[\w.]+$/,
  requirements: /./,
  hold: /^(?:true|false)$/,
};

/** What a submit description says; its last line, and no other, is `queue 1`. */
function described(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  if (lines.pop() !== 'queue 1') throw new Exit(1, '\nERROR: no queue statement');
  const entries = lines.map((line) => {
    const [, name = '', value = ''] = /^(\S+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (!commands[name.toLowerCase()]?.test(value) || /\$\w*\(|\\$/.test(value)) {
      throw new Exit(1, `\nERROR: on Line 1 of submit file: ${line}`);
    }
    return [name.toLowerCase(), value] as const;
  });
  return new Map(entries);
}

/** The words of a value in the new syntax of arguments (condor_submit's manual). */
function wordsIn(quoted: string): readonly string[] {
  const text = quoted.slice(1, -1).replaceAll('""', '\0');
  if (text.includes('"')) throw new Exit(1, '\nERROR: Unexpected characters after double-quote.');
  return (text.match(/(?:[^\s']|'(?:[^']|'')*')+/g) ?? []).map((word) =>
    word
      .replace(/'((?:[^']|'')*)'/g, (_, inner: string) => inner.replaceAll("''", "'"))
      .replaceAll('\0', '"'),
  );
}

const condorSubmit: Program = (cluster, args, options) => {
  const [flag, file, ...more] = args;
  if (flag !== '-terse' || file !== '-' || more.length > 0) {
    throw new Exit(1, 'Usage: condor_submit [options] [<attrib>=<value>] [- | <submit-file>]');
  }
  const description = described(options.input ?? '');
  const of = (name: string) => description.get(name) ?? '';
  const [output, directory] = [of('output'), of('initialdir')];
  if (!isAbsolute(output) || output !== of('error')) throw new Error('A fake job has one log.');
  const words = [of('executable'), ...wordsIn(of('arguments'))];
  const { id } = cluster.submit({
    user: accountOf(options),
    name: of('batch_name'),
    comment: of('+spawnertag').slice(1, -1),
    // Its environment is nearly empty, and its first process the executable.
    script: `#!/bin/sh\nexec env -i _CONDOR_SLOT=slot1_1 ${words.map(shellWord).join(' ')}\n`,
    directory,
    output,
    hold: of('hold') === 'true',
    walltime: Number(of('+spawnerruntime') || 86_400),
  });
  return `${id} - ${id}\n`;
};

type Ad = Readonly<Record<string, unknown>>;

const codes: Readonly<Record<FakeState, number>> = {
  queued: 1,
  held: 5,
  running: 2,
  suspended: 7,
  exiting: 3,
  ended: 4,
};

function epoch(date: Date | undefined): number | undefined {
  return date && Math.floor(date.getTime() / 1000);
}

/** A job whose log can not be opened is held. */
function isListed({ state, launchFailed }: FakeJob): boolean {
  return state !== 'ended' || launchFailed;
}

function adOf(job: FakeJob): Ad {
  const [ClusterId, ProcId] = job.id.split('.').map(Number);
  const isHeld = job.state === 'held' || job.launchFailed;
  const runs = job.state === 'running' || job.state === 'suspended' || job.state === 'exiting';
  return {
    ClusterId,
    ProcId,
    Owner: job.user,
    JobBatchName: job.name,
    SpawnerTag: job.comment,
    SpawnerRuntime: job.walltime,
    QDate: epoch(job.submittedAt),
    JobStatus: job.launchFailed ? 5 : Number(job.native ?? codes[job.state]),
    JobCurrentStartDate: epoch(job.startedAt),
    RemoteHost: runs ? `slot1_1@${host}` : undefined,
    LastRejMatchReason: job.state === 'queued' ? job.reason || undefined : undefined,
    HoldReasonCode: isHeld ? (job.launchFailed ? 7 : 15) : undefined,
    HoldReason: isHeld ? job.reason || "submitted on hold at user's request" : undefined,
    ...(job.state === 'ended' ? endOf(job) : { ExitBySignal: false }),
  };
}

/** What history has beside that. */
function endOf({ cause, signal, exitCode, startedAt }: FakeJob): Ad {
  const removed = { JobStatus: 3, LastJobStatus: startedAt ? 2 : 1 };
  const policy = "The job attribute PeriodicRemove expression 'time() > 0' evaluated to TRUE";
  switch (cause) {
    case 'cancelled':
      return { ...removed, RemoveReason: 'via condor_rm (by user alice)' };
    case 'timeout':
      return { ...removed, RemoveReason: policy };
    case 'out-of-memory':
      return { JobStatus: 3, LastJobStatus: 5, RemoveReason: policy, LastHoldReasonCode: 34 };
    default:
      return signal > 0
        ? { ExitBySignal: true, ExitSignal: signal }
        : { ExitBySignal: false, ExitCode: exitCode };
  }
}

/** Those attributes that are asked for, in the order of their names. */
function printed(jobs: readonly FakeJob[], list: string): string {
  const names = list.split(',').sort();
  const ads = jobs.map((job) => {
    const ad = adOf(job);
    const asked = names.filter((name) => ad[name] !== undefined);
    return JSON.stringify(Object.fromEntries(asked.map((name) => [name, ad[name]])), null, 2);
  });
  return `[\n${ads.map((ad) => `${ad}\n`).join(',\n')}]\n`;
}

const condorQ: Program = (cluster, args) => {
  const [id] = args.filter((word) => /^\d+\.\d+$/.test(word));
  const [all, format, option, list = '', ...more] = args.filter((word) => word !== id);
  if (`${all} ${format} ${option}` !== '-allusers -json -attributes' || more.length > 0) {
    throw new Error('A fake condor_q lists all jobs or one, as JSON with attributes by name.');
  }
  const jobs = cluster.known.filter((job) => isListed(job) && (id ?? job.id) === job.id);
  return jobs.length === 0 ? '' : printed(jobs, list);
};

const condorHistory: Program = (cluster, args) => {
  const [id = '', match, count, format, option, list = '', ...more] = args;
  if (
    `${match} ${count} ${format} ${option}` !== '-match 1 -json -attributes' ||
    !/^\d+\.\d+$/.test(id) ||
    more.length > 0
  ) {
    throw new Error('A fake condor_history gives one job as JSON.');
  }
  const ended = cluster.jobs.filter((job) => job.id === id && job.state === 'ended');
  return printed(
    ended.filter(({ launchFailed, forgotten }) => !launchFailed || forgotten),
    list,
  );
};

function remove(cluster: FakeCluster, id: string, { user }: RunOptions): string {
  const job = cluster.known.find((one) => one.id === id && isListed(one));
  if (job === undefined) throw new Exit(1, `\nJob ${id} not found`);
  if (user !== undefined && user !== job.user) {
    throw new Exit(1, `\nPermission denied to remove job ${id}`);
  }
  if (job.state === 'exiting') throw new Exit(1, `\nJob ${id} already marked for removal`);
  if (job.launchFailed) cluster.forget(id);
  else cluster.cancel(id);
  return `Job ${id} marked for removal\n`;
}

const condorRm: Program = (cluster, args, options) => {
  const [operand = '', constraint, expression = '', ...more] = args;
  if (/^\d+\.\d+$/.test(operand) && args.length === 1) return remove(cluster, operand, options);
  const ours =
    /^strcat\(ClusterId, "\.", ProcId\) == "\d+\.0" && time\(\) - EnteredCurrentStatus > 25$/;
  if (
    `${operand} ${constraint}` !== '-forcex -constraint' ||
    more.length > 0 ||
    !ours.test(expression)
  ) {
    throw new Error('A fake condor_rm takes one id, or our constraint.');
  }
  // Jobs of tests do not take as long as that to end.
  throw new Exit(1, `\nCouldn't find/remove all jobs matching constraint (${expression})`);
};

const programs: Readonly<Record<string, Program>> = {
  condor_submit: condorSubmit,
  condor_q: condorQ,
  condor_history: condorHistory,
  condor_rm: condorRm,
};

/** History is a file, which needs no schedd. A submission to one that hangs has no end. */
function outage(
  program: string,
  how: Outage,
  args: readonly string[],
): Partial<CommandResult> | undefined {
  if (program === 'condor_submit') {
    return how === 'hung'
      ? { exitCode: null, signal: 'SIGKILL', timedOut: true }
      : { exitCode: 1, stderr: "\nERROR: Can't find address of local schedd\n" };
  }
  const said = `SECMAN:2007:${how === 'hung' ? 'Read failure during security negotiation' : 'Failed to end classad message'}.\n`;
  const from = `\n-- Failed to fetch ads from: <192.0.2.1:9618> : ${host}\n`;
  switch (program) {
    case 'condor_q':
      return { exitCode: 1, stderr: `${from}${said}` };
    case 'condor_rm':
      return { exitCode: 1, stderr: `${said}No result found for job ${args.at(-1)}\n` };
    default:
      return undefined;
  }
}

/** The tools of HTCondor 23.9. */
export const condorDialect: Dialect = {
  programs,
  outage,
  delayed: ['condor_submit'],
  idOf: (seq) => `${seq}.0`,
};
