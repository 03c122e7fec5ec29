import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Scheduler } from '../../lib/batch/scheduler.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import { OptionsError, StartError } from '../../lib/errors.ts';
import { TestSpawner, useSlurmTable } from '../helpers/slurm-table.ts';

describe('A spawner of jobs, fitted to its site by options', () => {
  const table = useSlurmTable();

  it('reaches the execution host under the name that execHost makes of it', async () => {
    const { spawner } = await table.running({
      execHost: { pattern: '^127\\.0\\.0\\.(\\d+)$', replacement: 'int-$1.example.org' },
    });
    expect(spawner.address?.host).to.equal('int-1.example.org');
  });

  it('leaves a name alone that execHost does not match', async () => {
    const { spawner } = await table.running({
      execHost: { pattern: '^node(.*)$', replacement: 'int-$1' },
    });
    expect(spawner.address?.host).to.equal('127.0.0.1');
  });

  it('fails a start whose execution host has no name that can stand in an address', async () => {
    const spawner = table.create({ execHost: { pattern: '^', replacement: ':' } });
    const { outcome, settled } = table.begin(spawner);
    await table.clock.tickAsync(100);
    table.slurm.setState('1001', 'RUNNING');
    spawner.acceptPort(40_123);
    await table.clock.tickAsync(3000);
    expect(spawner.address).to.equal(undefined);
    await table.clock.tickAsync(60_000);
    await settled;
    expect(outcome.error).to.be.instanceOf(StartError);
    expect(outcome.error)
      .to.have.property('message')
      .that.includes('":127.0.0.1"')
      .and.includes('execHost');
    expect(table.aliveJobs()).to.deep.equal([]);
  });

  it('refuses a replacement that makes no host, or of a group that the pattern lacks', () => {
    const pattern = '^(?<name>\\w+?)(\\d+)$';
    for (const replacement of [
      ...['int-\\1.example.org', 'a b', 'http://x/$&', 'x/$1', '$', '$$1', '$`', '$0'],
      ...['int-$3.example.org', '$<other>', '$<index>', 'x\n', '$&@', 'a?b'],
    ]) {
      expect(() => table.create({ execHost: { pattern, replacement } }), replacement)
        .to.throw(OptionsError)
        .with.property('path', 'execHost.replacement');
    }
    expect(() => table.create({ execHost: { replacement: 'int-\\1.example.org' } })).to.throw(
      '$1 to',
    );
    expect(() => table.create({ execHost: { replacement: 'int-$1' } })).to.throw('no such group');
    for (const replacement of [
      '127.0.0.1',
      'fd00::$2',
      '$<name>-$2.example.org',
      '$&.lan',
      '$10',
    ]) {
      table.create({ execHost: { pattern, replacement } });
    }
  });

  it('runs the programs in binDir, but those that have a path as they are', async () => {
    const { spawner } = await table.running({
      binDir: '/opt/slurm/bin/',
      commands: { cancel: ['/usr/local/bin/scancel', '{{jobId}}'] },
    });
    const stopped = spawner.stop();
    await table.clock.tickAsync(5000);
    await stopped;

    const programs = new Set(table.slurm.runner.calls.map(({ argv }) => argv[0]));
    expect([...programs].sort()).to.deep.equal([
      '/opt/slurm/bin/sbatch',
      '/opt/slurm/bin/scontrol',
      '/opt/slurm/bin/squeue',
      '/usr/local/bin/scancel',
      'getent',
    ]);
  });

  it('asks accounting by other commands, or not at all', async () => {
    const { spawner, id } = await table.running({
      commands: { accounting: [['/opt/scontrol', '-o', 'show', 'job', '{{jobId}}']] },
    });
    await table.slurm.endJob(id, { state: 'FAILED', exitCode: 4 });
    await table.clock.tickAsync(3000);
    expect(await spawner.poll()).to.include({ code: 4 });
    expect(table.slurm.runner.calls.some(({ argv }) => argv[0] === '/opt/scontrol')).to.equal(true);
    expect(table.count('sacct')).to.equal(0);

    const other = await table.running({ commands: { accounting: [] } });
    await table.slurm.endJob(other.id, { state: 'FAILED', exitCode: 4 });
    await table.clock.tickAsync(3000);
    expect(await other.spawner.poll()).to.include({ code: null, cause: 'failed' });
  });

  it('does not take a job for another by its time, where no accounting knows better', async () => {
    const { spawner } = await table.running({ commands: { accounting: [] } });
    const other = table.create({ commands: { accounting: [] } });
    // The clock of the hub was an hour slow.
    other.loadState({ ...spawner.getState(), submittedAt: '2026-03-02T05:00:00Z' });
    await table.clock.tickAsync(3000);
    expect(await other.poll()).to.equal(null);
  });

  it('refuses a submission that does not name the job, which nobody would find again', () => {
    const script = '#!/bin/bash\n#SBATCH --job-name={{jobName}}\n{{{exports}}}\n{{cmd}}\n';
    for (const submit of [
      ['/opt/slurm/bin/sbatch', '--parsable'],
      ['sbatch', '--parsable', '--comment={{tag}}'],
    ]) {
      expect(() => table.create({ commands: { submit } }))
        .to.throw(OptionsError, '{{jobName}}')
        .with.property('path', 'commands.submit');
      table.create({ commands: { submit }, script });
    }
  });

  it('carries the environment in a file where a site shows that of jobs to all', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hubspawner-environment-'));
    try {
      await table.running({
        jobEnvironment: 'public',
        environmentFile: join(directory, '{{jobName}}'),
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
    const [submission] = table.slurm.runner.callsOf('sbatch');
    expect(submission?.options.env).not.to.have.property('JUPYTERHUB_API_TOKEN');
    expect(submission?.options.input).to.include('hubspawner_file=');
  });

  it('quotes on directive lines of other names, for which a site has a wrapper', () => {
    const script = '#!/bin/bash\n#SITE {{homedir}}\n{{{exports}}}\n{{cmd}}\n';
    const request = { homedir: '/home/a b' };
    table.create({ script, request, directive: '^#SITE\\b' });
    expect(() => table.create({ script, request })).to.throw(OptionsError);
  });

  it('knows names of the site in its templates, beside those of the scheduler', () => {
    const script =
      '#!/bin/bash\n{{#qos}}#{{/qos}}{{#feature}}#{{/feature}}\n{{{exports}}}\n{{cmd}}\n';
    expect(() => table.create({ script })).to.throw(OptionsError, 'feature');
    table.create({ script, requestNames: ['feature'] });
    const request = { feature: 'haswell', qos: 'high' };
    table.create({ script, requestNames: ['feature'], request });
    expect(() => table.create({ request }))
      .to.throw(OptionsError, 'There is no option request.feature.')
      .with.property('path', 'request.feature');
    const lines = { feature: 'a\n#SBATCH -x', qos: 'high' };
    expect(() => table.create({ script, requestNames: ['feature'], request: lines }))
      .to.throw(OptionsError)
      .with.property('path', 'request.feature');
  });

  it('cuts the names of jobs to jobNameLength, and no two are the same', async () => {
    const names = new Set<string>();
    for (let count = 0; count < 3; count++) {
      const spawner = table.create({ jobNameLength: 15 }, { user: { name: 'Großherzogin' } });
      table.begin(spawner);
      await table.clock.tickAsync(100);
      names.add(table.slurm.jobs.at(-1)?.name ?? '');
    }
    expect(names.size).to.equal(3);
    for (const name of names) {
      expect(name).to.match(/^ju-[0-9a-f]{12}$/);
    }
  });

  it('refuses a pattern that is none, and a query about a person', () => {
    for (const [options, path] of [
      [{ execHost: { pattern: '(', replacement: 'x' } }, 'execHost.pattern'],
      [{ patterns: { job: '(' } }, 'patterns.job'],
      [{ patterns: { jobId: '^\\d+$' } }, 'patterns.jobId'],
      [{ patterns: { job: '^(?<id>.)(?<state>.)' } }, 'patterns.job'],
      // The list of all jobs is not to be read as if it were about one.
      [{ patterns: { running: 'RUNNING' } }, 'patterns.running'],
      [{ patterns: { host: '(?<host>.)' } }, 'patterns.host'],
      [{ commands: { query: ['squeue', '-u', '{{username}}'] } }, 'commands.query[2]'],
      [{ binDir: 'bin' }, 'binDir'],
    ] as const) {
      expect(() => table.create(options))
        .to.throw(OptionsError)
        .with.property('path', path);
    }
  });

  it('warns of nothing where an option has an effect', async () => {
    const spawner = table.create({
      request: { host: 'cluster1', partition: 'batch' },
      commands: { query: [...slurm.commands.query.slice(0, -1), '--clusters={{host}}'] },
    });
    const events = table.recorded(spawner);
    table.begin(spawner);
    await table.clock.tickAsync(3000);
    expect(events.filter((event) => event.startsWith('warning'))).to.deep.equal([]);
  });
});

describe('A spawner that gives the scheduler of another more names', () => {
  const scheduler = {
    ...slurm,
    requestNames: [...slurm.requestNames, 'feature'],
    script: '#!/bin/bash\n#SBATCH --constraint={{feature}}\n{{{exports}}}\n{{cmd}}\n',
  };
  class Extended extends TestSpawner {
    static override readonly scheduler: Scheduler = scheduler;
  }
  class Described extends TestSpawner {
    static override readonly scheduler: Scheduler = {
      ...scheduler,
      schema: {
        allOf: [{ $ref: 'slurm.json' }],
        properties: { request: { properties: { feature: { enum: ['haswell'] } } } },
      },
    };
  }
  const table = useSlurmTable(Extended);

  it('knows them, beside those of the site', async () => {
    const request = { feature: 'haswell', colour: 'red', qos: 'high' };
    table.begin(table.create({ requestNames: ['colour'], request }));
    await table.clock.tickAsync(100);
    const [submission] = table.slurm.runner.callsOf('sbatch');
    expect(submission?.options.input).to.include('--constraint=haswell\n');
    for (const [name, value] of [
      ['featur', 'haswell'],
      ['colour', 'red'],
      ['feature', 'a\nb'],
      ['feature', 1],
    ] as const) {
      expect(() => table.create({ request: { [name]: value } }))
        .to.throw(OptionsError)
        .with.property('path', `request.${name}`);
    }
  });

  it('may say in its schema what they are', () => {
    const create = (feature: string) =>
      new Described(
        { user: { name: 'alice' } },
        { endpoint: 'fixed', port: 1, request: Object({ feature }) },
      );
    create('haswell');
    expect(() => create('skylake'))
      .to.throw(OptionsError, '"haswell"')
      .with.property('path', 'request.feature');
  });
});

describe('A job of which neither the list nor accounting says a word', () => {
  /** It has no command that would deny the job. */
  class Silent extends TestSpawner {
    static override readonly scheduler = { ...slurm, accounting: [] };
  }
  const table = useSlurmTable(Silent);

  it('has ended when they have not for a while, and is alive until then', async () => {
    const { spawner, id } = await table.running();
    table.slurm.forget(id);
    await table.clock.tickAsync(3000);
    expect(await spawner.poll()).to.equal(null);
    await table.clock.tickAsync(9000);
    expect(await spawner.poll()).to.equal(null);
    await table.clock.tickAsync(2000);
    expect(await spawner.poll()).to.include({ cause: 'unknown' });
  });

  it('is alive where it is listed again', async () => {
    const { spawner } = await table.running();
    const lacksIt = { program: 'squeue', result: { stdout: '' } };
    for (const pause of [3000, 6000, 6000]) {
      table.slurm.fail(lacksIt);
      await table.clock.tickAsync(pause);
      expect(await spawner.poll()).to.equal(null);
      await table.clock.tickAsync(3000);
      expect(await spawner.poll()).to.equal(null);
    }
  });

  it('is over for a stop as soon as it was cancelled and is not listed', async () => {
    const { spawner, id } = await table.running();
    table.slurm.forget(id);
    const stopped = spawner.stop();
    await table.clock.tickAsync(7000);
    await stopped;
    expect(table.count('scancel')).to.equal(1);
    expect(await spawner.poll()).to.include({ cause: 'cancelled' });
  });
});
