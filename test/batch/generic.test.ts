import { expect } from 'chai';
import { GenericBatchSpawner } from '../../lib/batch/generic.ts';
import { OptionsError } from '../../lib/errors.ts';
import type { GenericOptions } from '../../lib/generated/options.ts';
import { StubRunner } from '../../lib/testing/index.ts';

/** A JSON file of an administrator. */
const json = `{
  "endpoint": "fixed",
  "port": 8888,
  "request": { "homedir": "/home/alice", "feature": "haswell" },
  "requestNames": ["colour"],
  "directive": "^#MY\\\\b",
  "script": "#!/bin/sh\\n#MY feature={{feature}}\\n{{#colour}}\\n#MY colour={{colour}}\\n{{/colour}}\\n{{{exports}}}\\n{{cmd}}\\n",
  "commands": {
    "submit": ["mysub", "--name={{jobName}}"],
    "query": ["mystat", "--all"],
    "cancel": ["mydel", "{{jobId}}"]
  },
  "patterns": {
    "jobId": "^job (?<id>\\\\d+)$",
    "job": "^(?<id>\\\\d+) (?<state>\\\\S+) (?<host>\\\\S+) (?<name>\\\\S+)$",
    "notFound": "no such job"
  },
  "states": { "waiting": { "state": "pending" }, "running": { "state": "running" } }
}`;

const options = (): Partial<GenericOptions> => JSON.parse(json);
const saved = {
  ...{ version: 1, spawner: 'generic', jobId: '7', jobName: 'ju-1', tag: 'hub:alice:1' },
  submittedAt: '2026-03-02T08:00:00Z',
};

describe('GenericBatchSpawner', () => {
  function create(mystat: string | object, more: Partial<GenericOptions> = {}) {
    const runner = new StubRunner({ mystat, mydel: '' });
    const spawner = new GenericBatchSpawner(
      { user: { name: 'alice' }, runner },
      { ...options(), ...more },
    );
    spawner.loadState(saved);
    return { spawner, runner };
  }

  it('takes all that it knows from a JSON file', async () => {
    const { spawner } = create('7 running node01,node02 ju-1\n8 waiting - other\n');
    expect(await spawner.poll()).to.equal(null);
    expect(spawner.address).to.include({ host: 'node01', port: 8888 });
  });

  it('asks about one job as its owner, from whom no site hides it', async () => {
    const { runner, spawner } = create('R on node01\n', {
      commands: {
        submit: ['mysub', '--name={{jobName}}'],
        query: ['mystat', '{{jobId}}'],
        cancel: ['mydel', '{{jobId}}'],
      },
      patterns: { jobId: '^job (?<id>\\d+)$', running: '^R on (?<host>\\S+)', notFound: 'no' },
    });
    expect(await spawner.poll()).to.equal(null);
    expect(runner.callsOf('mystat').map((call) => call.options.user)).to.deep.equal(['alice']);

    const all = create('7 running node01 ju-1\n');
    await all.spawner.poll();
    expect(all.runner.callsOf('mystat')[0]?.options).not.to.have.property('user');
  });

  it('says of which host it can make nothing, and that no more than that is wrong', async () => {
    const { spawner } = create('7 running all.q@node01 ju-1\n');
    const warnings: string[] = [];
    spawner.on('warning', ({ message }) => warnings.push(message));
    expect(await spawner.poll()).to.equal(null);
    expect(await spawner.poll()).to.equal(null);
    expect(spawner.address).to.equal(undefined);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.include('"all.q@node01"');

    const execHost = { pattern: '^[\\w.]+@(.*)$', replacement: '$1.example.org' };
    const other = create('7 running all.q@node01 ju-1\n', { execHost }).spawner;
    expect(await other.poll()).to.equal(null);
    expect(other.address).to.include({ host: 'node01.example.org' });
  });

  it('says nothing of a job whose state it does not know, nor from what is no list', async () => {
    for (const output of [
      '7 strange node01 ju-1\n',
      '7 toString node01 ju-1\n',
      'Welcome!\n',
      '8 running node01 x',
    ]) {
      const { spawner } = create(output);
      const warnings: string[] = [];
      spawner.on('warning', ({ code }) => warnings.push(code));
      expect(await spawner.poll(), output).to.equal(null);
      expect(warnings, output).to.deep.equal(['status-unknown']);
    }
  });

  it('believes the answer to a question about one job that there is none', async () => {
    const commands = { ...options().commands, query: ['mystat', '{{jobId}}'] };
    const patterns = {
      jobId: '^(?<id>\\d+)$',
      running: 'RUN on (?<host>\\w+)',
      notFound: 'no such job',
    };
    const one = (mystat: string | object) =>
      create(mystat, { commands, patterns, gracePeriod: 0 } as Partial<GenericOptions>).spawner;
    expect(await one({ exitCode: 1, stderr: 'no such job 7\n' }).poll()).to.include({
      cause: 'unknown',
    });
    expect(await one({ exitCode: 1, stderr: 'no connection\n' }).poll()).to.equal(null);
    expect(await one('RUN on node01\n').poll()).to.equal(null);
    expect(await one('what?\n').poll()).to.equal(null);
    expect(await one('').poll()).to.equal(null);
  });

  it('does not take an empty answer to a question about one job for its end', async () => {
    const commands = { ...options().commands, query: ['mystat', '{{jobId}}'] };
    for (const output of ['', '8 running node01 other\n']) {
      const { spawner } = create(output, { commands, gracePeriod: 0 } as Partial<GenericOptions>);
      const warnings: string[] = [];
      spawner.on('warning', ({ message }) => warnings.push(message));
      expect(await spawner.poll(), output).to.equal(null);
      expect(warnings.join(), output).to.include('mystat says nothing of the job 7');
    }
  });

  it('asks about all jobs by a query that only looks as if it named one', async () => {
    const commands = { ...options().commands, query: ['mystat', '--columns=jobId,state'] };
    const { spawner } = create('7 running node01 ju-1\n', { commands } as Partial<GenericOptions>);
    expect(await spawner.poll()).to.equal(null);
    expect(spawner.address).to.include({ host: 'node01' });
  });

  it('needs no mark where nothing reads any', () => {
    const { commands, patterns } = options();
    const submit = ['mysub'];
    create('', { commands: { ...commands, submit } } as Partial<GenericOptions>);
    const job = patterns?.job?.replace('name', 'other');
    const accounting = [['myacct', '{{jobId}}']];
    create('', {
      commands: { ...commands, submit, accounting },
      patterns: { ...patterns, job },
    } as Partial<GenericOptions>);
  });

  const { commands, patterns } = options();
  const job = patterns?.job ?? '';
  const asking = { ...commands, query: ['mystat', '{{#jobId}}{{.}}{{/jobId}}'] };
  const ofOne = { jobId: '^(?<id>\\d+)$', notFound: 'none', running: 'R on (?<host>.*)' };
  for (const [what, change, path] of [
    ['the group of the job id', { patterns: { ...patterns, jobId: '^(\\d+)$' } }, 'patterns.jobId'],
    [
      'the id of a row',
      { patterns: { ...patterns, job: job.replace('id', 'no') } },
      'patterns.job',
    ],
    ['its state', { patterns: { ...patterns, job: job.replace('state', 'no') } }, 'patterns.job'],
    ['its host', { patterns: { ...patterns, job: job.replace('host', 'no') } }, 'patterns.job'],
    ['the job to cancel', { commands: { ...commands, cancel: ['mydel'] } }, 'commands.cancel'],
    [
      'a row for what it finds',
      { commands: { ...asking, find: ['f'] }, patterns: ofOne },
      'patterns.job',
    ],
    [
      'a mark in it',
      {
        commands: { ...commands, find: ['f'] },
        patterns: { ...patterns, job: job.replace('name', 'no') },
      },
      'patterns.job',
    ],
    [
      'a row for accounting',
      { commands: { ...asking, accounting: [['a']] }, patterns: ofOne },
      'patterns.job',
    ],
    [
      'a row beside the header',
      { commands: asking, patterns: { ...ofOne, header: '^-' } },
      'patterns.job',
    ],
    [
      'a word for a job that is gone, where each is asked about',
      { commands: asking, patterns: { ...ofOne, notFound: undefined } },
      'patterns.notFound',
    ],
    [
      'a word for one that runs',
      {
        commands: asking,
        patterns: { ...ofOne, running: undefined, pending: 'Q', host: '(?<host>.)' },
      },
      'patterns.running',
    ],
    [
      'the host of that',
      { commands: asking, patterns: { ...ofOne, running: 'R' } },
      'patterns.host',
    ],
    ['a group for it', { commands: asking, patterns: { ...ofOne, host: '.*' } }, 'patterns.host'],
    ['a question for it', { patterns: { ...patterns, running: 'R' } }, 'patterns.running'],
    [
      'the name of a job that is found by it',
      {
        commands: { ...commands, submit: ['mysub', '{{tag}}'] },
        patterns: { ...patterns, job: job.replace('$', ' (?<owner>\\S+)$') },
      },
      'commands.submit',
    ],
    [
      'its tag where that is read',
      {
        commands: { ...commands, submit: ['mysub', '{{jobName}}'], find: ['f'] },
        patterns: { ...patterns, job: job.replace('name', 'tag') },
      },
      'commands.submit',
    ],
    [
      'its name where accounting has it',
      {
        commands: { ...commands, submit: ['mysub'], accounting: [['a']] },
      },
      'commands.submit',
    ],
    ['a command to submit', { commands: { query: ['q'], cancel: ['c'] } }, 'commands.submit'],
    ['a pattern of the job id', { patterns: { job: '(?<id>1)(?<state>2)' } }, 'patterns.jobId'],
    ['a way to read the query', { patterns: { jobId: '(?<id>.*)' } }, 'patterns'],
    ['a script', { script: undefined }, 'script'],
    ['a value for each name of the script', { request: {} }, 'script'],
    ['texts of one line in the request', { request: { feature: 'a\n#MY b' } }, 'request.feature'],
  ] as const) {
    it(`needs ${what}`, () => {
      const wrong = { ...options(), ...change } as Partial<GenericOptions>;
      expect(() => new GenericBatchSpawner({ user: { name: 'alice' } }, wrong))
        .to.throw(OptionsError)
        .with.property('path', path);
    });
  }
});
