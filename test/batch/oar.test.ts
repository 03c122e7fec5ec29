import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { OarSpawner, oar } from '../../lib/batch/oar.ts';
import type { JobState } from '../../lib/batch/scheduler.ts';
import { jobIdIn } from '../../lib/batch/scheduler.ts';
import { ParseError } from '../../lib/errors.ts';
import type { ExitCause } from '../../lib/events.ts';
import type { OarOptions } from '../../lib/generated/options.ts';
import { StubRunner } from '../../lib/testing/index.ts';
import { cuts, Fixtures } from '../helpers/fixtures.ts';
import { brief, verdictOf } from '../helpers/verdict.ts';

const fixtures = new Fixtures('oar');
const { patterns, states } = oar;

const submitted: Readonly<Record<string, string | undefined>> = {
  'oarsub.txt': '702',
  'oarsub-key.txt': '703',
  'oarsub-almighty.txt': '704',
  'oarsub-resources.txt': undefined,
  'oardel.txt': undefined,
};

const listed: Readonly<Record<string, readonly string[]>> = {
  'oarstat-J.json': [
    '301 running node01.cluster.example',
    '302 pending Karma=0.145,quota_ok',
    '303 held Karma=0.145,quota_ok',
    '304 pending Karma=0.145,quota_ok',
    '305 pending Karma=0.145,quota_ok',
    '306 suspended node04.cluster.example',
    '307 suspended node04.cluster.example',
    '308 completing node05.cluster.example,node06.cluster.example',
    '309 pending Karma=0.145,quota_ok',
    '310 running node07.cluster.example',
    '311 pending Cannot find enough resources which fit for the job 311',
    '312 running node08.cluster.example',
  ],
  'oarstat-J-none.json': [],
};

/** By the source that is asked about one job. */
const accounts: Readonly<Record<string, string>> = {
  'oarstat-f-running.json': '301 running node01.cluster.example',
  'oarstat-f-completed.json': '321 completed 0 node01.cluster.example',
  'oarstat-f-failed.json': '322 failed 7 node01.cluster.example',
  'oarstat-f-walltime.json': '323 timeout SIGKILL node01.cluster.example',
  'oarstat-f-cancelled.json': '324 cancelled SIGKILL node01.cluster.example',
  'oarstat-f-preempted.json': '325 preempted node01.cluster.example',
  'oarstat-f-node.json': '326 node-failure node01.cluster.example',
  'oarstat-f-signal.json': '327 failed SIGSEGV node01.cluster.example',
  'oarstat-f-error.json': '328 failed',
  'oarstat-f-format3.json': '329 completed 0 node01.cluster.example',
};

const failures: Readonly<Record<string, ReturnType<typeof verdictOf>>> = {
  'oarstat-none-old.err.txt': 'not found',
  'oarsub-resources.txt': 'failure',
  'oarsub-resources.err.txt': 'failure',
  'oarsub-queue.err.txt': 'failure',
  // The job is there all the same.
  'oarsub-almighty.txt': 'away',
  'oarsub-almighty.err.txt': 'away',
  'oardel-again.txt': 'not found',
  'oardel-again.err.txt': 'not found',
  'oardel-denied.txt': 'failure',
  'oardel-denied.err.txt': 'failure',
  'oardel-signal.txt': 'failure',
  'oardel-signal.err.txt': 'failure',
  'outage-oarstat.err.txt': 'away',
  'outage-oarsub.err.txt': 'away',
};

function query(text: string) {
  return oar.parseQuery(text, states);
}

/** A list with one job. */
function list(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ 7: { state: 'Running', ...fields } });
}

function account(text: string, id: string, jobName: string) {
  return oar.accounting[0]?.parse(text, { id, jobName }, states);
}

describe('The fixtures of OAR', () => {
  it('are all read', () => {
    const read = [submitted, listed, accounts, failures].flatMap((table) => Object.keys(table));
    expect([...new Set([...read, 'oarstat-J-cut.txt'])]).to.have.members(
      Object.keys(fixtures.index),
    );
  });
});

describe('The job id that oarsub prints', () => {
  for (const [name, id] of Object.entries(submitted)) {
    it(`is read from ${name}`, () => {
      const expected = id === undefined ? undefined : { id };
      expect(jobIdIn(fixtures.text(name), patterns.jobId)).to.deep.equal(expected);
    });
  }

  it('is none where there are two, and is not made of other words', () => {
    expect(jobIdIn('OAR_JOB_ID=7\nOAR_JOB_ID=8\n', patterns.jobId)).to.equal(undefined);
    for (const text of ['', '7', 'OAR_JOB_ID=', 'OAR_JOB_ID=7x', 'OAR_ARRAY_ID=7']) {
      expect(jobIdIn(text, patterns.jobId), text).to.equal(undefined);
    }
  });
});

describe('The states of OAR', () => {
  const alive: Readonly<Record<string, JobState>> = {
    Waiting: 'pending',
    Hold: 'held',
    toAckReservation: 'pending',
    toLaunch: 'pending',
    Launching: 'pending',
    Running: 'running',
    Suspended: 'suspended',
    Resuming: 'suspended',
    Finishing: 'completing',
    toError: 'completing',
  };
  const ended: Readonly<Record<string, ExitCause>> = {
    Terminated: 'completed',
    Error: 'failed',
  };

  it('say what a job is doing', () => {
    for (const [state, ours] of Object.entries(alive)) {
      const [status] = query(list({ state })).jobs;
      expect(status, state).to.include({ id: '7', state: ours, nativeState: state });
      expect(status).not.to.have.property('exit');
    }
    for (const [state, cause] of Object.entries(ended)) {
      const [status] = query(list({ state })).jobs;
      expect(status, state).to.include({ state: 'ended' });
      expect(status?.exit?.cause, state).to.equal(cause);
    }
    expect(Object.keys(states)).to.have.members([...Object.keys(alive), ...Object.keys(ended)]);
  });

  it('are unknown where the word is', () => {
    for (const state of ['R', 'running', 'NA', 'TerminatedX', 'toString', '__proto__']) {
      const [status] = query(list({ state })).jobs;
      expect(status).to.include({ state: 'unknown', nativeState: state });
    }
  });
});

describe('The answer of oarstat', () => {
  for (const [name, jobs] of Object.entries(listed)) {
    it(`is read from ${name}`, () => {
      const answer = query(fixtures.text(name));
      expect(answer.jobs.map(brief)).to.deep.equal(jobs);
      expect(answer.complete).to.equal(true);
    });
  }

  it('has times', () => {
    const [running, waiting] = query(fixtures.text('oarstat-J.json')).jobs;
    expect(running).to.deep.include({
      submittedAt: new Date('2026-03-02T06:30:00Z'),
      startedAt: new Date('2026-03-02T06:30:10Z'),
    });
    expect(waiting).to.deep.include({ estimatedStart: new Date('2026-03-02T08:26:40Z') });
    expect(waiting).not.to.have.any.keys('startedAt', 'hosts');
    const other = account(
      fixtures.text('oarstat-f-format3.json'),
      '329',
      'jupyter-alice-000000000149',
    );
    expect(other).to.deep.include({
      submittedAt: new Date('2026-03-02T06:30:00Z'),
      startedAt: new Date('2026-03-02T06:30:10Z'),
    });
  });

  it('is none, wherever it was cut', () => {
    const text = fixtures.text('oarstat-J.json').trimEnd();
    for (const { cut, at } of cuts(text)) {
      expect(() => query(cut), String(at)).to.throw(ParseError);
    }
    expect(() => query(fixtures.text('oarstat-J-cut.txt'))).to.throw(ParseError);
  });

  it('is not complete where a job can not be read', () => {
    const texts = ['{"7":7}', '{"7":[]}', '{"7":{}}', '{"x":{"state":"Running"}}'];
    for (const text of [...texts, list({ state: 7 }).replace('7}', '""}'), list({ state: '' })]) {
      expect(query(text), text).to.deep.equal({ jobs: [], complete: false });
    }
    for (const text of ['', '[]', 'nul', 'null null', '7', 'Job id    Name\n']) {
      expect(() => query(text), text).to.throw(ParseError);
    }
  });

  it('has every host once', () => {
    const hosts = (...names: unknown[]) =>
      query(list({ assigned_network_address: names })).jobs[0]?.hosts;
    expect(hosts('node02', 'node02', 'node01')).to.deep.equal(['node02', 'node01']);
    expect(hosts('', 7, null, '$(reboot)')).to.equal(undefined);
    expect(query(list({ assigned_network_address: 'node01' })).jobs[0]?.hosts).to.equal(undefined);
  });

  it('lists ten thousand jobs', () => {
    const jobs = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, id) => [id + 1, { state: 'Running' }]),
    );
    const answer = query(JSON.stringify(jobs));
    expect(answer.jobs).to.have.length(10_000);
    expect(answer.complete).to.equal(true);
  });

  it('may hold what is no UTF-8', () => {
    expect(query(list({ name: 'al\ufffdce' })).complete).to.equal(true);
  });
});

describe('The end of a job of OAR', () => {
  for (const [name, expected] of Object.entries(accounts)) {
    it(`is read, if there is one, from ${name}`, () => {
      const text = fixtures.text(name);
      const [id = ''] = expected.split(' ');
      const { name: jobName } = JSON.parse(text)[id];
      const status = account(text, id, jobName);
      expect(status && brief(status)).to.equal(expected);
      expect(account(text, id, `${jobName}x`)).to.equal(undefined);
      expect(account(text, `${id}1`, jobName)).to.equal(undefined);
    });
  }

  it('is not known where there is no such job', () => {
    expect(account(fixtures.text('oarstat-J-none.json'), '7', 'x')).to.equal(undefined);
    expect(() => account('', '7', 'x')).to.throw(ParseError);
  });

  it('has the words of the event', () => {
    const text = fixtures.text('oarstat-f-cancelled.json');
    expect(account(text, '324', 'jupyter-alice-000000000144')?.exit?.message).to.equal(
      'The job was cancelled (SIGKILL, User alice requested to frag the job 324).',
    );
  });

  it('is a good one where the script ended well, whatever was asked for meanwhile', () => {
    const events = [{ type: 'FRAG_JOB_REQUEST', description: '' }];
    const [status] = query(list({ state: 'Terminated', exit_code: '0', events })).jobs;
    expect(status?.exit).to.include({ cause: 'completed', code: 0 });
  });
});

describe('A command of OAR that fails', () => {
  for (const [name, verdict] of Object.entries(failures)) {
    it(`is taken for what it is: ${name}, ${verdict}`, () => {
      expect(verdictOf(fixtures.result(name), patterns)).to.equal(verdict);
    });
  }
});

describe('The jobs that oarstat finds', () => {
  it('have names and owners, whatever they are called', () => {
    const { jobs, complete } = oar.parseFind(fixtures.text('oarstat-J.json'));
    expect(complete).to.equal(true);
    expect(jobs).to.have.length(12);
    expect(jobs[0]).to.deep.equal({
      id: '301',
      tag: '',
      jobName: 'jupyter-alice-00000000012d',
      owner: 'alice',
    });
    expect(jobs.at(-1)).to.deep.equal({
      id: '312',
      tag: '',
      jobName: '", "state" : "Terminated"\n}',
      owner: 'bob',
    });
  });
});

describe('What OAR is asked for', () => {
  /** The words of oarsub. */
  async function oarsub(options: Partial<OarOptions>): Promise<readonly string[]> {
    let words: readonly string[] = [];
    const runner = new StubRunner((argv) => {
      if (argv[0] === 'oarsub') words = argv;
      if (argv[0] === 'oarstat') return 'null\n';
      return argv[0] === 'oarsub' ? { exitCode: 8, stderr: 'no' } : '';
    });
    const spawner = new OarSpawner(
      { user: { name: 'alice' }, runner },
      { cmd: ['echo', `it's`, 'a "$HOME" \\n  b'], endpoint: 'fixed', port: 8888, ...options },
    );
    await spawner.start().catch(() => {});
    return words;
  }

  const request = { homedir: '/home/alice' };

  it('is one core for an hour, unless more is asked for', async () => {
    const resource = async (more: OarOptions['request']) =>
      (await oarsub({ request: { ...request, ...more } })).filter((word) => /^--res/.test(word));
    expect(await resource({})).to.deep.equal(['--resource=/nodes=1/core=1']);
    expect(await resource({ nprocs: 4, runtime: '90' })).to.deep.equal([
      '--resource=/nodes=1/core=4,walltime=1:30:00',
    ]);
    expect(await resource({ ngpus: 2 })).to.deep.equal(['--resource=/nodes=1/gpu=2']);
    expect(await resource({ resources: '/cpu=1', runtime: '0:59' })).to.deep.equal([
      '--resource=/cpu=1,walltime=0:00:59',
    ]);
  });

  it('is one word each', async () => {
    const properties = "gpu='YES' and mem > 64000";
    const words = await oarsub({ request: { ...request, properties, type: 'besteffort' } });
    expect(words).to.include.members([`--property=${properties}`, '--type=besteffort']);
    expect(words.some((word) => word.startsWith('--queue'))).to.equal(false);
  });

  it('is a command that a shell takes for the script', async () => {
    const command = (await oarsub({ request })).at(-1) ?? '';
    expect(command).to.match(/^exec bash -c '[^']*' '[\x20-\x7e]*'$/);
    const [, line = ''] = /'([^']*)'$/.exec(command) ?? [];
    expect(line).not.to.match(/["'`$\n]/);
    const server = line.slice(line.indexOf('# Called at the end'));
    for (const shell of ['sh', 'bash']) {
      const printed = execFileSync(shell, ['-c', command.replace(line, server)], {
        encoding: 'utf8',
        env: { HOME: '/nonexistent' },
      });
      expect(printed).to.equal(`it's a "$HOME" \\n  b\n`);
    }
  });
});
