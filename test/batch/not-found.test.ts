import { expect } from 'chai';
import { saysNotFound } from '../../lib/batch/command.ts';
import { condor } from '../../lib/batch/condor.ts';
import { flux } from '../../lib/batch/flux.ts';
import { GenericBatchSpawner } from '../../lib/batch/generic.ts';
import { GridEngineSpawner, gridEngine } from '../../lib/batch/grid-engine.ts';
import { lsf } from '../../lib/batch/lsf.ts';
import { moab } from '../../lib/batch/moab.ts';
import { oar } from '../../lib/batch/oar.ts';
import { PbsSpawner, pbs } from '../../lib/batch/pbs.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import { torque } from '../../lib/batch/torque.ts';
import type { CommandResult } from '../../lib/runners/runner.ts';
import type { StubAnswer } from '../../lib/testing/index.ts';
import { StubRunner } from '../../lib/testing/index.ts';

const failed = (result: Partial<CommandResult>): CommandResult => ({
  ...{ stdout: '', stderr: '', exitCode: 1, signal: null, timedOut: false },
  ...result,
});

describe('Word that there is no such job', () => {
  const host = 'node01.cluster.example';
  for (const [{ name, patterns }, id, other, stderr] of [
    [slurm, '5', '7', 'scancel: error: Kill job error on job id 5: Invalid job id specified\n'],
    [torque, `12.${host}`, `13.${host}`, `qstat: Unknown Job Id Error 12.${host}\n`],
    [torque, `12.${host}`, `1.${host}`, 'qdel: nonexistent job id: 12\n'],
    [pbs, '12.node01', '2.node01', 'qstat: Unknown Job Id 12.node01\n'],
    [pbs, `12.${host}`, `112.${host}`, 'qstat: 12.node01 Job has finished, use -x or -H\n'],
    [moab, 'Moab.12', 'Moab.1', "ERROR:    cannot locate job 'Moab.12'\n"],
    [moab, '12', '1', 'ERROR:  invalid job specified (12)\n\n'],
    [condor, '12.0', '12.1', "Couldn't find/remove all jobs\nJob 12.0 not found\n"],
    [lsf, '12', '1', 'Job <12> is not found\n'],
    [flux, 'f68GN', 'f2a', 'JobID f68GN unknown\n'],
    [flux, 'f68GN', 'f2a', 'flux-cancel: ERROR: f68GN: unknown job id\n'],
    [gridEngine, '12', '1', 'denied: job "12" does not exist\n'],
    [oar, '301', '30', 'Cannot frag 301 ; This job was already killed.\n'],
  ] as const) {
    it(`is about the job that it names, as ${JSON.stringify(stderr)} of ${name}`, () => {
      expect(saysNotFound(failed({ stderr }), patterns, id)).to.equal(true);
      expect(saysNotFound(failed({ stderr }), patterns, other)).to.equal(false);
    });
  }

  for (const [{ name, patterns }, stderr] of [
    [slurm, 'slurm_load_jobs error: Invalid job id specified\n'],
    [gridEngine, 'Following jobs do not exist: \n12\n'],
    [oar, 'hash- or arrayref expected (not a simple scalar) at /usr/lib/oar/oarstat line 351.\n'],
  ] as const) {
    it(`is about the job that was asked about where it has no id, as with ${name}`, () => {
      expect(saysNotFound(failed({ stderr }), patterns, '12')).to.equal(true);
    });
  }

  it('says nothing where it was cut off, or the system is away', () => {
    const stderr = 'qstat: Unknown Job Id 7.node01\n';
    const saidOfOurs = (more: Partial<CommandResult>) =>
      saysNotFound(failed({ stderr, ...more }), pbs.patterns, '7.node01');
    expect(saidOfOurs({})).to.equal(true);
    expect(saidOfOurs({ timedOut: true })).to.equal(false);
    expect(saidOfOurs({ signal: 'SIGTERM' })).to.equal(false);
    expect(saidOfOurs({ truncated: true })).to.equal(false);
    const away = 'qstat: cannot connect to server node01 (errno=15010)\n';
    expect(saidOfOurs({ stderr: `${away}${stderr}` })).to.equal(false);
    expect(saidOfOurs({ stderr: `${stderr}${away}` })).to.equal(false);
    expect(saidOfOurs({ stderr: away, stdout: stderr })).to.equal(false);
  });
});

describe('A job that is asked about by itself', () => {
  const saved = {
    ...{ version: 1, jobId: '7', jobName: 'ju-1', tag: 'hub:alice:1' },
    submittedAt: '2026-01-01T00:00:00Z',
  };
  const common = { endpoint: 'fixed', port: 8888, request: { homedir: '/home/alice' } } as const;
  const context = (runner: StubRunner) => ({ user: { name: 'alice' }, runner });
  const stderr = 'qstat: Unknown Job Id 7\n';

  function ask(qstat: StubAnswer) {
    const spawner = new GenericBatchSpawner(context(new StubRunner({ qstat })), {
      ...common,
      script: '#!/bin/sh\n{{{exports}}}\n{{cmd}}\n',
      commands: {
        submit: ['qsub', '-N', '{{jobName}}'],
        query: ['qstat', '-x', '{{jobId}}'],
        cancel: ['qdel', '{{jobId}}'],
      },
      patterns: {
        jobId: '^(?<id>\\d+)$',
        pending: '<job_state>[QH]</job_state>',
        running: '<job_state>R</job_state>',
        host: '<exec_host>(?<host>[\\w.-]+)/\\d+',
        notFound: 'Unknown Job Id|not found',
        outage: 'cannot connect',
      },
    });
    spawner.loadState({ ...saved, spawner: 'generic' });
    return spawner.poll();
  }

  const alive: Readonly<Record<string, StubAnswer>> = {
    'the command took too long': { timedOut: true, stderr },
    'the command was ended': { signal: 'SIGTERM', stderr },
    'the output was cut': { exitCode: 1, truncated: true, stderr },
    'the system is away, with exit code 0': { stderr: 'cannot connect to server\nUnknown Job Id' },
    'the system is away': { exitCode: 1, stderr: 'cannot connect to server\nUnknown Job Id' },
    'it is about another job': { exitCode: 1, stderr: 'qstat: Unknown Job Id 77\n' },
    'a row says that it runs': {
      exitCode: 1,
      stdout: '<Job_Name>not found</Job_Name><job_state>R</job_state><exec_host>n1/0</exec_host>\n',
    },
  };
  for (const [what, answer] of Object.entries(alive)) {
    it(`is not gone by a word that there is none where ${what}`, async () => {
      expect(await ask(answer)).to.equal(null);
    });
  }

  it('is gone by such a word alone', async () => {
    expect(await ask({ exitCode: 1, stderr })).to.include({ cause: 'unknown' });
    expect(await ask({ exitCode: 1, stdout: stderr })).to.include({ cause: 'unknown' });
  });

  it('is ours at another time than that of the hub where only ended jobs have records', async () => {
    const list = `<?xml version='1.0'?>
<job_info  xmlns:xsd="x">
  <queue_info>
  </queue_info>
  <job_info>
    <job_list state="pending">
      <JB_job_number>7</JB_job_number>
      <JB_name>ju-1</JB_name>
      <JB_owner>alice</JB_owner>
      <state>qw</state>
      <JB_submission_time>2026-01-01T01:00:00</JB_submission_time>
      <queue_name></queue_name>
      <slots>1</slots>
    </job_list>
  </job_info>
</job_info>
`;
    const qacct = { exitCode: 1, stderr: 'error: job id 7 not found\n' };
    const spawner = new GridEngineSpawner(context(new StubRunner({ qstat: list, qacct })), common);
    spawner.loadState({ ...saved, spawner: 'grid-engine' });
    expect(await spawner.poll()).to.equal(null);
  });

  const record = `Job Id: 7.node01
    Job_Name = ju-1
    job_state = R
    exec_host = node01/0

`;
  const inAccounting: Readonly<Record<string, readonly [StubAnswer, isAlive: boolean]>> = {
    'took too long': [{ timedOut: true, stderr: 'qstat: Unknown Job Id 7.node01\n' }, true],
    'is about another': [{ exitCode: 153, stderr: 'qstat: Unknown Job Id 77.node01\n' }, true],
    'has its record': [
      { exitCode: 153, stdout: record, stderr: 'qstat: Unknown Job Id 7.node01\n' },
      true,
    ],
    'has nothing else': [{ exitCode: 153, stderr: 'qstat: Unknown Job Id 7.node01\n' }, false],
  };
  for (const [what, [answer, isAlive]] of Object.entries(inAccounting)) {
    it(`is ${isAlive ? 'not ' : ''}gone by the word of accounting, which ${what}`, async () => {
      const runner = new StubRunner({ qstat: (argv) => (argv.includes('7.node01') ? answer : '') });
      const spawner = new PbsSpawner(context(runner), common);
      spawner.loadState({ ...saved, jobId: '7.node01', spawner: 'pbs' });
      const exit = await spawner.poll();
      expect(exit === null).to.equal(isAlive);
    });
  }
});
