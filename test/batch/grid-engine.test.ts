import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { failureOf, saysNotFound } from '../../lib/batch/command.ts';
import { GridEngineSpawner, gridEngine } from '../../lib/batch/grid-engine.ts';
import { JobTemplates } from '../../lib/batch/request.ts';
import type { JobState, JobStatus } from '../../lib/batch/scheduler.ts';
import { jobIdIn } from '../../lib/batch/scheduler.ts';
import { OptionsError, ParseError } from '../../lib/errors.ts';
import type { ExitStatus } from '../../lib/events.ts';
import type { GridEngineOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import { Fixtures } from '../helpers/fixtures.ts';
import { expectReadByBash } from '../helpers/golden.ts';

const fixtures = new Fixtures('grid-engine');
const { patterns, states, accounting, explanation } = gridEngine;

const text = (name: string) => fixtures.text(name);
const result = (name: string) => fixtures.result(name);

const submitted: Readonly<Record<string, string>> = {
  'qsub-plain.txt': '31',
  'qsub-array.txt': '32',
  'qsub-terse.txt': '33',
  'qsub-terse-array.txt': '34',
  'qsub-chatter.txt': '41',
  'qsub-overridden.txt': '20',
};

const refused = ['qsub-badqueue.err.txt', 'qsub-directive.err.txt', 'config-badcell.err.txt'];

const outages = [
  'outage-qstat.err.txt',
  'outage-qstat-j.err.txt',
  'outage-read.err.txt',
  'outage-gdi.err.txt',
  'outage-contact.err.txt',
  'qsub-outage.err.txt',
];

const deletions = ['qdel-ok.txt', 'qdel-again.txt', 'qdel-held.txt'];

const lists: Readonly<Record<string, readonly string[]>> = {
  'qstat-jobs.xml': [
    '1 running r node01',
    '2 running r node01',
    '3 running hr node01',
    '4 suspended s node01',
    '5 running Rr node01',
    '6 completing dr node01',
    '7 pending qw',
    '11 held Eqw',
    '12 held Eqw',
    '8 pending qw',
    '9 held hqw',
    '10 held hqw',
  ],
  'qstat-requeued.xml': ['1 running r node01', '5 pending Rq'],
  'qstat-xml-empty.xml': [],
  // Of an array the task that runs, rather than those that wait.
  'qstat-xml.xml': [
    '1 running r node01.cluster.example',
    '2 running r node01.cluster.example',
    '10 suspended s node01.cluster.example',
    '6 running r node01.cluster.example',
    '8 pending qw',
    '7 held Eqw',
    '3 held hqw',
  ],
  'qstat-f-xml.xml': ['1 running r node01.cluster.example'],
  'qstat-xml-old-namespace.xml': ['88 running r node01', '44 held hqw'],
};

const noLists = [
  'qstat-cut.xml',
  'qstat-g-t.txt',
  'qstat-j-error.xml',
  'qstat-j-unknown.xml',
  'qstat-j-unknown-malformed.xml',
];

const reasons: Readonly<Record<string, string | undefined>> = {
  'qstat-j-error.txt': "error: can't chdir to /nonexistent: No such file or directory",
  'qstat-j-pending.txt': 'cannot run in PE "smp" because it only offers 0 slots',
  'qstat-j-later.txt': 'execution time not reached',
  'qstat-j-held.txt': 'Job is in hold state',
  'qstat-j-dependent.txt': 'job dropped because of job dependencies',
  'qstat-j-turned-off.txt': undefined,
  'qstat-j-running.txt': undefined,
};

/** File, job, and how it ended; undefined where it may run yet. */
const ends: readonly (readonly [
  name: string,
  id: string,
  jobName: string,
  exit: ExitStatus | undefined,
])[] = [
  [
    'qacct-completed.txt',
    '13',
    'jupyter-alice-completed',
    end('completed', 0, null, 'The job ended by itself (exit code 0).'),
  ],
  ['qacct-exit7.txt', '12', 'x7', end('failed', 7, null, 'The job failed (exit code 7).')],
  [
    'qacct-signalled.txt',
    '15',
    'jupyter-alice-signalled',
    end('failed', null, 'SIGSEGV', 'The job failed (SIGSEGV, assumedly after job).'),
  ],
  [
    'qacct-child-killed.txt',
    '16',
    'jupyter-alice-child-killed',
    end('failed', 137, 'SIGKILL', 'The job failed (exit code 137, SIGKILL).'),
  ],
  [
    'qacct-runtime-limit.txt',
    '11',
    'tl',
    end('timeout', null, 'SIGKILL', 'The job reached the end of its walltime (SIGKILL).'),
  ],
  [
    'qacct-memory.txt',
    '18',
    'jupyter-alice-memory',
    end(
      'out-of-memory',
      null,
      'SIGKILL',
      'The job used more memory than it may and was killed (SIGKILL).',
    ),
  ],
  [
    'qacct-qdel.txt',
    '9',
    'del',
    end('cancelled', null, 'SIGKILL', 'The job was cancelled (SIGKILL).'),
  ],
  [
    'qacct-deleted-by.txt',
    '9',
    'del',
    end(
      'cancelled',
      143,
      'SIGTERM',
      'The job was cancelled (exit code 143, SIGTERM, by alice@node01.cluster.example).',
    ),
  ],
  ['qacct-rescheduled.txt', '16', 'rq99', undefined],
  ['qacct-requeued.txt', '5', 'jupyter-alice-rerun', undefined],
  ['qacct-application-error.txt', '17', 'e100', undefined],
  ['qacct-not-started.txt', '11', 'jupyter-alice-directory', undefined],
];

function end(
  cause: ExitStatus['cause'],
  code: number | null,
  signal: string | null,
  message: string,
): ExitStatus {
  return { cause, code, signal, message };
}

const noRecords = ['qacct-unknown.err.txt', 'qacct-no-file.txt'];

/** Those of single tests, and what stands on standard error beside another. */
const alone = [
  'outage-qstat-j.xml',
  'qdel-outage.txt',
  'qdel-unknown.txt',
  'qdel-other-user.txt',
  'qstat-states.txt',
  'qstat-j-unknown.err.txt',
  'qacct-no-file.err.txt',
];

describe('The fixtures of Grid Engine', () => {
  it('are all in their index', () => {
    const files = readdirSync(new URL('../fixtures/grid-engine/', import.meta.url));
    expect(Object.keys(fixtures.index)).to.have.members(files.filter((f) => f !== 'index.json'));
  });

  it('are all read by the tests below', () => {
    const tested = [
      ...[submitted, lists, reasons].flatMap(Object.keys),
      ...[refused, outages, deletions, noLists, noRecords, alone].flat(),
      ...ends.map(([name]) => name),
    ];
    expect(tested).to.have.members(Object.keys(fixtures.index));
  });
});

function query(xml: string) {
  return gridEngine.parseQuery(xml, states);
}

/** Our list of jobs with these rows. */
function list(running: string, waiting = ''): string {
  return `<?xml version='1.0'?>\n<job_info  xmlns:xsd="x">\n  <queue_info>\n${running}  </queue_info>\n  <job_info>\n${waiting}  </job_info>\n</job_info>\n`;
}

function row(fields: Readonly<Record<string, string>>): string {
  const elements = Object.entries(fields).map(([name, value]) => `<${name}>${value}</${name}>\n`);
  return `<job_list state="running">\n${elements.join('')}</job_list>\n`;
}

function statusOf(fields: Readonly<Record<string, string>>): JobStatus | undefined {
  return query(list(row({ JB_job_number: '7', state: 'r', ...fields }))).jobs[0];
}

describe('The job id that qsub prints', () => {
  for (const [name, id] of Object.entries(submitted)) {
    it(`is read from ${name}`, () => {
      expect(jobIdIn(text(name), patterns.jobId)).to.deep.equal({ id });
    });
  }

  it('is none where there are two, or none', () => {
    const texts = [
      '',
      '7\n8\n',
      '7.5',
      '-7',
      '7 8',
      'job 7',
      'Your job 7',
      'Your job x ("7") y',
      '٧',
    ];
    for (const printedText of texts) {
      expect(jobIdIn(printedText, patterns.jobId), printedText).to.equal(undefined);
    }
  });

  for (const name of refused) {
    it(`is none where it was refused (${name})`, () => {
      const { stderr, stdout } = result(name);
      expect(jobIdIn(stdout, patterns.jobId)).to.equal(undefined);
      expect(patterns.transient.test(stderr)).to.equal(false);
    });
  }
});

describe('An outage of the qmaster', () => {
  for (const name of outages) {
    it(`is told from ${name}, whatever the exit code`, () => {
      const printed = { ...result(name), exitCode: 0 };
      expect(failureOf('qstat', printed, patterns.outage)).to.be.a('string');
      expect(patterns.transient.test(printed.stderr)).to.equal(true);
      expect(saysNotFound(printed, patterns)).to.equal(false);
      expect(() => query(printed.stdout)).to.throw(ParseError);
    });
  }

  it('is no answer even where the exit code is 0', () => {
    const printed = result('outage-qstat-j.xml');
    expect(failureOf('qstat', printed, patterns.outage)).to.be.a('string');
    expect(() => query(printed.stdout)).to.throw(ParseError);
    expect(explanation?.parse(printed.stdout)).to.equal(undefined);
  });

  it('is no word of qdel that there is no such job', () => {
    const printed = result('qdel-outage.txt');
    expect(failureOf('qdel', printed, patterns.outage)).to.be.a('string');
    expect(saysNotFound(printed, patterns)).to.equal(false);
  });
});

describe('What qdel says', () => {
  for (const name of deletions) {
    it(`is that it will be done (${name})`, () => {
      expect(failureOf('qdel', result(name), patterns.outage)).to.equal(undefined);
    });
  }

  it('is that there is no such job, on standard output', () => {
    const printed = result('qdel-unknown.txt');
    expect(failureOf('qdel', printed, patterns.outage)).to.be.a('string');
    expect(saysNotFound(printed, patterns)).to.equal(true);
  });

  it('is that the job is that of somebody else', () => {
    const printed = result('qdel-other-user.txt');
    expect(failureOf('qdel', printed, patterns.outage)).to.be.a('string');
    expect(saysNotFound(printed, patterns)).to.equal(false);
  });
});

describe('The states of Grid Engine', () => {
  const meanings: Readonly<Record<JobState, string>> = {
    pending: 'qw Rq Rqw t Rt w q',
    held: 'hqw hRwq hRq Eqw Ehqw EhRqw h E',
    running: 'r hr Rr hRr',
    suspended: 's ts S tS T tT Rs Rts RS RtS RT RtT N P sS hs rs',
    completing: 'dr dt dRr dRt ds dS dT dRs dRS dRT dqw dhqw d',
    ended: 'z',
    unknown: 'R x rx r? ?, u toString __proto__',
  };
  for (const [state, words] of Object.entries(meanings)) {
    for (const word of words.split(' ')) {
      it(`say that a job is ${state} when it is ${word}`, () => {
        expect(statusOf({ state: word })).to.include({ state, nativeState: word });
        expect('exit' in (statusOf({ state: word }) ?? {})).to.equal(state === 'ended');
      });
    }
  }

  it('are unknown where there is no word', () => {
    expect(statusOf({ state: '' })).to.deep.equal({ id: '7', state: 'unknown', nativeState: '' });
  });

  it('are all letters of the table', () => {
    const letters = new Set(
      Object.values(meanings)
        .join('')
        .replace(/[^a-zA-Z]/g, ''),
    );
    expect([...letters]).to.include.members(Object.keys(states));
  });

  it('can be given another meaning, a letter or a word', () => {
    const table = { ...states, T: { state: 'running' }, hqw: { state: 'pending' } } as const;
    const read = (word: string) =>
      gridEngine.parseQuery(list(row({ JB_job_number: '7', state: word })), table).jobs[0]?.state;
    expect(['T', 'tT', 'hqw', 'hRwq', 'dT'].map(read)).to.deep.equal([
      'running',
      'running',
      'pending',
      'held',
      'completing',
    ]);
  });

  it('are read where qstat has printed them', () => {
    const rows = text('qstat-states.txt').trimEnd().split('\n').slice(2);
    const read = rows.map((line) => statusOf({ state: line.split(/\s+/)[5] ?? '' })?.state);
    expect(read.join(' ')).to.equal(
      'running completing suspended pending held held pending pending held suspended',
    );
  });
});

describe('The list of qstat', () => {
  for (const [name, rows] of Object.entries(lists)) {
    it(`has the jobs of all users (${name})`, () => {
      const { jobs, complete } = query(text(name));
      expect(complete).to.equal(true);
      const read = jobs.map(({ id, state, nativeState, hosts = [] }) =>
        [id, state, nativeState, ...hosts].join(' '),
      );
      expect(read).to.deep.equal(rows);
    });
  }

  it('has times that are UTC', () => {
    const { jobs } = query(text('qstat-xml.xml'));
    expect(jobs.find(({ id }) => id === '10')).to.deep.equal({
      id: '10',
      state: 'suspended',
      nativeState: 's',
      hosts: ['node01.cluster.example'],
      startedAt: new Date('2026-03-02T06:31:05Z'),
    });
    expect(jobs.find(({ id }) => id === '8')).to.deep.equal({
      id: '8',
      state: 'pending',
      nativeState: 'qw',
      submittedAt: new Date('2026-03-02T06:31:02Z'),
    });
    for (const time of ['', '2026-03-02', '03/02/2026 06:31:05', '2026-13-45T99:00:00']) {
      expect(statusOf({ JAT_start_time: time }), time).not.to.have.property('startedAt');
    }
    expect(statusOf({ JAT_start_time: '2026-03-02T06:31:05.250' })?.startedAt).to.deep.equal(
      new Date('2026-03-02T06:31:05.250Z'),
    );
  });

  it('has no time of submission of a job that was put back, and no start of one that begins', () => {
    const requeued = query(text('qstat-requeued.xml')).jobs.find(({ id }) => id === '5');
    expect(requeued).to.deep.equal({ id: '5', state: 'pending', nativeState: 'Rq' });
    const begins = { state: 't', JAT_start_time: '2026-03-02T06:31:05', queue_name: 'all.q@a' };
    expect(statusOf(begins)).to.deep.equal({
      id: '7',
      state: 'pending',
      nativeState: 't',
      hosts: ['a'],
    });
  });

  it('names a host after the last @', () => {
    const hosts: Readonly<Record<string, readonly string[] | undefined>> = {
      'all.q@node01': ['node01'],
      'a@b@node02.example': ['node02.example'],
      'all.q': undefined,
      'all.q@': undefined,
      '@': undefined,
      '': undefined,
    };
    for (const [queue_name, expected] of Object.entries(hosts)) {
      expect(statusOf({ queue_name })?.hosts, queue_name).to.deep.equal(expected);
    }
  });

  it('is not complete where a row can not be read', () => {
    const damages = [
      row({ JB_job_number: '8x', state: 'r' }),
      row({ state: 'r' }),
      row({ JB_job_number: '8' }),
      row({ JB_job_number: '8', state: 'r' }).replaceAll('</state>', '</state><state>z</state>'),
      '<error>sge_qmaster</error>\n',
    ];
    for (const damage of damages) {
      const { jobs, complete } = query(list(row({ JB_job_number: '1', state: 'r' }) + damage));
      expect(
        jobs.map(({ id }) => id),
        damage,
      ).to.deep.equal(['1']);
      expect(complete, damage).to.equal(false);
    }
  });

  it('is not complete without both of its parts', () => {
    const parts = ['', '<queue_info/>', '<job_info/>', '<job_info/><queue_info/>'];
    for (const part of [...parts, '<queue_info/><job_info/><job_info/>']) {
      expect(query(`<job_info>${part}</job_info>`).complete, part).to.equal(false);
    }
    expect(query('<job_info><queue_info/><job_info/></job_info>').complete).to.equal(true);
  });

  it('has jobs, but perhaps not all, where a site has put words in front', () => {
    const { jobs, complete } = query(`Welcome to the cluster!\n${text('qstat-xml.xml')}`);
    expect([jobs.length, complete]).to.deep.equal([7, false]);
    expect(query(`\n${text('qstat-xml.xml')}`).complete).to.equal(true);
  });

  it('can be as long as it likes', () => {
    const rows = Array.from({ length: 5000 }, (_, n) => row({ JB_job_number: `${n}`, state: 'r' }));
    const { jobs, complete } = query(list(rows.join('')));
    expect([jobs.length, complete]).to.deep.equal([5000, true]);
  });

  it('can not be forged by a name', () => {
    // What qstat makes of `a<b`, `a]]>b` and the like.
    for (const name of ['a%lt;b', 'a]]&gt;b', 'a&amp;lt;/JB_name&amp;gt;', 'a&quot;b']) {
      const { jobs, complete } = query(
        list(row({ JB_job_number: '1', JB_name: name, state: 'r' })),
      );
      expect(jobs).to.have.length(1);
      expect(complete).to.equal(true);
    }
    const found = gridEngine.parseFind(list(row({ JB_job_number: '1', JB_name: 'x', state: 'r' })));
    expect(found.jobs).to.deep.equal([{ id: '1', tag: '', jobName: 'x', owner: '' }]);
  });

  it('can hold bytes that are no UTF-8', () => {
    const { jobs } = query(list(row({ JB_job_number: '1', JB_name: '\ufffd\ufffd', state: 'r' })));
    expect(jobs).to.have.length(1);
  });

  for (const name of noLists) {
    it(`is not what ${name} holds`, () => {
      expect(() => query(text(name))).to.throw(ParseError);
      expect(() => gridEngine.parseFind(text(name))).to.throw(ParseError);
    });
  }

  it('is nothing that was cut, nor nothing at all', () => {
    const whole = text('qstat-xml.xml').trimEnd();
    for (let end = 0; end < whole.length; end += 7) {
      expect(() => query(whole.slice(0, end)), `${end}`).to.throw(ParseError);
    }
    expect(() => query('')).to.throw(ParseError);
  });

  it('gives the names of jobs with their owners', () => {
    const { commands } = gridEngine;
    expect(commands.find).to.deep.equal(commands.query);
    const { jobs, complete } = gridEngine.parseFind(text('qstat-jobs.xml'));
    expect(complete).to.equal(true);
    expect(jobs).to.have.length(12);
    expect(jobs[0]).to.deep.equal({
      id: '1',
      tag: '',
      jobName: 'jupyter-alice-running',
      owner: 'alice',
    });
  });
});

describe('What qstat -j says of a job that waits', () => {
  for (const [name, reason] of Object.entries(reasons)) {
    it(`is in ${name}`, () => {
      expect(explanation?.parse(text(name))).to.equal(reason);
    });
  }

  it('is what concerns the job rather than queues', () => {
    const info = (...lines: readonly string[]) =>
      `scheduling info:            ${lines.join(`\n${' '.repeat(28)}`)}\n`;
    const dropped = 'queue instance "a.q@b" dropped because it is full';
    expect(explanation?.parse(info(dropped, 'All queues dropped'))).to.equal('All queues dropped');
    expect(explanation?.parse(info(dropped, dropped))).to.equal(dropped);
    expect(explanation?.parse(info('a', 'b', 'c', 'd'))).to.equal('a; b; c');
    expect(explanation?.parse(info('There are no messages available'))).to.equal(undefined);
    expect(explanation?.parse('')).to.equal(undefined);
  });

  it('is that there is no such job', () => {
    const printed = result('qstat-j-unknown.err.txt');
    expect(saysNotFound(printed, patterns)).to.equal(true);
    const newer = 'Following jobs do not exist or permissions are not sufficient: \n99999\n';
    expect(saysNotFound({ ...printed, stderr: newer }, patterns)).to.equal(true);
  });
});

describe('The records of qacct', () => {
  const [source] = accounting;

  function read(name: string, id: string, jobName: string): JobStatus | undefined {
    return source?.parse(text(name), { id, jobName }, states);
  }

  for (const [name, id, jobName, exit] of ends) {
    it(`say how the job of ${name} ended, or nothing`, () => {
      const status = read(name, id, jobName);
      expect(status?.state).to.equal(exit && 'ended');
      expect(status?.exit).to.deep.equal(exit);
      expect(read(name, `${id}0`, jobName)).to.equal(undefined);
      expect(read(name, id, `${jobName}x`), 'a job that had the id before').to.equal(undefined);
    });
  }

  const record = (fields: Readonly<Record<string, string>>) =>
    [
      '='.repeat(62),
      ...Object.entries({
        hostname: 'node01',
        jobname: 'x',
        jobnumber: '7',
        slots: '1',
        failed: '0',
        exit_status: '0',
        ru_wallclock: '0s',
        maxvmem: '0.000B',
        category: 'NONE',
        ...fields,
      }).map(([name, value]) => `${name.padEnd(12)} ${value.padEnd(20)}`),
      '',
    ].join('\n');
  const parse = (printed: string) => source?.parse(printed, { id: '7', jobName: 'x' }, states);
  const causeOf = (fields: Readonly<Record<string, string>>) => parse(record(fields))?.exit?.cause;

  it('tell limits of time and memory apart', () => {
    const killed = { failed: '37  : qmaster enforced h_rt, h_cpu, or h_vmem limit' };
    const signal = { exit_status: '137                  (Killed)' };
    const by = (fields: Readonly<Record<string, string>>) =>
      causeOf({ ...killed, ...signal, ...fields });
    expect(by({ category: '-l h_rt=8', ru_wallclock: '9s' })).to.equal('timeout');
    expect(by({ category: '-u a -l x=1,h_rt=8 -pe smp 2', ru_wallclock: '8' })).to.equal('timeout');
    expect(by({ category: '-l h_rt=8,h_vmem=1G', maxvmem: '1.1GB' })).to.equal('out-of-memory');
    expect(by({ category: '-l h_vmem=1000000', maxvmem: '1.000M' })).to.equal('out-of-memory');
    expect(by({ category: '-l h_vmem=1G', maxvmem: '1.5GB', slots: '2' })).to.equal('failed');
    expect(by({ category: '-l h_rt=8', ru_wallclock: '3s' })).to.equal('failed');
    // It was the limit of the queue, and nothing says which.
    expect(by({ ru_wallclock: '60s' })).to.equal('failed');
    const full = record({ ...killed, ...signal, ru_wallclock: '60s' });
    expect(parse(full)?.exit?.message).to.include('qmaster enforced h_rt, h_cpu, or h_vmem limit');
  });

  it('are read from the last one of the job', () => {
    const again = record({ failed: '25  : rescheduling', exit_status: '99' });
    const done = record({ exit_status: '3' });
    expect(parse(again + done)?.exit?.code).to.equal(3);
    expect(parse(done + again)).to.equal(undefined);
    expect(parse(done + record({ jobname: 'y', exit_status: '4' }))?.exit?.code).to.equal(3);
    expect(parse(done)?.hosts).to.deep.equal(['node01']);
  });

  it('say nothing where they are damaged, or say two things', () => {
    const damages = [
      record({ failed: '' }),
      record({ failed: 'x' }),
      record({ exit_status: '' }),
      record({ exit_status: '1000' }),
      record({}).replace(/^failed .*\n/m, ''),
      record({}).replace(/^exit_status .*\n/m, ''),
      `${record({})}failed       100\n`,
      `${record({})}jobnumber    8\n`,
      `${record({})}jobname      y\n`,
    ];
    for (const damage of damages) {
      expect(parse(damage), damage).to.equal(undefined);
    }
  });

  it('are no records where they were cut, or are something else', () => {
    const whole = record({ exit_status: '3' });
    for (const printed of ['', 'x', 'x\n', whole.trimEnd(), `warning\n${whole}`]) {
      expect(() => parse(printed), printed).to.throw(ParseError);
    }
    for (let cut = 0; cut < whole.length; cut += 1) {
      const status = whole.endsWith('\n', cut) && cut > 70 ? parse(whole.slice(0, cut)) : undefined;
      expect(status === undefined || status.exit?.code === 3, `${cut}`).to.equal(true);
    }
  });

  it('come late, with the file that they are in: until then there are none', () => {
    for (const name of noRecords) {
      const printed = result(name);
      expect(source?.absent?.test(printed.stderr), name).to.equal(true);
      expect(saysNotFound(printed, patterns), name).to.equal(false);
      expect(failureOf('qacct', printed, patterns.outage), name).to.be.a('string');
    }
    expect(gridEngine.accountingDelay).to.be.at.least(20_000);
  });
});

describe('The job of Grid Engine', () => {
  const mark = {
    tag: 'hubspawner:8f0c2e1b:alice:lab%20x:3b1d0c7a9e55',
    jobName: 'jupyter-alice-lab-3b1d0c7a9e55',
  };
  const token = 'the-token-of-the-server';

  function prepared(options: Partial<GridEngineOptions>) {
    const checked = checkOptions<GridEngineOptions>('grid-engine.json', options);
    const facts = { mark, username: 'alice', homedir: '/home/alice' };
    const environment = { JUPYTERHUB_API_TOKEN: token };
    return new JobTemplates(gridEngine, checked).prepare(facts, environment, { LC_ALL: 'C' });
  }

  function directives(options: Partial<GridEngineOptions>): readonly string[] {
    const { script } = prepared(options);
    expectReadByBash(script);
    return script.split('\n').filter((line) => line.startsWith('#$'));
  }

  const always = [
    '#$ -S /bin/bash',
    '#$ -r n',
    '#$ -j y',
    '#$ -o :/home/alice/jupyter-alice-lab-3b1d0c7a9e55.log',
    '#$ -wd /home/alice',
  ];

  it('asks for nothing that nobody asked for', () => {
    expect(directives({})).to.deep.equal(always);
  });

  it('asks for what the options say, the last word being that of the administrator', () => {
    const request = {
      queue: 'all.q,short.q@node01',
      runtime: '1-12:00:00',
      memory: '4.5G',
      pe: 'smp',
      nprocs: 4,
      account: 'physics',
      project: 'course-2026',
      notify: true,
      options: '-r y -l gpu=1',
    };
    expect(directives({ request })).to.deep.equal([
      ...always,
      '#$ -q all.q,short.q@node01',
      '#$ -l h_rt=129600',
      '#$ -l h_vmem=4.5G',
      '#$ -pe smp 4',
      '#$ -A physics',
      '#$ -P course-2026',
      '#$ -notify',
      '#$ -r y -l gpu=1',
    ]);
    expect(
      directives({ request: { pe: 'smp' }, memLimit: '3G' }).slice(always.length),
    ).to.deep.equal(['#$ -l h_vmem=3072M', '#$ -pe smp 1']);
  });

  it('gives each slot its part of memLimit, since h_vmem is that of a slot', () => {
    const lines = (options: Partial<GridEngineOptions>) =>
      directives(options).filter((line) => /h_vmem|-pe/.test(line));
    const slots = (nprocs: number | string) => ({ request: { pe: 'smp', nprocs } });
    expect(lines({ memLimit: '8G', cpuLimit: 3.5, request: { pe: 'smp' } })).to.deep.equal([
      '#$ -l h_vmem=2048M',
      '#$ -pe smp 4',
    ]);
    expect(lines({ memLimit: '8G', ...slots('03') })[0]).to.equal('#$ -l h_vmem=2731M');
    expect(lines({ memLimit: 1, ...slots(8) })[0]).to.equal('#$ -l h_vmem=1M');
    // What is asked for is that of a slot, and cores are no slots where nothing gives them.
    const request = { pe: 'smp', memory: '8G' };
    expect(lines({ memLimit: '4G', cpuLimit: 4, request })[0]).to.equal('#$ -l h_vmem=8G');
    expect(lines({ memLimit: '8G', cpuLimit: 4 })).to.deep.equal(['#$ -l h_vmem=8192M']);
  });

  it('has its marks and no secret in its arguments, and no secret in its script', () => {
    const { argv, script, env, environmentFile } = prepared({});
    expect(argv).to.deep.equal(['qsub', '-terse', '-N', mark.jobName, '-ac', `tag=${mark.tag}`]);
    expect(JSON.stringify([argv, script, env])).not.to.include(token);
    expect(environmentFile?.text).to.include(token);
  });

  it('makes no directive of what a person gives', () => {
    const hostile = ['#$ -N x', 'a\n#$ -N x', 'a\r\n#$ -N x', '\n\n#$', "'\n#$ -q other\n'"];
    for (const word of hostile) {
      expect(directives({ cmd: ['server', word] }), word).to.deep.equal(always);
    }
  });

  it('refuses values that a directive can not hold, and slots without where they are from', () => {
    const requests = [
      { queue: 'a b' },
      { project: '-x' },
      { account: 'a"b' },
      { memory: '4GB' },
      { nprocs: 4 },
    ];
    for (const request of requests) {
      expect(() => prepared({ request }), JSON.stringify(request)).to.throw(OptionsError);
    }
  });

  it('refuses slots for cpuLimit without where they are from', () => {
    const create = (options: Partial<GridEngineOptions>) =>
      new GridEngineSpawner(
        { user: { name: 'alice' } },
        { endpoint: 'fixed', port: 1, ...options },
      );
    expect(() => create({ cpuLimit: 1.5 }))
      .to.throw(OptionsError, 'cpuLimit')
      .with.property('path', 'request.pe');
    create({ cpuLimit: 1 });
    create({ cpuLimit: 4, request: { pe: 'smp' } });
    create({ cpuLimit: 4, request: { options: '#$ -l cores=4' } });
    create({ cpuLimit: 4, script: '#$ -l cores={{nprocs}}\n{{{exports}}}\n{{cmd}}\n' });
  });
});
