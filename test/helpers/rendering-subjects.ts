/** Every batch system, as its manual has it: what a request has to come out as. */
import { expect } from 'chai';
import fc from 'fast-check';
import { CondorSpawner } from '../../lib/batch/condor.ts';
import { FluxSpawner } from '../../lib/batch/flux.ts';
import { GenericBatchSpawner } from '../../lib/batch/generic.ts';
import { GridEngineSpawner } from '../../lib/batch/grid-engine.ts';
import { LsfSpawner } from '../../lib/batch/lsf.ts';
import { MoabSpawner } from '../../lib/batch/moab.ts';
import { MultiSlurmSpawner } from '../../lib/batch/multi-slurm.ts';
import { OarSpawner } from '../../lib/batch/oar.ts';
import { PbsSpawner } from '../../lib/batch/pbs.ts';
import type { PreparedJob } from '../../lib/batch/request.ts';
import { SlurmSpawner } from '../../lib/batch/slurm.ts';
import { TorqueSpawner } from '../../lib/batch/torque.ts';
import { oneLine, plainText } from './hostile.ts';
import type { Asked, Subject } from './rendering.ts';
import {
  condorArguments,
  fluxEnvironment,
  fluxOptionsIn,
  optionsOnEachLine,
  printed,
  qsubOptionsIn,
  submitDescriptionIn,
} from './rendering-readers.ts';
import { sbatchOptionsIn, wordsOf } from './sbatch-reader.ts';

const notEmpty = oneLine.filter((text) => text !== '');
/** What can't be quoted where nobody knows how. */
const special = /[\s"'\\#\p{Cc}]/gu;
const plain = plainText(special);
const hostName = plainText(/[\s"'\\#\p{Cc}/?@]/gu);

/** The words, if there is such a value. */
function given(value: unknown, words: (text: string) => readonly string[]): readonly string[] {
  return value === undefined ? [] : words(String(value));
}

/**
 * Two words. What begins with `-` must never be the second, since it can be taken for an option, nor
 * what would be several resources.
 */
function option(name: string, value: unknown, prefix = ''): readonly string[] {
  return given(value, (text) => {
    expect(`${prefix}${text}`).not.to.match(name === '-l' ? /^-|,/ : /^-/);
    return [name, `${prefix}${text}`];
  });
}

function assignment(name: string, value: unknown): readonly string[] {
  return given(value, (text) => [`${name}=${text}`]);
}

function optionsOf({ options }: Asked): readonly string[] {
  return wordsOf(String(options ?? ''));
}

/** @param unit of the system's own for MiB */
function memoryOf({ memory }: Asked, unit: string): string | undefined {
  return typeof memory === 'number' ? `${memory}${unit}` : memory;
}

/** Each slot has a part of what all of the job may use. */
function memoryOfSlot({ memory, cores = 1 }: Asked): string | undefined {
  return typeof memory === 'number' ? `${Math.ceil(memory / Number(cores))}M` : memory;
}

function byShell(options: (script: string) => readonly string[]) {
  return {
    read: ({ argv, input }: PreparedJob) => ({
      words: argv,
      directives: options(input),
      script: input,
    }),
    execution: () => ({ argv: ['bash', 'script'], env: { PATH: '/usr/bin:/bin' } }),
  };
}

const slurm: Subject = {
  spawner: SlurmSpawner,
  request: {
    ...{ partition: notEmpty, account: notEmpty, qos: notEmpty, reservation: notEmpty },
    ...{ gres: notEmpty, cluster: notEmpty, queue: notEmpty, host: notEmpty },
    memory: fc.constantFrom('4G', '512', '100mb'),
    options: fc.constantFrom(
      '--exclusive',
      '--constraint="a b" --nice=5 # more',
      "--mail-user='x'",
    ),
    srun: fc.array(notEmpty, { minLength: 1, maxLength: 3 }).map((words) => words.join(' ')),
  },
  notInHome: /(?!)/g,
  longestName: 90,
  variables: ['SLURM_JOB_ID', 'SBATCH_EXPORT', 'NONE', 'LD_PRELOAD'],
  aliased: /^(?:PATH|LC_ALL|TZ|S[A-Z]+_.*|LD_.*|all|none|nil)$/i,
  directive: /^#SBATCH/,
  wanted: (asked) => ({
    words: [
      ...['sbatch', '--parsable', `--job-name=${asked.jobName}`],
      ...[`--comment=${asked.tag}`, `--export=${asked.exported.join(',')}`],
      ...assignment('--clusters', asked['cluster']),
    ],
    directives: [
      ...['--no-requeue', `--output=${asked.log}`, `--chdir=${asked.home}`],
      ...assignment('--partition', asked['partition']),
      ...assignment('--time', asked['runtime']),
      ...assignment('--mem', memoryOf(asked, 'M')),
      ...assignment('--cpus-per-task', asked.cores),
      ...assignment('--gpus', asked.gpus || undefined),
      ...assignment('--gres', asked['gres']),
      ...assignment('--account', asked['account']),
      ...assignment('--qos', asked['qos']),
      ...assignment('--reservation', asked['reservation']),
      ...optionsOf(asked),
    ],
  }),
  ...byShell(sbatchOptionsIn),
  execution: ({ argv, env }) => {
    const [names = ''] = argv.flatMap((word) => /^--export=(.*)/.exec(word)?.slice(1) ?? []);
    const exported = names.split(',').map((name) => [name, env[name] ?? '']);
    return {
      argv: ['bash', 'script'],
      env: { PATH: '/usr/bin:/bin', ...Object.fromEntries(names === '' ? [] : exported) },
    };
  },
};

function torqueResources(asked: Asked): readonly string[] {
  const { cores, gpus, time } = asked;
  const nodes = `nodes=1${cores === undefined ? '' : `:ppn=${cores}`}${gpus === 0 ? '' : `:gpus=${gpus}`}`;
  return [
    ...option('-l', time?.clock, 'walltime='),
    ...(nodes === 'nodes=1' ? [] : ['-l', nodes]),
    ...option('-l', memoryOf(asked, 'mb'), 'mem='),
  ];
}

function queueAtHost({ queue, host }: Asked): readonly string[] {
  const server = host === undefined ? '' : `@${host}`;
  return option('-q', queue === undefined ? server || undefined : `${queue}${server}`);
}

const qsubOptions = fc.constantFrom('-m n', '-W x="a b" -p 5 # more', "-M 'x'");
const pbsMemory = fc.constantFrom('4gb', '512', '100MB');

function torqueHead({ jobName, log, home }: Asked): readonly string[] {
  return `-S|/bin/bash|-N|${jobName}|-r|n|-j|oe|-o`.split('|').concat(log, '-d', home);
}

const torque: Subject = {
  spawner: TorqueSpawner,
  request: {
    ...{ queue: plain, host: hostName, partition: plain, account: plain },
    ...{ memory: pbsMemory, options: qsubOptions },
  },
  notInHome: special,
  longestName: 15,
  variables: ['PBS_JOBID', 'PBS_DEFAULT'],
  directive: /^#PBS/,
  wanted: (asked) => ({
    words: ['qsub', '-N', asked.jobName],
    directives: [
      ...torqueHead(asked),
      ...queueAtHost(asked),
      ...torqueResources(asked),
      ...option('-A', asked['account']),
      ...optionsOf(asked),
    ],
  }),
  ...byShell(qsubOptionsIn),
};

const moab: Subject = {
  ...torque,
  spawner: MoabSpawner,
  request: {
    ...{ queue: plain, host: plain, partition: plain, account: plain, qos: plain },
    ...{ reservation: plain, memory: pbsMemory, options: qsubOptions },
  },
  variables: ['MOABHOMEDIR', 'PBS_JOBID'],
  wanted: (asked) => ({
    words: ['msub', '-N', asked.jobName],
    directives: [
      ...torqueHead(asked),
      ...option('-q', asked['queue']),
      ...torqueResources(asked),
      ...option('-l', asked['partition'], 'partition='),
      ...option('-l', asked['qos'], 'qos='),
      ...option('-l', asked['reservation'], 'advres='),
      ...option('-A', asked['account']),
      ...optionsOf(asked),
    ],
  }),
};

const pbs: Subject = {
  spawner: PbsSpawner,
  request: {
    ...{ queue: plain, host: plain, partition: plain, account: plain, project: plain },
    ...{ memory: pbsMemory, options: qsubOptions },
  },
  notInHome: special,
  longestName: 230,
  variables: ['PBS_JOBID', 'PBS_O_HOME', 'PBS_SERVER'],
  directive: /^#PBS/,
  wanted: (asked) => {
    const { cores, gpus, jobName, log, time } = asked;
    const chunk = [
      ...assignment('ncpus', cores),
      ...assignment('mem', memoryOf(asked, 'mb')),
      ...assignment('ngpus', gpus || undefined),
    ];
    return {
      words: ['qsub', '-f', '-N', jobName],
      directives: [
        ...`-S /bin/bash -N ${jobName} -r n -j oe -o`.split(' ').concat(log),
        ...queueAtHost(asked),
        ...option('-l', time?.clock, 'walltime='),
        ...(chunk.length === 0 ? [] : ['-l', `select=1:${chunk.join(':')}`]),
        ...option('-A', asked['account']),
        ...option('-P', asked['project']),
        ...optionsOf(asked),
      ],
    };
  },
  ...byShell(qsubOptionsIn),
};

const gridEngine: Subject = {
  spawner: GridEngineSpawner,
  request: {
    ...{ queue: plain, host: plain, account: plain, project: plain, pe: plain },
    notify: fc.boolean(),
    memory: fc.constantFrom('4G', '512', '1.5T'),
    options: fc.constantFrom('-l gpu=1', '-l x="a b" -p -5 # more', "-M 'x'"),
  },
  required: ['pe'],
  notInHome: special,
  longestName: 200,
  variables: ['SGE_ROOT', 'JOB_ID', 'DISPLAY'],
  directive: /^#\$/,
  wanted: (asked) => ({
    words: ['qsub', '-terse', '-N', asked.jobName, '-ac', `tag=${asked.tag}`],
    directives: [
      ...'-S /bin/bash -r n -j y -o'.split(' ').concat(`:${asked.log}`, '-wd', asked.home),
      ...option('-q', asked['queue']),
      ...option('-l', asked.time?.seconds, 'h_rt='),
      ...option('-l', memoryOfSlot(asked), 'h_vmem='),
      ...option('-pe', asked['pe']),
      String(asked.cores ?? 1),
      ...option('-A', asked['account']),
      ...option('-P', asked['project']),
      ...(asked['notify'] === true ? ['-notify'] : []),
      ...optionsOf(asked),
    ],
  }),
  ...byShell((script) => optionsOnEachLine(script, '#$')),
};

const inDescription = plainText(/[$\\\p{Cc}]/gu).map((text) => text.trim() || 'x');

const condor: Subject = {
  spawner: CondorSpawner,
  request: {
    ...{ queue: plain, host: plain, account: inDescription, requirements: inDescription },
    memory: fc.constantFrom('4G', '512', '100mb'),
    options: fc.constantFrom('+Project = "a b"', 'rank = Memory', 'request_disk=1G'),
  },
  notInHome: /[$\\]/g,
  longestName: 90,
  variables: ['_CONDOR_SCHEDD_HOST', 'CONDOR_CONFIG'],
  directive: /(?!)/,
  wanted: (asked) => {
    const { host, home, log, time } = asked;
    const runs = '(JobStatus == 2 || JobStatus == 7)';
    const late = `(${runs} && time() - JobCurrentStartDate > SpawnerRuntime) || `;
    const limits =
      'HoldReasonCode == 34 || HoldReasonCode == 46 || HoldReasonCode == 47 || (HoldReasonCode == 21 && HoldReasonSubCode == 102)';
    return {
      words: ['condor_submit', ...option('-name', host), '-terse', '-'],
      directives: [
        ...['universe=vanilla', 'executable=/bin/sh', `initialdir=${home}`, `output=${log}`],
        ...[`error=${log}`, 'should_transfer_files=NO', 'getenv=false', 'notification=never'],
        ...['leave_in_queue=false', `batch_name=${asked.jobName}`, `+SpawnerTag="${asked.tag}"`],
        'job_max_vacate_time=20',
        ...assignment('+SpawnerRuntime', time?.seconds),
        `periodic_remove=${time ? late : ''}(JobStatus == 5 && (${limits}))`,
        ...assignment('request_memory', memoryOf(asked, 'M')),
        ...assignment('request_cpus', asked.cores),
        ...assignment('request_gpus', asked.gpus || undefined),
        ...assignment('accounting_group', asked['account']),
        ...assignment('requirements', asked['requirements']),
        ...given(asked['options'], (text) => [text.replace(/\s*=\s*/, '=')]),
      ],
    };
  },
  read: ({ argv, input }) => {
    const commands = submitDescriptionIn(input);
    return {
      words: argv,
      directives: commands
        .filter(([name]) => name !== 'arguments')
        .map(([name, value]) => `${name}=${value}`),
      script: printed(condorJob(input).at(-1) ?? ''),
    };
  },
  // HTCondor gives a job hardly any environment.
  execution: ({ input }) => ({ argv: condorJob(input), env: {} }),
};

function condorJob(description: string): readonly string[] {
  const [values = [], ...others] = ['executable', 'arguments'].map((wanted) =>
    submitDescriptionIn(description).flatMap(([name, value]) => (name === wanted ? value : [])),
  );
  return [...values, ...others.flat().flatMap(condorArguments)];
}

const lsf: Subject = {
  spawner: LsfSpawner,
  request: {
    ...{ queue: plain, host: plain, account: plain, project: plain },
    memory: fc.constantFrom('4GB', '512', '100mb'),
    options: fc.constantFrom('-x', '-R "select[a && b]" -sp 5 # more', "-u 'x'"),
  },
  notInHome: special,
  longestName: 200,
  variables: ['LSB_JOBID', 'LSF_ENVDIR', 'LS_SUBCWD'],
  directive: /^#BSUB/,
  wanted: (asked) => {
    const { jobName, log, home, tag } = asked;
    const memory = memoryOf(asked, 'MB');
    return {
      words: ['bsub', '-env', 'none', '-rn', '-J', jobName, '-Jd', tag],
      directives: [
        ...['-R', 'select[type==any]', '-R', 'span[hosts=1]', '-J', jobName],
        ...['-o', log, '-e', log, '-cwd', home],
        ...option('-q', asked['queue']),
        ...option('-n', asked.cores),
        ...given(memory, (text) => ['-M', text, '-R', `rusage[mem=${text}]`]),
        ...option('-gpu', asked.gpus || undefined, 'num='),
        ...option('-W', asked.time?.minutes),
        ...option('-P', asked['project']),
        ...optionsOf(asked),
      ],
    };
  },
  ...byShell((script) => optionsOnEachLine(script, '#BSUB')),
};

const notInFlux = /[\s"'\\#();<>|&${\p{Cc}]/gu;
const fluxValue = plainText(notInFlux);

const flux: Subject = {
  spawner: FluxSpawner,
  request: {
    ...{ queue: fluxValue, host: plain, account: fluxValue },
    memory: fc.constantFrom('4G', '512'),
    options: fc.constantFrom('--exclusive', '--setattr=user.x="a b" --urgency=5 # x'),
  },
  notInHome: notInFlux,
  longestName: 90,
  variables: ['FLUX_URI', 'PYTHONPATH', 'LUA_PATH', 'XDG_CONFIG_HOME', 'LD_PRELOAD'],
  aliased: /^(?:PATH|LC_ALL|TZ|HOME|USER|LOGNAME|SHELL|(?:FLUX|PYTHON|LUA|XDG_CONFIG|LD_).*)$/,
  directive: /^#FLUX:/,
  wanted: (asked) => ({
    words: [
      ...['flux', 'batch', `--job-name=${asked.jobName}`, `--setattr=user.hubspawner=${asked.tag}`],
      ...['--env-remove=*', `--env=HOME=${asked.home}`, `--env=USER=${asked.username}`],
      ...[`--env=LOGNAME=${asked.username}`, '--env=SHELL=/bin/bash'],
      `--env=/^(${['PATH', ...asked.exported].join('|')})$/`,
    ],
    directives: [
      ...[`--output=${asked.log}`, `--cwd=${asked.home}`, '--nslots=1'],
      ...assignment('--cores-per-slot', asked.cores),
      ...assignment('--gpus-per-slot', asked.gpus || undefined),
      ...assignment('--queue', asked['queue']),
      ...given(asked.time?.seconds, (seconds) => [`--time-limit=${seconds}s`]),
      ...assignment('--setattr=system.bank', asked['account']),
      ...optionsOf(asked),
    ],
  }),
  ...byShell(fluxOptionsIn),
  execution: ({ argv, env }) => ({ argv: ['bash', 'script'], env: fluxEnvironment(argv, env) }),
};

const oar: Subject = {
  spawner: OarSpawner,
  request: {
    ...{ queue: notEmpty, host: plain, project: notEmpty, properties: notEmpty, type: notEmpty },
    ...{ resources: notEmpty, memory: fc.constantFrom('4G', '512') },
    options: fc.constantFrom('-n x'),
  },
  notInHome: /(?!)/g,
  longestName: 90,
  variables: ['OAR_JOB_ID'],
  directive: /(?!)/,
  wanted: (asked) => {
    const { cores = 1, gpus, home, log, time } = asked;
    const unit = gpus > 0 ? `gpu=${gpus}` : `core=${cores}`;
    const walltime = time === undefined ? '' : `,walltime=${time.clock.replace(/^0(?=\d:)/, '')}`;
    return {
      words: [
        ...['oarsub', `--name=${asked.jobName}`],
        `--resource=${asked['resources'] ?? `/nodes=1/${unit}`}${walltime}`,
        ...[`--directory=${home}`, `--stdout=${log}`, `--stderr=${log}`],
        ...assignment('--queue', asked['queue']),
        ...assignment('--project', asked['project']),
        ...assignment('--property', asked['properties']),
        ...assignment('--type', asked['type']),
      ],
      directives: [],
    };
  },
  // In single quotes, csh acts on `!`, and fish on two backslashes.
  read: ({ argv }) => ({
    words: argv.slice(0, -1),
    directives: [],
    script: printed(
      /^exec bash -c '[^'!\\]*' '((?:[^'!\\]|\\[^'!\\])*)'$/.exec(argv.at(-1) ?? '')?.[1] ?? '',
    ),
  }),
  // It passes the command to the login shell of the account.
  execution: ({ argv }) => ({
    argv: ['sh', '-c', argv.at(-1) ?? ''],
    env: { PATH: '/usr/bin:/bin' },
  }),
};

const generic: Subject = {
  spawner: GenericBatchSpawner,
  options: {
    requestNames: ['feature'],
    directive: '^#MY\\b',
    script: `#!/bin/sh
#MY name={{jobName}}
#MY log={{logFile}}
{{#feature}}
#MY feature={{feature}} cores={{nprocs}}{{^nprocs}}1{{/nprocs}}
{{/feature}}
{{#options}}
#MY {{{options}}}
{{/options}}
{{{exports}}}
cd {{homedir}} || exit
{{#prologue}}
{{{prologue}}}
{{/prologue}}
{{cmd}}
status=$?
{{{epilogue}}}
exit "$status"
`,
    commands: {
      submit: ['mysub', '--note={{tag}}', '{{#feature}}-f{{feature}}{{/feature}}', '@{{host}}'],
      query: ['mystat', '--all'],
      cancel: ['mydel', '{{jobId}}'],
    },
    patterns: {
      jobId: '^job (?<id>\\d+)$',
      job: '^(?<id>\\d+) (?<state>\\S+) (?<host>\\S+) (?<name>\\S+)$',
    },
  },
  request: {
    ...{ host: plain, queue: plain, feature: plain, other: notEmpty },
    memory: fc.constantFrom('4G', '512'),
    options: fc.constantFrom('more=1', 'a="b c"'),
  },
  required: ['host'],
  notInHome: special,
  longestName: 15,
  variables: ['MY_JOB'],
  directive: /^#MY\b/,
  wanted: (asked) => ({
    words: [
      ...['mysub', `--note=${asked.tag}`],
      ...given(asked['feature'], (text) => [`-f${text}`]),
      `@${asked['host']}`,
    ],
    directives: [
      ...[`name=${asked.jobName}`, `log=${asked.log}`],
      ...given(asked['feature'], (text) => [`feature=${text}`, `cores=${asked.cores ?? 1}`]),
      ...optionsOf(asked),
    ],
  }),
  ...byShell((script) => optionsOnEachLine(script, '#MY ')),
};

/** By the names that tests have. */
export const subjects: Readonly<Record<string, Subject>> = {
  Slurm: slurm,
  'Slurm with several daemons on a host': { ...slurm, spawner: MultiSlurmSpawner },
  Torque: torque,
  PBS: pbs,
  Moab: moab,
  'Grid Engine': gridEngine,
  HTCondor: condor,
  LSF: lsf,
  Flux: flux,
  OAR: oar,
  'a batch system that options describe': generic,
};
