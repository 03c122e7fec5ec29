/** What batchspawner 1.3 asks the batch systems for by its own templates, beside what we ask for. */
import { JobTemplates } from '../../lib/batch/request.ts';
import type { BatchOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import { expectGolden } from '../helpers/golden.ts';
import { subjects } from '../helpers/rendering-subjects.ts';

/** What of theirs is carried otherwise here: how, and why. */
type Otherwise = Readonly<Record<string, readonly [ours: string, because: string]>>;

interface System {
  /** Their class. */
  readonly spawner: string;
  readonly subject: string;
  /** The values, by the names that both have for them. */
  readonly request: Readonly<Record<string, unknown>>;
  /** Their directives, one for each option, for these values. */
  readonly theirs: readonly string[];
  readonly otherwise: Otherwise;
}

const keepvars = ['JUPYTERHUB_API_TOKEN', 'JUPYTERHUB_USER'];
const names = keepvars.join(',');
const jobName = (length: number) => `${'jupyter-alice'.slice(0, length - 13)}-3b1d0c7a9e55`;
const log = (length: number) => `/home/alice/${jobName(length)}.log`;
/** Stands for a file that the job reads. */
const byFile = `(environment file) ${names}`;

const common = { runtime: '12:00:00', nprocs: 2, homedir: '/home/alice', keepvars };

const becauseUnique = 'a name of its own finds the job of a start that was interrupted';
const becauseOfLog = 'each job has a file, the end of which is in the error of a start that fails';
const becauseJoined = 'what the job prints, of either kind, is in one file';
const becauseShown = 'the batch system shows the variables of a job to everybody';

const torque = [
  '-q batch@pbs.example.org',
  '-l walltime=12:00:00',
  '-l nodes=1:ppn=2',
  '-l mem=4gb',
  '-N jupyterhub-singleuser',
  `-v ${names}`,
  '-m n',
];

const slurm: System = {
  spawner: 'SlurmSpawner',
  subject: 'Slurm',
  request: {
    ...common,
    ...{ partition: 'batch', memory: '4G', gres: 'gpu:a100:1', ngpus: 1 },
    ...{ reservation: 'course', options: '--exclusive' },
  },
  theirs: [
    '--output=/home/alice/jupyterhub_slurmspawner_%j.log',
    '--job-name=spawner-jupyterhub',
    '--chdir=/home/alice',
    `--export=${names}`,
    '--get-user-env=L',
    '--partition=batch',
    '--time=12:00:00',
    '--mem=4G',
    '--gres=gpu:a100:1',
    '--gpus=1',
    '--cpus-per-task=2',
    '--reservation=course',
    '--exclusive',
  ],
  otherwise: {
    '--output=/home/alice/jupyterhub_slurmspawner_%j.log': [
      `--output=${log(90)}`,
      'the name of the file is known before the job has an id',
    ],
    '--job-name=spawner-jupyterhub': [`--job-name=${jobName(90)}`, becauseUnique],
    '--get-user-env=L': [
      `--export=${names}`,
      'with names in --export, Slurm does that without being told (sbatch, --export)',
    ],
  },
};

const systems: readonly System[] = [
  {
    spawner: 'TorqueSpawner',
    subject: 'Torque',
    request: {
      ...common,
      ...{ queue: 'batch', host: 'pbs.example.org', memory: '4gb', options: '-m n' },
    },
    theirs: torque,
    otherwise: {
      '-N jupyterhub-singleuser': [`-N ${jobName(15)}`, becauseUnique],
      [`-v ${names}`]: [byFile, becauseShown],
    },
  },
  {
    spawner: 'MoabSpawner',
    subject: 'Moab',
    request: {
      ...common,
      ...{ queue: 'batch', host: 'pbs.example.org', memory: '4gb', options: '-m n' },
    },
    theirs: torque,
    otherwise: {
      '-q batch@pbs.example.org': ['-q batch', 'Moab itself chooses the server that runs the job'],
      '-N jupyterhub-singleuser': [`-N ${jobName(15)}`, becauseUnique],
      [`-v ${names}`]: [byFile, becauseShown],
    },
  },
  {
    spawner: 'PBSSpawner',
    subject: 'PBS',
    request: {
      ...common,
      ...{ queue: 'batch', host: 'pbs.example.org', memory: '4gb', options: '-m n' },
    },
    theirs: [
      '-q batch@pbs.example.org',
      '-l walltime=12:00:00',
      '-l select=1:ncpus=2:mem=4gb',
      '-N jupyterhub-singleuser',
      '-o /home/alice/.jupyterhub.pbs.out',
      '-e /home/alice/.jupyterhub.pbs.err',
      `-v ${names}`,
      '-m n',
    ],
    otherwise: {
      '-N jupyterhub-singleuser': [`-N ${jobName(230)}`, becauseUnique],
      '-o /home/alice/.jupyterhub.pbs.out': [`-o ${log(230)}`, becauseOfLog],
      '-e /home/alice/.jupyterhub.pbs.err': ['-j oe', becauseJoined],
      [`-v ${names}`]: [byFile, becauseShown],
    },
  },
  slurm,
  { ...slurm, spawner: 'MultiSlurmSpawner', subject: 'Slurm with several daemons on a host' },
  {
    spawner: 'GridengineSpawner',
    subject: 'Grid Engine',
    request: { ...common, pe: 'smp', options: '-l gpu=1' },
    theirs: [
      '-j yes',
      '-N spawner-jupyterhub',
      '-o /home/alice/.jupyterhub.sge.out',
      '-e /home/alice/.jupyterhub.sge.err',
      `-v ${names}`,
      '-l gpu=1',
    ],
    otherwise: {
      '-j yes': ['-j y', 'the same in short'],
      '-N spawner-jupyterhub': [`-N ${jobName(200)}`, becauseUnique],
      '-o /home/alice/.jupyterhub.sge.out': [
        `-o :${log(200)}`,
        `${becauseOfLog}; the colon in front says that it is no host's`,
      ],
      '-e /home/alice/.jupyterhub.sge.err': ['-j y', 'with -j, Grid Engine ignores -e'],
      [`-v ${names}`]: [byFile, becauseShown],
    },
  },
  {
    spawner: 'CondorSpawner',
    subject: 'HTCondor',
    request: { ...common, memory: '4G', options: '+Project = "physics"' },
    theirs: [
      'Executable=/bin/sh',
      'RequestMemory=4G',
      'RequestCpus=2',
      `Arguments="-c 'exec jupyterhub-singleuser'"`,
      'Remote_Initialdir=/home/alice',
      'Output=/home/alice/.jupyterhub.condor.out',
      'Error=/home/alice/.jupyterhub.condor.err',
      'ShouldTransferFiles=False',
      'GetEnv=True',
      '+Project="physics"',
      'Queue',
    ],
    otherwise: {
      'RequestMemory=4G': ['request_memory=4G', 'the name that the manual has'],
      'RequestCpus=2': ['request_cpus=2', 'the name that the manual has'],
      'Executable=/bin/sh': ['executable=/bin/sh', 'names are the same in any case'],
      [`Arguments="-c 'exec jupyterhub-singleuser'"`]: [
        '(script) jupyterhub-singleuser',
        'the arguments hold all of the script, with its prologue and epilogue',
      ],
      'Remote_Initialdir=/home/alice': [
        'initialdir=/home/alice',
        'the other is for jobs that are submitted to another machine',
      ],
      'Output=/home/alice/.jupyterhub.condor.out': [`output=${log(90)}`, becauseOfLog],
      'Error=/home/alice/.jupyterhub.condor.err': [`error=${log(90)}`, becauseJoined],
      'ShouldTransferFiles=False': ['should_transfer_files=NO', 'the value that the manual has'],
      'GetEnv=True': [byFile, 'condor_q shows the environment of a job to everybody'],
      Queue: ['queue=1', 'one job'],
    },
  },
  {
    spawner: 'LsfSpawner',
    subject: 'LSF',
    request: { ...common, queue: 'batch' },
    theirs: [
      '-R select[type==any]',
      '-R span[hosts=1]',
      '-q batch',
      '-J spawner-jupyterhub',
      '-o /home/alice/.jupyterhub.lsf.out',
      '-e /home/alice/.jupyterhub.lsf.err',
    ],
    otherwise: {
      '-J spawner-jupyterhub': [`-J ${jobName(200)}`, becauseUnique],
      '-o /home/alice/.jupyterhub.lsf.out': [`-o ${log(200)}`, becauseOfLog],
      '-e /home/alice/.jupyterhub.lsf.err': [`-e ${log(200)}`, becauseJoined],
    },
  },
];

/** Each option with its values. */
function paired(words: readonly string[]): readonly string[] {
  const pairs: string[] = [];
  for (const word of words) {
    const last = pairs.at(-1);
    const belongs = last !== undefined && /^-[A-Za-z]/.test(last) && !word.startsWith('-');
    pairs.push(belongs ? `${pairs.pop()} ${word}` : word);
  }
  return pairs;
}

function ours({ subject: name, request }: System): readonly string[] {
  const subject = subjects[name];
  if (subject === undefined) {
    throw new Error(`There is no ${name}.`);
  }
  const { scheduler } = subject.spawner;
  const options = checkOptions<BatchOptions>(scheduler.schema, { request, endpoint: 'fixed' });
  const templates = new JobTemplates(subject.spawner.schedulerFor(options), options);
  const mark = {
    tag: 'hubspawner:8f0c2e1b:alice::3b1d0c7a9e55',
    jobName: jobName(subject.longestName),
  };
  const environment = Object.fromEntries(keepvars.map((variable) => [variable, 'x']));
  const facts = { mark, username: 'alice', homedir: '/home/alice' };
  const job = templates.prepare(facts, environment, { PATH: '/usr/bin:/bin' });
  const { words, directives, script } = subject.read(job);
  const variables = [...(job.environmentFile?.text.matchAll(/^export (\w+)=/gm) ?? [])];
  return [
    ...new Set([...paired(directives), ...paired(words)]),
    ...(/^queue 1$/m.test(job.input) ? ['queue=1'] : []),
    ...(/^ {2}jupyterhub-singleuser$/m.test(script) ? ['(script) jupyterhub-singleuser'] : []),
    ...(variables.length > 0 ? [`(environment file) ${variables.map(([, one]) => one)}`] : []),
  ];
}

/** Both sides in two columns; a `?` where theirs has no counterpart. */
function compared(system: System): { readonly table: string; readonly missing: boolean } {
  const { theirs, otherwise } = system;
  const mine = ours(system);
  const rows = theirs.map((directive) => {
    const [counterpart, because] = otherwise[directive] ?? [directive, ''];
    return { directive, counterpart: mine.includes(counterpart) ? counterpart : '?', because };
  });
  const more = mine
    .filter((directive) => rows.every(({ counterpart }) => counterpart !== directive))
    .map((counterpart) => ({ directive: '', counterpart, because: '' }));
  const lines = [...rows, ...more].flatMap(({ directive, counterpart, because }) => [
    `${directive.padEnd(56)}${counterpart}`.trimEnd(),
    ...(because === '' ? [] : [`${' '.repeat(58)}${because}`]),
  ]);
  return {
    table: `${`${system.spawner} of batchspawner 1.3`.padEnd(56)}${system.subject}\n${lines.join('\n')}\n`,
    missing: rows.some(({ counterpart }) => counterpart === '?'),
  };
}

describe('The job, beside that of batchspawner', () => {
  for (const system of systems) {
    const { subject, otherwise, theirs } = system;

    it(`asks ${subject} for the same, or for what is declared instead`, () => {
      const { table, missing } = compared(system);
      if (missing) {
        throw new Error(`Something of theirs has no counterpart:\n${table}`);
      }
      const unused = Object.keys(otherwise).filter((directive) => !theirs.includes(directive));
      if (unused.length > 0) {
        throw new Error(`Declared, but not theirs: ${unused.join(', ')}`);
      }
    });
  }

  it('is as a person has read it last', () => {
    expectGolden('side-by-side.txt', systems.map((system) => compared(system).table).join('\n'));
  });
});
