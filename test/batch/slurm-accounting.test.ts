import { expect } from 'chai';
import type { JobEnd } from '../../lib/batch/exit.ts';
import { exitOfJob } from '../../lib/batch/exit.ts';
import type { JobState } from '../../lib/batch/scheduler.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import { ParseError } from '../../lib/errors.ts';
import { cuts, Fixtures } from '../helpers/fixtures.ts';

const fixtures = new Fixtures('slurm');
const { states } = slurm;
const [scontrol, sacct] = slurm.accounting;

/** One row of our sacct. */
function row(state: string, exitCode: string, submit = '2026-03-02T06:17:02', name = 'mine') {
  const times = [submit, '2026-03-02T06:17:05', '2026-03-02T06:20:00'];
  return `${['7', state, exitCode, 'None', ...times, 'node01', name].join('|')}\n`;
}

function accounted(text: string, id = '7', jobName = 'mine') {
  return sacct?.parse(text, { id, jobName }, states);
}

describe('The row of sacct', () => {
  const text = fixtures.text('sacct-jobs.txt');

  const told: readonly (readonly [id: string, name: string, state: JobState, message?: string])[] =
    [
      ['2', 'running', 'running'],
      ['5', 'requeuehold', 'held'],
      ['6', 'requeued', 'pending'],
      ['7', 'cancelled', 'ended', 'The job was cancelled.'],
      ['8', 'killed', 'ended', 'The job was cancelled.'],
      ['9', 'nodefail', 'ended', 'The node on which the job ran failed.'],
      ['10', 'nodefailrequeue', 'pending'],
      ['12', 'completed', 'ended', 'The job ended by itself (exit code 0).'],
      ['13', 'exit7', 'ended', 'The job failed (exit code 7).'],
      ['14', 'notfound', 'ended', 'The job failed (exit code 127).'],
      ['16', 'signal9', 'ended', 'The job failed (SIGKILL).'],
      ['17', 'signal11', 'ended', 'The job failed (SIGSEGV).'],
      [
        '18',
        'nolog',
        'ended',
        "The job failed (the job's log file or working directory could not be opened).",
      ],
      ['22', 'toolong', 'held'],
      ['23', 'array', 'pending'],
      ['24', 'cancelledpending', 'ended', 'The job was cancelled (BeginTime).'],
      ['28', 'array', 'running'],
      ['101', 'timeout', 'ended', 'The job reached the end of its walltime.'],
    ];
  for (const [id, name, state, message] of told) {
    it(`says ${message ?? `that it is ${state}`} (${name})`, () => {
      const status = accounted(text, id, `jupyter-alice-${name}`);
      expect(status).to.include({ id, state });
      expect(status?.exit?.message).to.equal(message);
    });
  }

  it('has hosts, times, code and signal', () => {
    expect(accounted(text, '13', 'jupyter-alice-exit7')).to.deep.equal({
      id: '13',
      state: 'ended',
      nativeState: 'FAILED',
      hosts: ['cn1'],
      exit: {
        code: 7,
        signal: null,
        cause: 'failed',
        message: 'The job failed (exit code 7).',
      },
      submittedAt: new Date('2026-11-22T08:03:27Z'),
      startedAt: new Date('2026-11-22T08:03:30Z'),
      endsAt: new Date('2026-11-22T08:03:30Z'),
    });
    expect(accounted(text, '24', 'jupyter-alice-cancelledpending')).not.to.have.property('hosts');
    expect(accounted(text, '2', 'jupyter-alice-running')).not.to.have.any.keys('endsAt', 'exit');
  });

  it('is not that of another job which had the id before', () => {
    expect(accounted(text, '13', 'jupyter-alice-exit')).to.equal(undefined);
    expect(accounted(text, '13', 'jupyter-alice-exit77')).to.equal(undefined);
    const reused = row('COMPLETED', '0:0', '2020-01-01T00:00:00', 'old') + row('RUNNING', '0:0');
    expect(accounted(reused)).to.include({ state: 'running' });
  });

  it('is none where there is no row of the job', () => {
    expect(accounted('')).to.equal(undefined);
    expect(accounted(text, '1', 'jupyter-alice-timeout')).to.equal(undefined);
    expect(accounted(text, '1|', 'jupyter-alice-timeout')).to.equal(undefined);
    expect(accounted(fixtures.text('sacct-too-early.txt'), '2', 'jupyter-alice-running')).to.equal(
      undefined,
    );
  });

  it('is that of the latest run, in whatever order they stand', () => {
    const runs = [
      row('NODE_FAIL', '1:0', '2026-03-02T06:00:00'),
      row('PREEMPTED', '0:0', '2026-03-02T06:10:00'),
      row('PENDING', '0:0', '2026-03-02T06:20:00'),
    ];
    expect(accounted(runs.join(''))).to.include({ state: 'pending' });
    expect(accounted(runs.toReversed().join(''))).to.include({ state: 'pending' });
    expect(accounted(runs.slice(0, 2).join(''))?.exit).to.include({ cause: 'preempted' });
  });

  it('is that of the latest run in what two releases were seen to print', () => {
    const newest = (name: string, id: string, state: number) => {
      const lines = fixtures.text(name).trimEnd().split('\n');
      const rows = lines.map((line) => line.split('|')).filter((fields) => fields[0] === id);
      return accounted(rows.map((fields) => row(fields[state] ?? '', '0:0')).join(''));
    };
    expect(newest('sacct-duplicates.txt', '20', 1)).to.include({ state: 'pending' });
    expect(newest('sacct-duplicates.txt', '21', 1)).to.nested.include({
      'exit.cause': 'preempted',
    });
    expect(newest('sacct-nodefail-requeued.txt', '41', 1)).to.include({ state: 'pending' });
    expect(newest('sacct-parsable.txt', '26', 2)).to.include({ state: 'pending' });
    expect(newest('sacct-parsable.txt', '16', 2)).to.include({ state: 'ended' });
  });

  it('is that of the cluster of a federation that has the job', () => {
    const federated = fixtures.text('sacct-federation.txt');
    const remote = accounted(federated, '67108865', 'jupyter-alice-remote');
    expect(remote).to.deep.include({ state: 'running', hosts: ['cn7', 'cn8'] });
    const failed = accounted(federated, '67108867', 'jupyter-alice-failed');
    expect(failed?.exit).to.include({ cause: 'failed', code: 7 });
    const own = accounted(federated, '67108869', 'jupyter-alice-local');
    expect(own?.exit).to.include({ cause: 'completed', code: 0 });
    expect(() => accounted(federated, '67108868', 'jupyter-alice-elsewhere')).to.throw(
      ParseError,
      'Another cluster',
    );
  });

  it('says that memory was the reason, and not signal 125', () => {
    expect(accounted(row('OUT_OF_MEMORY', '0:125'))?.exit).to.deep.equal({
      code: null,
      signal: null,
      cause: 'out-of-memory',
      message: 'The job used more memory than it may and was killed.',
    });
  });

  it('has no code where it can not be read', () => {
    for (const exitCode of ['', '0', ':', 'x:y', '1:2:3']) {
      expect(accounted(row('FAILED', exitCode))?.exit, exitCode).to.deep.equal({
        code: null,
        signal: null,
        cause: 'failed',
        message: 'The job failed.',
      });
    }
  });

  for (const name of ['sacct-parsable.txt', 'sacct-steps.txt', 'sacct-duplicates.txt']) {
    it(`is not in another format (${name})`, () => {
      for (const id of ['2', '10', '20']) {
        expect(accounted(fixtures.text(name), id, 'jupyter-alice')).to.equal(undefined);
      }
    });
  }

  it('is refused where the output was cut, or is no output of sacct', () => {
    const runs = row('NODE_FAIL', '1:0') + row('PENDING', '0:0', '2026-03-02T06:20:00');
    for (const { cut, at } of cuts(runs).slice(1)) {
      if (!cut.endsWith('\n')) {
        expect(() => accounted(cut), String(at)).to.throw(ParseError);
      }
    }
    expect(() => accounted('Slurm accounting storage is disabled\n')).to.throw(ParseError);
  });

  it('is not to be had where there is no accounting', () => {
    expect(fixtures.text('sacct-no-accounting.err.txt')).to.match(sacct?.absent ?? /^$/);
    for (const name of ['sacct-outage.err.txt', 'sacct-outage-2205.err.txt']) {
      expect(fixtures.text(name), name).not.to.match(sacct?.absent ?? /^/);
    }
  });
});

describe('The record of scontrol', () => {
  const text = fixtures.text('scontrol-jobs.txt');
  const shown = (of: string, id: string, jobName: string) =>
    scontrol?.parse(of, { id, jobName }, states);

  const told: readonly (readonly [id: string, name: string, state: JobState, message?: string])[] =
    [
      ['2', 'running', 'running'],
      ['4', 'suspended', 'suspended'],
      ['5', 'requeuehold', 'held'],
      ['6', 'requeued', 'pending'],
      ['7', 'cancelled', 'ended', 'The job was cancelled (SIGTERM).'],
      ['9', 'nodefail', 'ended', 'The node on which the job ran failed (NodeDown).'],
      ['10', 'nodefailrequeue', 'pending'],
      ['11', 'completing', 'completing'],
      ['12', 'completed', 'ended', 'The job ended by itself (exit code 0).'],
      ['13', 'exit7', 'ended', 'The job failed (exit code 7, NonZeroExitCode).'],
      ['16', 'signal9', 'ended', 'The job failed (SIGKILL, JobLaunchFailure).'],
      [
        '18',
        'nolog',
        'ended',
        "The job failed (the job's log file or working directory could not be opened).",
      ],
      ['19', 'held', 'held'],
      ['23', 'array', 'pending'],
      ['28', 'array', 'running'],
      ['101', 'timeout', 'ended', 'The job reached the end of its walltime (SIGTERM, TimeLimit).'],
      ['102', 'exit143', 'ended', 'The job failed (exit code 143, SIGTERM, NonZeroExitCode).'],
      ['103', 'exit137', 'ended', 'The job failed (exit code 137, SIGKILL, NonZeroExitCode).'],
    ];
  for (const [id, name, state, message] of told) {
    it(`says ${message ?? `that it is ${state}`} (${name})`, () => {
      const status = shown(text, id, `jupyter-alice-${name}`);
      expect(status).to.include({ id, state });
      expect(status?.exit?.message).to.equal(message);
    });
  }

  it('has hosts and times', () => {
    expect(shown(text, '2', 'jupyter-alice-running')).to.deep.equal({
      id: '2',
      state: 'running',
      nativeState: 'RUNNING',
      hosts: ['cn1'],
      submittedAt: new Date('2026-11-22T08:03:27Z'),
      startedAt: new Date('2026-11-22T08:03:30Z'),
      endsAt: new Date('2026-11-22T09:03:30Z'),
    });
  });

  it('is read as later releases print it', () => {
    const running = `${fixtures.text('scontrol-running.txt')}\n`;
    expect(shown(running, '1', 'jupyter-alice')).to.include({ state: 'running' });
    expect(shown(running, '1', 'jupyter-alice')?.hosts).to.deep.equal(['node01']);
    const failed = shown(fixtures.text('scontrol-nodefail.txt'), '40', 'nf');
    expect(failed?.exit).to.include({ cause: 'node-failure' });
  });

  it('says nothing where another cluster of a federation has the job', () => {
    const elsewhere = fixtures
      .text('scontrol-nodefail.txt')
      .replace('JobState=NODE_FAIL', 'JobState=REVOKED');
    expect(() => shown(elsewhere, '40', 'nf')).to.throw(ParseError, 'Another cluster');
  });

  it('is not that of another job', () => {
    expect(shown(text, '13', 'jupyter-alice-exit')).to.equal(undefined);
    expect(shown(text, '3', 'jupyter-alice-exit7')).to.equal(undefined);
    expect(shown(text, '13 JobName', 'jupyter-alice-exit7')).to.equal(undefined);
  });

  it('is refused where the output was cut, or is no output of scontrol', () => {
    const [failed = ''] = /^JobId=13 .*\n/m.exec(text) ?? [];
    expect(shown(failed, '13', 'jupyter-alice-exit7')).to.include({ state: 'ended' });
    for (const { cut, at } of cuts(failed)) {
      expect(() => shown(cut, '13', 'jupyter-alice-exit7'), String(at)).to.throw(ParseError);
    }
    expect(() => shown(fixtures.text('scontrol-ping-down.txt'), '1', 'a')).to.throw(ParseError);
  });
});

describe('The end of a job, for people', () => {
  const ends: readonly (readonly [end: JobEnd, message: string])[] = [
    [{ cause: 'completed' }, 'The job ended by itself.'],
    [{ cause: 'completed', code: 0 }, 'The job ended by itself (exit code 0).'],
    [{ cause: 'failed', code: 1 }, 'The job failed (exit code 1).'],
    [{ cause: 'failed', code: 128 }, 'The job failed (exit code 128).'],
    [{ cause: 'failed', code: 137 }, 'The job failed (exit code 137, SIGKILL).'],
    [{ cause: 'failed', signal: 15 }, 'The job failed (SIGTERM).'],
    [{ cause: 'failed', signal: 63 }, 'The job failed (signal 63).'],
    [
      { cause: 'failed', code: 7, detail: 'NonZeroExitCode' },
      'The job failed (exit code 7, NonZeroExitCode).',
    ],
    [{ cause: 'cancelled', code: 0, detail: '' }, 'The job was cancelled.'],
    [
      { cause: 'timeout', detail: 'TimeLimit' },
      'The job reached the end of its walltime (TimeLimit).',
    ],
    [{ cause: 'out-of-memory' }, 'The job used more memory than it may and was killed.'],
    [{ cause: 'preempted' }, 'The job had to make room for another.'],
    [{ cause: 'node-failure' }, 'The node on which the job ran failed.'],
    [{ cause: 'unknown' }, 'The job has ended, and nothing says how.'],
  ];
  for (const [end, message] of ends) {
    it(`is: ${message}`, () => {
      const code = end.cause === 'completed' ? (end.code ?? null) : end.code || null;
      expect(exitOfJob(end)).to.include({ cause: end.cause, code, message });
    });
  }

  it('names the signal of a code above 128', () => {
    expect(exitOfJob({ cause: 'failed', code: 143 })).to.include({ code: 143, signal: 'SIGTERM' });
    expect(exitOfJob({ cause: 'failed', signal: 9 })).to.include({ code: null, signal: 'SIGKILL' });
  });
});
