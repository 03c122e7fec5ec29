import { JobTemplates } from '../../lib/batch/request.ts';
import type { BatchOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import { expectGolden, expectReadByBash } from '../helpers/golden.ts';
import { subjects } from '../helpers/rendering-subjects.ts';

const environment = {
  JUPYTERHUB_API_TOKEN: 'the-token-of-the-server',
  JUPYTERHUB_API_URL: 'http://hub.example.org:8081/hub/api',
  JUPYTERHUB_SERVICE_URL: 'http://0.0.0.0:{port}/user/alice/lab/',
  LC_ALL: 'de_DE.UTF-8',
  SLURM_CPU_BIND: 'none',
};

const commandEnv = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/** What one asks of any batch system; each takes of it what it knows. */
const common = {
  queue: 'interactive',
  memory: '4G',
  nprocs: 4,
  ngpus: 1,
  runtime: '1-12:00:00',
  account: 'physics',
  prologue: 'module load python/3.12\nexport TMPDIR="/scratch/$USER"',
  epilogue: 'rm -rf "$TMPDIR/cache"',
  username: 'alice_hpc',
  homedir: '/home/alice',
  keepvars: ['LC_ALL', 'SLURM_CPU_BIND'],
  keepvarsExtra: ['HUBSPAWNER_TEST_UNSET'],
};

const slurm = {
  ...{ host: 'pbs.example.org', partition: 'batch', homedir: '/home/alice #1' },
  ...{ cluster: 'gpu2', qos: 'high', srun: 'srun --mpi=none', reservation: 'course 2026' },
  ...{ gres: 'gpu:a100:1', options: '--constraint="haswell|skylake" --exclusive' },
};

/** Files, the spawner, and all that can be asked of it. */
const systems: readonly (readonly [file: string, spawner: string, request: object])[] = [
  ['slurm', 'Slurm', slurm],
  ['slurm', 'Slurm with several daemons on a host', slurm],
  ['torque', 'Torque', { memory: '4gb', host: 'pbs.example.org', options: '-m n -p 10' }],
  [
    'pbs',
    'PBS',
    {
      ...{ memory: '4gb', host: 'pbs.example.org', project: 'course-2026' },
      options: '-l place=free -W umask=077',
    },
  ],
  [
    'moab',
    'Moab',
    {
      ...{ memory: '4gb', partition: 'east', qos: 'high', reservation: 'course.17' },
      options: '-l naccesspolicy=singlejob',
    },
  ],
  [
    'grid-engine',
    'Grid Engine',
    { pe: 'smp', project: 'course-2026', notify: true, options: '-l gpu=1 -p -5' },
  ],
  [
    'condor',
    'HTCondor',
    {
      ...{ host: 'schedd.example.org', homedir: '/home/alice #1' },
      ...{ requirements: 'TARGET.HasPython == true', options: 'request_disk = 10G' },
    },
  ],
  ['lsf', 'LSF', { memory: '4GB', project: 'course-2026', options: '-R "select[haswell]" -x' }],
  ['flux', 'Flux', { options: '--requires=haswell --urgency=20' }],
  [
    'oar',
    'OAR',
    {
      ...{ project: 'course-2026', properties: "gpu_model='A100'", type: 'besteffort' },
      homedir: '/home/alice #1',
    },
  ],
  [
    'generic',
    'a batch system that options describe',
    { host: 'batch.example.org', feature: 'haswell', options: 'more=1' },
  ],
];

describe('The job', () => {
  for (const [file, name, request] of systems) {
    const subject = subjects[name];
    const always = file === 'generic' ? { request: { host: 'batch.example.org' } } : {};
    const jobs: Readonly<Record<string, Partial<BatchOptions>>> = {
      minimal: always,
      full: {
        cmd: ['jupyter', 'lab', '--port={port}'],
        args: ["--ServerApp.name=Alice's lab", '--debug'],
        logFile: '/scratch/{{username}}/{{jobName}}.log',
        request: { ...common, ...request },
      },
      fixed: { ...always, endpoint: 'fixed', port: 8888, cmd: ['jupyter-lab', '--port={port}'] },
    };
    for (const [kind, options] of Object.entries(jobs)) {
      it(`of ${name} is as it was (${kind})`, () => {
        if (subject === undefined) {
          throw new Error('This batch system is not known.');
        }
        const { scheduler } = subject.spawner;
        const checked = checkOptions<BatchOptions>(scheduler.schema, {
          ...subject.options,
          ...options,
        });
        const { username = 'alice', homedir = '/home/alice', ...others } = checked.request;
        const facts = {
          mark: {
            tag: 'hubspawner:8f0c2e1b:alice:lab:3b1d0c7a9e55',
            jobName: `${'jupyter-alice-lab'.slice(0, subject.longestName - 13)}-3b1d0c7a9e55`,
          },
          ...{ username, homedir },
          cluster: 'cluster' in others ? String(others.cluster) : undefined,
        };
        const templates = new JobTemplates(subject.spawner.schedulerFor(checked), checked);
        const job = templates.prepare(facts, environment, commandEnv);
        expectGolden(`${file}-${kind}.sh`, job.script);
        expectGolden(`${file}-${kind}.argv`, job.argv.map((word) => `${word}\n`).join(''));
        if (job.input !== job.script) {
          expectGolden(`${file}-${kind}.input`, job.input);
        }
        if (job.environmentFile) {
          expectGolden(`${file}-${kind}.env`, job.environmentFile.text);
        }
        expectReadByBash(job.script);
      });
    }
  }
});
