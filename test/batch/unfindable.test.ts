import { expect } from 'chai';
import { GenericBatchSpawner } from '../../lib/batch/generic.ts';
import { CommandError, StartError } from '../../lib/errors.ts';
import type { GenericOptions } from '../../lib/generated/options.ts';
import type { StubAnswer } from '../../lib/testing/index.ts';
import { StubRunner } from '../../lib/testing/index.ts';

const row = String.raw`^(?<id>\d+) (?<state>\S+) (?<host>\S+) (?<name>\S+)$`;

describe('A batch system that has no command to find a job by its mark', () => {
  async function start(mysub: StubAnswer, job = row, more: Partial<GenericOptions> = {}) {
    const runner = new StubRunner({
      mysub,
      mystat: '1 R n1 other alice\n',
      sh: '',
      rm: '',
    });
    const spawner = new GenericBatchSpawner(
      { user: { name: 'alice' }, runner },
      {
        ...{ endpoint: 'fixed', port: 8888, startTimeout: 1000 },
        request: { homedir: '/home/alice' },
        environment: { COLOUR: 'blue' },
        script: '#!/bin/sh\n{{{exports}}}\n{{cmd}}\n',
        commands: {
          submit: ['mysub', '{{jobName}}'],
          query: ['mystat'],
          cancel: ['d', '{{jobId}}'],
        },
        patterns: { jobId: String.raw`^job (?<id>\d+)$`, job },
        states: { R: { state: 'running' } },
        ...more,
      },
    );
    const error: unknown = await spawner.start().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    return { error, runner };
  }

  const doubtful: Record<string, StubAnswer> = {
    'a submission that took too long': { timedOut: true },
    'one that was ended by a signal': { signal: 'SIGKILL' },
    'one that prints no id': 'Welcome!\n',
  };
  for (const [what, answer] of Object.entries(doubtful)) {
    it(`does not get ${what} once more, and the person is told of the job`, async () => {
      const { error, runner } = await start(answer);
      const [submission] = runner.callsOf('mysub');
      expect(runner.callsOf('mysub')).to.have.length(1);
      expect(error).to.be.instanceOf(StartError).with.property('retryable', false);
      expect(String(error)).to.include(`A job with the name ${submission?.argv[1]} may exist`);
      expect(runner.callsOf('rm')).not.to.have.length(0);
    });
  }

  it('is believed where it refuses a job', async () => {
    const { error, runner } = await start({ exitCode: 1, stderr: 'no such queue\n' });
    expect(runner.callsOf('mysub')).to.have.length(1);
    expect(error).to.be.instanceOf(CommandError).with.property('retryable', false);
  });

  it('is one whose list has no owners: anybody can give a job our name', async () => {
    const { runner } = await start({ exitCode: 1 });
    expect(runner.callsOf('mystat')).to.deep.equal([]);
  });

  it('is none where the list of all jobs has marks and owners', async () => {
    const owned = row.replace('$', String.raw` (?<owner>\S+)$`);
    const { error, runner } = await start({ exitCode: 1 }, owned);
    expect(error).to.be.instanceOf(CommandError);
    // What is hidden from the hub's account is not from the owner's.
    expect(runner.callsOf('mystat').map(({ options }) => options.user)).to.deep.equal([
      undefined,
      'alice',
    ]);
  });
});
