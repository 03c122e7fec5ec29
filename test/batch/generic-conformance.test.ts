import { GenericBatchSpawner } from '../../lib/batch/generic.ts';
import type { GenericOptions } from '../../lib/generated/options.ts';
import { batchConformance } from '../helpers/batch-conformance.ts';
import { slurmDialect } from '../helpers/fake/slurm.ts';

const script = `#!/bin/bash
#SBATCH --output={{logFile}}
{{{exports}}}
{{cmd}}
`;

const commands = {
  submit: ['sbatch', '--parsable', '--job-name={{jobName}}', '--export=NIL'],
  cancel: ['scancel', '{{jobId}}'],
  kill: ['scancel', '--signal=KILL', '--full', '{{jobId}}'],
};

const patterns = {
  jobId: '^(?<id>\\d+)$',
  outage: 'error:',
  transient: 'Unable to contact|Socket timed out',
  notFound: 'Invalid job id',
};

/** As an administrator would write them in a JSON file: one query for all jobs. */
const listing: Partial<GenericOptions> = {
  script,
  directive: '^#SBATCH\\b',
  commands: {
    ...commands,
    query: ['squeue', '-h', '-a', '-t', 'all', '-o', '%i|%T|%B|%u|%j|'],
    accounting: [
      [
        ...['sacct', '-n', '-P', '-X', '-j', '{{jobId}}'],
        ...['-o', 'JobIDRaw,State,NodeList,User,JobName,ExitCode'],
      ],
    ],
  },
  patterns: {
    ...patterns,
    job: '^(?<id>\\d+)\\|(?<state>\\w+)[^|]*\\|(?<host>[^|]*)\\|(?<owner>[^|]*)\\|(?<name>[^|]*)\\|(?:(?<code>\\d+):\\d+)?$',
  },
  states: {
    PENDING: { state: 'pending' },
    RUNNING: { state: 'running' },
    COMPLETING: { state: 'completing' },
    COMPLETED: { state: 'ended', cause: 'completed' },
    FAILED: { state: 'ended', cause: 'failed' },
    CANCELLED: { state: 'ended', cause: 'cancelled' },
    NODE_FAIL: { state: 'ended', cause: 'node-failure' },
  },
};

/** A query for each job, whose output is matched as a whole. */
const asking: Partial<GenericOptions> = {
  script,
  directive: '^#SBATCH\\b',
  commands: {
    ...commands,
    query: ['sacct', '-n', '-P', '-X', '-j', '{{jobId}}', '-o', 'State,ExitCode,NodeList'],
  },
  patterns: {
    ...patterns,
    pending: '^PENDING',
    running: '^(?:RUNNING|COMPLETING)',
    ended: '^(?:COMPLETED|FAILED|CANCELLED|NODE_FAIL)[^|]*\\|(?<code>\\d+):',
    host: '\\|(?<host>[\\w.-]+)$',
  },
};

const dialect = slurmDialect({ clusters: ['cluster1'], accounting: 'on' });

batchConformance({
  name: 'GenericBatchSpawner with one query',
  Spawner: GenericBatchSpawner,
  dialect,
  options: listing,
});
batchConformance({
  name: 'GenericBatchSpawner with a query for each job',
  Spawner: GenericBatchSpawner,
  dialect,
  options: asking,
});
