import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { failureOf } from '../../lib/batch/command.ts';
import { execHosts, foldedRecords, secondsOf } from '../../lib/batch/pbs-family.ts';
import { JobTemplates } from '../../lib/batch/request.ts';
import type { JobState, JobStatus } from '../../lib/batch/scheduler.ts';
import { jobIdIn } from '../../lib/batch/scheduler.ts';
import { TorqueSpawner, torque } from '../../lib/batch/torque.ts';
import { OptionsError, ParseError } from '../../lib/errors.ts';
import type { ExitCause } from '../../lib/events.ts';
import type { TorqueOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import { thrown } from '../helpers/errors.ts';
import { cuts, Fixtures } from '../helpers/fixtures.ts';

const fixtures = new Fixtures('torque');
const { patterns, states } = torque;
const [source] = torque.accounting;

const server = 'node01.cluster.example';

/** An element of a job, by its name; undefined leaves it out. */
type Elements = Readonly<Record<string, string | undefined>>;

/** The answer with one job, which runs. */
function answer(elements: Elements = {}): string {
  return `<?xml version="1.0"?>\n<Data>${record(elements)}</Data>\n`;
}

function record(elements: Elements = {}): string {
  const all = { Job_Id: `7.${server}`, Job_Name: 'job', job_state: 'R', ...elements };
  const written = Object.entries(all).flatMap(([name, text]) =>
    text === undefined ? [] : [`<${name}>${text}</${name}>`],
  );
  return `<Job>${written.join('')}</Job>`;
}

function query(text: string) {
  return torque.parseQuery(text, states);
}

function statusOf(elements: Elements): JobStatus | undefined {
  return query(answer(elements)).jobs[0];
}

/** What a reader makes of a job, in one line. */
function brief({ id, state, exit, hosts = [], reason }: JobStatus): string {
  const end = exit && [exit.cause, exit.code ?? exit.signal ?? '-'].join(' ');
  const number = id.replace(/\..*/, '');
  return [number, state, end, hosts.join('+'), reason].filter(Boolean).join(' | ');
}

/** What `qstat` prints, and the jobs in it. */
const listed: Readonly<Record<string, readonly string[]>> = {
  'qstat-x-running.xml': ['0 | running | node01'],
  'qstat-x-suspended.xml': ['0 | suspended | node01'],
  'qstat-x-queued.xml': [
    '6 | pending | Not Running: Not enough of the right type of nodes are available',
  ],
  'qstat-x-held.xml': ['1 | held | held by its user'],
  'qstat-x-held-dependency.xml': ['3 | held | depends on afterok:0.node01.cluster.example'],
  'qstat-x-held-failed-starts.xml': ['28 | held | job held, too many failed attempts to run'],
  'qstat-x-waiting.xml': ['2 | pending'],
  'qstat-x-in-transit.xml': ['27 | pending'],
  'qstat-x-exiting.xml': ['26 | completing | node01'],
  'qstat-x-completed-exit0.xml': ['20 | ended | completed 0 | node01'],
  'qstat-x-completed-exit7.xml': ['7 | ended | failed 7 | node01'],
  'qstat-x-completed-qdel.xml': ['11 | ended | cancelled SIGTERM | node01'],
  'qstat-x-completed-kill.xml': ['22 | ended | failed SIGKILL | node01'],
  'qstat-x-completed-walltime.xml': ['10 | ended | timeout - | node01'],
  'qstat-x-completed-walltime-old.xml': ['23 | ended | timeout SIGTERM | node01'],
  'qstat-x-completed-memory.xml': ['21 | ended | out-of-memory - | node01'],
  'qstat-x-completed-node.xml': ['24 | ended | node-failure - | node01'],
  'qstat-x-completed-never-ran.xml': ['25 | ended | unknown -'],
  'qstat-x-two-operands.xml': ['0 | running | node01', '1 | held | held by its user'],
  'qstat-x-restarted-running.xml': ['1012 | running | node02'],
  'qstat-x-multihost.xml': [
    '1013 | running | node02+node03+node04',
    '1014 | running | node05+node06',
  ],
  'qstat-x-newline-in-element.xml': ['1015 | ended | completed 0 | node02'],
  'qstat-x-forged.xml': ['0 | running | node01', '30 | running | node01'],
  'qstat-x-not-utf8.xml': ['0 | running | node01'],
  'qstat-x-empty.xml': [],
  'qstat-x-empty-old.esc': [],
};

/** What holds something else as well, and the jobs in it. */
const spoilt: Readonly<Record<string, readonly string[]>> = {
  'qstat-x-banner.xml': ['0 | running | node01'],
};

/** What qsub prints. */
const submitted: Readonly<Record<string, string>> = {
  'qsub-ok.txt': `12.${server}`,
  'qsub-array.txt': `13[].${server}`,
  'qsub-with-banner.txt': `1012.${server}`,
};

/** What `qstat -f` prints, which only other systems are asked for. */
const folded = [
  'qstat-f-dependency-deleted.txt',
  'qstat-f-exported-newlines.txt',
  'qstat-f-forged.txt',
];

/** What stands on standard error. */
const said: Readonly<Record<string, { notFound?: true; transient?: true; outage?: true }>> = {
  'outage-bad-host.err.txt': { outage: true, transient: true },
  'outage-default-server.err.txt': { outage: true, transient: true },
  'outage-server-down.err.esc': { outage: true, transient: true },
  'outage-trqauthd.err.txt': { outage: true, transient: true },
  'qdel-complete.err.txt': { notFound: true },
  'qdel-in-progress.err.txt': {},
  'qdel-other-user.err.txt': {},
  'qdel-unknown.err.txt': { notFound: true },
  'qsig-not-running.err.txt': {},
  'qstat-unauthorized.err.txt': {},
  'qstat-unknown.err.txt': { notFound: true },
  'qstat-x-two-operands.err.txt': { notFound: true },
  'qsub-badqueue.err.txt': {},
  'qsub-credential.err.txt': { transient: true },
  'qsub-timeout.err.txt': { transient: true },
  'qsub-toobig.err.txt': {},
};

describe('The fixtures of Torque', () => {
  const files = readdirSync(new URL('../fixtures/torque/', import.meta.url));

  it('are all in their index, and in the tables of this file', () => {
    const names = files.filter((file) => file !== 'index.json');
    expect(Object.keys(fixtures.index)).to.have.members(names);
    const tables = [listed, spoilt, submitted, said].flatMap(Object.keys);
    expect([...tables, ...folded]).to.have.members(names);
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

  for (const name of [...Object.keys(submitted), ...folded, ...Object.keys(said)]) {
    it(`are no list: ${name}`, () => {
      expect(() => query(fixtures.text(name))).to.throw(ParseError);
      expect(() => torque.parseFind(fixtures.text(name))).to.throw(ParseError);
    });
  }
});

describe('The job id that qsub prints', () => {
  for (const [name, id] of Object.entries(submitted)) {
    it(`is read from ${name}`, () => {
      expect(jobIdIn(fixtures.text(name), patterns.jobId)).to.deep.equal({ id });
    });
  }

  it('is read from what wrappers of sites print', () => {
    const texts = ['\n  7.pbs  \n', '7.pbs', '7.pbs\r\n', '7.pbs\n7.pbs\n', 'Welcome!\n7.pbs\n'];
    for (const text of texts) {
      expect(jobIdIn(text, patterns.jobId), text).to.deep.equal({ id: '7.pbs' });
    }
  });

  it('is none where there are two', () => {
    expect(jobIdIn('7.pbs\n8.pbs\n', patterns.jobId)).to.equal(undefined);
  });

  it('is not made of anything else', () => {
    const texts = [
      '',
      '\n',
      '7',
      '7.',
      '.pbs',
      'x7.pbs',
      '7.pbs 8',
      'job 7.pbs',
      '-7.pbs',
      '7.p\0',
    ];
    const errors = Object.keys(said).map((name) => fixtures.text(name));
    for (const text of [...texts, ...errors]) {
      expect(jobIdIn(text, patterns.jobId), JSON.stringify(text)).to.equal(undefined);
    }
  });
});

describe('The states of Torque', () => {
  const ours: Readonly<Record<string, JobState>> = {
    Q: 'pending',
    T: 'pending',
    W: 'pending',
    H: 'held',
    R: 'running',
    S: 'suspended',
    E: 'completing',
    C: 'ended',
  };

  for (const [word, state] of Object.entries(ours)) {
    it(`say that a job is ${state} when it is ${word}`, () => {
      const status = statusOf({ job_state: word });
      expect(status).to.include({ state, nativeState: word });
      expect(status?.exit !== undefined).to.equal(state === 'ended');
    });
  }

  it('are all in the table above', () => {
    expect(Object.keys(states)).to.have.members(Object.keys(ours));
  });

  it('are unknown where the word is', () => {
    for (const word of ['', 'X', 'F', 'r', 'RR', 'toString', '__proto__', 'running']) {
      expect(statusOf({ job_state: word }), word).to.include({
        state: 'unknown',
        nativeState: word,
      });
    }
  });

  it('are the end of a job only where they say so, whatever exit_status does', () => {
    for (const word of ['Q', 'T', 'W', 'H', 'R', 'S', 'E']) {
      for (const exit_status of ['0', '-3', '271']) {
        const status = statusOf({ job_state: word, exit_status });
        expect(status?.state, word).to.equal(ours[word]);
        expect(status).not.to.have.property('exit');
      }
    }
  });

  it('have the reason of waiting, and none of running', () => {
    const comment = 'Not Running: Draining system to allow starving job to run';
    expect(statusOf({ job_state: 'Q', comment })).to.include({ reason: comment });
    expect(statusOf({ job_state: 'R', comment })).not.to.have.property('reason');
    expect(statusOf({ job_state: 'H', Hold_Types: 'uo' })).to.include({
      reason: 'held by its user, held by an operator',
    });
    expect(statusOf({ job_state: 'H', Hold_Types: 's' })).to.include({
      reason: 'held by the system',
    });
    expect(statusOf({ job_state: 'Q', Hold_Types: 'n' })).not.to.have.property('reason');
    expect(statusOf({ job_state: 'Q', depend: 'beforeok:3.pbs' })).not.to.have.property('reason');
  });
});

describe('The end of a job of Torque', () => {
  const ends: readonly (readonly [
    status: string | undefined,
    cause: ExitCause,
    code: number | null,
    signal: string | null,
  ])[] = [
    ['0', 'completed', 0, null],
    ['1', 'failed', 1, null],
    ['127', 'failed', 127, null],
    ['143', 'failed', 143, 'SIGTERM'],
    ['137', 'failed', 137, 'SIGKILL'],
    ['255', 'failed', 255, 'signal 127'],
    ['271', 'cancelled', null, 'SIGTERM'],
    ['265', 'failed', null, 'SIGKILL'],
    ['-1', 'failed', null, null],
    ['-2', 'failed', null, null],
    ['-3', 'failed', null, null],
    ['-4', 'node-failure', null, null],
    ['-5', 'node-failure', null, null],
    ['-6', 'node-failure', null, null],
    ['-8', 'failed', null, null],
    ['-9', 'failed', null, null],
    ['-10', 'out-of-memory', null, null],
    ['-11', 'timeout', null, null],
    ['-12', 'failed', null, null],
    ['-13', 'failed', null, null],
    ['-99', 'unknown', null, null],
    ['', 'unknown', null, null],
    ['0x1', 'unknown', null, null],
    [undefined, 'unknown', null, null],
  ];
  for (const [exit_status, cause, code, signal] of ends) {
    it(`is ${cause} with the status ${exit_status}`, () => {
      expect(statusOf({ job_state: 'C', exit_status })?.exit).to.include({ cause, code, signal });
    });
  }

  it('says in words what a status of its own means', () => {
    expect(statusOf({ job_state: 'C', exit_status: '-9' })?.exit?.message).to.equal(
      'The job failed (its log file could not be opened).',
    );
    expect(statusOf({ job_state: 'C', exit_status: '-99' })?.exit?.message).to.equal(
      'The job has ended, and nothing says how (exit status -99).',
    );
  });

  it('is that of its walltime where an old release ended it with a signal then', () => {
    const cause = (used: string, limit: string, exit_status: string) =>
      statusOf({
        job_state: 'C',
        exit_status,
        resources_used: `<walltime>${used}</walltime>`,
        Resource_List: `<walltime>${limit}</walltime>`,
      })?.exit?.cause;
    expect(cause('01:00:07', '01:00:00', '271')).to.equal('timeout');
    expect(cause('01:00:07', '01:00:00', '265')).to.equal('timeout');
    expect(cause('00:59:59', '01:00:00', '271')).to.equal('cancelled');
    expect(cause('01:00:07', '01:00:00', '0')).to.equal('completed');
  });

  it('may be explained by an option', () => {
    const table = { ...states, C: { state: 'ended', cause: 'preempted' } } as const;
    const cause = (text: string) => torque.parseQuery(text, table).jobs[0]?.exit?.cause;
    expect(cause(answer({ job_state: 'C' }))).to.equal('preempted');
    expect(cause(answer({ job_state: 'C', exit_status: '0' }))).to.equal('completed');
  });
});

describe('The answer of qstat -x', () => {
  const text = fixtures.text('qstat-x-two-operands.xml');

  it('says of a running job where, since when and until when it runs', () => {
    expect(query(fixtures.text('qstat-x-running.xml')).jobs).to.deep.equal([
      {
        id: `0.${server}`,
        state: 'running',
        nativeState: 'R',
        hosts: ['node01'],
        submittedAt: new Date('2026-03-02T06:24:53Z'),
        startedAt: new Date('2026-03-02T06:24:53Z'),
        run: '1',
        endsAt: new Date('2026-03-02T08:24:53Z'),
      },
    ]);
  });

  it('says nothing of a run where the job waits', () => {
    const waits = statusOf({
      job_state: 'Q',
      exec_host: 'node01/0',
      start_time: '1772432693',
      start_count: '1',
      ctime: '1772432600',
    });
    expect(waits).to.have.all.keys('id', 'state', 'nativeState', 'submittedAt');
  });

  it('has no end of the walltime where the job is suspended, or has no limit', () => {
    for (const name of ['qstat-x-suspended.xml', 'qstat-x-restarted-running.xml']) {
      expect(query(fixtures.text(name)).jobs[0]).not.to.have.property('endsAt');
    }
  });

  it('has no times that are none', () => {
    for (const ctime of ['', '0', '-1', 'now', '1e9', '99999999999999', '2026-03-02']) {
      expect(statusOf({ ctime, start_time: ctime }), ctime).to.have.all.keys(
        ...['id', 'state', 'nativeState'],
      );
    }
  });

  it('is refused or not complete wherever it was cut, unless that was between two documents', () => {
    const { jobs } = query(text);
    for (const { cut, at } of cuts(text)) {
      const documents = cut.split('</Data>').length - 1;
      const isWhole = /^$|<\/Data>\s*$/.test(cut);
      try {
        const expected = { jobs: jobs.slice(0, documents), complete: isWhole };
        expect(query(cut), String(at)).to.deep.equal(expected);
      } catch (error) {
        expect(error, String(at)).to.be.instanceOf(ParseError);
        expect(isWhole).to.equal(false);
      }
    }
  });

  it('is not complete where one job can not be read', () => {
    const damages = [
      record({ Job_Id: undefined }),
      record({ Job_Id: '7' }),
      record({ Job_Id: `7.${server} 8` }),
      record({ job_state: undefined }),
      record().replace('</Job>', '<job_state>C</job_state></Job>'),
      record().replace('</Job>', `<Job_Id>9.${server}</Job_Id></Job>`),
      record().replace('<job_state>', '<job_state'),
      record({ comment: 'a > b' }),
      '<Job></Job>',
      '<Queue></Queue>',
      'qstat: something went wrong',
    ];
    for (const damage of damages) {
      const [first, last] = ['1', '2'].map((seq) => record({ Job_Id: `${seq}.${server}` }));
      const { jobs, complete } = query(`<Data>${first}${damage}${last}</Data>\n`);
      expect(complete, damage).to.equal(false);
      expect(jobs.map(({ id }) => id)).to.deep.equal([`1.${server}`, `2.${server}`]);
    }
  });

  it('gives no job that another runs into', () => {
    const torn = record().replace('</Job>', '');
    const { jobs, complete } = query(`<Data>${torn}${record({ Job_Id: `8.${server}` })}</Data>`);
    expect(jobs).to.deep.equal([]);
    expect(complete).to.equal(false);
  });

  it('gives no job that stands in it twice', () => {
    const twice = record() + record({ job_state: 'C', exit_status: '0' });
    const other = record({ Job_Id: `8.${server}` });
    const { jobs, complete } = query(`<Data>${twice}${other}</Data>`);
    expect(jobs.map(({ id }) => id)).to.deep.equal([`8.${server}`]);
    expect(complete).to.equal(false);
  });

  it('is read where a value of one job holds control characters', () => {
    const odd = record({ Job_Id: `8.${server}`, Variable_List: 'A=\x01\x1b[31m\x85\u2028' });
    const { jobs, complete } = query(`<Data>${record()}${odd}</Data>\n`);
    expect(jobs).to.have.length(2);
    expect(complete).to.equal(true);
  });

  it('may hold thousands of jobs', () => {
    const many = Array.from({ length: 3000 }, (_, seq) => record({ Job_Id: `${seq}.${server}` }));
    const { jobs, complete } = query(`<?xml version="1.0"?>\n<Data>${many.join('')}</Data>\n`);
    expect(jobs).to.have.length(3000);
    expect(complete).to.equal(true);
  });

  it('cuts the host from the owner, and not the domain of an account', () => {
    const text = `<Data><Job><Job_Id>7.s</Job_Id><Job_Name>j</Job_Name><Job_Owner>alice@example.org@node01</Job_Owner><job_state>R</job_state></Job></Data>`;
    expect(torque.parseFind(text).jobs[0]?.owner).to.equal('alice@example.org');
  });

  it('gives every job with its name and its owner', () => {
    expect(torque.parseFind(text)).to.deep.equal({
      jobs: [
        { id: `0.${server}`, tag: '', jobName: 'jupyter-alice', owner: 'alice' },
        { id: `1.${server}`, tag: '', jobName: 'held', owner: 'alice' },
      ],
      complete: true,
    });
    expect(torque.parseFind(fixtures.text('qstat-x-forged.xml')).jobs).to.deep.include({
      id: `30.${server}`,
      tag: '',
      jobName: 'x</Job_Name>',
      owner: 'bob',
    });
  });
});

describe('What Torque says of one job', () => {
  const ask = (text: string, id: string, jobName: string) =>
    source?.parse(text, { id, jobName }, states);

  it('is its record', () => {
    const status = ask(fixtures.text('qstat-x-completed-exit7.xml'), `7.${server}`, 'exit7');
    expect(status).to.include({ id: `7.${server}`, state: 'ended' });
    expect(status?.exit).to.include({ code: 7, cause: 'failed' });
  });

  it('is nothing where the record is of another job', () => {
    const text = fixtures.text('qstat-x-completed-exit7.xml');
    expect(ask(text, `8.${server}`, 'exit7')).to.equal(undefined);
    expect(ask(text, `7.${server}`, 'exit8')).to.equal(undefined);
    expect(ask('', `7.${server}`, 'exit7')).to.equal(undefined);
    expect(ask(fixtures.text('qstat-x-empty.xml'), `7.${server}`, 'exit7')).to.equal(undefined);
  });

  it('is that job where the record has no name', () => {
    const text = fixtures.text('qstat-x-newline-in-element.xml');
    expect(ask(text, '1015.node01', 'any')).to.include({ state: 'ended' });
  });

  it('is not silence where the record is damaged', () => {
    const text = answer({ job_state: undefined });
    expect(() => ask(text, `7.${server}`, 'job')).to.throw(ParseError);
  });
});

describe('What Torque writes to standard error', () => {
  for (const [name, { notFound, transient, outage }] of Object.entries(said)) {
    it(`spoils the answer (${name})`, () => {
      const result = fixtures.result(name);
      expect(failureOf('qstat', result, patterns.outage)).to.be.a('string');
      const { stderr } = result;
      expect(patterns.notFound.test(stderr), 'not found').to.equal(notFound ?? false);
      expect(patterns.transient.test(stderr), 'transient').to.equal(transient ?? false);
      const zero = { ...result, exitCode: 0 };
      const spoilsAnyway = failureOf('qstat', zero, patterns.outage) !== undefined;
      expect(spoilsAnyway, 'with exit code 0').to.equal(outage ?? false);
    });
  }

  it('does not say that a job is gone where the server is away', () => {
    const both = `${fixtures.text('outage-server-down.err.esc')}${fixtures.text('qstat-unknown.err.txt')}`;
    expect(both).not.to.match(patterns.notFound);
  });

  it('spoils rows beside it as well', () => {
    const result = fixtures.result('qstat-x-two-operands.xml');
    expect(failureOf('qstat', result, patterns.outage)).to.include('exit code 153');
  });
});

describe('The job of Torque', () => {
  const facts = {
    mark: { tag: 'hubspawner:8f0c2e1b:alice::3b1d0c7a9e55', jobName: 'ju-3b1d0c7a9e55' },
    username: 'alice',
    homedir: '/home/alice',
    jobId: `12.${server}`,
  };
  const templates = (options: object) =>
    new JobTemplates(torque, checkOptions<TorqueOptions>('torque.json', options));
  const prepared = (request: object, options: object = {}) =>
    templates({ request, ...options }).prepare(facts, { TOKEN: 'secret' }, { PATH: '/bin' });
  const directives = (...given: Parameters<typeof prepared>) =>
    prepared(...given)
      .script.split('\n')
      .filter((line) => line.startsWith('#PBS'));

  it('asks for what is given, a line for each, in the order of qsub', () => {
    expect(
      directives({
        queue: 'interactive',
        host: 'pbs.example.org',
        runtime: '12:00:00',
        nprocs: 2,
        memory: '4gb',
        account: 'physics',
        options: '-l feature=fast -m n',
      }),
    ).to.deep.equal([
      '#PBS -S /bin/bash',
      '#PBS -N ju-3b1d0c7a9e55',
      '#PBS -r n',
      '#PBS -j oe',
      '#PBS -o /home/alice/ju-3b1d0c7a9e55.log',
      '#PBS -d /home/alice',
      '#PBS -q interactive@pbs.example.org',
      '#PBS -l walltime=12:00:00',
      '#PBS -l nodes=1:ppn=2',
      '#PBS -l mem=4gb',
      '#PBS -A physics',
      '#PBS -l feature=fast -m n',
    ]);
  });

  it('has a destination of queue, server, both or none', () => {
    const destination = (request: object) =>
      directives(request).filter((line) => line.startsWith('#PBS -q'));
    expect(destination({})).to.deep.equal([]);
    expect(destination({ queue: 'q' })).to.deep.equal(['#PBS -q q']);
    expect(destination({ host: 'h' })).to.deep.equal(['#PBS -q @h']);
    expect(destination({ queue: 'q', host: 'h' })).to.deep.equal(['#PBS -q q@h']);
  });

  it('has processors and graphics processors of one node', () => {
    const nodes = (request: object) =>
      directives(request).filter((line) => line.startsWith('#PBS -l nodes'));
    expect(nodes({ ngpus: 0 })).to.deep.equal([]);
    expect(nodes({ nprocs: 4, ngpus: 0 })).to.deep.equal(['#PBS -l nodes=1:ppn=4']);
    expect(nodes({ nprocs: 4, ngpus: 2 })).to.deep.equal(['#PBS -l nodes=1:ppn=4:gpus=2']);
    expect(nodes({ ngpus: 2 })).to.deep.equal(['#PBS -l nodes=1:gpus=2']);
  });

  it("has memory and walltime in Torque's own units", () => {
    expect(directives({}, { memLimit: '2G' })).to.include('#PBS -l mem=2048mb');
    expect(directives({ runtime: '90' })).to.include('#PBS -l walltime=01:30:00');
    expect(directives({ runtime: '3-05:10:10' })).to.include('#PBS -l walltime=77:10:10');
  });

  it('has no value that would be read as more than one word', () => {
    for (const queue of ['a b', "a'b", 'a#b', 'a\\b']) {
      thrown(OptionsError, () => prepared({ queue }));
    }
  });

  it('is submitted with its name, and with nothing of the environment', () => {
    const { argv, env, environmentFile } = prepared({ host: 'h' });
    expect(argv).to.deep.equal(['qsub', '-N', 'ju-3b1d0c7a9e55']);
    expect(env).to.deep.equal({ PATH: '/bin' });
    expect(environmentFile?.text).to.include('secret');
  });

  it('is asked about, cancelled and killed where it was submitted', () => {
    for (const [host, at, all] of [
      [{}, '', []],
      [{ host: 'h' }, '@h', ['@h']],
    ] as const) {
      const made = templates({ request: host });
      expect(made.query(facts)).to.deep.equal(['qstat', '-x', ...all]);
      expect(made.find(facts)).to.deep.equal(['qstat', '-x', ...all]);
      expect(made.argv('cancel', facts)).to.deep.equal(['qdel', `12.${server}${at}`]);
      expect(made.argv('kill', facts)).to.deep.equal([
        ...['qsig', '-s', 'SIGKILL', `12.${server}${at}`],
      ]);
      expect(made.accounting(facts)).to.deep.equal([['qstat', '-x', `12.${server}${at}`]]);
    }
    expect(TorqueSpawner.scheduler).to.equal(torque);
  });
});

describe('Lists of execution hosts', () => {
  const lists: readonly (readonly [list: string, hosts: readonly string[]])[] = [
    ['', []],
    ['node01/0', ['node01']],
    ['node01/0+node01/1+node02/0', ['node01', 'node02']],
    ['node01/0-11+node02/0-11', ['node01', 'node02']],
    ['node01/0-3,8,10-11+node02/5', ['node01', 'node02']],
    ['node01/0*4+node02/0*4', ['node01', 'node02']],
    ['node01.cluster.example:15002/0*4', ['node01.cluster.example']],
    ['node_1/0+node-2/0', ['node_1', 'node-2']],
    ['node02/0+node01/0+node02/1', ['node02', 'node01']],
    ['node01', ['node01']],
    ['node01/0+', []],
    ['+node01/0', []],
    ['node01/x', []],
    ['node01 /0', []],
    ['-x/0', []],
    ['$(id)/0', []],
    ['node01/0,node02/0', []],
  ];
  for (const [list, hosts] of lists) {
    it(`are the hosts of ${JSON.stringify(list)}`, () => {
      expect(execHosts(list)).to.deep.equal(hosts);
    });
  }

  it('may have commas between them', () => {
    expect(execHosts('node01:8,node02:8', ',')).to.deep.equal(['node01', 'node02']);
    expect(execHosts('node01', ',')).to.deep.equal(['node01']);
    expect(execHosts('node01:8+node02:8', ',')).to.deep.equal([]);
  });

  it('do not fill the memory', () => {
    const many = Array.from({ length: 200_000 }, (_, index) => `n${index}/0`).join('+');
    expect(execHosts(many)).to.have.lengthOf.at.most(100_000);
  });
});

describe('The records of qstat -f', () => {
  const attributes = (name: string, id: string) =>
    foldedRecords(fixtures.text(name)).records.find((one) => one.id === id)?.attributes;

  it('are unfolded inside of words', () => {
    const found = attributes('qstat-f-dependency-deleted.txt', `1048[1].${server}`);
    expect(found?.get('comment')).to.equal(
      `Job 1048[].${server} deleted because its dependency of array 1043[].${server} can never be satisfied`,
    );
    expect(found?.get('exit_status')).to.equal('271');
  });

  it('have their attributes after a variable with line breaks', () => {
    const found = attributes('qstat-f-exported-newlines.txt', `27.${server}`);
    expect(found?.get('job_state')).to.equal('R');
    expect(found?.get('exec_host')).to.equal('node01/0');
    expect(found?.get('start_count')).to.equal('1');
    expect(found?.size).to.equal(41);
    const { complete } = foldedRecords(fixtures.text('qstat-f-exported-newlines.txt'));
    expect(complete).to.equal(true);
  });

  it('can not be forged by a variable of another job', () => {
    const { records, complete } = foldedRecords(fixtures.text('qstat-f-forged.txt'));
    expect(records.map(({ id }) => id)).to.deep.equal([`31.${server}`]);
    expect(complete).to.equal(false);
  });

  it('have no attribute that stands twice, whatever its letters', () => {
    const text =
      'Job Id: 1.pbs\n    job_state = R\n    Variable_List = A=\n    Job_State = F\n    euser = a\n\n';
    const { records, complete } = foldedRecords(text);
    expect([...(records[0]?.attributes.keys() ?? [])]).to.deep.equal(['variable_list', 'euser']);
    expect(complete).to.equal(true);
  });

  it('are not whole wherever they were cut', () => {
    const text = fixtures.text('qstat-f-exported-newlines.txt');
    for (const { cut, at } of cuts(text)) {
      try {
        const { records, complete } = foldedRecords(cut);
        expect(complete, String(at)).to.equal(cut === '');
        expect(records.every(({ whole }) => !whole)).to.equal(true);
      } catch (error) {
        expect(error, String(at)).to.be.instanceOf(ParseError);
      }
    }
  });

  it('are not whole where a blank line ends the variables', () => {
    const text = 'Job Id: 1.pbs\n    job_state = R\n    Variable_List = A=1\n\n';
    expect(foldedRecords(text).complete).to.equal(false);
    expect(foldedRecords(text.replace('A=1', 'A=1\nb')).complete).to.equal(false);
    expect(foldedRecords(text.replace('Variable_List', 'comment')).complete).to.equal(true);
  });

  it('are none where there are no jobs, and no others where there is something else', () => {
    expect(foldedRecords('')).to.deep.equal({ records: [], complete: true });
    expect(() => foldedRecords('qstat: cannot connect\n')).to.throw(ParseError);
    const text = 'Job Id: 1.pbs\n    job_state = R\n\n';
    expect(foldedRecords(`Welcome!\n${text}`).complete).to.equal(false);
    expect(foldedRecords(`${text}Bye!\n`).complete).to.equal(false);
    expect(foldedRecords(`Job Id: x\n    job_state = R\n\n${text}`)).to.deep.include({
      complete: false,
    });
  });
});

describe('The walltimes of the PBS family', () => {
  it('are read in all of their forms', () => {
    expect(['15', '01:30', '00:00:15', '335:34:49'].map(secondsOf)).to.deep.equal([
      ...[15, 90, 15, 1_208_089],
    ]);
    for (const walltime of [undefined, '', 'x', '1:2', '-1', '1:00:00:00', '1e3']) {
      expect(secondsOf(walltime), walltime).to.equal(undefined);
    }
  });
});
