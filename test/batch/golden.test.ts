import { JobTemplates } from '../../lib/batch/request.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import type { SlurmOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import { expectGolden, expectReadByBash } from '../helpers/golden.ts';

const mark = {
  tag: 'hubspawner:8f0c2e1b:alice:lab:3b1d0c7a9e55',
  jobName: 'jupyter-alice-lab-3b1d0c7a9e55',
};

const environment = {
  JUPYTERHUB_API_TOKEN: 'the-token-of-the-server',
  JUPYTERHUB_API_URL: 'http://hub.example.org:8081/hub/api',
  JUPYTERHUB_SERVICE_URL: 'http://0.0.0.0:{port}/user/alice/lab/',
  LC_ALL: 'de_DE.UTF-8',
  SLURM_CPU_BIND: 'none',
};

const commandEnv = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

const slurmJobs: Readonly<Record<string, Partial<SlurmOptions>>> = {
  minimal: {},
  full: {
    cmd: ['jupyter', 'lab', '--port={port}'],
    args: ["--ServerApp.name=Alice's lab", '--debug'],
    logFile: '/scratch/{{username}}/{{jobName}}.log',
    request: {
      queue: 'interactive',
      host: 'pbs.example.org',
      memory: '4G',
      nprocs: 4,
      ngpus: 1,
      runtime: '1-12:00:00',
      partition: 'batch',
      account: 'physics',
      options: '--constraint="haswell|skylake" --exclusive',
      prologue: 'module load python/3.12\nexport TMPDIR="/scratch/$USER"',
      epilogue: 'rm -rf "$TMPDIR/cache"',
      username: 'alice_hpc',
      homedir: '/home/alice #1',
      keepvars: ['LC_ALL', 'SLURM_CPU_BIND'],
      keepvarsExtra: ['HUBSPAWNER_TEST_UNSET'],
      cluster: 'gpu2',
      qos: 'high',
      srun: 'srun --mpi=none',
      reservation: 'course 2026',
      gres: 'gpu:a100:1',
    },
  },
  fixed: { endpoint: 'fixed', port: 8888, cmd: ['jupyter-lab', '--port={port}'] },
};

describe('The job of Slurm', () => {
  for (const [name, options] of Object.entries(slurmJobs)) {
    it(`is as it was (${name})`, () => {
      const checked = checkOptions<SlurmOptions>('slurm.json', options);
      const { request } = checked;
      const facts = {
        mark,
        username: request.username ?? 'alice',
        homedir: request.homedir ?? '/home/alice',
        cluster: request.cluster,
      };
      const job = new JobTemplates(slurm, checked).prepare(facts, environment, commandEnv);
      expectGolden(`slurm-${name}.sh`, job.script);
      expectGolden(`slurm-${name}.argv`, job.argv.map((word) => `${word}\n`).join(''));
      expectReadByBash(job.script);
    });
  }
});
