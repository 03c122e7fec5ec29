import { expect } from 'chai';
import type { JobStatus, Scheduler } from '../../lib/batch/scheduler.ts';
import { jobIdIn } from '../../lib/batch/scheduler.ts';
import { ParseError } from '../../lib/errors.ts';
import type { Fixtures } from './fixtures.ts';
import type { Damage } from './mutate.ts';
import { apply } from './mutate.ts';
import { randomFrom } from './random.ts';

/** A job that readers are asked about. */
export interface AskedJob {
  readonly id: string;
  readonly jobName: string;
}

/** The readers of one batch system, and what a damaged text may make them say. */
export interface DamageSubject {
  readonly scheduler: Scheduler;
  readonly fixtures: Fixtures;
  /** Jobs of the fixtures, and some that are in none. */
  readonly jobs: readonly AskedJob[];
  /**
   * Whether a text says, in a whole record, that the job has ended. Written without the readers: a
   * second opinion.
   */
  readonly saysEnded: (text: string, job: AskedJob) => boolean;
  /** Whether a text may be taken for all of the list of jobs. */
  readonly mayBeWhole: (text: string) => boolean;
  /** That of the fixtures with one. */
  readonly boundary?: string;
  /** Whether a text holds the id of a job. Default: as it is. */
  readonly holdsId?: (text: string, id: string) => boolean;
}

/** How often each fixture is damaged: some times in `npm test`, 10,000 times by `.ci/run`. */
const mutations = Number(process.env['MUTATIONS'] ?? 500);

/** Declares one test for each fixture: it is damaged again and again, and read by every reader. */
export function fuzzReaders(subject: DamageSubject): void {
  const { fixtures } = subject;
  const texts = new Map(
    Object.keys(fixtures.index).map((file) => [file, Buffer.from(fixtures.text(file))]),
  );
  const others = [...texts.values()];
  for (const [index, [file, text]] of [...texts].entries()) {
    it(`${file}, damaged ${mutations} times, says nothing that is not in it`, () => {
      const random = randomFrom(index + 1);
      for (let count = 0; count < mutations; count++) {
        const other = pick(others, random) ?? text;
        const damaged = damage(text, other, random).toString();
        try {
          expectHonest(damaged, subject, pick(subject.jobs, random));
        } catch (error) {
          throw new Error(`mutation ${count} of ${file}: ${JSON.stringify(damaged)}`, {
            cause: error,
          });
        }
      }
    }).timeout(120_000);
  }
}

function expectHonest(text: string, subject: DamageSubject, job: AskedJob | undefined): void {
  const { scheduler, saysEnded, mayBeWhole, holdsId = includes } = subject;
  const expectSound = (status: JobStatus, mayHaveEnded: boolean) => {
    if (!holdsId(text, status.id)) {
      throw new Error(`the job ${status.id} is not in it`);
    }
    expectSense(status, mayHaveEnded);
  };
  const submitted = jobIdIn(text, scheduler.patterns.jobId);
  if (submitted !== undefined && !text.includes(submitted.id)) {
    throw new Error(`the id ${submitted.id} of a submission is not in it`);
  }
  const answer = read(() => scheduler.parseQuery(text, scheduler.states));
  if (answer?.complete === true && !mayBeWhole(text)) {
    throw new Error('it was taken for a complete list');
  }
  for (const status of answer?.jobs ?? []) {
    expectSound(status, saysEnded(text, { id: status.id, jobName: '' }));
  }
  for (const boundary of ['', subject.boundary ?? '']) {
    for (const { id } of read(() => scheduler.parseFind(text, boundary))?.jobs ?? []) {
      if (!holdsId(text, id)) {
        throw new Error(`the job ${id} that was found is not in it`);
      }
    }
  }
  read(() => scheduler.explanation?.parse(text));
  for (const { parse } of scheduler.accounting) {
    const status = job && read(() => parse(text, job, scheduler.states));
    if (job !== undefined && status !== undefined) {
      expect(status.id).to.equal(job.id);
      expectSound(status, saysEnded(text, job));
    }
  }
}

function includes(text: string, id: string): boolean {
  return text.includes(id);
}

function expectSense(status: JobStatus, mayHaveEnded: boolean): void {
  const { id, state, submittedAt, startedAt, estimatedStart, endsAt } = status;
  if (state === 'ended' && !mayHaveEnded) {
    throw new Error(`the job ${id} is said to have ended`);
  }
  for (const date of [submittedAt, startedAt, estimatedStart, endsAt]) {
    if (date !== undefined && Number.isNaN(date.getTime())) {
      throw new Error(`the job ${id} has a time that is none`);
    }
  }
}

function read<T>(reader: () => T): T | undefined {
  try {
    return reader();
  } catch (error) {
    if (error instanceof ParseError) {
      return undefined;
    }
    throw error;
  }
}

type Random = () => number;

function pick<T>(list: readonly T[], random: Random): T | undefined {
  return list[Math.floor(random() * list.length)];
}

function damage(text: Buffer<ArrayBuffer>, other: Buffer, random: Random): Buffer {
  let damaged = text;
  for (let rest = 1 + Math.floor(random() * 3); rest > 0; rest--) {
    damaged = apply(randomDamage(random), damaged, other);
  }
  return damaged;
}

/** Bytes that mean something in what schedulers print. */
const telling = Buffer.from('\x1e\x1f\n|=:,[]{}<>/"-;0129 \0');

function randomDamage(random: Random): Damage {
  const length = Math.floor(random() * 60);
  switch (Math.floor(random() * 7)) {
    case 0:
      return { kind: 'cut', at: random() };
    case 1:
      return { kind: 'remove', from: random(), length };
    case 2:
      return { kind: 'splice', at: random(), from: random(), length };
    case 3: {
      const bytes = Array.from({ length: Math.floor(random() * 6) }, () =>
        random() < 0.5
          ? (telling[Math.floor(random() * telling.length)] ?? 0)
          : Math.floor(random() * 256),
      );
      return { kind: 'bytes', at: random(), bytes: Uint8Array.from(bytes) };
    }
    case 4:
      return { kind: 'swap', one: random(), other: random() };
    case 5:
      return { kind: 'drop', one: random() };
    default:
      return { kind: 'double', one: random() };
  }
}
