import { SlurmSpawner, slurm } from '../lib/batch/slurm.ts';
import type { CommandRunner } from '../lib/runners/runner.ts';

/** The fields of a running job, in the order in which squeue is asked for them. */
function fieldsOf(index: number): string[] {
  const node = `node${String(index % 500).padStart(3, '0')}`;
  const [submitted, started, ends] = ['08:00:00', '08:00:05', '20:00:05'];
  const day = '2026-03-02T';
  return [
    String(1_000_000 + index),
    'RUNNING',
    node,
    node,
    'None',
    `${day}${submitted}`,
    `${day}${started}`,
    `${day}${ends}`,
  ];
}

/** The jobs that squeue lists, as rows of fields. */
export function jobRows(count: number): readonly (readonly string[])[] {
  return Array.from({ length: count }, (_, index) => fieldsOf(index));
}

/** What squeue prints of these jobs: a separator before each record and after each field. */
export function squeueOutput(rows: readonly (readonly string[])[]): string {
  return rows.map((fields) => `\x1e${fields.map((field) => `${field}\x1f`).join('')}\n`).join('');
}

/** What squeue prints of all jobs with their marks; its format has the separators. */
export function markOutput(
  argv: readonly string[],
  jobs: readonly { readonly jobId: string; readonly tag: string; readonly jobName: string }[],
): string {
  const [, boundary = ''] = /(\w+)%A/.exec(argv.join('\n')) ?? [];
  return jobs
    .map(({ jobId, tag, jobName }) =>
      [jobId, tag, jobName, 'RUNNING', jobName.split('-')[1] ?? '', '\n']
        .map((field, index) => `${index === 0 ? '\x1e' : '\x1f'}${boundary}${field}`)
        .join(''),
    )
    .join('');
}

/** The options of a usual site. */
export const options = {
  pollInterval: 0,
  queryInterval: 1,
  request: {
    partition: 'batch',
    memory: '4G',
    nprocs: 2,
    runtime: '12:00:00',
    homedir: '/home/alice',
    prologue: 'module load python/3.12',
  },
};

export function createSpawner(index: number, runner: CommandRunner): SlurmSpawner {
  const hub = { apiUrl: 'http://10.0.0.1:8081/hub/api' };
  const context = { user: { name: `user${index}` }, hub, apiToken: `token-${index}`, runner };
  return new SlurmSpawner(context, options);
}

/** The state of the spawner whose job is in that row. */
export function stateOf(index: number) {
  return {
    version: 1,
    spawner: slurm.name,
    tag: `hubspawner:8f0c2e1b:user${index}::3b1d0c7a9e55`,
    jobName: `jupyter-user${index}-3b1d0c7a9e55`,
    submittedAt: '2026-03-02T08:00:00.000Z',
    jobId: String(1_000_000 + index),
    host: 'node000',
    port: 40_000,
  };
}
