import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { failureOf } from '../../lib/batch/command.ts';
import { expandHostlist } from '../../lib/batch/host-list.ts';
import type { JobState, JobStatus } from '../../lib/batch/scheduler.ts';
import { jobIdIn } from '../../lib/batch/scheduler.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import { ParseError } from '../../lib/errors.ts';
import type { ExitCause } from '../../lib/events.ts';
import type { SlurmOptions } from '../../lib/generated/options.ts';
import { parseTemplate, renderArguments } from '../../lib/template.ts';
import { cuts, Fixtures } from '../helpers/fixtures.ts';

const fixtures = new Fixtures('slurm');
const { patterns, states } = slurm;

/** One record of our query; without fields, that of a running job. */
function record(fields: Partial<Record<(typeof columns)[number], string>> = {}): string {
  const values = { ...running, ...fields };
  return `\x1e${columns.map((column) => `${values[column]}\x1f`).join('')}\n`;
}

const columns = ['id', 'state', 'batchHost', 'nodes', 'reason', 'submit', 'start', 'end'] as const;

const running = {
  id: '7',
  state: 'RUNNING',
  batchHost: 'node01',
  nodes: 'node01',
  reason: 'None',
  submit: '2026-03-02T06:17:02',
  start: '2026-03-02T06:17:05',
  end: '2026-03-02T07:17:05',
};

function query(text: string) {
  return slurm.parseQuery(text, states);
}

function statusOf(fields: Parameters<typeof record>[0]): JobStatus | undefined {
  return query(record(fields)).jobs[0];
}

/** Output that our query does not have. */
const foreign = [
  'sacct-duplicates.txt',
  'sacct-federation.txt',
  'sacct-jobs.txt',
  'sacct-nodefail-requeued.txt',
  'sacct-parsable.txt',
  'sacct-steps.txt',
  'scontrol-jobs.txt',
  'scontrol-nodefail.txt',
  'scontrol-ping-down.txt',
  'scontrol-running.txt',
  'sbatch-hung-then-squeue.txt',
  'sbatch-parsable.txt',
  'squeue-cluster-header.esc',
  'squeue-find-all.esc',
  'squeue-find.esc',
  'squeue-mixed-ids.txt',
  'squeue-pipe.txt',
  'squeue-separators.esc',
  'squeue-start.txt',
  'squeue-states.txt',
];

const json = Object.keys(fixtures.index).filter((name) => name.endsWith('.json'));

/** Those of the output that a test beside the lists above reads. */
const read = [
  'outage-timeout-rc0.txt',
  'sacct-too-early.txt',
  'sbatch-noise.txt',
  'sbatch-parsable-cluster.txt',
  'sbatch-plain-cluster.txt',
  'sbatch-plain.txt',
  'squeue-federation.esc',
  'squeue-query-ended.esc',
  'squeue-query-headers.esc',
  'squeue-query.esc',
];

describe('The fixtures of Slurm', () => {
  it('are all in their index', () => {
    const files = readdirSync(new URL('../fixtures/slurm/', import.meta.url));
    expect(Object.keys(fixtures.index)).to.have.members(files.filter((f) => f !== 'index.json'));
  });

  it('are all read by a test', () => {
    const printed = Object.entries(fixtures.index)
      .filter(([, { stream }]) => stream === 'stdout')
      .map(([name]) => name);
    expect([...foreign, ...json, ...read]).to.have.members(printed);
  });
});

describe('The job id that sbatch prints', () => {
  const printed: readonly (readonly [name: string, id: string, cluster?: string])[] = [
    ['sbatch-parsable.txt', '31'],
    ['sbatch-parsable-cluster.txt', '32', 'cluster1'],
    ['sbatch-plain.txt', '30'],
    ['sbatch-plain-cluster.txt', '33', 'cluster1'],
    ['sbatch-noise.txt', '1012'],
  ];
  for (const [name, id, cluster] of printed) {
    it(`is read from ${name}`, () => {
      const expected = cluster === undefined ? { id } : { id, cluster };
      expect(jobIdIn(fixtures.text(name), patterns.jobId)).to.deep.equal(expected);
    });
  }

  it('is read from what wrappers of sites print', () => {
    const texts = [
      'sbatch: Submitted batch job 7\n',
      '\n  7  \n',
      '7\r\n',
      '7',
      '7\n7\n',
      'sbatch: lua: your default account is research\n7\n',
      'sbatch: error: "SBATCH_EXCLUSIVE=true" -- invalid value, ignoring...\n7\n',
      '7\nSubmitted batch job 7\n',
    ];
    for (const text of texts) {
      expect(jobIdIn(text, patterns.jobId), text).to.deep.equal({ id: '7' });
    }
  });

  it('is none where there are two', () => {
    expect(jobIdIn('7\n8\n', patterns.jobId)).to.equal(undefined);
    expect(jobIdIn('7\nSubmitted batch job 8\n', patterns.jobId)).to.equal(undefined);
  });

  it('is not made of other numbers', () => {
    const texts = ['', '\n', '-7', '7a', '7.0', '7 8', '7;', ';c', '0x7', '٧', 'job 7', '7\0'];
    const errors = Object.keys(fixtures.index).filter((name) => /^sbatch-.*\.err\.txt$/.test(name));
    expect(errors).to.have.lengthOf.at.least(4);
    for (const text of [...texts, ...errors.map((name) => fixtures.text(name))]) {
      expect(jobIdIn(text, patterns.jobId), JSON.stringify(text)).to.equal(undefined);
    }
  });
});

describe('The states of Slurm', () => {
  const alive: Readonly<Record<string, JobState>> = {
    PENDING: 'pending',
    CONFIGURING: 'pending',
    REQUEUED: 'pending',
    REQUEUE_FED: 'pending',
    REQUEUE_HOLD: 'held',
    SPECIAL_EXIT: 'held',
    RESV_DEL_HOLD: 'held',
    RUNNING: 'running',
    SIGNALING: 'running',
    RESIZING: 'running',
    EXPEDITING: 'running',
    SUSPENDED: 'suspended',
    STOPPED: 'suspended',
    COMPLETING: 'completing',
    STAGE_OUT: 'completing',
    // A sibling cluster of a federation may run it.
    REVOKED: 'unknown',
  };
  const ended: Readonly<Record<string, ExitCause>> = {
    COMPLETED: 'completed',
    FAILED: 'failed',
    CANCELLED: 'cancelled',
    TIMEOUT: 'timeout',
    DEADLINE: 'timeout',
    OUT_OF_MEMORY: 'out-of-memory',
    PREEMPTED: 'preempted',
    NODE_FAIL: 'node-failure',
    BOOT_FAIL: 'node-failure',
  };

  for (const [state, ours] of Object.entries(alive)) {
    it(`say that a job is ${ours} when it is ${state}`, () => {
      const status = statusOf({ state });
      expect(status).to.include({ state: ours, nativeState: state });
      expect(status).not.to.have.property('exit');
    });
  }

  for (const [state, cause] of Object.entries(ended)) {
    it(`say why a job is over when it is ${state}: ${cause}`, () => {
      expect(statusOf({ state })).to.include({ state: 'ended' }).and.to.nested.include({
        'exit.cause': cause,
      });
    });
  }

  it('are all in the tables above', () => {
    expect(Object.keys(states)).to.have.members([...Object.keys(alive), ...Object.keys(ended)]);
  });

  it('may carry flags', () => {
    expect(statusOf({ state: 'RUNNING+' })).to.include({ state: 'running' });
    expect(statusOf({ state: 'CANCELLED by 0' })).to.include({ state: 'ended' });
  });

  it('are unknown where the word is', () => {
    const words = ['', 'R', 'running', 'LAUNCH_FAILED', 'COMPLETEDX', 'toString', '__proto__'];
    for (const state of words) {
      expect(statusOf({ state }), state).to.include({ state: 'unknown', nativeState: state });
    }
  });

  /** What it asks for is never given. */
  const refused = [
    'PartitionTimeLimit',
    'PartitionNodeLimit',
    'PartitionConfig',
    'AccountNotAllowed',
    'QOSNotAllowed',
    'MaxMemPerLimit',
    'AssocMaxWallDurationPerJobLimit',
    'AssocMaxMemPerJob',
    'AssocMaxCpuPerNode',
    'QOSMaxCpuPerJobLimit',
    'QOSMaxGRESPerJob',
    'QOSMaxMemoryPerNode',
    'QOSMinCpuNotSatisfied',
  ];

  it('are held where the reason of a waiting job says so', () => {
    const held = [
      'JobHeldUser',
      'JobHeldAdmin',
      'JobHoldMaxRequeue',
      'job requeued in held state',
      'launch failed requeued held',
      'BadConstraints',
      'DependencyNeverSatisfied',
      'InvalidAccount',
      'InvalidQOS',
    ];
    for (const reason of [...held, ...refused]) {
      expect(statusOf({ state: 'PENDING', reason }), reason).to.include({ state: 'held', reason });
    }
  });

  it('are pending where one of several partitions refuses the job', () => {
    const waiting = (reason: string, partitions: string) =>
      statusOf({ state: 'PENDING', reason: `${reason}\x1d${partitions}` });
    for (const reason of refused) {
      expect(waiting(reason, 'short')).to.include({ state: 'held', reason });
      expect(waiting(reason, 'short,long')).to.include({ state: 'pending', reason });
    }
    expect(waiting('JobHeldUser', 'short,long')).to.include({ state: 'held' });
  });

  it('are pending for all other reasons', () => {
    const waits = [
      'Priority',
      'Resources',
      'BeginTime',
      'Dependency',
      'PartitionDown',
      'PartitionInactive',
      'JobArrayTaskLimit',
      'ReqNodeNotAvail',
      'ReqNodeNotAvail, UnavailableNodes:node07,node[09-12]',
      'AssocGrpCpuLimit',
      'AssocMaxJobsLimit',
      'QOSMaxJobsPerUserLimit',
      'QOSMaxCpuPerUserLimit',
      'QOSMaxGRESPerUser',
      'FedJobLock',
    ];
    for (const reason of waits) {
      expect(statusOf({ state: 'PENDING', reason })).to.include({ state: 'pending', reason });
    }
    expect(statusOf({ state: 'PENDING', reason: 'None' })).to.include({ state: 'pending' });
  });

  it('are no other for the reason of a job that does not wait', () => {
    for (const state of ['SUSPENDED', 'RUNNING', 'COMPLETING']) {
      expect(statusOf({ state, reason: 'JobHeldUser' })?.state).to.equal(alive[state]);
    }
  });

  it('are those that two releases were seen to print', () => {
    const seen = fixtures.text('squeue-states.txt').trimEnd().split('\n');
    const read = seen.map((line) => {
      const [id = '', state = '', batchHost = '', reason = ''] = line.split('|');
      const raw = id.replace(/_.*/, '');
      const status = statusOf({ id: raw, state, batchHost, reason, nodes: '' });
      return `${status?.id} ${status?.exit?.cause ?? status?.state}`;
    });
    expect(read).to.deep.equal([
      '24 completing',
      '25 suspended',
      '27 held',
      '40 node-failure',
      '41 pending',
      '20 pending',
      '21 preempted',
      '37 held',
      '8 pending',
      '51 held',
      '16 failed',
      '13 failed',
      '14 timeout',
      '12 completed',
      '11 failed',
      '7 cancelled',
    ]);
  });
});

describe('The reasons of Slurm', () => {
  const { reasons = {} } = slurm;

  it('are in plain words where they are common', () => {
    expect(Object.keys(reasons)).to.have.lengthOf.at.least(25);
    expect(reasons['Priority']).to.equal('other jobs come first');
    for (const [reason, words] of Object.entries(reasons)) {
      expect(words, reason).to.match(/^[a-z][^.]+$/);
    }
  });

  it('are those of the captured answers, but for some that explain themselves', () => {
    const all = ['squeue-query.esc', 'squeue-query-ended.esc'].flatMap(
      (name) => query(fixtures.text(name)).jobs,
    );
    const waiting = all.filter(({ state }) => state === 'pending' || state === 'held');
    const others = new Set(waiting.flatMap(({ reason = '' }) => (reasons[reason] ? [] : [reason])));
    expect([...others]).to.have.members(['JobArrayTaskLimit', 'job requeued in held state']);
  });
});

describe('The commands of Slurm', () => {
  const argvs = (request: SlurmOptions['request']) => {
    const { commands, accounting } = slurm;
    const view = { federation: undefined, cluster: undefined, boundary: 'x', jobId: '7' };
    return [commands.query, commands.find, ...accounting.map(({ command }) => command)].map(
      (command) =>
        renderArguments(
          command.map((word) => parseTemplate(word, 'commands')),
          { ...view, ...request },
        )
          .filter((word) => word.startsWith('--'))
          .join(' '),
    );
  };

  it('ask the own cluster alone', () => {
    expect(argvs({})).to.deep.equal(['--local', '--local', '--local', '--local']);
    expect(argvs({ federation: false })).to.deep.equal(argvs({}));
  });

  it('ask all clusters of a federation where the jobs are, and the own where they may not be', () => {
    expect(argvs({ federation: true })).to.deep.equal([
      '--sibling',
      '--local',
      '--local',
      '--federation',
    ]);
  });

  it('ask the cluster that is named', () => {
    expect(argvs({ cluster: 'gpu' })).to.deep.equal([
      '--local --clusters=gpu',
      '--local --clusters=gpu',
      '--clusters=gpu --local',
      '--local --clusters=gpu',
    ]);
  });
});

describe('The answer of squeue', () => {
  const text = fixtures.text('squeue-query.esc');
  const { jobs, complete } = query(text);
  const job = (id: string) => jobs.find((status) => status.id === id);

  it('lists every job once', () => {
    expect(complete).to.equal(true);
    const ids = jobs.map(({ id }) => Number(id)).sort((a, b) => a - b);
    expect(ids).to.deep.equal(Array.from({ length: 30 }, (_, index) => index + 1));
  });

  it('says of a running job where and until when it runs', () => {
    expect(job('3')).to.deep.equal({
      id: '3',
      state: 'running',
      nativeState: 'RUNNING',
      hosts: ['cn1', 'cn2', 'cn3'],
      submittedAt: new Date('2026-11-22T08:03:27Z'),
      startedAt: new Date('2026-11-22T08:03:30Z'),
      endsAt: new Date('2026-11-22T09:03:30Z'),
    });
  });

  it('says of a waiting job why it waits, and when it may start', () => {
    expect(job('29')).to.deep.equal({
      id: '29',
      state: 'pending',
      nativeState: 'PENDING',
      reason: 'Priority',
      submittedAt: new Date('2026-11-22T08:03:30Z'),
      estimatedStart: new Date('2026-11-22T09:03:30Z'),
    });
    expect(job('22')).to.include({ state: 'held', reason: 'PartitionTimeLimit' });
    expect(job('22')).not.to.have.any.keys('estimatedStart', 'startedAt', 'endsAt', 'hosts');
  });

  it('says of a job that has ended how', () => {
    expect(job('13')).to.deep.equal({
      id: '13',
      state: 'ended',
      nativeState: 'FAILED',
      reason: 'NonZeroExitCode',
      hosts: ['cn1'],
      exit: {
        code: null,
        signal: null,
        cause: 'failed',
        message: 'The job failed (NonZeroExitCode).',
      },
      submittedAt: new Date('2026-11-22T08:03:27Z'),
      startedAt: new Date('2026-11-22T08:03:30Z'),
      endsAt: new Date('2026-11-22T08:03:30Z'),
    });
  });

  it('tells apart jobs in states of many kinds', () => {
    const all = [...jobs, ...query(fixtures.text('squeue-query-ended.esc')).jobs];
    const kinds: Record<string, string> = {};
    for (const { id, exit, state } of all) {
      const kind = exit?.cause ?? state;
      kinds[kind] = `${kinds[kind] ?? ''} ${id}`.trim();
    }
    expect(kinds).to.deep.equal({
      pending: '6 10 20 21 23 29 30',
      held: '5 25 19 22',
      running: '2 3 28 26 27 1',
      suspended: '4',
      completing: '11',
      completed: '12',
      failed: '13 14 15 16 17 18 102 103 104',
      cancelled: '7 8 24',
      'node-failure': '9',
      timeout: '101',
    });
  });

  it('is the same as other formats say it', () => {
    const read = fixtures
      .text('squeue-pipe.txt')
      .trimEnd()
      .split('\n')
      .map((line) => line.split('|'))
      .filter(([id = '']) => /^\d+$/.test(id))
      .map(([id = '', state = '', batchHost = '', nodes = '', reason = '', ...times]) => {
        const [submit = '', start = '', end = ''] = times;
        return statusOf({ id, state, batchHost, nodes, reason, submit, start, end });
      });
    expect(read).to.have.length(17);
    expect(read.find((status) => status?.id === '3')).to.include({ state: 'held' });
    expect(read.find((status) => status?.id === '2')?.hosts).to.deep.equal([
      'node01',
      'node02',
      'node03',
    ]);
    expect(read.find((status) => status?.id === '14')?.endsAt).to.deep.equal(
      new Date('2026-03-02T06:18:02Z'),
    );
  });

  it('has one row for each job of a federation: that of the cluster that has it', () => {
    const federated = query(fixtures.text('squeue-federation.esc'));
    expect(federated.complete).to.equal(true);
    expect(
      federated.jobs.map(({ id, nativeState, reason = '', hosts = [] }) =>
        [id, nativeState, reason, ...hosts].join(' '),
      ),
    ).to.deep.equal([
      '67108865 RUNNING  cn7 cn8',
      '67108866 PENDING Priority',
      '67108867 FAILED NonZeroExitCode cn7',
      '67108868 REVOKED ',
      '67108869 RUNNING  node01',
    ]);
    expect(federated.jobs[3]).to.include({ state: 'unknown' });
  });

  it('says of a job with several rows that it has ended only where all of them do', () => {
    const states = (...words: string[]) =>
      query(words.map((state) => record({ state })).join('')).jobs.map(({ state }) => state);
    expect(states('FAILED', 'PENDING')).to.deep.equal(['pending']);
    expect(states('PENDING', 'COMPLETED', 'RUNNING')).to.deep.equal(['running']);
    expect(states('CANCELLED', 'NEWWORD')).to.deep.equal(['unknown']);
    expect(states('REVOKED', 'CANCELLED', 'REVOKED')).to.deep.equal(['ended']);
    expect(states('REVOKED', 'REVOKED')).to.deep.equal(['unknown']);
  });

  it('has the host of the script first, and none before the start', () => {
    const hosts = (batchHost: string, nodes: string) => statusOf({ batchHost, nodes })?.hosts;
    expect(hosts('node03', 'node[01-03]')).to.deep.equal(['node03', 'node01', 'node02']);
    expect(hosts('login1', 'node01')).to.deep.equal(['login1', 'node01']);
    expect(hosts('n/a', '')).to.equal(undefined);
    expect(hosts('(null)', '(null)')).to.equal(undefined);
    expect(hosts('', 'node07')).to.deep.equal(['node07']);
  });

  it('has times that are UTC, and none for what is no time', () => {
    for (const submit of ['N/A', 'Unknown', 'NONE', '', '2026-02-31', '2026-13-45T99:00:00']) {
      expect(statusOf({ submit }), submit).not.to.have.property('submittedAt');
    }
    expect(statusOf({})?.submittedAt?.toISOString()).to.equal('2026-03-02T06:17:02.000Z');
  });

  it('may begin with the name of each cluster', () => {
    const answer = query(`CLUSTER: a\n${record({ id: '1' })}CLUSTER: b-2\n${record({ id: '2' })}`);
    expect(answer.complete).to.equal(true);
    expect(answer.jobs.map(({ id }) => id)).to.deep.equal(['1', '2']);
    expect(query(`CLUSTER: cluster1\n${text}`)).to.deep.equal({ jobs, complete: true });
  });

  it('is empty where there are no jobs', () => {
    for (const nothing of ['', '\n', 'CLUSTER: cluster1\n']) {
      expect(query(nothing)).to.deep.equal({ jobs: [], complete: true });
    }
  });

  it('may be long', () => {
    const ids = Array.from({ length: 20_000 }, (_, index) => String(index + 1));
    const answer = query(ids.map((id) => record({ id })).join(''));
    expect(answer.complete).to.equal(true);
    expect(answer.jobs.map(({ id }) => id)).to.deep.equal(ids);
  });

  it('is not complete after the chatter of a login script, but has the jobs', () => {
    for (const chatter of [
      'Welcome to the cluster\n',
      'CLUSTER: a b\n',
      '\ufffd',
      '7\x1fRUNNING\n',
    ]) {
      expect(query(chatter + text), chatter).to.deep.equal({ jobs, complete: false });
      expect(query(text + chatter), chatter).to.include({ complete: false });
    }
  });

  it('may have bytes that are no UTF-8 in what is for people', () => {
    expect(statusOf({ reason: 'Licen\ufffdes' })).to.include({ state: 'running' });
    expect(statusOf({ state: 'COMPLETED\ufffd' })).to.include({ state: 'ended' });
    expect(statusOf({ state: 'COMP\ufffdLETED' })).to.include({ state: 'unknown' });
    expect(() => query(record({ id: '7\ufffd' }))).to.throw(ParseError);
  });

  it('is not complete, and has no wrong job, wherever it was cut', () => {
    for (const { cut, at } of cuts(text)) {
      const [before = '', ...records] = cut.split('\x1e');
      const whole = records.filter(
        (one) => one.endsWith('\n') && one.split('\x1f').length === columns.length + 1,
      );
      const torn = whole.length < records.length;
      if (torn && whole.length === 0) {
        expect(() => query(cut), String(at)).to.throw(ParseError);
      } else {
        expect(before).to.equal('');
        expect(query(cut), String(at)).to.deep.equal({
          jobs: jobs.slice(0, whole.length),
          complete: !torn,
        });
      }
    }
  });

  it('is not complete where one record can not be read', () => {
    const damages = [
      record({ id: '8x' }),
      record({ id: '' }),
      record({ id: '8_[1-20%1]' }),
      record({ reason: 'a\x1fb' }),
      record().replace('\x1f', ''),
      `${record()}slurm_load_jobs error: Zero Bytes were transmitted or received\n`,
    ];
    for (const damage of damages) {
      const answer = query(record({ id: '1' }) + damage + record({ id: '2' }));
      expect(answer.complete, JSON.stringify(damage)).to.equal(false);
      expect(answer.jobs.map(({ id }) => id)).to.deep.equal(['1', '2']);
    }
    const headers = query(fixtures.text('squeue-query-headers.esc'));
    expect(headers).to.deep.equal({ jobs, complete: false });
  });

  for (const name of [...foreign, 'outage-connect.err.txt']) {
    it(`is not what ${name} holds`, () => {
      expect(() => query(fixtures.text(name))).to.throw(ParseError);
    });
  }
});

describe('The JSON that Slurm can print', () => {
  for (const name of json) {
    it(`is refused, whatever it says (${name})`, () => {
      const text = fixtures.text(name);
      expect(JSON.parse(text)).to.be.an('object');
      expect(() => query(text)).to.throw(ParseError);
      expect(() => slurm.parseFind(text)).to.throw(ParseError);
      for (const { parse } of slurm.accounting) {
        for (const [id, jobName] of [
          ['1', 'jupyter-alice'],
          ['3', 'x7'],
          ['14', 'tl'],
          ['204', 'jupyter-alice'],
        ] as const) {
          expect(() => parse(text, { id, jobName }, states)).to.throw(ParseError);
        }
      }
      expect(jobIdIn(text, patterns.jobId)).to.equal(undefined);
    });
  }
});

describe('The answer of squeue about the jobs of all, with their marks', () => {
  const text = fixtures.text('squeue-find-all.esc');
  const boundary = 'c0ffee5ca1ab1e0ddba11f00';
  const tag = 'hubspawner:8f0c2e1b:alice::3b1d0c7a9e55';
  const jobName = 'jupyter-alice-3b1d0c7a9e55';

  it('gives every job with its marks, its owner and its state', () => {
    const { jobs, complete } = slurm.parseFind(text, boundary);
    expect(complete).to.equal(true);
    expect(jobs.map(({ id, owner, nativeState }) => `${id} ${owner} ${nativeState}`)).to.deep.equal(
      [
        '10 alice CANCELLED',
        '7 alice COMPLETED',
        '8 alice FAILED',
        '9 alice FAILED',
        '11 alice NODE_FAIL',
        '3 alice PENDING',
        '15 alice PENDING',
        '14 bob PENDING',
        '13 bob PENDING',
        '12 alice PENDING',
        '4 alice PENDING',
        '5 alice RUNNING',
        '6 alice SUSPENDED',
        '2 alice TIMEOUT',
      ],
    );
    const waits = { tag, jobName, nativeState: 'PENDING' };
    expect(jobs).to.deep.include({ id: '12', ...waits, owner: 'alice' });
    expect(jobs).to.deep.include({ id: '13', ...waits, owner: 'bob' });
  });

  it('holds no job that a comment has made up', () => {
    const { jobs } = slurm.parseFind(text, boundary);
    expect(jobs.find(({ id }) => id === '14')).to.deep.include({
      tag: `x\x1fx\x1fPENDING\x1fbob\x1f\n\x1e1\x1f${tag}\x1fx\x1fRUNNING\x1falice\x1f\n\x1e2`,
      jobName: 'a\x1f\nname',
    });
    expect(jobs.map(({ id }) => id)).not.to.include('1');
  });

  it('is not complete wherever it was cut within a record', () => {
    const { jobs: all } = slurm.parseFind(text, boundary);
    const end = `\x1f${boundary}\n`;
    for (const { cut, at } of cuts(text)) {
      const isWhole = cut === '' || cut.endsWith(end);
      if (cut.includes(`${end}\x1e${boundary}`) || isWhole) {
        const { jobs, complete } = slurm.parseFind(cut, boundary);
        expect(complete, String(at)).to.equal(isWhole);
        expect(jobs, String(at)).to.deep.equal(all.slice(0, jobs.length));
      } else {
        expect(() => slurm.parseFind(cut, boundary), String(at)).to.throw(ParseError);
      }
    }
  });

  it('does not say whose job it is where the account has no name', () => {
    const [job] = slurm.parseFind(
      '\x1eB7\x1fBtag\x1fBname\x1fBRUNNING\x1fBnobody\x1fB\n',
      'B',
    ).jobs;
    expect(job).to.deep.equal({ id: '7', tag: 'tag', jobName: 'name', nativeState: 'RUNNING' });
  });

  it('is not what was printed with another boundary', () => {
    expect(() => slurm.parseFind(text, 'another')).to.throw(ParseError);
    expect(() => slurm.parseFind(fixtures.text('squeue-find.esc'), 'another')).to.throw(ParseError);
  });
});

describe('The answer of squeue about the jobs of one account, as a site may ask', () => {
  const text = fixtures.text('squeue-find.esc');

  it('gives every job with its marks', () => {
    const { jobs: found, complete } = slurm.parseFind(text);
    expect(complete).to.equal(true);
    expect(found).to.have.length(30);
    expect(found).to.deep.include({
      id: '2',
      tag: 'hubspawner:8f0c2e1b:alice:running:3b1d0c7a9e55',
      jobName: 'jupyter-alice-running',
    });
    expect(found).to.deep.include({
      id: '25',
      tag: `a comment, with 'quotes' and "more"`,
      jobName: 'a name | with\n blanks',
    });
    expect(found).to.deep.include({ id: '26', tag: '(null)', jobName: 'het' });
  });

  it('is empty where the account has no jobs', () => {
    expect(slurm.parseFind('')).to.deep.equal({ jobs: [], complete: true });
  });

  it('is not complete wherever it was cut within a record', () => {
    const { jobs } = slurm.parseFind(text);
    for (const { cut, at } of cuts(text)) {
      const [, ...records] = cut.split('\x1e');
      const whole = records.filter(
        (one) => one.endsWith('\n') && one.split('\x1f').length === 4,
      ).length;
      if (whole === 0 && cut.length > 0) {
        expect(() => slurm.parseFind(cut), String(at)).to.throw(ParseError);
      } else {
        const complete = whole === records.length;
        const expected = { jobs: jobs.slice(0, whole), complete };
        expect(slurm.parseFind(cut), String(at)).to.deep.equal(expected);
      }
    }
  });

  it('gives the other jobs where one has a separator in its comment', () => {
    const own = '\x1e7\x1fhubspawner:x:alice::1\x1fjupyter-alice-1\x1f\n';
    const odd = '\x1e8\x1fa \x1f comment\x1fname\x1f\n';
    expect(slurm.parseFind(odd + own)).to.deep.equal({
      jobs: [{ id: '7', tag: 'hubspawner:x:alice::1', jobName: 'jupyter-alice-1' }],
      complete: false,
    });
  });
});

describe('What Slurm writes to standard error', () => {
  /** Whether it says that there is no such job, and whether a submission is worth another try. */
  const said: Readonly<Record<string, { notFound?: true; transient?: true }>> = {
    'sbatch-bad-partition.err.txt': {},
    'sbatch-no-shebang.err.txt': {},
    'sbatch-bad-time.err.txt': {},
    'sbatch-hung.err.txt': { transient: true },
    'outage-sbatch.err.txt': { transient: true },
    'squeue-invalid-id.err.txt': { notFound: true },
    'squeue-bad-user.err.txt': {},
    'squeue-bad-cluster.err.txt': {},
    'outage-connect.err.txt': { transient: true },
    'outage-timeout.err.txt': { transient: true },
    'outage-munge.err.txt': { transient: true },
    'outage-munge-old.err.txt': { transient: true },
    'outage-cluster.err.txt': {},
    'outage-slurmdbd.err.txt': {},
    'outage-scancel.err.txt': { transient: true },
    'outage-scancel-timeout.err.txt': { transient: true },
    'scancel-permission.err.txt': {},
    'scancel-garbage.err.txt': {},
    'sacct-outage.err.txt': {},
    'sacct-outage-2205.err.txt': {},
    'sacct-no-accounting.err.txt': {},
  };

  it('is all in the table', () => {
    const errors = Object.entries(fixtures.index).filter(([, { stream }]) => stream === 'stderr');
    expect(Object.keys(said)).to.have.members(errors.map(([name]) => name));
  });

  for (const [name, { notFound = false, transient = false }] of Object.entries(said)) {
    it(`spoils the answer (${name})`, () => {
      const result = fixtures.result(name);
      expect(failureOf('squeue', result, patterns.outage)).to.be.a('string');
      expect(patterns.notFound.test(result.stderr), 'not found').to.equal(notFound);
      expect(patterns.transient.test(result.stderr), 'transient').to.equal(transient);
    });
  }

  it('spoils an answer with exit code 0 as well', () => {
    const exceptions = ['sacct-no-accounting.err.txt'];
    for (const name of Object.keys(said).filter((one) => !exceptions.includes(one))) {
      const result = { ...fixtures.result(name), exitCode: 0 };
      expect(failureOf('squeue', result, patterns.outage), name).to.be.a('string');
    }
    const hung = fixtures.result('outage-timeout-rc0.txt');
    expect(failureOf('squeue', hung, patterns.outage)).to.include('Socket timed out');
  });

  it('says in older words that a job is over', () => {
    for (const text of ['Invalid job id specified', 'Job/step already completing or completed']) {
      expect(`scancel: error: Kill job error on job id 5: ${text}`).to.match(patterns.notFound);
    }
    expect('squeue: error: Invalid job id: 5x').not.to.match(patterns.notFound);
  });
});

describe('expandHostlist', () => {
  const lists: readonly (readonly [list: string, hosts: readonly string[]])[] = [
    ['', []],
    ['(null)', []],
    ['n/a', []],
    ['None assigned', []],
    ['node01', ['node01']],
    ['node01,gpu-2.cluster.example', ['node01', 'gpu-2.cluster.example']],
    ['node[01-03]', ['node01', 'node02', 'node03']],
    ['node[8-11]', ['node8', 'node9', 'node10', 'node11']],
    ['node[098-101]', ['node098', 'node099', 'node100', 'node101']],
    ['node[1,3,5-6]', ['node1', 'node3', 'node5', 'node6']],
    ['node[01-02,07],gpu[1-2]-ib0', ['node01', 'node02', 'node07', 'gpu1-ib0', 'gpu2-ib0']],
    ['rack[1-2]n[01-02]', ['rack1n01', 'rack1n02', 'rack2n01', 'rack2n02']],
    ['[1-2]', ['1', '2']],
  ];
  for (const [list, hosts] of lists) {
    it(`reads ${JSON.stringify(list)}`, () => {
      expect(expandHostlist(list)).to.deep.equal(hosts);
    });
  }

  it('reads nothing from what is no list', () => {
    for (const list of ['node[01-03', 'node01]', 'node[a-b]', 'node[3-1]', 'node[]', ',', 'a,,b']) {
      expect(expandHostlist(list), list).to.deep.equal([]);
    }
  });

  it('does not fill the memory', () => {
    const lists = [
      'n[1-99999999]',
      `n[${'1-99999,'.repeat(1000)}1]`,
      'n[1-90000],'.repeat(1000).replace(/,$/, ''),
      `n${'[1-10]'.repeat(20)}`,
      `n${'[1]'.repeat(20_000)}`,
      'n[1-999999999999999999999999]',
    ];
    for (const list of lists) {
      expect(expandHostlist(list), list.slice(0, 20)).to.have.lengthOf.at.most(100_000);
    }
    expect(expandHostlist('n[1-20000]')).to.have.length(20_000);
  });
});
