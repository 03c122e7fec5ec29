import { expect } from 'chai';
import { FluxSpawner, flux } from '../../lib/batch/flux.ts';
import type { JobState } from '../../lib/batch/scheduler.ts';
import { jobIdIn } from '../../lib/batch/scheduler.ts';
import { OptionsError, ParseError } from '../../lib/errors.ts';
import type { ExitCause } from '../../lib/events.ts';
import type { FluxOptions } from '../../lib/generated/options.ts';
import { StubRunner } from '../../lib/testing/index.ts';
import { cuts, Fixtures } from '../helpers/fixtures.ts';
import { brief, verdictOf } from '../helpers/verdict.ts';

const fixtures = new Fixtures('flux');
const { patterns, states } = flux;

const submitted: Readonly<Record<string, string | undefined>> = {
  'batch.txt': 'fiFkbMhFM',
  'batch-chatter.txt': 'fiFkbMhFM',
  // Looked up by its name then. It does not occur: commands run in the locale C.
  'batch-utf8.txt': undefined,
};

const listed: Readonly<Record<string, readonly string[]>> = {
  'jobs.json': [
    'fBHBuyUUoH running node03,node04',
    'fBHBuzxU5d pending resources',
    'fBHBv2STMy held its urgency is 0',
    'fBHBv3vSeK pending depends on afterany:f123, begin-time=1772450000',
    'fBHBv5QRvf pending',
    'fBHBv6tRD1 completing node03',
    'fBHBv8NQVM completed 0 node03',
    'fBHBv9rPmh failed 7 node03',
    'fBHBvBLP43 timeout SIGALRM node03',
    'fBHBvCpNLP cancelled SIGTERM node03',
    'fBHBvEJMcj cancelled',
    'fBHBvFnLu5 node-failure SIGKILL node03',
    'fBHBvHGLBR failed SIGKILL node03',
    'fBHBvJkKTm failed 1',
    'fY7S7b9Jk6od running node03',
    'fBHBvMiJ2T pending',
  ],
  'jobs-none.json': [],
};

/** By the source that is asked about one job. */
const accounts: Readonly<Record<string, string>> = {
  'job-running.json': 'fBHBuyUUoH running node03,node04',
  'job-failed.json': 'fBHBv9rPmh failed 7 node03',
  'job-held.json': 'fBHBv2STMy held its urgency is 0',
};

const failures: Readonly<Record<string, ReturnType<typeof verdictOf>>> = {
  'jobs-unknown.err.txt': 'not found',
  'jobs-unknown-new.err.txt': 'not found',
  'jobs-truncated.err.txt': 'failure',
  'batch-noslots.err.txt': 'failure',
  'batch-queue.err.txt': 'failure',
  'batch-orphan.err.txt': 'failure',
  'cancel-unknown.err.txt': 'not found',
  'cancel-inactive.err.txt': 'not found',
  'kill-inactive.err.txt': 'not found',
  'outage-batch.err.txt': 'away',
  'outage-jobs.err.txt': 'away',
  'outage-refused.err.txt': 'away',
  'outage-service.err.txt': 'away',
};

function query(text: string) {
  return flux.parseQuery(text, states);
}

/** A list with one job. */
function list(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ jobs: [{ id: 91088924704768, state: 'RUN', ...fields }] });
}

function account(text: string, id: string, jobName: string) {
  return flux.accounting[0]?.parse(text, { id, jobName }, states);
}

describe('The fixtures of Flux', () => {
  it('are all read', () => {
    const read = [submitted, listed, accounts, failures].flatMap((table) => Object.keys(table));
    expect([...read, 'jobs-cut.txt']).to.have.members(Object.keys(fixtures.index));
  });
});

describe('The job id that flux batch prints', () => {
  for (const [name, id] of Object.entries(submitted)) {
    it(`is read from ${name}`, () => {
      const expected = id === undefined ? undefined : { id };
      expect(jobIdIn(fixtures.text(name), patterns.jobId)).to.deep.equal(expected);
    });
  }

  it('is none where there are two, and is not made of other words', () => {
    expect(jobIdIn('fiFkbMhFM\nfiFkbMhFN\n', patterns.jobId)).to.equal(undefined);
    for (const text of ['', 'f', 'flux', 'f0', '7', 'f7 f8', 'job f7', 'f1234567890123']) {
      expect(jobIdIn(text, patterns.jobId), text).to.equal(undefined);
    }
  });

  it('is the one that a list has', () => {
    // Pairs that flux-core 0.89 was seen to print.
    const pairs: Readonly<Record<string, string>> = {
      91088924704768: 'fiFkbMhFM',
      91093387444224: 'fiFsPiQD5',
      91096977768448: 'fiFxrykWs',
      91150983626752: 'fiHP9Htes',
      0: 'f1',
      57: 'fz',
      58: 'f21',
    };
    for (const [id, expected] of Object.entries(pairs)) {
      const text = list({}).replace('91088924704768', id);
      expect(query(text).jobs[0]?.id, id).to.equal(expected);
    }
    const largest = list({}).replace('91088924704768', '18446744073709551615');
    expect(query(largest).jobs[0]?.id).to.equal('fjpXCZedGfVQ');
  });
});

describe('The states of Flux', () => {
  const alive: Readonly<Record<string, JobState>> = {
    NEW: 'pending',
    DEPEND: 'pending',
    PRIORITY: 'pending',
    SCHED: 'pending',
    RUN: 'running',
    CLEANUP: 'completing',
  };
  const ended: Readonly<Record<string, ExitCause>> = {
    COMPLETED: 'completed',
    FAILED: 'failed',
    CANCELED: 'cancelled',
    TIMEOUT: 'timeout',
  };

  it('say what a job is doing', () => {
    for (const [state, ours] of Object.entries(alive)) {
      const [status] = query(list({ state, urgency: 16 })).jobs;
      expect(status, state).to.include({ state: ours, nativeState: state });
      expect(status).not.to.have.property('exit');
    }
    for (const [result, cause] of Object.entries(ended)) {
      const [status] = query(list({ state: 'INACTIVE', result })).jobs;
      expect(status, result).to.include({ state: 'ended', nativeState: result });
      expect(status?.exit?.cause, result).to.equal(cause);
    }
    expect(Object.keys(states)).to.have.members([...Object.keys(alive), ...Object.keys(ended)]);
  });

  it('are held where a job that waits has no urgency', () => {
    for (const state of ['DEPEND', 'PRIORITY', 'SCHED']) {
      expect(query(list({ state, urgency: 0 })).jobs[0]).to.include({ state: 'held' });
    }
    expect(query(list({ state: 'RUN', urgency: 0 })).jobs[0]).to.include({ state: 'running' });
    // A job without a priority may get one.
    expect(query(list({ state: 'SCHED', urgency: 16, priority: 0 })).jobs[0]).to.include({
      state: 'pending',
    });
  });

  it('are unknown where the word is', () => {
    for (const state of ['R', 'run', 'INACTIVE', 'SUSPEND', 'toString', '__proto__']) {
      const [status] = query(list({ state })).jobs;
      expect(status).to.include({ state: 'unknown', nativeState: state });
    }
  });
});

describe('The answer of flux jobs', () => {
  for (const [name, jobs] of Object.entries(listed)) {
    it(`is read from ${name}`, () => {
      const answer = query(fixtures.text(name));
      expect(answer.jobs.map(brief)).to.deep.equal(jobs);
      expect(answer.complete).to.equal(true);
    });
  }

  it('has times', () => {
    const [running, pending] = query(fixtures.text('jobs.json')).jobs;
    expect(running).to.deep.include({
      submittedAt: new Date('2026-03-02T06:37:19.250Z'),
      startedAt: new Date('2026-03-02T06:37:20.250Z'),
      endsAt: new Date('2026-03-02T07:37:20.250Z'),
    });
    expect(pending).to.deep.include({ estimatedStart: new Date('2026-03-02T08:26:40.500Z') });
    expect(pending).not.to.have.any.keys('startedAt', 'endsAt', 'hosts');
    const endless = query(list({ duration: 0, expiration: 9223372036 })).jobs[0];
    expect(endless).not.to.have.property('endsAt');
  });

  it('is none, wherever it was cut', () => {
    const text = fixtures.text('jobs.json').trimEnd();
    for (const { cut, at } of cuts(text)) {
      expect(() => query(cut), String(at)).to.throw(ParseError);
    }
    expect(() => query(fixtures.text('jobs-cut.txt'))).to.throw(ParseError);
  });

  it('is not complete where a job can not be read', () => {
    const texts = [
      list({ id: '91088924704768x' }),
      list({ id: 'f1' }),
      list({ id: null }),
      list({ id: 1.5 }),
      list({ state: '' }),
      list({ state: 7 }).replace('"state":7', '"status":"RUN"'),
      '{"jobs":[7]}',
    ];
    for (const text of texts) {
      expect(query(text), text).to.deep.equal({ jobs: [], complete: false });
    }
    for (const text of ['', 'null', '[]', '{}', '{"jobs":{}}', '{"jobs": []} {"jobs": []}']) {
      expect(() => query(text), text).to.throw(ParseError);
    }
  });

  it('has the hosts of a job that has started', () => {
    const hosts = (nodelist: string, t_run?: number) =>
      query(list({ nodelist, ...(t_run !== undefined && { t_run }) })).jobs[0]?.hosts;
    expect(hosts('node[01-02],gpu1', 1772433440)).to.deep.equal(['node01', 'node02', 'gpu1']);
    expect(hosts('node01')).to.equal(undefined);
    expect(hosts('node[01', 1772433440)).to.equal(undefined);
  });

  it('lists ten thousand jobs', () => {
    const jobs = Array.from({ length: 10_000 }, (_, id) => ({ id, state: 'RUN' }));
    expect(query(JSON.stringify({ jobs }))).to.have.property('complete', true);
    expect(new Set(query(JSON.stringify({ jobs })).jobs.map(({ id }) => id))).to.have.length(
      10_000,
    );
  });

  it('may hold what is no UTF-8', () => {
    expect(query(list({ name: 'al\ufffdce', username: '\ufffd' })).complete).to.equal(true);
  });
});

describe('The end of a job of Flux', () => {
  for (const [name, expected] of Object.entries(accounts)) {
    it(`is read, if there is one, from ${name}`, () => {
      const text = fixtures.text(name);
      const [id = ''] = expected.split(' ');
      const { name: jobName } = JSON.parse(text);
      const status = account(text, id, jobName);
      expect(status && brief(status)).to.equal(expected);
      expect(account(text, id, `${jobName}x`)).to.equal(undefined);
      expect(account(text, `${id}1`, jobName)).to.equal(undefined);
    });
  }

  it('is not known where nothing was printed', () => {
    expect(account('', 'f1', 'x')).to.equal(undefined);
    expect(() => account('\n', 'f1', 'x')).to.throw(ParseError);
  });

  it('has the words of the exception', () => {
    const lost = query(fixtures.text('jobs.json')).jobs.find(({ id }) => id === 'fBHBvFnLu5');
    expect(lost?.exit?.message).to.equal(
      'The node on which the job ran failed (SIGKILL, lost contact with job shell on node07 (shell rank 0)).',
    );
  });
});

describe('A command of Flux that fails', () => {
  for (const [name, verdict] of Object.entries(failures)) {
    it(`is taken for what it is: ${name}, ${verdict}`, () => {
      expect(verdictOf(fixtures.result(name), patterns)).to.equal(verdict);
    });
  }
});

describe('The jobs that flux jobs finds', () => {
  it('have names and owners, whatever they are called', () => {
    const { jobs, complete } = flux.parseFind(fixtures.text('jobs.json'));
    expect(complete).to.equal(true);
    expect(jobs).to.have.length(16);
    expect(jobs[0]).to.deep.equal({
      id: 'fBHBuyUUoH',
      tag: '',
      jobName: 'jupyter-alice-003c35e10000',
      owner: 'alice',
    });
    expect(jobs).to.deep.include({
      id: 'fY7S7b9Jk6od',
      tag: '',
      jobName: '"id": 7, "state": "INACTIVE"\n{"jobs": []}',
      owner: 'bob',
    });
  });
});

describe('What Flux is asked for', () => {
  const create = (request: FluxOptions['request'], options: Partial<FluxOptions> = {}) =>
    new FluxSpawner(
      { user: { name: 'alice' }, runner: new StubRunner({}) },
      { cmd: ['server'], endpoint: 'fixed', port: 8888, request, ...options },
    );

  it('is refused where a shell would take it for more than one word', () => {
    for (const queue of ['a b', 'a;b', 'a|b', 'a&b', 'a>b', '(a)', '"a"', 'a#b']) {
      expect(() => create({ queue }), queue).to.throw(OptionsError);
    }
    expect(create({ queue: 'a', options: '--exclusive' })).to.be.instanceOf(FluxSpawner);
  });

  it('has seconds', () => {
    expect(flux.runtime?.(3600)).to.equal('3600s');
  });
});
