import { existsSync, readFileSync } from 'node:fs';
import { constants, userInfo } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { RunOptions } from '../../../lib/runners/runner.ts';
import { directives, Exit, minutes, read } from './options.ts';
import { sacctLine, scontrolFields, squeueLine } from './output.ts';
import type { Slurmctld, SlurmJob } from './slurmctld.ts';
import { host } from './slurmctld.ts';

/** A cluster, as its programs see it. */
export interface Site {
  readonly slurmctld: Slurmctld;
  /** The home directory of every account. */
  readonly home: string;
  /** The first is the one that commands without `--clusters` talk to. */
  readonly clusters: readonly string[];
  /** Whether there is a slurmdbd, and whether it answers. */
  readonly accounting: 'on' | 'off' | 'down';
}

/**
 * What stands for a program: gives its standard output, or throws an `Exit`. Any other error says
 * that this fake lacks something.
 */
export type Program = (site: Site, args: readonly string[], options: RunOptions) => string;

type Env = Readonly<Record<string, string>>;

const sbatch: Program = (site, args, options) => {
  const { env = {}, cwd = '/', input: script = '', user = userInfo().username } = options;
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
  const id = site.slurmctld.nextId;
  const { 'job-name': name = 'sbatch', partition = 'batch' } = values;
  const directory = resolve(cwd, values.chdir ?? '');
  const letters: Env = { '%': '%', j: id, x: name, u: user };
  const fileOf = (pattern: string) =>
    resolve(
      directory,
      pattern.replace(/%([%jxu])/g, (_, letter: string) => letters[letter] ?? ''),
    );
  const output = fileOf(values.output ?? 'slurm-%j.out');
  site.slurmctld.submit({
    ...{ id, cluster, user, name, script, partition, directory, output },
    comment: values.comment ?? '',
    environment: {
      HOME: site.home,
      PATH: '/usr/local/bin:/usr/bin:/bin',
      SHELL: '/bin/bash',
      ...exported(values.export, env),
      LOGNAME: user,
      USER: user,
      SLURM_CLUSTER_NAME: cluster,
      SLURM_JOBID: id,
      SLURM_JOB_ID: id,
      SLURM_JOB_NAME: name,
      SLURM_JOB_NODELIST: host,
      SLURM_JOB_PARTITION: partition,
      SLURM_JOB_USER: user,
      SLURM_SUBMIT_DIR: cwd,
      SLURMD_NODENAME: host,
    },
    error: values.error === undefined ? output : fileOf(values.error),
    timeLimit: minutes(values.time ?? '60'),
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

const squeue: Program = (site, args, { env = {}, user = userInfo().username }) => {
  const { values } = read('squeue', args);
  const cluster = clusterOf('squeue', site, values.clusters, env);
  const known = jobsOf(site, cluster);
  const ids = values.jobs?.split(',');
  const malformed = ids?.find((id) => !/^\d+$/.test(id));
  if (malformed !== undefined) throw new Exit(1, `squeue: error: Invalid job id: ${malformed}`);
  // Of several ids those that are unknown are only left out.
  if (ids?.length === 1 && !known.some(({ id }) => ids.includes(id))) {
    throw new Exit(1, 'slurm_load_jobs error: Invalid job id specified');
  }
  const states = (values.states ?? env['SQUEUE_STATES'])?.toUpperCase().split(',');
  const users = values.me ? [user] : (values.user ?? env['SQUEUE_USERS'])?.split(',');
  const names = (values.name ?? env['SQUEUE_NAMES'])?.split(',');
  const isAsked = (job: SlurmJob) =>
    (ids?.includes(job.id) ?? true) &&
    (users?.includes(job.user) ?? true) &&
    (names?.includes(job.name) ?? true) &&
    (states?.some((state) => state === 'ALL' || state === job.state) ?? job.endedAt === undefined);
  const format = values.format ?? env['SQUEUE_FORMAT'] ?? '%.18i %.9P %.8j %.8u %.13T %.10l %.20r';
  const title = values.clusters === undefined ? '' : `CLUSTER: ${cluster}\n`;
  const titles = values.noheader ? '' : `${title}${squeueLine(format, undefined, env)}\n`;
  const rows = known.filter(isAsked).reverse();
  return titles + rows.map((job) => `${squeueLine(format, job, env)}\n`).join('');
};

const scancel: Program = (site, args, { env = {}, user }) => {
  const { values, positionals: ids } = read('scancel', args);
  const cluster = clusterOf('scancel', site, values.clusters, env);
  const malformed = ids.find((id) => !/^\d+$/.test(id));
  if (malformed !== undefined) throw new Exit(1, `scancel: error: Invalid job id ${malformed}`);
  if (ids.length === 0 && values.name === undefined && values.user === undefined) {
    throw new Exit(1, 'scancel: error: No job identification provided');
  }
  const isMeant = (job: SlurmJob) =>
    (ids.length === 0 || ids.includes(job.id)) &&
    (values.name === undefined || values.name === job.name) &&
    (values.user === undefined || values.user === job.user);
  for (const { id, user: owner } of jobsOf(site, cluster).filter(isMeant).filter(isActive)) {
    if (user !== undefined && user !== owner) {
      throw new Exit(
        210,
        `scancel: error: Kill job error on job id ${id}: Access/permission denied`,
      );
    }
    if (values.signal === undefined) {
      site.slurmctld.cancel(id);
      continue;
    }
    const signal = `SIG${values.signal.toUpperCase().replace(/^SIG/, '')}`;
    if (!isSignal(signal)) {
      throw new Exit(1, `scancel: error: Unknown job signal: ${values.signal}`);
    }
    if (values.full) site.slurmctld.signal(id, signal, 'group');
    else if (values.batch) site.slurmctld.signal(id, signal, 'script');
    // Of the others only steps that srun made are told, and there are none.
    else if (signal === 'SIGKILL') site.slurmctld.signal(id, signal, 'group');
  }
  return '';
};

const sacct: Program = (site, args, { env = {} }) => {
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
  const rows = site.slurmctld.jobs.filter(
    (job) => job.cluster === cluster && (ids?.includes(job.id) ?? true),
  );
  return titles + rows.map((job) => sacctLine(format, job, env)).join('');
};

const scontrol: Program = (site, args, { env = {} }) => {
  const { values, positionals } = read('scontrol', args);
  const cluster = clusterOf('scontrol', site, values.clusters, env);
  const [verb, what, id] = positionals;
  if (verb === 'ping') return `Slurmctld(primary) at ${host} is UP\n`;
  if (verb !== 'show' || !/^jobs?$/.test(what ?? '')) {
    throw new Error('FakeSlurm has of scontrol only ping and show job.');
  }
  const found = jobsOf(site, cluster).filter((job) => id === undefined || job.id === id);
  if (found.length === 0 && id !== undefined) {
    throw new Exit(1, 'slurm_load_jobs error: Invalid job id specified');
  }
  const between = values.oneliner ? ' ' : '\n   ';
  return found.map((job) => `${scontrolFields(job, env).join(between)} \n\n`).join('');
};

const getent: Program = ({ home }, [database, account]) => {
  if (database !== 'passwd' || account === undefined) {
    throw new Error('FakeSlurm has of getent only passwd ACCOUNT.');
  }
  return `${account}:x:1001:1001::${home}:/bin/bash\n`;
};

const tail: Program = (_, args) => {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { bytes: { type: 'string', short: 'c' } },
    allowPositionals: true,
  });
  const [file = ''] = positionals;
  if (!existsSync(file)) {
    throw new Exit(1, `tail: cannot open '${file}' for reading: No such file or directory`);
  }
  return readFileSync(file)
    .subarray(-Number(values.bytes ?? 1024))
    .toString();
};

/** By their names. */
export const programs: Readonly<Record<string, Program>> = {
  sbatch,
  squeue,
  scancel,
  sacct,
  scontrol,
  getent,
  tail,
};

function clusterOf(program: string, { clusters }: Site, named: string | undefined, env: Env) {
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

function jobsOf({ slurmctld }: Site, cluster: string): SlurmJob[] {
  return slurmctld.jobs.filter((job) => job.cluster === cluster && !job.forgotten);
}

function isActive({ endedAt }: SlurmJob): boolean {
  return endedAt === undefined;
}

function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(constants.signals, name);
}
