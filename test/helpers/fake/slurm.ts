import { constants } from 'node:os';
import { resolve } from 'node:path';
import type { CommandResult } from '../../../lib/runners/runner.ts';
import type { Dialect, FakeCluster, Outage } from './cluster.ts';
import { host } from './cluster.ts';
import type { FakeJob } from './jobs.ts';
import type { Program } from './programs.ts';
import { accountOf, Exit } from './programs.ts';
import { directives, minutes, read } from './slurm-options.ts';
import { sacctLine, scontrolFields, squeueLine, wordOf } from './slurm-output.ts';

/** What a site has of Slurm. */
export interface SlurmSite {
  /** The first is the one that commands without `--clusters` talk to. */
  readonly clusters: readonly string[];
  /** Whether there is a slurmdbd, and whether it answers. */
  accounting: 'on' | 'off' | 'down';
}

type SlurmProgram = (...given: [...Parameters<Program>, site: SlurmSite]) => string;

type Env = Readonly<Record<string, string>>;

const sbatch: SlurmProgram = (slurm, args, options, site) => {
  const { env = {}, cwd = '/', input: script = '' } = options;
  const user = accountOf(options);
  if (script === '') throw new Exit(1, 'sbatch: error: Batch script is empty!');
  if (!script.startsWith('#!')) {
    throw new Exit(
      1,
      'sbatch: error: This does not look like a batch script.  The first\n' +
        'sbatch: error: line must start with #! followed by the path to an interpreter.\n' +
        'sbatch: error: For instance: #!/bin/sh',
    );
  }
  const values = { ...read('sbatch', directives(script)).values, ...read('sbatch', args).values };
  const cluster = clusterOf('sbatch', site, values.clusters, env);
  const id = slurm.nextId;
  const { 'job-name': name = 'sbatch', partition: queue = 'batch' } = values;
  const directory = resolve(cwd, values.chdir ?? '');
  const letters: Env = { '%': '%', j: id, x: name, u: user };
  const fileOf = (pattern: string) =>
    resolve(
      directory,
      pattern.replace(/%([%jxu])/g, (_, letter: string) => letters[letter] ?? ''),
    );
  const output = fileOf(values.output ?? 'slurm-%j.out');
  slurm.submit({
    ...{ id, cluster, user, name, script, queue, directory, output },
    comment: values.comment ?? '',
    environment: {
      ...exported(values.export, env),
      SLURM_CLUSTER_NAME: cluster,
      SLURM_JOBID: id,
      SLURM_JOB_ID: id,
      SLURM_JOB_NAME: name,
      SLURM_JOB_NODELIST: host,
      SLURM_JOB_PARTITION: queue,
      SLURM_JOB_USER: user,
      SLURM_SUBMIT_DIR: cwd,
      SLURMD_NODENAME: host,
    },
    error: values.error === undefined ? output : fileOf(values.error),
    walltime: 60 * minutes(values.time ?? '60'),
    hold: values.hold ?? false,
  });
  const isElsewhere = values.clusters !== undefined;
  if (values.parsable) return isElsewhere ? `${id};${cluster}\n` : `${id}\n`;
  return `Submitted batch job ${id}${isElsewhere ? ` on cluster ${cluster}` : ''}\n`;
};

/** The variables that sbatch passes on, from its option --export. */
function exported(list = 'ALL', env: Env): Env {
  const passed: Record<string, string> = {};
  for (const entry of list.split(',')) {
    const [name = '', ...value] = entry.split('=');
    const own = env[name];
    if (entry === 'ALL') Object.assign(passed, env);
    else if (value.length > 0) passed[name] = value.join('=');
    else if (own !== undefined) passed[name] = own;
  }
  return passed;
}

const squeue: SlurmProgram = (slurm, args, options, site) => {
  const { env = {} } = options;
  const { values } = read('squeue', args);
  const cluster = clusterOf('squeue', site, values.clusters, env);
  const known = isFederated(values) && values.sibling ? slurm.known : jobsOf(slurm, cluster);
  const ids = values.jobs?.split(',');
  const malformed = ids?.find((id) => !/^\d+$/.test(id));
  if (malformed !== undefined) throw new Exit(1, `squeue: error: Invalid job id: ${malformed}`);
  // Of several ids those that are unknown are only left out.
  if (ids?.length === 1 && !known.some(({ id }) => ids.includes(id))) {
    throw new Exit(1, 'slurm_load_jobs error: Invalid job id specified');
  }
  const states = (values.states ?? env['SQUEUE_STATES'])?.toUpperCase().split(',');
  const users = values.me ? [accountOf(options)] : (values.user ?? env['SQUEUE_USERS'])?.split(',');
  const names = (values.name ?? env['SQUEUE_NAMES'])?.split(',');
  const isAsked = (job: FakeJob) =>
    (ids?.includes(job.id) ?? true) &&
    (users?.includes(job.user) ?? true) &&
    (names?.includes(job.name) ?? true) &&
    (states?.some((state) => state === 'ALL' || state === wordOf(job)) ??
      job.endedAt === undefined);
  const format = values.format ?? env['SQUEUE_FORMAT'] ?? '%.18i %.9P %.8j %.8u %.13T %.10l %.20r';
  const title = values.clusters === undefined ? '' : `CLUSTER: ${cluster}\n`;
  const titles = values.noheader ? '' : `${title}${squeueLine(format, undefined, env)}\n`;
  const rows = known.filter(isAsked).reverse();
  return titles + rows.map((job) => `${squeueLine(format, job, env)}\n`).join('');
};

const scancel: SlurmProgram = (slurm, args, { env = {}, user }, site) => {
  const { values, positionals: ids } = read('scancel', args);
  const cluster = clusterOf('scancel', site, values.clusters, env);
  const malformed = ids.find((id) => !/^\d+$/.test(id));
  if (malformed !== undefined) throw new Exit(1, `scancel: error: Invalid job id ${malformed}`);
  if (ids.length === 0 && values.name === undefined && values.user === undefined) {
    throw new Exit(1, 'scancel: error: No job identification provided');
  }
  const isMeant = (job: FakeJob) =>
    (ids.length === 0 || ids.includes(job.id)) &&
    (values.name === undefined || values.name === job.name) &&
    (values.user === undefined || values.user === job.user);
  for (const { id, user: owner } of jobsOf(slurm, cluster).filter(isMeant).filter(isActive)) {
    if (user !== undefined && user !== owner) {
      throw new Exit(
        210,
        `scancel: error: Kill job error on job id ${id}: Access/permission denied`,
      );
    }
    if (values.signal === undefined) {
      slurm.cancel(id);
      continue;
    }
    const signal = `SIG${values.signal.toUpperCase().replace(/^SIG/, '')}`;
    if (!isSignal(signal)) {
      throw new Exit(1, `scancel: error: Unknown job signal: ${values.signal}`);
    }
    if (values.full) slurm.signal(id, signal, 'group');
    else if (values.batch) slurm.signal(id, signal, 'script');
    // Of the others only steps that srun made are told, and there are none.
    else if (signal === 'SIGKILL') slurm.signal(id, signal, 'group');
  }
  return '';
};

const sacct: SlurmProgram = (slurm, args, { env = {} }, site) => {
  if (site.accounting === 'off') throw new Exit(1, 'Slurm accounting storage is disabled');
  if (site.accounting === 'down') {
    throw new Exit(
      1,
      `sacct: error: _open_persist_conn: failed to open persistent connection to host:${host}:6819: Connection refused\n` +
        'sacct: error: Sending PersistInit msg: Connection refused\n' +
        'sacct: error: Problem talking to the database: Connection refused',
    );
  }
  const { values } = read('sacct', args);
  if (!values.parsable2 || !values.allocations) {
    throw new Error('FakeSlurm has sacct only with --parsable2 --allocations.');
  }
  const cluster = clusterOf('sacct', site, values.clusters, env);
  const ids = values.jobs?.split(',');
  const format = values.format ?? 'JobID,JobName,State,ExitCode';
  const titles = values.noheader ? '' : sacctLine(format, undefined, env);
  const rows = slurm.jobs.filter(
    (job) =>
      (job.cluster === cluster || (isFederated(values) && values.federation)) &&
      (ids?.includes(job.id) ?? true),
  );
  return titles + rows.map((job) => sacctLine(format, job, env)).join('');
};

const scontrol: SlurmProgram = (slurm, args, { env = {} }, site) => {
  const { values, positionals } = read('scontrol', args);
  const cluster = clusterOf('scontrol', site, values.clusters, env);
  const [verb, what, id] = positionals;
  if (verb === 'ping') return `Slurmctld(primary) at ${host} is UP\n`;
  if (verb !== 'show' || !/^jobs?$/.test(what ?? '')) {
    throw new Error('FakeSlurm has of scontrol only ping and show job.');
  }
  const found = jobsOf(slurm, cluster).filter((job) => id === undefined || job.id === id);
  if (found.length === 0 && id !== undefined) {
    throw new Exit(1, 'slurm_load_jobs error: Invalid job id specified');
  }
  const between = values.oneliner ? ' ' : '\n   ';
  return found.map((job) => `${scontrolFields(job, env).join(between)} \n\n`).join('');
};

const programs: Readonly<Record<string, SlurmProgram>> = {
  sbatch,
  squeue,
  scancel,
  sacct,
  scontrol,
};

function clusterOf(program: string, { clusters }: SlurmSite, named: string | undefined, env: Env) {
  const cluster = named ?? env['SLURM_CLUSTERS'] ?? clusters[0] ?? '';
  if (!clusters.includes(cluster)) {
    throw new Exit(
      1,
      `${program}: error: '${cluster}' can't be reached now, or it is an invalid entry for --cluster.  ` +
        `Use 'sacctmgr list clusters' to see available clusters.\n` +
        `${program}: fatal: Could not get cluster information`,
    );
  }
  return cluster;
}

function jobsOf({ known }: FakeCluster, cluster: string): readonly FakeJob[] {
  return known.filter((job) => job.cluster === cluster);
}

/** All clusters of a site are a federation, for commands that ask for it. */
function isFederated({ clusters, local }: { clusters?: string; local?: boolean }): boolean {
  return clusters === undefined && !local;
}

function isActive({ endedAt }: FakeJob): boolean {
  return endedAt === undefined;
}

function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(constants.signals, name);
}

const messages: Readonly<Record<Outage, string>> = {
  dead: 'Unable to contact slurm controller (connect failure)',
  hung: 'Socket timed out on send/recv operation',
};

const ping = `Slurmctld(primary) at ${host} is DOWN
*****************************************
** RESTORE SLURMCTLD DAEMON TO SERVICE **
*****************************************
`;

/** What the clients say while slurmctld is away, as 22.05.8 does. */
const outages: Readonly<
  Record<string, (how: Outage, args: readonly string[]) => Partial<CommandResult>>
> = {
  sbatch: (how) => ({
    exitCode: 1,
    stderr: `sbatch: error: Batch job submission failed: ${messages[how]}\n`,
  }),
  squeue: (how) => ({ exitCode: 1, stderr: `slurm_load_jobs error: ${messages[how]}\n` }),
  scontrol: (how, args) =>
    args.includes('ping')
      ? { exitCode: 1, stdout: ping }
      : { exitCode: 1, stderr: `slurm_load_jobs error: ${messages[how]}\n` },
  scancel: (how, args) => ({
    exitCode: how === 'dead' ? 8 : 140,
    stderr: read('scancel', args)
      .positionals.map((id) => `scancel: error: Kill job error on job id ${id}: ${messages[how]}\n`)
      .join(''),
  }),
};

/** The tools of Slurm 22.05. Accounting answers while slurmctld is away. */
export function slurmDialect(site: SlurmSite): Dialect {
  return {
    programs: Object.fromEntries(
      Object.entries(programs).map(([name, program]) => [
        name,
        (...given: Parameters<Program>) => program(...given, site),
      ]),
    ),
    outage: (program, how, args) => outages[program]?.(how, args),
    delayed: ['sbatch', 'scancel'],
  };
}
