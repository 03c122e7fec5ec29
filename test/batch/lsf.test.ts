import { expect } from 'chai';
import { LsfSpawner, lsf } from '../../lib/batch/lsf.ts';
import type { JobState } from '../../lib/batch/scheduler.ts';
import { jobIdIn } from '../../lib/batch/scheduler.ts';
import { CommandError, OptionsError, ParseError } from '../../lib/errors.ts';
import type { ExitCause } from '../../lib/events.ts';
import type { LsfOptions } from '../../lib/generated/options.ts';
import type { StubAnswer } from '../../lib/testing/index.ts';
import { StubRunner } from '../../lib/testing/index.ts';
import { rejected } from '../helpers/errors.ts';
import { cuts, Fixtures } from '../helpers/fixtures.ts';
import { brief, verdictOf } from '../helpers/verdict.ts';

const fixtures = new Fixtures('lsf');
const { patterns, states } = lsf;

/** What our readers make of each fixture that has to do with them. */
const submitted: Readonly<Record<string, string | undefined>> = {
  'bsub-default-queue.txt': '12',
  'bsub-queue.txt': '13',
  'bsub-chatter.txt': '1012',
  'bkill-ok.txt': undefined,
};

const listed: Readonly<Record<string, readonly string[]>> = {
  'bjobs-json-query.json': [
    '2001 running node01,node02',
    '2002 pending',
    '2003 held',
    '2004 suspended node03',
    // The elements of the array 2005 are none of ours.
    '2006 completed 0 node01',
    '2007 failed 7 node01',
    '2008 timeout SIGUSR2 node02',
    '2009 out-of-memory SIGKILL node02',
    '2010 cancelled SIGINT node02',
    '2011 unknown node05',
    '2012 pending node06',
    '2013 unknown node05',
    '2014 pending',
  ],
  'bjobs-json-chatter.txt': ['2001 running node01,node02', '2002 pending'],
  'bjobs-json-states.json': [
    '1 running node01',
    '2 running node01',
    '9 running node01',
    '11 suspended node01',
    // Without its index an element of an array is any of them.
    '5 running node01',
    '3 held',
    '12 pending',
    '13 pending',
  ],
  'bjobs-json-mixed.json': ['1 running node01', '2 running node01'],
  'bjobs-json-unknown.json': [],
  'bjobs-json-none.json': [],
  'bjobs-json-done.json': ['22005 completed 0 node19'],
  'bjobs-json-running.json': ['806290 running', '806291 held'],
  'bjobs-json-killed.json': [
    '806292 timeout SIGUSR2 node01,node02',
    '806293 out-of-memory SIGKILL node02',
    '806294 cancelled SIGINT node02',
  ],
  'bjobs-json-account.json': ['2008 timeout SIGUSR2 node02'],
  'bjobs-json-find.json': ['2001 running', '2002 pending', '2003 running'],
};

const unreadable = [
  'bjobs-json-cut.txt',
  'bjobs-delimiter.txt',
  'bjobs-w.txt',
  'bjobs-w-short-hostlist.txt',
  'bjobs-l-running.esc',
  'bjobs-p.txt',
];

const failures: Readonly<Record<string, ReturnType<typeof verdictOf>>> = {
  'bsub-badqueue.err.txt': 'failure',
  'bsub-badresreq.err.txt': 'failure',
  'bjobs-json-unknown.json': 'not found',
  // Nothing is said about a job that was not asked about.
  'bjobs-json-none.json': 'failure',
  'bjobs-none.err.txt': 'failure',
  'bjobs-unknown.err.txt': 'not found',
  'bjobs-badfield.err.txt': 'failure',
  'bkill-denied.err.txt': 'failure',
  'bkill-finished.err.txt': 'not found',
  'bkill-unknown.err.txt': 'not found',
  'bhist-none.txt': 'failure',
  'outage-mbatchd.err.txt': 'away',
  'outage-lim.err.txt': 'away',
  'outage-env.err.txt': 'away',
  'outage-down.err.txt': 'away',
};

/** By the second source. */
const histories: Readonly<Record<string, readonly [id: string, name: string, brief: string]>> = {
  'bhist-l-exit7.esc': ['6', 'x7', '6 failed 7'],
  'bhist-l-runlimit.esc': ['2008', 'jupyter-alice-000000002008', '2008 timeout SIGUSR2'],
  'bhist-l-requeued.esc': ['2015', 'jupyter-alice-000000002015', ''],
};

function query(text: string) {
  return lsf.parseQuery(text, states);
}

/** A list with one job. */
function list(fields: Readonly<Record<string, string>>, count = 1): string {
  return JSON.stringify({ COMMAND: 'bjobs', JOBS: count, RECORDS: [{ JOBID: '7', ...fields }] });
}

function account(source: 0 | 1, text: string, id: string, jobName: string) {
  const status = lsf.accounting[source]?.parse(text, { id, jobName }, states);
  return status && brief(status);
}

describe('The fixtures of LSF', () => {
  it('are all read', () => {
    const read = [submitted, listed, failures, histories].flatMap((table) => Object.keys(table));
    expect([...new Set([...read, ...unreadable])]).to.have.members(Object.keys(fixtures.index));
  });
});

describe('The job id that bsub prints', () => {
  for (const [name, id] of Object.entries(submitted)) {
    it(`is read from ${name}`, () => {
      const expected = id === undefined ? undefined : { id };
      expect(jobIdIn(fixtures.text(name), patterns.jobId)).to.deep.equal(expected);
    });
  }

  it('is none where there are two, and is not made of other words', () => {
    const text = fixtures.text('bsub-queue.txt');
    expect(jobIdIn(text + fixtures.text('bsub-default-queue.txt'), patterns.jobId)).to.equal(
      undefined,
    );
    for (const other of ['Job <7>', 'Job <x> is submitted to queue <q>.', 'Job 7', '']) {
      expect(jobIdIn(other, patterns.jobId), other).to.equal(undefined);
    }
  });
});

describe('The states of LSF', () => {
  const alive: Readonly<Record<string, JobState>> = {
    PEND: 'pending',
    PROV: 'pending',
    WAIT: 'pending',
    PSUSP: 'held',
    RUN: 'running',
    USUSP: 'suspended',
    SSUSP: 'suspended',
    // mbatchd has lost the host; the job may well run there.
    UNKWN: 'unknown',
    ZOMBI: 'unknown',
  };
  const ended: Readonly<Record<string, ExitCause>> = {
    DONE: 'completed',
    EXIT: 'failed',
    PDONE: 'unknown',
    PERR: 'unknown',
  };

  it('say what a job is doing', () => {
    for (const [state, ours] of Object.entries(alive)) {
      const [status] = query(list({ STAT: state })).jobs;
      expect(status, state).to.include({ id: '7', state: ours, nativeState: state });
      expect(status).not.to.have.property('exit');
    }
    for (const [state, cause] of Object.entries(ended)) {
      const [status] = query(list({ STAT: state })).jobs;
      expect(status, state).to.include({ state: 'ended' });
      expect(status?.exit?.cause, state).to.equal(cause);
    }
    expect(Object.keys(states)).to.have.members([...Object.keys(alive), ...Object.keys(ended)]);
  });

  it('are unknown where the word is', () => {
    for (const STAT of ['R', 'run', 'DONEX', 'toString', '__proto__', 'constructor']) {
      expect(query(list({ STAT })).jobs[0]).to.include({ state: 'unknown', nativeState: STAT });
    }
  });
});

describe('The answer of bjobs', () => {
  for (const [name, jobs] of Object.entries(listed)) {
    it(`is read from ${name}`, () => {
      const answer = query(fixtures.text(name));
      expect(answer.jobs.map(brief)).to.deep.equal(jobs);
      expect(answer.complete).to.equal(true);
    });
  }

  for (const name of unreadable) {
    it(`is not what ${name} holds`, () => {
      expect(() => query(fixtures.text(name))).to.throw(ParseError);
    });
  }

  it('is none, wherever it was cut', () => {
    const text = fixtures.text('bjobs-json-query.json');
    for (const { cut, at } of cuts(text.trimEnd())) {
      expect(() => query(cut), String(at)).to.throw(ParseError);
    }
  });

  it('is not complete where a record is missing or can not be read', () => {
    const texts = [
      list({ STAT: 'RUN' }, 2),
      list({ STAT: 'RUN' }, 0),
      list({ STAT: '' }),
      list({}),
      list({ STAT: 'RUN', JOBID: '7x' }),
      list({ STAT: 'RUN', JOBID: '' }),
      list({ STAT: 'RUN', JOBINDEX: 'x' }),
      list({ ERROR: 'Communication time out' }),
      '{"JOBS":1,"RECORDS":[7]}',
      '{"RECORDS":[]}',
    ];
    for (const text of texts) {
      expect(query(text).complete, text).to.equal(false);
    }
    for (const text of ['', '\n', 'null', '[]', '{}', '{"JOBS":0}', 'No unfinished job found\n']) {
      expect(() => query(text), text).to.throw(ParseError);
    }
  });

  it('has every host once, that of the script first', () => {
    const hosts = (EXEC_HOST: string) => query(list({ STAT: 'RUN', EXEC_HOST })).jobs[0]?.hosts;
    expect(hosts('2*node02:node01:node02')).to.deep.equal(['node02', 'node01']);
    expect(hosts('16*node10 16*node11')).to.deep.equal(['node10', 'node11']);
    expect(hosts('node01.cluster.example@cluster2')).to.deep.equal(['node01.cluster.example']);
    for (const none of ['', '-', ':', '$(reboot)', '2*']) {
      expect(hosts(none), none).to.equal(undefined);
    }
  });

  it('may be that there are no jobs at all, where it was asked about those of all', () => {
    const stderr = fixtures.text('bjobs-none.err.txt');
    const says = (argv: readonly string[], output: { stdout?: string; stderr?: string } = {}) =>
      lsf.listsNothing?.(argv, { stdout: '', stderr, ...output });
    const { query: all, find } = lsf.commands;
    for (const argv of [all, find, ['bjobs', '-u', 'all', '-w']]) {
      expect(says(argv)).to.equal(true);
      expect(says(argv, { stdout: fixtures.text('bjobs-json-none.json') })).to.equal(true);
    }
    expect(says(all, { stderr: 'No job found\n' })).to.equal(true);
    expect(says(all, { stderr: `LSF is down. Please wait ...\n${stderr}` })).to.equal(true);

    // It says the same of an account that there is not.
    for (const who of [['-u', 'alice'], ['-u'], ['all'], []]) {
      expect(says(['bjobs', '-a', ...who]), who.join(' ')).to.equal(false);
    }
    for (const other of ['', 'Job <7> is not found\n', 'No job found in queue <x>\n']) {
      expect(says(all, { stderr: other }), other).to.equal(false);
    }
    for (const stdout of [list({ STAT: 'RUN' }), list({}, 0), '{"JOBS":0,', 'oops']) {
      expect(says(all, { stdout }), stdout).to.equal(false);
    }
  });

  it('lists ten thousand jobs', () => {
    const RECORDS = Array.from({ length: 10_000 }, (_, index) => ({
      JOBID: String(index + 1),
      JOBINDEX: '0',
      STAT: 'RUN',
      EXEC_HOST: 'node01',
    }));
    const answer = query(JSON.stringify({ COMMAND: 'bjobs', JOBS: 10_000, RECORDS }));
    expect(answer.jobs).to.have.length(10_000);
    expect(answer.complete).to.equal(true);
  });

  it('may hold what is no UTF-8', () => {
    const text = fixtures.text('bjobs-json-find.json').replace('"alice"', '"al\ufffdce"');
    expect(query(text).complete).to.equal(true);
  });
});

describe('The end of a job of LSF', () => {
  const causes: Readonly<Record<string, ExitCause>> = {
    'TERM_RUNLIMIT: job killed after reaching LSF run time limit': 'timeout',
    'TERM_DEADLINE: job killed after deadline expires': 'timeout',
    'TERM_MEMLIMIT: job killed after reaching LSF memory usage limit': 'out-of-memory',
    'TERM_SWAP: job killed after reaching LSF swap usage limit': 'out-of-memory',
    'TERM_OWNER: job killed by owner': 'cancelled',
    'TERM_FORCE_OWNER: job killed by owner without time for cleanup': 'cancelled',
    'TERM_ADMIN: job killed by root or LSF administrator': 'cancelled',
    'TERM_FORCE_ADMIN: job killed by root': 'cancelled',
    'TERM_REQUEUE_OWNER: job killed and requeued by owner': 'cancelled',
    'TERM_BUCKET_KILL: job killed with bkill -b': 'cancelled',
    'TERM_PREEMPT: job killed after preemption': 'preempted',
    'TERM_LOAD: job killed after load exceeds threshold': 'preempted',
    'TERM_WINDOW: job killed after queue run window closed': 'preempted',
    'TERM_RC_RECLAIM: job killed by LSF': 'preempted',
    'TERM_ZOMBI: job exited while LSF is not available': 'node-failure',
    'host failure': 'node-failure',
    'TERM_CPULIMIT: job killed after reaching LSF CPU usage limit': 'failed',
    'TERM_CWD_NOTEXIST: current working directory is not accessible': 'failed',
    'TERM_OWNERSHIP: no such word': 'failed',
    '-': 'failed',
    '': 'failed',
  };

  it('has the cause that LSF gives, and its words', () => {
    for (const [reason, cause] of Object.entries(causes)) {
      const record = list({ STAT: 'EXIT', EXIT_CODE: '143', EXIT_REASON: reason });
      const exit = query(record).jobs[0]?.exit;
      expect(exit, reason).to.include({ cause, code: 143, signal: 'SIGTERM' });
      expect(exit?.message).to.contain(reason === '-' ? '' : reason);
    }
  });

  it('is a good one where LSF says DONE, whatever code the post-processing had', () => {
    for (const EXIT_CODE of ['', '0', '7', '-']) {
      expect(query(list({ STAT: 'DONE', EXIT_CODE })).jobs[0]?.exit).to.include({
        cause: 'completed',
        code: 0,
      });
    }
  });

  it('is read by name from what bjobs says of one job', () => {
    const text = fixtures.text('bjobs-json-account.json');
    const name = 'jupyter-alice-000000002008';
    expect(account(0, text, '2008', name)).to.equal('2008 timeout SIGUSR2 node02');
    expect(account(0, text, '2008', 'jupyter-alice-000000000000')).to.equal(undefined);
    expect(account(0, text, '2009', name)).to.equal(undefined);
    const unknown = fixtures.text('bjobs-json-unknown.json');
    expect(account(0, unknown, '99999', name)).to.equal(undefined);
  });

  for (const [name, [id, jobName, expected]] of Object.entries(histories)) {
    it(`is read from ${name}`, () => {
      const text = fixtures.text(name);
      expect(account(1, text, id, jobName) ?? '').to.equal(expected);
      expect(account(1, text, id, `${jobName}x`)).to.equal(undefined);
      expect(account(1, text, `${id}1`, jobName)).to.equal(undefined);
    });
  }

  it('is not read from a history that was cut', () => {
    const text = fixtures.text('bhist-l-runlimit.esc');
    for (const { cut, at } of cuts(text.slice(0, text.indexOf('Summary')))) {
      const read = () => account(1, cut, '2008', 'jupyter-alice-000000002008');
      expect(read, String(at)).to.throw(ParseError);
    }
  });

  it('is told in other words by other releases', () => {
    const text = fixtures.text('bhist-l-exit7.esc');
    const other = (words: string) =>
      account(1, text.replace(/Exited with.*?seconds;/, words), '6', 'x7');
    expect(other('Done successfully. The CPU time used is 0.0 seconds;')).to.equal('6 completed 0');
    expect(other('Exited by signal 9. The CPU time used is 0.0 seconds;')).to.equal(
      '6 failed SIGKILL',
    );
    expect(other('Exited by host failure;')).to.equal('6 node-failure');
    expect(other('Job is being terminated;')).to.equal(undefined);
  });
});

describe('A command of LSF that fails', () => {
  for (const [name, verdict] of Object.entries(failures)) {
    it(`is taken for what it is: ${name}, ${verdict}`, () => {
      expect(verdictOf(fixtures.result(name), patterns)).to.equal(verdict);
    });
  }

  it('has failed for good where LSF was away, and then refused the job', () => {
    const stderr = `LSF is down. Please wait ...\n${fixtures.text('bsub-badqueue.err.txt')}`;
    const result = { ...fixtures.result('bsub-badqueue.err.txt'), stderr };
    expect(verdictOf(result, patterns)).to.equal('failure');
  });

  it('has not failed where it only had to wait', () => {
    const stderr = fixtures.text('outage-down.err.txt');
    const result = { ...fixtures.result('bjobs-json-query.json'), stderr };
    expect(verdictOf(result, patterns)).to.equal('answer');
  });

  it('has no record where bhist says so', () => {
    expect(lsf.accounting[1]?.absent?.test(fixtures.text('bhist-none.txt'))).to.equal(true);
  });
});

describe('A job that LSF refuses while it has no jobs at all', () => {
  const stderr = fixtures.text('bsub-badqueue.err.txt');
  const none = { exitCode: 255, stderr: 'No job found\n' };

  function start(bjobs: StubAnswer) {
    const runner = new StubRunner({ bsub: { exitCode: 255, stderr }, bjobs, sh: '', rm: '' });
    const spawner = new LsfSpawner(
      { user: { name: 'alice' }, runner },
      {
        ...{ endpoint: 'fixed', port: 8888, environment: { COLOUR: 'blue' } },
        request: { homedir: '/home/alice', queue: 'nosuch' },
      },
    );
    return { runner, spawner, failed: rejected(CommandError, spawner.start()) };
  }

  const json = fixtures.text('bjobs-json-none.json');
  for (const bjobs of [none, { ...none, exitCode: 254 }, { ...none, stdout: json }, json]) {
    it(`fails the start at once, with its reason: ${JSON.stringify(bjobs)}`, async () => {
      const { runner, spawner, failed } = start(bjobs);
      expect((await failed).message).to.include('nosuch: No such queue. Job not submitted.');
      expect(runner.callsOf('rm')).to.have.length(1);
      expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'lsf' });
    });
  }
});

describe('The jobs that bjobs finds', () => {
  it('have marks and owners, whatever they are called', () => {
    const { jobs, complete } = lsf.parseFind(fixtures.text('bjobs-json-find.json'));
    expect(complete).to.equal(true);
    const mark = 'hubspawner:8f0c2e1b:alice::3b1d0c7a9e55';
    const name = 'jupyter-alice-3b1d0c7a9e55';
    expect(jobs).to.deep.equal([
      { id: '2001', tag: mark, jobName: name, owner: 'alice', nativeState: 'RUN' },
      {
        id: '2002',
        tag: '',
        jobName: 'a "name", with\nRECORDS: []',
        owner: 'alice',
        nativeState: 'PEND',
      },
      { id: '2003', tag: mark, jobName: name, owner: 'bob', nativeState: 'RUN' },
    ]);
  });
});

describe('The reason for which a job of LSF waits', () => {
  const reasons = (text: string) => lsf.explanation?.parse(text);

  it('is what bjobs -p says below it', () => {
    const [header = '', row = '', reason = ''] = fixtures.text('bjobs-p.txt').split('\n');
    expect(reasons(`${header}\n${row}\n${reason}\n`)).to.equal(
      'The job was suspended by the user while pending: 1 host',
    );
    expect(reasons(`${header}\n${row}\n`)).to.equal(undefined);
    expect(reasons('')).to.equal(undefined);
  });

  it('is three lines at most', () => {
    expect(reasons(fixtures.text('bjobs-p.txt'))?.split(', ')).to.have.length(3);
  });
});

describe('What LSF is asked for', () => {
  it('has a unit, and hours and minutes', () => {
    expect(lsf.memory?.(512, {})).to.equal('512MB');
    expect(lsf.runtime?.(60)).to.equal('0:01');
    expect(lsf.runtime?.(5401)).to.equal('1:31');
    expect(lsf.runtime?.(360_000)).to.equal('100:00');
  });

  it('is refused where it would be two words', () => {
    const create = (request: LsfOptions['request']) =>
      new LsfSpawner(
        { user: { name: 'alice' } },
        { cmd: ['server'], endpoint: 'fixed', port: 8888, request },
      );
    expect(() => create({ queue: 'a b' })).to.throw(OptionsError);
    expect(() => create({ project: 'a"b' })).to.throw(OptionsError);
    expect(create({ queue: 'a', options: '-U r1 -x' })).to.be.instanceOf(LsfSpawner);
  });
});
