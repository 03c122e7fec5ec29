import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { failureOf, saysNotFound } from '../../lib/batch/command.ts';
import { pbs } from '../../lib/batch/pbs.ts';
import { JobTemplates } from '../../lib/batch/request.ts';
import type { JobState, JobStatus } from '../../lib/batch/scheduler.ts';
import { jobIdIn } from '../../lib/batch/scheduler.ts';
import { OptionsError, ParseError } from '../../lib/errors.ts';
import type { PbsOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import { cuts, Fixtures } from '../helpers/fixtures.ts';

const fixtures = new Fixtures('pbs');
const { patterns, states } = pbs;
const [history, live] = pbs.accounting;

/** A record as qstat -f -w prints it; without attributes, that of a running job. */
function record(attributes: Readonly<Record<string, string>> = {}, id = '12.node01'): string {
  const lines = Object.entries({ ...running, ...attributes }).filter(([, value]) => value !== '');
  return `Job Id: ${id}\n${lines.map(([name, value]) => `    ${name} = ${value}\n`).join('')}\n`;
}

const running = {
  Job_Name: 'jupyter-alice',
  Job_Owner: 'alice@login1.cluster.example',
  job_state: 'R',
  ctime: 'Mon Mar  2 06:05:04 2026',
  exec_host: 'node01/0*2',
  stime: 'Mon Mar  2 06:05:09 2026',
  substate: '42',
  comment: 'Job run at Mon Mar 02 at 06:05 on (node01:ncpus=2)',
  run_count: '1',
  project: '_pbs_project_default',
};

function query(text: string) {
  return pbs.parseQuery(text, states);
}

function statusOf(attributes: Readonly<Record<string, string>>): JobStatus | undefined {
  return query(record(attributes)).jobs[0];
}

function status(
  id: string,
  state: JobState,
  nativeState: string,
  more: Partial<JobStatus> = {},
): JobStatus {
  return { id, state, nativeState, ...more };
}

const at = (time: string) => new Date(`2026-03-02T${time}Z`);
const first = { submittedAt: at('06:05:04') };

/** What the records of jobs say. */
const jobs: Readonly<Record<string, readonly JobStatus[]>> = {
  'qstat-f-running.txt': [
    status('12.node01', 'running', 'R', {
      hosts: ['node01'],
      ...first,
      startedAt: at('06:05:04'),
      endsAt: at('08:05:04'),
      run: '1',
    }),
  ],
  'qstat-f-running-twohosts.txt': [
    status('40.node01', 'running', 'R', {
      hosts: ['node01', 'node02'],
      startedAt: at('06:07:29'),
      endsAt: at('07:07:29'),
      run: '1',
    }),
  ],
  'qstat-f-starting-after-rerun.txt': [
    status('12.node01', 'running', 'R', { hosts: ['node01'], run: '2' }),
  ],
  'qstat-f-exported-newlines.txt': [
    status('24.node01', 'running', 'R', {
      hosts: ['node01'],
      submittedAt: at('06:06:18'),
      startedAt: at('06:06:18'),
      endsAt: at('07:06:18'),
      run: '1',
    }),
  ],
  'qstat-f-array-begun.txt': [
    status('17[].node01', 'running', 'B', { startedAt: at('06:05:04'), endsAt: at('07:05:04') }),
  ],
  'qstat-f-suspended.txt': [
    status('12.node01', 'suspended', 'S', {
      hosts: ['node01'],
      startedAt: at('06:05:04'),
      run: '1',
    }),
  ],
  'qstat-f-queued-not-running.txt': [
    status('18.node01', 'pending', 'Q', {
      reason: 'Not Running: Insufficient amount of resource: ncpus (R: 8 A: 1 T: 8)',
    }),
  ],
  'qstat-f-queued-can-never-run.txt': [
    status('16.node01', 'held', 'Q', {
      reason: 'Can Never Run: Insufficient amount of resource: ncpus (R: 100 A: 8 T: 8)',
    }),
  ],
  'qstat-f-queued-estimated.txt': [
    status('1001.node01', 'pending', 'Q', {
      reason: 'Not Running: Not enough free nodes available',
      estimatedStart: at('06:41:49'),
    }),
  ],
  'qstat-f-requeued-node-failure.txt': [
    status('46.node01', 'pending', 'Q', { reason: 'Not Running: Not enough free nodes available' }),
  ],
  'qstat-f-waiting.txt': [status('14.node01', 'pending', 'W')],
  'qstat-f-held-user.txt': [status('13.node01', 'held', 'H', { reason: 'held by its user' })],
  'qstat-f-held-dependency.txt': [
    status('15.node01', 'held', 'H', { reason: 'depends on afterok:12.node01@node01' }),
  ],
  'qstat-f-held-start-failed.txt': [
    status('43.node01', 'held', 'H', { reason: 'job held, too many failed attempts to run' }),
  ],
  'qstat-f-w-list.txt': [
    status('12.node01', 'running', 'R', {
      hosts: ['node01'],
      ...first,
      startedAt: at('06:05:04'),
      endsAt: at('08:05:04'),
      run: '1',
    }),
    status('18.node01', 'pending', 'Q', {
      reason: 'Not Running: Insufficient amount of resource: ncpus (R: 8 A: 1 T: 8)',
      ...first,
    }),
    status('1012.node01', 'suspended', 'S', {
      hosts: ['node24.cluster.example', 'node21.cluster.example'],
      ...first,
      startedAt: at('21:23:33'),
      run: '1',
    }),
  ],
};

/** How finished jobs ended: cause, message, and the time of the start. */
const finished: Readonly<
  Record<string, readonly [cause: string, message: string, start?: string]>
> = {
  'qstat-fx-completed.txt': ['completed', 'The job ended by itself (exit code 0).', '06:05:04'],
  'qstat-fx-exit7.txt': ['failed', 'The job failed (exit code 7).', '06:05:04'],
  'qstat-fx-signal9-in-shell.txt': [
    'failed',
    'The job failed (exit code 137, SIGKILL).',
    '06:05:04',
  ],
  'qstat-fx-walltime.txt': ['timeout', 'The job reached the end of its walltime.', '06:05:04'],
  'qstat-fx-walltime-old.txt': [
    'timeout',
    'The job reached the end of its walltime (SIGTERM).',
    '06:05:04',
  ],
  'qstat-fx-memory.txt': [
    'out-of-memory',
    'The job used more memory than it may and was killed.',
    '06:07:36',
  ],
  'qstat-fx-qdel.txt': [
    'cancelled',
    'The job was cancelled (SIGTERM, by root@node01.cluster.example).',
    '06:05:04',
  ],
  'qstat-fx-deleted-in-queue.txt': [
    'cancelled',
    'The job was cancelled (by alice@node01.cluster.example).',
  ],
  'qstat-fx-node-failure.txt': [
    'node-failure',
    'The node on which the job ran failed.',
    '06:09:25',
  ],
};

/** What is not the format that we ask for. */
const otherFormats = [
  'qstat-json-running.json',
  'qstat-json-two-ids-first-only.json',
  'qstat-json-two-ids-express.json',
  'qstat-json-exported-variables.json',
  'qstat-json-finished-exit7.json',
  'qstat-json-estimated.json',
  'qstat-json-exec-host2.json',
  'qstat-json-trailing-comma.json',
  'qstat-json-unknown.json',
  'qstat-w.txt',
  'qstat-x-w.txt',
  'qstat-T-w.txt',
];

const submitted: Readonly<Record<string, string>> = {
  'qsub-ok.txt': '27.node01',
  'qsub-array.txt': '30[].node01',
  'qsub-banner.txt': '1012.pbs.cluster.example',
};

/** What standard error says: that there is no such job, or that PBS was away. */
const errors: Readonly<Record<string, 'outage' | 'not found' | 'later' | 'failure'>> = {
  'outage-qstat.err.txt': 'outage',
  'outage-qsub.err.txt': 'outage',
  'outage-qdel.err.txt': 'outage',
  'outage-iff.err.txt': 'outage',
  'outage-noroute.err.txt': 'outage',
  'qstat-unknown.err.txt': 'not found',
  'qstat-finished-without-x.err.txt': 'not found',
  'qstat-json-mixed.err.txt': 'not found',
  'qdel-unknown.err.txt': 'not found',
  'qdel-finished.err.txt': 'not found',
  'qsub-credential.err.txt': 'later',
  'qsub-badqueue.err.txt': 'failure',
  'qsub-badresource.err.txt': 'failure',
  'qstat-badid.err.txt': 'failure',
  'qstat-w-unknown.err.txt': 'failure',
  'qdel-other-user.err.txt': 'failure',
  'qdel-mom-down.err.txt': 'failure',
  'qsig-badstate.err.txt': 'failure',
};

const alone = ['qstat-history-disabled.err.txt', 'qstat-f-w-banner.txt', 'qstat-fx-moved.txt'];

describe('The fixtures of PBS', () => {
  it('are all in their index', () => {
    const files = readdirSync(new URL('../fixtures/pbs/', import.meta.url));
    expect(Object.keys(fixtures.index)).to.have.members(files.filter((f) => f !== 'index.json'));
  });

  it('are all in a test', () => {
    const tested = [jobs, finished, submitted, errors].flatMap((table) => Object.keys(table));
    expect([...tested, ...otherFormats, ...alone]).to.have.members(Object.keys(fixtures.index));
  });
});

describe('The job id that qsub of PBS prints', () => {
  for (const [name, id] of Object.entries(submitted)) {
    it(`is read from ${name}`, () => {
      expect(jobIdIn(fixtures.text(name), patterns.jobId)).to.deep.equal({ id });
    });
  }

  it('is none where there are two, or other numbers', () => {
    const texts = ['7.a\n8.a\n', '', '7', '7.', '.a', '-7.a', '7.a b', 'job 7.a', '7.a\0', '7.é'];
    for (const text of texts) {
      expect(jobIdIn(text, patterns.jobId), JSON.stringify(text)).to.equal(undefined);
    }
  });
});

describe('The states of PBS', () => {
  const alive: Readonly<Record<string, JobState>> = {
    Q: 'pending',
    T: 'pending',
    W: 'pending',
    H: 'held',
    R: 'running',
    B: 'running',
    S: 'suspended',
    U: 'suspended',
    E: 'completing',
    M: 'unknown',
  };

  for (const [letter, state] of Object.entries(alive)) {
    it(`say that a job is ${state} when it is ${letter}`, () => {
      const status = statusOf({ job_state: letter });
      expect(status).to.include({ state, nativeState: letter });
      expect(status).not.to.have.property('exit');
    });
  }

  for (const letter of ['F', 'X']) {
    it(`say that a job is over when it is ${letter}`, () => {
      expect(statusOf({ job_state: letter })).to.nested.include({
        state: 'ended',
        nativeState: letter,
        'exit.cause': 'unknown',
      });
    });
  }

  it('are all in the tables above', () => {
    expect(Object.keys(states)).to.have.members([...Object.keys(alive), 'F', 'X']);
  });

  it('are unknown where the letter is', () => {
    for (const letter of ['0', 'C', 'r', '_']) {
      expect(statusOf({ job_state: letter })).to.include({ state: 'unknown', nativeState: letter });
    }
  });

  it('are held where the job never starts', () => {
    const reason = 'Can Never Run: Not enough total nodes available';
    for (const letter of ['Q', 'W']) {
      expect(statusOf({ job_state: letter, comment: reason })).to.include({
        state: 'held',
        reason,
      });
    }
    expect(statusOf({ job_state: 'R', comment: reason })).to.include({ state: 'running' });
    expect(statusOf({ job_state: 'W', substate: '37', comment: '' })).to.include({
      state: 'held',
      reason: 'its files could not be staged in',
    });
  });

  it('say who holds a job', () => {
    const reasons: Readonly<Record<string, string | undefined>> = {
      u: 'held by its user',
      o: 'held by an operator',
      s: 'held by the system',
      p: 'held because its password is not valid',
      uo: 'held by its user, held by an operator',
      n: undefined,
    };
    for (const [type, reason] of Object.entries(reasons)) {
      const status = statusOf({ job_state: 'H', Hold_Types: type, comment: '' });
      expect(status?.reason, type).to.equal(reason);
    }
    const comment = 'Job held by bob@login1 on Mon Mar  2 06:05:04 2026';
    expect(statusOf({ job_state: 'H', Hold_Types: 'o', comment })?.reason).to.equal(comment);
  });

  it('are never an end for an exit status of a run before', () => {
    for (const [letter, state] of Object.entries(alive)) {
      const status = statusOf({ job_state: letter, Exit_status: '-20' });
      expect(status).to.include({ state });
      expect(status).not.to.have.property('exit');
    }
  });
});

describe('The answer of qstat of PBS', () => {
  for (const [name, expected] of Object.entries(jobs)) {
    it(`says of jobs what is in ${name}`, () => {
      expect(query(fixtures.text(name))).to.deep.equal({ jobs: expected, complete: true });
    });
  }

  for (const name of otherFormats) {
    it(`is not ${name}`, () => {
      expect(() => query(fixtures.text(name))).to.throw(ParseError);
    });
  }

  it('is empty where there are no jobs', () => {
    expect(query('')).to.deep.equal({ jobs: [], complete: true });
  });

  it('is not complete with something before it', () => {
    expect(query(fixtures.text('qstat-f-w-banner.txt'))).to.deep.equal({
      jobs: jobs['qstat-f-w-list.txt'],
      complete: false,
    });
  });

  it('is not complete, and has no wrong job, wherever it was cut', () => {
    for (const name of ['qstat-f-w-list.txt', 'qstat-f-exported-newlines.txt']) {
      const text = fixtures.text(name);
      // All that can't be told from a shorter list.
      const ends = [0, ...[...text.matchAll(/\n\n(?=Job Id: )/g)].map(({ index }) => index + 2)];
      for (const { cut, at: place } of cuts(text)) {
        let answer: ReturnType<typeof query> | undefined;
        try {
          answer = query(cut);
        } catch (error) {
          expect(error, `at ${place}`).to.be.instanceOf(ParseError);
        }
        expect(answer?.complete ?? false, `${name} at ${place}`).to.equal(ends.includes(place));
        for (const status of answer?.jobs ?? []) {
          expect(jobs[name]).to.deep.include(status);
        }
      }
    }
  });

  it('lists many jobs, some of which do not say their names in UTF-8', () => {
    const records = Array.from({ length: 5000 }, (_, index) =>
      record({ Account_Name: 'caf\ufffd\u2028Job Id: 1.node01' }, `${index}.node01`),
    );
    const answer = query(records.join(''));
    expect(answer.complete).to.equal(true);
    expect(answer.jobs).to.have.length(5000);
    expect(answer.jobs.at(-1)).to.include({ id: '4999.node01', state: 'running' });
  });

  it('has only whole records', () => {
    const broken = [
      record({ job_state: '' }),
      record({ job_state: 'RR' }),
      record().replace(/\n\n$/, '\n'),
      record({}, '12'),
      record({}, '12.node01 x'),
      record().replace('    job_state = R\n', '    job_state = R\n    job_state = F\n'),
    ];
    for (const text of broken) {
      const answer = query(`${record({}, '7.node01')}${text}${record({}, '8.node01')}`);
      expect(
        answer.jobs.map(({ id }) => id),
        text,
      ).to.deep.equal(['7.node01', '8.node01']);
      expect(answer.complete, text).to.equal(false);
    }
  });

  // Of releases whose commands an administrator had to replace by `qstat -f`.
  it('has no job twice: a value with line breaks may look like its record', () => {
    const forged = record({ Job_Name: 'x\n\nJob Id: 12.node01\n    job_state = F' }, '18.node01');
    const answer = query(`${record()}${forged}`);
    expect(answer.jobs.find(({ id }) => id === '12.node01')).to.equal(undefined);
    expect(answer.complete).to.equal(false);
  });

  it('has the host of the script first, each once, with its domain where it is known', () => {
    const hosts = (attributes: Readonly<Record<string, string>>) => statusOf(attributes)?.hosts;
    expect(hosts({ exec_host: 'n3/0*4+n1/2+n3/1' })).to.deep.equal(['n3', 'n1']);
    expect(hosts({ exec_host: 'n3/0', exec_host2: 'n3.example:15002/0' })).to.deep.equal([
      'n3.example',
    ]);
    expect(hosts({ exec_host: '' })).to.equal(undefined);
    expect(hosts({ exec_host: 'n3/0+/etc' })).to.equal(undefined);
    expect(hosts({ job_state: 'Q' })).to.equal(undefined);
  });

  it('has times that are UTC, and none for what is no time', () => {
    const times = ['N/A', '', 'UNKNOWN', 'Mon Mar  2 06:05 2026', 'Tue Feb 31 06:05:04 2026'];
    for (const ctime of [...times, 'Sun Mar  2 06:05:04 2026', 'Mon Mar  2 36:05:04 2026']) {
      expect(statusOf({ ctime }), ctime).not.to.have.property('submittedAt');
    }
    expect(statusOf({ ctime: 'Thu Dec 31 23:59:59 2026' })?.submittedAt).to.deep.equal(
      new Date('2026-12-31T23:59:59Z'),
    );
    expect(statusOf({ substate: '41' })).not.to.have.property('startedAt');
  });

  it('says whose job it is, and how it is named', () => {
    expect(pbs.parseFind(`${record()}${record({ Job_Owner: 'b@c@d' }, '7.x')}`)).to.deep.equal({
      jobs: [
        { id: '12.node01', tag: '', jobName: 'jupyter-alice', owner: 'alice' },
        { id: '7.x', tag: '', jobName: 'jupyter-alice', owner: 'b@c' },
      ],
      complete: true,
    });
    expect(pbs.parseFind('')).to.deep.equal({ jobs: [], complete: true });
    expect(pbs.parseFind(record().slice(0, -1)).complete).to.equal(false);
  });
});

describe('The end of a job of PBS', () => {
  const endOf = (attributes: Readonly<Record<string, string>>) =>
    statusOf({ job_state: 'F', comment: '', ...attributes })?.exit;

  for (const [name, [cause, message, start]] of Object.entries(finished)) {
    it(`is told by ${name}`, () => {
      const text = fixtures.text(name);
      const [, id = '', jobName = ''] = /^Job Id: (.*)\n {4}Job_Name = (.*)$/m.exec(text) ?? [];
      const status = history?.parse(text, { id, jobName }, states);
      expect(status).to.deep.include({ id, state: 'ended', nativeState: 'F' });
      expect(status?.exit).to.include({ cause, message });
      expect(status?.startedAt).to.deep.equal(start && at(start));
      expect(live?.parse(text, { id, jobName }, states)).to.deep.equal(status);
    });
  }

  it('has a cause for each status of the manual', () => {
    const causes: Readonly<Record<string, readonly number[]>> = {
      completed: [0],
      failed: [1, 127, 137, 255, 265, -1, -2, -3, -10, -16, -17, -18, -19, -22, -24, -25, -28],
      cancelled: [271],
      'node-failure': [-4, -5, -6, -14, -20],
      'out-of-memory': [-26, -27],
      timeout: [-29],
      unknown: [-7, -11, -12, -99],
    };
    for (const [cause, statuses] of Object.entries(causes)) {
      for (const status of statuses) {
        const exit = endOf({ Exit_status: String(status), substate: '' });
        expect(exit?.cause, String(status)).to.equal(cause);
      }
    }
    expect(endOf({ Exit_status: '265' })).to.include({ code: null, signal: 'SIGKILL' });
    expect(endOf({ Exit_status: '-99', substate: '' })?.message).to.contain('exit status -99');
  });

  it('is that of the comment where the server put it there', () => {
    const ran = 'Job run at Mon Mar 02 at 06:05 on (node01:ncpus=1)';
    const causes: Readonly<Record<string, string>> = {
      'exceeded resource walltime': 'timeout',
      'exceeded resource vmem': 'out-of-memory',
      'exceeded resource pmem': 'out-of-memory',
      'exceeded resource cput': 'failed',
      'terminated by alice@login1': 'cancelled',
      'terminated by Scheduler@node01': 'preempted',
      failed: 'failed',
    };
    for (const [what, cause] of Object.entries(causes)) {
      const comment = `${ran} and ${what}`;
      expect(endOf({ Exit_status: '143', substate: '93', comment })?.cause, what).to.equal(cause);
    }
  });

  it('is that of the substate where nothing else says it', () => {
    expect(endOf({ substate: '91', Exit_status: '0' })).to.include({
      cause: 'cancelled',
      code: null,
    });
    expect(endOf({ substate: '91', Exit_status: '143' })).to.include({
      cause: 'cancelled',
      code: 143,
    });
    expect(endOf({ substate: '92' })).to.include({ cause: 'completed', code: null });
    expect(endOf({ substate: '93' })).to.include({ cause: 'failed' });
    expect(endOf({ substate: '' })).to.include({ cause: 'unknown' });
  });
});

describe('The account that qstat of PBS gives of one job', () => {
  const job = { id: '12.node01', jobName: 'jupyter-alice' };

  it('is of the job with our name alone: ids are used again', () => {
    for (const source of pbs.accounting) {
      expect(source.parse(record(), job, states)).to.include({ id: job.id, state: 'running' });
      expect(source.parse(record({ Job_Name: 'other' }), job, states)).to.equal(undefined);
    }
  });

  it('is none where the record is missing or damaged', () => {
    const texts = [
      '',
      '\n',
      record({}, '13.node01'),
      record().slice(0, -1),
      record({ Job_Name: '' }),
    ];
    for (const text of texts) {
      for (const source of pbs.accounting) {
        expect(() => source.parse(text, job, states), text).to.throw(ParseError);
      }
    }
  });

  it('is left to the server that a job was moved to', () => {
    const text = fixtures.text('qstat-fx-moved.txt');
    const moved = { id: '31.node01', jobName: 'jupyter-alice' };
    expect(history?.parse(text, moved, states)).to.equal(undefined);
    expect(live?.parse(text, moved, states)).to.deep.include({ state: 'unknown' });
  });
});

describe('The messages of PBS', () => {
  for (const [name, what] of Object.entries(errors)) {
    it(`in ${name} are read as: ${what}`, () => {
      const result = fixtures.result(name);
      expect(failureOf('q', result, patterns.outage)).not.to.equal(undefined);
      expect(patterns.outage.test(result.stderr)).to.equal(what === 'outage');
      expect(saysNotFound(result, patterns)).to.equal(what === 'not found');
      expect(patterns.transient.test(result.stderr)).to.equal(
        what === 'outage' || what === 'later',
      );
    });
  }

  it('are an outage with exit code 0, too', () => {
    const stderr = fixtures.text('outage-qstat.err.txt');
    const result = { stdout: '', stderr, exitCode: 0, signal: null, timedOut: false };
    expect(failureOf('qstat', result, patterns.outage)).to.contain('cannot connect');
  });

  it('say that there is no history, which is no answer', () => {
    const result = fixtures.result('qstat-history-disabled.err.txt');
    expect(history?.absent?.test(result.stderr)).to.equal(true);
    expect(failureOf('qstat', result, patterns.outage)).not.to.equal(undefined);
    expect(live?.absent).to.equal(undefined);
  });

  it('say nothing of a job that another line only names', () => {
    const texts = ['X=qstat: Unknown Job Id 7.a\n', 'Job has finished\n', ' qdel: Unknown Job Id'];
    for (const stderr of texts) {
      expect(patterns.notFound.test(stderr), stderr).to.equal(false);
    }
  });
});

describe('The job of PBS', () => {
  const mark = {
    tag: 'hubspawner:8f0c2e1b:alice:lab:3b1d0c7a9e55',
    jobName: 'jupyter-alice-lab-3b1d0c7a9e55',
  };

  function prepare(request: PbsOptions['request'], more: Partial<PbsOptions> = {}) {
    const options = checkOptions<PbsOptions>('pbs.json', { ...more, request });
    const facts = { mark, username: 'alice', homedir: '/home/alice', jobId: '7.node01' };
    const templates = new JobTemplates(pbs, options);
    const job = templates.prepare(facts, { SECRET: 'c2VjcmV0' }, { PATH: '/bin' });
    const directives = job.script.split('\n').filter((line) => line.startsWith('#PBS'));
    return { ...job, facts, templates, directives: directives.slice(5) };
  }

  it('is marked, and neither restarted nor shown to others', () => {
    const { script, argv, env } = prepare({});
    expect(argv).to.deep.equal(['qsub', '-f', '-N', mark.jobName]);
    expect(env).to.deep.equal({ PATH: '/bin' });
    expect(script).not.to.contain('c2VjcmV0');
    expect(script.split('\n').slice(0, 7)).to.deep.equal([
      '#!/bin/bash',
      '#PBS -S /bin/bash',
      `#PBS -N ${mark.jobName}`,
      '#PBS -r n',
      '#PBS -j oe',
      `#PBS -o /home/alice/${mark.jobName}.log`,
      'cd /home/alice || exit',
    ]);
  });

  const requests: readonly (readonly [request: PbsOptions['request'], ...lines: string[]])[] = [
    [{}],
    [{ queue: 'q' }, '#PBS -q q'],
    [{ host: 'pbs.example.org' }, '#PBS -q @pbs.example.org'],
    [{ queue: 'q', host: 'pbs.example.org' }, '#PBS -q q@pbs.example.org'],
    [{ runtime: '90' }, '#PBS -l walltime=01:30:00'],
    [{ runtime: '14-00:00:05' }, '#PBS -l walltime=336:00:05'],
    [{ nprocs: 2 }, '#PBS -l select=1:ncpus=2'],
    [{ memory: '4gb' }, '#PBS -l select=1:mem=4gb'],
    [{ ngpus: 1 }, '#PBS -l select=1:ngpus=1'],
    [{ nprocs: 2, memory: '4gb' }, '#PBS -l select=1:ncpus=2:mem=4gb'],
    [{ nprocs: 2, ngpus: 1 }, '#PBS -l select=1:ncpus=2:ngpus=1'],
    [{ memory: '4gb', ngpus: 1 }, '#PBS -l select=1:mem=4gb:ngpus=1'],
    [{ nprocs: 2, memory: '4gb', ngpus: 1 }, '#PBS -l select=1:ncpus=2:mem=4gb:ngpus=1'],
    [
      { account: 'physics', project: 'course-2026', options: '-l place=excl -m n' },
      '#PBS -A physics',
      '#PBS -P course-2026',
      '#PBS -l place=excl -m n',
    ],
  ];
  for (const [request, ...lines] of requests) {
    it(`asks for ${JSON.stringify(request)}`, () => {
      expect(prepare(request).directives).to.deep.equal(lines);
    });
  }

  it('asks for the memory of memLimit in its own unit', () => {
    expect(prepare({}, { memLimit: '1.5G' }).directives).to.deep.equal([
      '#PBS -l select=1:mem=1536mb',
    ]);
  });

  it('is refused where qsub would read something else', () => {
    const refused: readonly PbsOptions['request'][] = [
      { queue: 'a b' },
      { queue: '-I' },
      { account: 'a#b' },
      { project: 'a\\' },
      { memory: '1.5gb' },
      { options: 'x\n#PBS -I' },
    ];
    for (const request of refused) {
      expect(() => prepare(request), JSON.stringify(request)).to.throw(OptionsError);
    }
  });

  it('is asked for at the server that it was given to', () => {
    const { templates, facts } = prepare({ host: 'pbs.example.org' });
    expect(templates.query(facts)).to.deep.equal(['qstat', '-f', '-w', '@pbs.example.org']);
    expect(templates.find(facts)).to.deep.equal(templates.query(facts));
    expect(templates.argv('cancel', facts)).to.deep.equal(['qdel', '7.node01@pbs.example.org']);
    expect(templates.accounting(facts)[0]?.at(-1)).to.equal('7.node01@pbs.example.org');
  });

  it('is asked for at the server of its id otherwise', () => {
    const { templates, facts } = prepare({});
    expect(templates.query(facts)).to.deep.equal(['qstat', '-f', '-w']);
    expect(templates.argv('kill', facts)).to.deep.equal(['qsig', '-s', 'SIGKILL', '7.node01']);
    expect(templates.accounting(facts)).to.deep.equal([
      ['qstat', '-x', '-f', '-w', '7.node01'],
      ['qstat', '-f', '-w', '7.node01'],
    ]);
  });
});
