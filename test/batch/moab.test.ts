import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { failureOf, saysNotFound } from '../../lib/batch/command.ts';
import { MoabSpawner, moab } from '../../lib/batch/moab.ts';
import { JobTemplates } from '../../lib/batch/request.ts';
import type { JobState, JobStatus } from '../../lib/batch/scheduler.ts';
import { jobIdIn } from '../../lib/batch/scheduler.ts';
import { ParseError } from '../../lib/errors.ts';
import type { ExitCause } from '../../lib/events.ts';
import type { MoabOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import { cuts, Fixtures } from '../helpers/fixtures.ts';

const fixtures = new Fixtures('moab');
const torqueFixtures = new Fixtures('torque');
const { patterns, states } = moab;
const [checkjob, qstat] = moab.accounting;

/** Attributes of a job, by their names; undefined leaves one out. */
type Attributes = Readonly<Record<string, string | undefined>>;

/** A job that runs. */
function element(attributes: Attributes = {}, inner = ''): string {
  const all = { JobID: '7', JobName: 'job', State: 'Running', User: 'alice', ...attributes };
  const written = Object.entries(all).map(([name, text]) =>
    text === undefined ? '' : ` ${name}="${text}"`,
  );
  return `<job${written.join('')}>${inner}</job>`;
}

function query(text: string) {
  return moab.parseQuery(text, states);
}

function statusOf(attributes: Attributes, inner = ''): JobStatus | undefined {
  return query(`<Data>\n${element(attributes, inner)}\n</Data>\n`).jobs[0];
}

/** What a reader makes of a job, in one line. */
function brief({ id, state, exit, hosts = [], reason }: JobStatus): string {
  const end = exit && [exit.cause, exit.code ?? exit.signal ?? '-'].join(' ');
  return [id, state, end, hosts.join('+'), reason].filter(Boolean).join(' | ');
}

/** The job 1012 by all of its ids. */
const job1012 = (rest: string) => [`1012 | ${rest}`, `1012.node01.cluster.example | ${rest}`];
const on32 = (rest: string) => job1012(`${rest} | node32.cluster.example`);

/** What mdiag, checkjob and showq print, and the jobs in it. */
const listed: Readonly<Record<string, readonly string[]>> = {
  'mdiag-running.xml': on32('running'),
  'mdiag-suspended.xml': on32('suspended'),
  'mdiag-blocked-idle.xml': [
    '1013 | pending | IdlePolicy:job 1013 violates idle HARD MAXIPROC limit of 3528 for user alice  partition ALL (Req: 480  InUse: 3192)',
  ],
  'mdiag-held.xml': [
    "1014 | held | cannot start job 1014 - RM failure, rc: 15046, msg: 'Resource temporarily unavailable'",
  ],
  'mdiag-held-states.xml': [0, 1, 2, 3, 4, 5, 6, 7].map((index) => `${2000 + index} | held`),
  'mdiag-reserved.xml': ['Moab.17 | pending'],
  'mdiag-vacated-restartable.xml': job1012('pending'),
  'mdiag-multihost.xml': ['1015 | running | node32.cluster.example+node33.cluster.example'],
  'mdiag-manual.xml': ['1016 | running | node01'],
  'mdiag-forged.xml': [...on32('running'), '1020 | running'],
  'mdiag-not-utf8.xml': on32('running'),
  'mdiag-empty.xml': [],
  'checkjob-completed-exit0.xml': on32('ended | completed 0'),
  'checkjob-completed-exit7.xml': on32('ended | failed 7'),
  'checkjob-completed-walltime.xml': on32('ended | timeout -'),
  'checkjob-completed-memory.xml': on32('ended | out-of-memory -'),
  'checkjob-completed-qdel.xml': on32('ended | cancelled SIGTERM'),
  'checkjob-cancelled.xml': ['1012 | ended | cancelled -'],
  'checkjob-vacated.xml': on32('ended | preempted -'),
  'showq.xml': [
    '1012 | running | node03',
    '1012.node01 | running | node03',
    '1013 | pending',
    '1014 | held',
  ],
  'showq-completed.xml': [
    '1012 | ended | completed 0 | node03',
    '1012.node01 | ended | completed 0 | node03',
  ],
};

/** What holds something else as well, and the jobs in it. */
const spoilt: Readonly<Record<string, readonly string[]>> = {
  'mdiag-banner.xml': on32('running'),
};

/** What msub prints; undefined where there is no job in it. */
const submitted: Readonly<Record<string, string | undefined>> = {
  'msub-plain.esc': 'Moab.1012',
  'msub-number.esc': '1012',
  'msub-resource-manager.esc': '1012.node01.cluster.example',
  'msub-with-banner.esc': 'Moab.1012',
  'msub-xml.xml': '1012',
  'msub-xml-empty.xml': undefined,
};

/** What else stands on standard output. */
const printed = ['checkjob-unknown.txt', 'mjobctl-cancelled.esc'];

/** What stands on standard error. */
const said: Readonly<Record<string, { notFound?: true; away?: true }>> = {
  'cannot-connect.err.txt': { away: true },
  'client-timeout.err.txt': { away: true },
  'invalid-job.err.esc': { notFound: true },
  'lost-connection.err.txt': { away: true },
  'msub-refused.err.txt': {},
  'outage.err.txt': { away: true },
};

describe('The fixtures of Moab', () => {
  const files = readdirSync(new URL('../fixtures/moab/', import.meta.url));

  it('are all in their index, and in the tables of this file', () => {
    const names = files.filter((file) => file !== 'index.json');
    expect(Object.keys(fixtures.index)).to.have.members(names);
    const tables = [listed, spoilt, submitted, said].flatMap(Object.keys);
    expect([...tables, ...printed]).to.have.members(names);
  });

  for (const [name, jobs] of Object.entries(listed)) {
    it(`are read as a list: ${name}`, () => {
      const { jobs: found, complete } = query(fixtures.text(name));
      expect(found.map(brief)).to.deep.equal(jobs);
      expect(complete).to.equal(true);
    });
  }

  for (const [name, jobs] of Object.entries(spoilt)) {
    it(`are read as a list that may lack a job: ${name}`, () => {
      const { jobs: found, complete } = query(fixtures.text(name));
      expect(found.map(brief)).to.deep.equal(jobs);
      expect(complete).to.equal(false);
    });
  }

  for (const name of [...printed, ...Object.keys(said)]) {
    it(`are no list: ${name}`, () => {
      expect(() => query(fixtures.text(name))).to.throw(ParseError);
      expect(() => moab.parseFind(fixtures.text(name))).to.throw(ParseError);
    });
  }
});

describe('The job id that msub prints', () => {
  for (const [name, id] of Object.entries(submitted)) {
    it(`is read from ${name}`, () => {
      expect(jobIdIn(fixtures.text(name), patterns.jobId)).to.deep.equal(id && { id });
    });
  }

  it('is none where there are two', () => {
    expect(jobIdIn('Moab.7\nMoab.8\n', patterns.jobId)).to.equal(undefined);
  });

  it('is not made of anything else', () => {
    const texts = [
      '',
      '\n',
      'job 7',
      '7 8',
      '-7',
      '7a',
      'Moab',
      'Moab.',
      'Moab.x',
      '7%',
      '<Data/>',
    ];
    const errors = [...printed, ...Object.keys(said)].map((name) => fixtures.text(name));
    for (const text of [...texts, ...errors]) {
      expect(jobIdIn(text, patterns.jobId), JSON.stringify(text)).to.equal(undefined);
    }
  });
});

describe('The states of Moab', () => {
  const ours: Readonly<Record<string, JobState>> = {
    Idle: 'pending',
    Staging: 'pending',
    Staged: 'pending',
    Migrated: 'pending',
    Starting: 'pending',
    Hold: 'held',
    UserHold: 'held',
    SystemHold: 'held',
    BatchHold: 'held',
    Deferred: 'held',
    NotQueued: 'held',
    NotRun: 'held',
    Blocked: 'held',
    Running: 'running',
    Suspended: 'suspended',
    Completed: 'ended',
    Removed: 'ended',
    Vacated: 'ended',
    Lost: 'unknown',
    Unknown: 'unknown',
  };

  for (const [word, state] of Object.entries(ours)) {
    it(`say that a job is ${state} when it is ${word}, whatever was expected`, () => {
      for (const EState of ['Idle', 'Running', 'Completed']) {
        const status = statusOf({ State: word, EState });
        expect(status).to.include({ state, nativeState: word });
        expect(status?.exit !== undefined).to.equal(state === 'ended');
      }
    });
  }

  it('are all in the table above', () => {
    expect(Object.keys(states)).to.have.members(Object.keys(ours));
  });

  it('are unknown where the word is', () => {
    for (const word of ['', 'idle', 'RUNNING', 'Canceling', 'toString', '__proto__']) {
      expect(statusOf({ State: word }), word).to.include({ state: 'unknown', nativeState: word });
    }
  });

  it('are held where a hold is on a job that waits, whatever the state says', () => {
    for (const Hold of ['Batch', 'User', 'System', 'User,System']) {
      expect(statusOf({ State: 'Idle', Hold })).to.include({
        state: 'held',
        reason: `held: ${Hold}`,
      });
    }
    expect(statusOf({ State: 'Idle', Hold: '' })).to.include({ state: 'pending' });
    expect(statusOf({ State: 'Running', Hold: 'User' })).to.include({ state: 'running' });
  });

  it('have the reason of waiting, and none of running', () => {
    const BlockReason = 'EState:job 7 is deferred';
    expect(statusOf({ State: 'Idle', BlockReason })).to.include({ reason: BlockReason });
    expect(statusOf({ State: 'Running', BlockReason })).not.to.have.property('reason');
    const messages = '<Messages><message DATA="a note" TYPE="annotation"/></Messages>';
    expect(statusOf({ State: 'Idle', BlockReason }, messages)).to.include({ reason: BlockReason });
  });
});

describe('The end of a job of Moab', () => {
  const ends: readonly (readonly [
    state: string,
    code: string | undefined,
    cause: ExitCause,
    exit: number | string | null,
  ])[] = [
    ['Completed', '0', 'completed', 0],
    ['Completed', '7', 'failed', 7],
    ['Completed', '143', 'failed', 143],
    ['Completed', '271', 'cancelled', 'SIGTERM'],
    ['Completed', '265', 'failed', 'SIGKILL'],
    ['Completed', '-11', 'timeout', null],
    ['Completed', 'CNCLD', 'cancelled', null],
    ['Completed', 'REMOVED', 'cancelled', null],
    ['Completed', 'odd', 'unknown', null],
    ['Completed', undefined, 'unknown', null],
    ['Removed', undefined, 'cancelled', null],
    ['Removed', '0', 'cancelled', null],
    ['Removed', '7', 'cancelled', 7],
    ['Removed', '-11', 'timeout', null],
    ['Removed', 'CNCLD', 'cancelled', null],
    ['Vacated', undefined, 'preempted', null],
    ['Vacated', '271', 'cancelled', 'SIGTERM'],
  ];
  for (const [State, CompletionCode, cause, exit] of ends) {
    it(`is ${cause} where it is ${State} with the code ${CompletionCode}`, () => {
      const found = statusOf({ State, CompletionCode })?.exit;
      expect(found?.cause).to.equal(cause);
      expect(found?.code ?? found?.signal).to.equal(exit);
    });
  }

  it('is not the end of a job that is put back into the queue', () => {
    const Flags = 'FSVIOLATION,RESTARTABLE';
    expect(statusOf({ State: 'Vacated', Flags })).to.include({ state: 'pending' });
    expect(statusOf({ State: 'Completed', Flags })).to.include({ state: 'ended' });
    const not = statusOf({ State: 'Vacated', Flags: 'NONRESTARTABLE' });
    expect(not).to.include({ state: 'ended' });
  });
});

describe('The answer of mdiag', () => {
  const text = fixtures.text('mdiag-running.xml');

  it('says of a running job where, since when and until when it runs', () => {
    expect(query(text).jobs[0]).to.deep.equal({
      id: '1012',
      state: 'running',
      nativeState: 'Running',
      hosts: ['node32.cluster.example'],
      submittedAt: new Date('2026-03-01T02:15:18Z'),
      startedAt: new Date('2026-03-01T02:16:13Z'),
      run: '1',
      endsAt: new Date('2026-03-04T02:16:13Z'),
    });
  });

  it('does not count the time for which a job was suspended', () => {
    const times = { StartTime: '1772331373', ReqAWDuration: '3600' };
    const endsAt = (more: Attributes) => statusOf({ ...times, ...more })?.endsAt?.toISOString();
    expect(endsAt({})).to.equal('2026-03-01T03:16:13.000Z');
    expect(endsAt({ SuspendDuration: '60' })).to.equal('2026-03-01T03:17:13.000Z');
    expect(endsAt({ State: 'Suspended' })).to.equal(undefined);
    expect(endsAt({ ReqAWDuration: 'x' })).to.equal(undefined);
    expect(endsAt({ ReqAWDuration: undefined })).to.equal(undefined);
    expect(endsAt({ StartTime: '0' })).to.equal(undefined);
  });

  it('says of a waiting job when it may start, and nothing of hosts', () => {
    expect(query(fixtures.text('mdiag-reserved.xml')).jobs).to.deep.equal([
      {
        id: 'Moab.17',
        state: 'pending',
        nativeState: 'Idle',
        submittedAt: new Date('2026-03-01T02:15:18Z'),
        estimatedStart: new Date('2026-03-01T04:40:00Z'),
      },
    ]);
    const [blocked] = query(fixtures.text('mdiag-blocked-idle.xml')).jobs;
    expect(blocked).not.to.have.any.keys('hosts', 'startedAt', 'estimatedStart');
  });

  it('has a job by all of its ids, each once', () => {
    const ids = { JobID: '7', GJID: 'Moab.3', DRMJID: '7.pbs', SRMJID: '7.pbs' };
    const { jobs, complete } = query(`<Data>${element(ids)}</Data>`);
    expect(jobs.map(({ id }) => id)).to.deep.equal(['7', 'Moab.3', '7.pbs']);
    expect(complete).to.equal(true);
  });

  it('has no id that two jobs claim', () => {
    const one = element({ JobID: '7', GJID: 'Moab.3' });
    const other = element({ JobID: '8', GJID: 'Moab.3', State: 'Completed' });
    const { jobs, complete } = query(`<Data>${one}${other}</Data>`);
    expect(jobs.map(({ id }) => id)).to.deep.equal(['7', '8']);
    expect(complete).to.equal(false);
  });

  it('is empty only where it says so', () => {
    for (const nothing of [
      '<Data></Data>',
      '<Data/>',
      '\n<Data>\n</Data>\n',
      '<?xml version="1.0"?>\n<Data/>',
    ]) {
      expect(query(nothing)).to.deep.equal({ jobs: [], complete: true });
    }
    for (const silence of ['', '\n']) {
      expect(() => query(silence)).to.throw(ParseError);
    }
  });

  it('is refused or not complete wherever it was cut', () => {
    const end = text.trimEnd().length;
    for (const { cut, at } of cuts(text)) {
      if (at < end) {
        expect(() => query(cut), String(at)).to.throw(ParseError);
      } else {
        expect(query(cut)).to.deep.equal(query(text));
      }
    }
  });

  it('is not complete where one job can not be read', () => {
    const damages = [
      element({ JobID: undefined }),
      element({ JobID: 'a b' }),
      element({ JobID: '' }),
      element({ DRMJID: '7.pbs 8.pbs' }),
      element({ State: undefined }),
      '<error>x</error>',
      'ERROR',
    ];
    for (const damage of damages) {
      const [first, last] = ['1', '2'].map((JobID) => element({ JobID }));
      const { jobs, complete } = query(`<Data>${first}${damage}${last}</Data>\n`);
      expect(complete, damage).to.equal(false);
      expect(jobs.map(({ id }) => id)).to.deep.equal(['1', '2']);
    }
    const twice = element().replace('State=', 'State="Completed" State=');
    for (const damage of [twice, element({ JobName: 'a > b' }), element({ JobName: 'a < b' })]) {
      expect(() => query(`<Data>${damage}</Data>`), damage).to.throw(ParseError);
    }
  });

  it('may hold thousands of jobs', () => {
    const many = Array.from({ length: 3000 }, (_, seq) => element({ JobID: `Moab.${seq}` }));
    const { jobs, complete } = query(`<Data>\n${many.join('\n')}\n</Data>\n`);
    expect(jobs).to.have.length(3000);
    expect(complete).to.equal(true);
  });

  it('gives every job once with its name and its owner', () => {
    expect(moab.parseFind(fixtures.text('mdiag-forged.xml'))).to.deep.equal({
      jobs: [
        { id: '1012', tag: '', jobName: 'jupyter-alice', owner: 'alice' },
        {
          id: '1020',
          tag: '',
          jobName: 'x" State="Completed"/><job JobID="1012" State="Completed"/>',
          owner: 'bob',
        },
      ],
      complete: true,
    });
  });
});

describe('What is said of one job below Moab', () => {
  const job = { id: '1012', jobName: 'jupyter-alice' };

  it('is its record, by the id that msub gave', () => {
    const text = fixtures.text('checkjob-completed-exit7.xml');
    for (const id of ['1012', '1012.node01.cluster.example']) {
      const status = checkjob?.parse(text, { ...job, id }, states);
      expect(status).to.include({ id, state: 'ended' });
      expect(status?.exit).to.include({ code: 7 });
    }
  });

  it('is nothing where the record is of another job', () => {
    const text = fixtures.text('checkjob-completed-exit7.xml');
    expect(checkjob?.parse(text, { ...job, id: '101' }, states)).to.equal(undefined);
    expect(checkjob?.parse(text, { ...job, jobName: 'x' }, states)).to.equal(undefined);
    expect(checkjob?.parse('<Data></Data>', job, states)).to.equal(undefined);
  });

  it('is not silence where there is nothing, or the record is damaged', () => {
    for (const text of ['', '<Data><job JobID="1012"/></Data>']) {
      expect(() => checkjob?.parse(text, job, states), text).to.throw(ParseError);
    }
  });

  it("is Torque's record as well, by its number or its whole id", () => {
    const text = torqueFixtures.text('qstat-x-restarted-running.xml');
    for (const id of ['1012', '1012.node01.cluster.example']) {
      expect(qstat?.parse(text, { ...job, id }, states)).to.deep.equal({
        id,
        state: 'running',
        nativeState: 'R',
      });
    }
    expect(qstat?.parse(text, { ...job, id: '101' }, states)).to.equal(undefined);
    expect(qstat?.parse(text, { ...job, id: 'Moab.1012' }, states)).to.equal(undefined);
    const ended = torqueFixtures.text('qstat-x-completed-exit7.xml');
    const end = qstat?.parse(ended, { id: '7', jobName: 'exit7' }, states);
    expect(end?.exit).to.include({ code: 7, cause: 'failed' });
  });

  it('is not that it is gone, where one of the two alone does not know it', () => {
    for (const text of [
      fixtures.text('checkjob-unknown.txt'),
      fixtures.text('invalid-job.err.esc'),
    ]) {
      expect(text).to.match(checkjob?.absent ?? /(?!)/);
    }
    const unknown = torqueFixtures.text('qstat-unknown.err.txt');
    expect(unknown).to.match(qstat?.absent ?? /(?!)/);
    expect(unknown).not.to.match(patterns.notFound);
    expect('qstat: Unknown queue destination Moab.7\n').to.match(qstat?.absent ?? /(?!)/);
    for (const name of ['outage-server-down.err.esc', 'outage-trqauthd.err.txt']) {
      expect(torqueFixtures.text(name)).not.to.match(qstat?.absent ?? /(?!)/);
      expect(torqueFixtures.text(name)).to.match(patterns.outage);
    }
  });
});

describe('What Moab writes to standard error', () => {
  for (const [name, { notFound, away }] of Object.entries(said)) {
    it(`spoils the answer (${name})`, () => {
      const result = fixtures.result(name);
      expect(failureOf('mdiag', result, patterns.outage)).to.be.a('string');
      const zero = failureOf('mdiag', { ...result, exitCode: 0 }, patterns.outage);
      expect(zero !== undefined, 'with exit code 0').to.equal(away ?? false);
      expect(patterns.transient.test(result.stderr), 'transient').to.equal(away ?? false);
      expect(saysNotFound(result, patterns), 'not found').to.equal(notFound ?? false);
    });
  }

  it('may stand on standard output', () => {
    const unknown = fixtures.result('checkjob-unknown.txt');
    expect(saysNotFound(unknown, patterns)).to.equal(true);
    const done = fixtures.result('mjobctl-cancelled.esc');
    expect(failureOf('mjobctl', done, patterns.outage)).to.equal(undefined);
  });
});

describe('The job of Moab', () => {
  const facts = {
    mark: { tag: 'hubspawner:8f0c2e1b:alice::3b1d0c7a9e55', jobName: 'ju-3b1d0c7a9e55' },
    username: 'alice',
    homedir: '/home/alice',
    jobId: 'Moab.12',
  };
  const templates = (options: object) =>
    new JobTemplates(moab, checkOptions<MoabOptions>('moab.json', options));
  const prepared = (request: object) =>
    templates({ request }).prepare(facts, { TOKEN: 'secret' }, { PATH: '/bin' });

  it('asks for what is given, a line for each', () => {
    const { script } = prepared({
      queue: 'interactive',
      host: 'pbs.example.org',
      runtime: '12:00:00',
      nprocs: 2,
      ngpus: 1,
      memory: '4gb',
      partition: 'cluster1',
      qos: 'high',
      reservation: 'course.17',
      account: 'physics',
      options: '-l feature=fast',
    });
    expect(script.split('\n').filter((line) => line.startsWith('#PBS'))).to.deep.equal([
      '#PBS -S /bin/bash',
      '#PBS -N ju-3b1d0c7a9e55',
      '#PBS -r n',
      '#PBS -j oe',
      '#PBS -o /home/alice/ju-3b1d0c7a9e55.log',
      '#PBS -d /home/alice',
      '#PBS -q interactive',
      '#PBS -l walltime=12:00:00',
      '#PBS -l nodes=1:ppn=2:gpus=1',
      '#PBS -l mem=4gb',
      '#PBS -l partition=cluster1',
      '#PBS -l qos=high',
      '#PBS -l advres=course.17',
      '#PBS -A physics',
      '#PBS -l feature=fast',
    ]);
  });

  it('is submitted with its name, and with nothing of the environment', () => {
    const { argv, env, environmentFile } = prepared({});
    expect(argv).to.deep.equal(['msub', '-N', 'ju-3b1d0c7a9e55']);
    expect(env).to.deep.equal({ PATH: '/bin' });
    expect(environmentFile?.text).to.include('secret');
  });

  it('is asked about, cancelled and killed by the id that msub gave', () => {
    const made = templates({});
    expect(made.query(facts)).to.deep.equal(['mdiag', '-j', '--format=xml']);
    expect(made.find(facts)).to.deep.equal(['mdiag', '-j', '--format=xml']);
    expect(made.argv('cancel', facts)).to.deep.equal(['mjobctl', '-c', 'Moab.12']);
    expect(made.argv('kill', facts)).to.deep.equal(['mjobctl', '-N', 'KILL', 'Moab.12']);
    expect(made.accounting(facts)).to.deep.equal([
      ['checkjob', '--format=xml', 'Moab.12'],
      ['qstat', '-x', 'Moab.12'],
    ]);
    expect(MoabSpawner.scheduler).to.equal(moab);
  });
});
