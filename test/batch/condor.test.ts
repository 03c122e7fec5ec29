import { expect } from 'chai';
import { CondorSpawner, condor } from '../../lib/batch/condor.ts';
import { JobTemplates } from '../../lib/batch/request.ts';
import type { JobState } from '../../lib/batch/scheduler.ts';
import { jobIdIn } from '../../lib/batch/scheduler.ts';
import { OptionsError, ParseError } from '../../lib/errors.ts';
import type { ExitCause } from '../../lib/events.ts';
import type { CondorOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import { cuts, Fixtures } from '../helpers/fixtures.ts';
import { brief, verdictOf } from '../helpers/verdict.ts';

const fixtures = new Fixtures('condor');
const { patterns, states } = condor;

/** What our readers make of each fixture that has to do with them. */
const submitted: Readonly<Record<string, string | undefined>> = {
  'submit-terse.txt': '15.0',
  'submit-unused.txt': '33.0',
  'submit-chatter.txt': '17.0',
  // Ours are one job each.
  'submit-terse-three.txt': undefined,
  'submit-plain.txt': undefined,
  'rm-ok.txt': undefined,
  'rm-cluster.txt': undefined,
  'rm.txt': undefined,
  'suspend.txt': undefined,
};

const idle = 'no machine has been found for it yet';

const listed: Readonly<Record<string, readonly string[]>> = {
  'q-jobs.json': [
    '12.0 pending no match found',
    "13.0 held submitted on hold at user's request",
    "14.0 held Error from slot1_1@node01.cluster.example: Failed to open '/nonexistent/log' as standard output: No such file or directory (errno 2)",
    '15.0 running node01.cluster.example',
    '16.0 suspended node01.cluster.example',
    `17.0 pending ${idle}`,
    '18.0 completing',
    '19.0 out-of-memory Error from slot1_6@node01.cluster.example: memory usage exceeded request_memory',
    '20.0 timeout The job exceeded allowed job duration of 00:03',
    '21.0 failed 3',
    '22.0 held 15.0 ]',
  ],
  'q-mixed.json': [
    '1.0 running node01.cluster.example',
    "5.0 held Error from slot1_2@node01.cluster.example: Failed to execute '/home/alice/badx': invalid interpreter (/nosuch/interp) specified on first line of script (errno=2: 'No such file or directory')",
    "6.0 held submitted on hold at user's request",
    '7.0 timeout The job exceeded allowed job duration of 00:10',
    '8.0 timeout The job exceeded allowed execute duration of 00:10',
    '10.0 held wall time used up',
    `11.0 pending ${idle}`,
  ],
  'q-held-codes.json': [
    '31.0 out-of-memory Error from slot1_1@node01.cluster.example: Job has gone over cgroup memory limit of 512 megabytes. Last measured usage: 511 megabytes.',
    '32.0 failed Error from slot1_1@node01.cluster.example: disk usage exceeded request_disk',
    '33.0 out-of-memory Error from slot1_1@node01.cluster.example: Job has gone over memory limit of 512 megabytes.',
    '34.0 pending Spooling input data files',
    '35.0 held Error from slot1_1@node01.cluster.example: Cannot access initial working directory /home/alice: No such file or directory',
    "36.0 held The system macro SYSTEM_PERIODIC_HOLD expression 'NumJobStarts > 3' evaluated to TRUE",
    '37.0 held Error from slot1_1@node01.cluster.example: cpu usage exceeded request_cpus',
    '38.0 held via condor_hold (by user root)',
  ],
  'q-newer-states.json': [
    '41.0 completing',
    '42.0 failed',
    '43.0 held',
    '44.0 pending',
    '45.0 unknown',
    '46.0 unknown',
    '47.0 unknown',
  ],
  'q-suspended.json': ['1.0 suspended node01.cluster.example'],
  'q-held-by-user.json': ['13.0 held via condor_hold (by user alice)'],
  'q-full-ad.json': ['1.0 running node01.cluster.example'],
  'q-empty.esc': [],
  'q-none.txt': [],
};

const histories: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'history.json': {
    '13.0 del': '13.0 cancelled',
    '9.0 prem': '9.0 timeout',
    '4.0 okj': '4.0 completed 0',
    '3.0 sig9': '3.0 failed SIGKILL',
    '2.0 exit7': '2.0 failed 7',
  },
  'history-completed.json': { '23.0 jupyter-alice-completed': '23.0 completed 0' },
  'history-failed.json': { '24.0 jupyter-alice-failed': '24.0 failed 7' },
  'history-signalled.json': { '25.0 jupyter-alice-signalled': '25.0 failed SIGKILL' },
  'history-cancelled.json': { '26.0 jupyter-alice-cancelled': '26.0 cancelled' },
  'history-cancelled-waiting.json': {
    '27.0 jupyter-alice-cancelled-waiting': '27.0 cancelled',
  },
  'history-walltime.json': { '28.0 jupyter-alice-walltime': '28.0 timeout' },
  'history-memory.json': { '29.0 jupyter-alice-memory': '29.0 out-of-memory' },
  'history-duration.json': { '30.0 jupyter-alice-duration': '30.0 timeout' },
  'history-empty.json': {},
  'history-unknown.json': {},
  // It reads a file, whatever became of the schedd.
  'outage-crashed-history.json': {},
  'outage-hung-history.json': {},
  'outage-stopped-history.json': {},
};

const unreadable = [
  'q-cut.txt',
  'q-af.txt',
  'q-old-table.esc',
  'q-unknown-host.txt',
  'history-off.json',
  'event-log.txt',
];

const failures: Readonly<Record<string, ReturnType<typeof verdictOf>>> = {
  'submit-unused.err.txt': 'answer',
  'submit-no-schedd.err.esc': 'away',
  'outage-crashed-submit.err.txt': 'away',
  'outage-stopped-submit.err.txt': 'away',
  'outage-submit-connect.err.txt': 'away',
  'submit-denied.err.txt': 'failure',
  'submit-directory.err.txt': 'failure',
  'submit-expression.err.txt': 'failure',
  'q-unknown-host.err.txt': 'failure',
  'outage-hung.err.esc': 'away',
  'outage-secman.err.esc': 'away',
  'outage-hung-q.err.txt': 'away',
  'outage-crashed-q.err.txt': 'away',
  'outage-no-schedd.err.txt': 'away',
  'outage-stopped-q.err.txt': 'failure',
  'outage-stopped-rm.err.txt': 'failure',
  // Not found, it says, because it could not ask.
  'rm-hung.err.txt': 'away',
  'outage-hung-rm.err.txt': 'away',
  'outage-crashed-rm.err.txt': 'away',
  'rm-not-found.err.esc': 'not found',
  'rm-unknown.err.txt': 'not found',
  'rm-again.err.txt': 'not found',
  'rm-denied.err.txt': 'failure',
  // Is tried again.
  'forcex-too-early.err.txt': 'failure',
  'history-off.err.txt': 'failure',
};

function query(text: string) {
  return condor.parseQuery(text, states);
}

/** One job, as condor_q prints it. */
function ad(attributes: Readonly<Record<string, unknown>>): string {
  return `[\n${JSON.stringify({ ClusterId: 7, ProcId: 0, ...attributes })}\n]\n`;
}

function statusOf(attributes: Readonly<Record<string, unknown>>) {
  return query(ad(attributes)).jobs[0];
}

function account(text: string, id: string, jobName: string, source: 0 | 1 = 1) {
  return condor.accounting[source]?.parse(text, { id, jobName }, states);
}

describe('The fixtures of HTCondor', () => {
  it('are all read', () => {
    const tables = [submitted, listed, histories, failures];
    const read = tables.flatMap((table) => Object.keys(table));
    const elsewhere = ['q-find.json', 'q-chatter.txt'];
    expect([...read, ...unreadable, ...elsewhere]).to.have.members(Object.keys(fixtures.index));
  });
});

describe('The job id that condor_submit prints', () => {
  for (const [name, id] of Object.entries(submitted)) {
    it(`is read from ${name}`, () => {
      const expected = id === undefined ? undefined : { id };
      expect(jobIdIn(fixtures.text(name), patterns.jobId)).to.deep.equal(expected);
    });
  }

  it('is none where there are two, and is not made of other words', () => {
    for (const text of ['', '7', '7.0', '7.0 - 7.1', '7.0 - 8.0', '7.0 - 7.0\n8.0 - 8.0\n']) {
      expect(jobIdIn(text, patterns.jobId), text).to.equal(undefined);
    }
  });
});

describe('The states of HTCondor', () => {
  const names: readonly (readonly [name: string, ours: JobState])[] = [
    ['Idle', 'pending'],
    ['Running', 'running'],
    ['Removed', 'completing'],
    ['Completed', 'ended'],
    ['Held', 'held'],
    ['Transferring Output', 'completing'],
    ['Suspended', 'suspended'],
    ['Failed', 'ended'],
    ['Blocked', 'held'],
    ['Preparing', 'pending'],
  ];

  it('have numbers from 1', () => {
    for (const [index, [name, ours]] of names.entries()) {
      const status = statusOf({ JobStatus: index + 1 });
      expect(status).to.include({ id: '7.0', state: ours, nativeState: name });
    }
    expect(Object.keys(states)).to.have.members(names.map(([name]) => name));
  });

  it('are unknown where the number is', () => {
    for (const JobStatus of [0, 11, -1, 1.5, '2', 'Idle', 'constructor', null, [4], undefined]) {
      expect(statusOf({ JobStatus }), String(JobStatus)).to.include({ state: 'unknown' });
    }
  });

  it('can be others by option', () => {
    const table = { ...states, 11: { state: 'pending' } } as const;
    expect(condor.parseQuery(ad({ JobStatus: 11 }), table).jobs[0]?.state).to.equal('pending');
  });
});

describe('The answer of condor_q', () => {
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

  it('may not be all where something else is printed before it', () => {
    const { jobs, complete } = query(fixtures.text('q-chatter.txt'));
    expect(jobs.map(brief)).to.deep.equal(['51.0 running node01.cluster.example']);
    expect(complete).to.equal(false);
  });

  it('is none, wherever it was cut', () => {
    const text = fixtures.text('q-jobs.json').trimEnd();
    for (const { cut, at } of cuts(text).slice(1)) {
      expect(() => query(cut), String(at)).to.throw(ParseError);
    }
  });

  it('is not what other text holds', () => {
    for (const text of [
      '\n',
      '{}',
      'null',
      '7',
      '[',
      '[]]',
      'Error: x\n',
      '-- Failed to fetch\n',
    ]) {
      expect(() => query(text), text).to.throw(ParseError);
    }
  });

  it('is not complete where an ad can not be read, or is there twice', () => {
    for (const bad of [
      '7',
      'null',
      '[]',
      '{}',
      '{"ClusterId":7}',
      '{"ClusterId":"x","ProcId":0}',
    ]) {
      const answer = query(ad({ JobStatus: 2 }).replace('\n]', `,${bad}]`));
      expect(answer.jobs.map(brief), bad).to.deep.equal(['7.0 running']);
      expect(answer.complete, bad).to.equal(false);
    }
    const twice = query(ad({ JobStatus: 2 }).replace('\n]', ',{"ClusterId":7,"ProcId":0}]'));
    expect(twice).to.deep.equal({ jobs: [], complete: false });
  });

  it('says when a job began to run, and when its walltime is over', () => {
    const [, , , job] = query(fixtures.text('q-jobs.json')).jobs;
    expect(job?.submittedAt).to.deep.equal(new Date(1_795_346_300_000));
    expect(job?.startedAt).to.deep.equal(new Date(1_795_346_301_000));
    expect(job?.endsAt).to.deep.equal(new Date(1_795_346_301_000 + 36_000_000));
    // Those of a run that is over.
    const waits = statusOf({ JobStatus: 1, JobCurrentStartDate: 1_795_346_301, SpawnerRuntime: 9 });
    expect(waits).not.to.have.any.keys('startedAt', 'endsAt', 'hosts');
    for (const SpawnerRuntime of [0, -1, 'x', '1e999', null, true]) {
      const status = statusOf({ JobStatus: 2, JobCurrentStartDate: 1_795_346_301, SpawnerRuntime });
      expect(status, String(SpawnerRuntime)).not.to.have.property('endsAt');
    }
  });

  it('says where a job runs: after the last @', () => {
    const hosts = (RemoteHost: unknown) => statusOf({ JobStatus: 2, RemoteHost })?.hosts;
    expect(hosts('slot1_2@node01.cluster.example')).to.deep.equal(['node01.cluster.example']);
    expect(hosts('slot1@vm1@worker-007')).to.deep.equal(['worker-007']);
    expect(hosts('node01')).to.deep.equal(['node01']);
    for (const none of ['', 'slot1@', 'slot1@a b', 'slot1@-x', 'a@b/c', '@evil:80', null]) {
      expect(hosts(none), String(none)).to.equal(undefined);
    }
  });

  it('lists ten thousand jobs', () => {
    const ads = Array.from({ length: 10_000 }, (_, index) => ({
      ClusterId: index + 1,
      ProcId: 0,
      JobStatus: 2,
    }));
    const answer = query(JSON.stringify(ads));
    expect(answer.jobs).to.have.length(10_000);
    expect(answer.complete).to.equal(true);
  });
});

describe('The jobs that condor_q finds', () => {
  it('have marks and owners, whatever they are called', () => {
    const { jobs, complete } = condor.parseFind(fixtures.text('q-find.json'));
    expect(complete).to.equal(true);
    expect(jobs).to.have.length(11);
    expect(jobs[3]).to.deep.equal({
      id: '15.0',
      tag: 'hubspawner:8f0c2e1b:alice:running:3b1d0c7a9e55',
      jobName: 'jupyter-alice-running',
      owner: 'alice',
    });
    expect(jobs[10]).to.include({ id: '22.0', jobName: 'é "}, {"ClusterId": 1}\t\ufffd' });
  });

  it('are none where there are none', () => {
    expect(condor.parseFind('')).to.deep.equal({ jobs: [], complete: true });
  });
});

describe('The end of a job of HTCondor', () => {
  for (const [name, jobs] of Object.entries(histories)) {
    it(`is read from ${name}`, () => {
      const text = fixtures.text(name);
      for (const [job, expected] of Object.entries(jobs)) {
        const [id = '', jobName = ''] = job.split(' ');
        const status = account(text, id, jobName);
        expect(status && brief(status)).to.equal(expected);
        expect(account(text, id, `${jobName}x`)).to.equal(undefined);
        expect(account(text, `1${id}`, jobName)).to.equal(undefined);
      }
      expect(account(text, '99999.0', 'jupyter-alice')).to.equal(undefined);
    });
  }

  it('is not read from a history that was cut', () => {
    const text = fixtures.text('history-failed.json').trimEnd();
    for (const { cut, at } of cuts(text).slice(1)) {
      expect(() => account(cut, '24.0', 'jupyter-alice-failed'), String(at)).to.throw(ParseError);
    }
  });

  it('is not there while it is in the queue', () => {
    const text = ad({ JobStatus: 3, JobBatchName: 'x' });
    expect(account(text, '7.0', 'x', 0)?.state).to.equal('completing');
    expect(account(text, '7.0', 'x', 1)?.state).to.equal('ended');
    expect(account(text, '7.0', 'y', 0)).to.equal(undefined);
    expect(account('', '7.0', 'x', 0)).to.equal(undefined);
  });

  it('is not missing where not all could be read', () => {
    const text = fixtures.text('history-failed.json').replace('[', '[7,');
    expect(() => account(text, '23.0', 'jupyter-alice-completed')).to.throw(ParseError);
    expect(account(text, '24.0', 'jupyter-alice-failed')?.state).to.equal('ended');
  });

  const removals: readonly (readonly [ExitCause, Readonly<Record<string, unknown>>])[] = [
    ['cancelled', { RemoveReason: 'via condor_rm (by user root)' }],
    ['cancelled', { RemoveReason: 'via condor_rm -forcex (by user alice)' }],
    ['cancelled', { RemoveReason: "The system macro SYSTEM_PERIODIC_REMOVE expression 'x' …" }],
    ['cancelled', {}],
    // After a hold that was released.
    ['cancelled', { RemoveReason: 'via condor_rm', LastHoldReasonCode: 46, LastJobStatus: 2 }],
  ];
  it('has the cause that the removal says', () => {
    for (const [cause, attributes] of removals) {
      const text = ad({ JobStatus: 3, JobBatchName: 'x', ExitBySignal: true, ...attributes });
      const exit = account(text, '7.0', 'x')?.exit;
      expect(exit, JSON.stringify(attributes)).to.include({ cause, code: null, signal: null });
      expect(exit?.message).to.contain(attributes['RemoveReason'] ?? '');
    }
  });

  it('has the cause of the hold or the walltime where periodic_remove came true', () => {
    const by = (expression: string, more: Readonly<Record<string, unknown>>) => {
      const RemoveReason = `The job attribute PeriodicRemove expression '${expression}' evaluated to TRUE`;
      const text = ad({ JobStatus: 3, JobBatchName: 'x', RemoveReason, ...more });
      return account(text, '7.0', 'x')?.exit?.cause;
    };
    const ours = 'time() - JobCurrentStartDate > SpawnerRuntime || (JobStatus == 5)';
    const held = (code: number, detail: number) => ({
      LastJobStatus: 5,
      LastHoldReasonCode: code,
      LastHoldReasonSubCode: detail,
    });
    expect(by(ours, { LastJobStatus: 2 })).to.equal('timeout');
    expect(by(ours, { LastJobStatus: 7 })).to.equal('timeout');
    expect(by(ours, held(47, 0))).to.equal('timeout');
    expect(by(ours, held(34, 102))).to.equal('out-of-memory');
    expect(by(ours, held(34, 104))).to.equal('failed');
    expect(by(ours, held(21, 102))).to.equal('out-of-memory');
    expect(by(ours, held(1, 0))).to.equal('cancelled');
    expect(by('CurrentTime > 7', { LastJobStatus: 2 })).to.equal('timeout');
    expect(by('NumJobStarts > 3', { LastJobStatus: 1 })).to.equal('cancelled');
  });

  it('is a good one only with the exit code 0', () => {
    const exit = (attributes: Readonly<Record<string, unknown>>) =>
      statusOf({ JobStatus: 4, ...attributes })?.exit;
    expect(exit({ ExitBySignal: false, ExitCode: 0 })).to.include({ cause: 'completed', code: 0 });
    expect(exit({ ExitBySignal: false, ExitCode: 143 })).to.include({ signal: 'SIGTERM' });
    expect(exit({ ExitBySignal: true, ExitSignal: 11 })).to.include({ signal: 'SIGSEGV' });
    expect(exit({ ExitBySignal: true })).to.include({ code: null, signal: null });
    expect(exit({})).to.include({ code: null, signal: null });
  });
});

describe('A command of HTCondor that fails', () => {
  for (const [name, verdict] of Object.entries(failures)) {
    it(`is taken for what it is: ${name}, ${verdict}`, () => {
      expect(verdictOf(fixtures.result(name), patterns)).to.equal(verdict);
    });
  }

  it('has failed where it says so, whatever its exit code', () => {
    for (const name of ['outage-hung.err.esc', 'rm-hung.err.txt', 'submit-no-schedd.err.esc']) {
      expect(verdictOf({ ...fixtures.result(name), exitCode: 0 }, patterns)).to.equal('away');
    }
  });

  it('has no records where the site keeps none', () => {
    const said = fixtures.text('history-off.err.txt');
    expect(condor.accounting[1]?.absent?.test(said)).to.equal(true);
    expect(condor.accounting[1]?.absent?.test(fixtures.text('outage-hung.err.esc'))).to.equal(
      false,
    );
  });
});

describe('The submit description of HTCondor', () => {
  const mark = {
    tag: 'hubspawner:8f0c2e1b:alice:lab:3b1d0c7a9e55',
    jobName: 'jupyter-alice-lab-3b1d0c7a9e55',
  };
  const token = 'the-token-of-the-server';

  function prepare(options: Partial<CondorOptions> = {}, homedir = '/home/alice') {
    const checked = checkOptions<CondorOptions>('condor.json', { cmd: ['lab'], ...options });
    const { username = 'alice' } = checked.request;
    return new JobTemplates(condor, checked).prepare(
      { mark, username, homedir },
      { JUPYTERHUB_API_TOKEN: token },
      {},
    );
  }

  it('has what is asked for, each on a line', () => {
    const { input, argv } = prepare({
      logFile: '/scratch/{{username}} é/{{jobName}}.log',
      request: {
        account: 'group_physics',
        host: 'schedd1@submit.example.org',
        memory: '4G',
        ngpus: 1,
        nprocs: 2,
        options: '+WantFlocking = true',
        requirements: 'TARGET.OpSysAndVer == "Debian13" && regexp("^a$", Machine)',
        runtime: '1:00:00',
      },
    });
    expect(argv).to.deep.equal([
      'condor_submit',
      '-name',
      'schedd1@submit.example.org',
      '-terse',
      '-',
    ]);
    const lines = input.split('\n');
    for (const line of [
      'initialdir = /home/alice',
      `output = /scratch/alice é/${mark.jobName}.log`,
      `error = /scratch/alice é/${mark.jobName}.log`,
      `batch_name = ${mark.jobName}`,
      `+SpawnerTag = "${mark.tag}"`,
      '+SpawnerRuntime = 3600',
      'request_memory = 4G',
      'request_cpus = 2',
      'request_gpus = 1',
      'accounting_group = group_physics',
      'requirements = TARGET.OpSysAndVer == "Debian13" && regexp("^a$", Machine)',
      '+WantFlocking = true',
    ]) {
      expect(lines).to.include(line);
    }
    expect(lines.slice(-2)).to.deep.equal(['queue 1', '']);
  });

  it('leaves out what is not asked for', () => {
    const { input, argv } = prepare();
    expect(argv).to.deep.equal(['condor_submit', '-terse', '-']);
    expect(input).not.to.match(/request_|accounting|requirements|SpawnerRuntime|\{\{/);
    expect(input).to.match(/^periodic_remove = \(JobStatus == 5 && /m);
  });

  it('has the script on one line, in which nothing is special to HTCondor', () => {
    const { input, script } = prepare({
      args: ["it's", '"quoted"', '$(HOME)', '$$(Name)', '`id`', 'é', 'a\\nb', 'two\nlines'],
    });
    expect(script).to.match(
      /^#!\/bin\/sh\nexport HOME=\/home\/alice USER=alice LOGNAME=alice PATH\n/,
    );
    const [, line = ''] = /hubspawner '(.*)'"$/m.exec(input) ?? [];
    expect(line).to.match(/^[ !#%&(-_a-~]+$/);
    const bytes = line.replace(/\\(?:0(\d{3})|(n)|(\\))/g, (_, octal, newline) =>
      octal ? String.fromCharCode(Number.parseInt(octal, 8)) : newline ? '\n' : '\\',
    );
    expect(Buffer.from(bytes, 'latin1').toString()).to.equal(script);
  });

  it('holds no secret', () => {
    const { input, script, argv, env, environmentFile } = prepare();
    expect([input, script, ...argv, JSON.stringify(env)].join('\n')).not.to.contain(token);
    expect(environmentFile?.text).to.contain(token);
  });

  it('is refused with values that HTCondor would take for something else', () => {
    const bad = ['$(HOME)', 'a$$(Name)', '$ENV(HOME)', '$F(x)', '$$([1])', 'a$', 'a\\', ' a', 'a '];
    for (const account of bad) {
      expect(() => prepare({ request: { account } }), account).to.throw(OptionsError, 'account');
    }
    for (const homedir of ['/home/a\nqueue', '/home/a\r', '/home/a\u2028', '/home/a\0']) {
      expect(() => prepare({}, homedir), homedir).to.throw();
    }
    expect(() => prepare({ request: { account: 'a$b "c" #d' } })).not.to.throw();
  });

  it('names the schedd in every command', () => {
    const checked = checkOptions<CondorOptions>('condor.json', { request: { host: 'schedd1@x' } });
    const templates = new JobTemplates(condor, checked);
    const facts = { mark, username: 'alice', homedir: '/home/alice', jobId: '7.0' };
    const all = [
      templates.query({}),
      templates.find(facts),
      templates.argv('cancel', facts),
      templates.argv('kill', facts),
      ...templates.accounting(facts),
    ];
    for (const argv of all) {
      expect(argv.slice(1, 3)).to.deep.equal(['-name', 'schedd1@x']);
    }
  });

  it('belongs to a spawner', () => {
    expect(CondorSpawner.scheduler).to.equal(condor);
  });
});
