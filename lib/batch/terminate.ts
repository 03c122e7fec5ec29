import { throwIfAborted, unlessAborted } from '../abort.ts';
import { StopError } from '../errors.ts';
import type { ExitStatus } from '../events.ts';
import type { BatchOptions } from '../generated/options.ts';
import { sleep } from '../sleep.ts';
import type { Cancellation, JobClient } from './client.ts';
import { exitOfJob } from './exit.ts';
import type { JobSlot, SubmittedJob } from './job.ts';
import { isSubmitted } from './job.ts';
import type { Submitter } from './submitter.ts';
import { findInterval } from './submitter.ts';
import type { Tracked } from './tracker.ts';

/** The end of a job that there never was, or that nobody can look for. */
export function neverAccepted({ canFind }: Pick<Submitter, 'canFind'>): ExitStatus {
  const detail = canFind
    ? 'the batch system never accepted it'
    : 'its submission was cut off, and there is no command that looks for it';
  return exitOfJob({ cause: 'unknown', detail });
}

/** In ms: between two tries to cancel while the batch system does not answer. */
const pauseOfTries = 30_000;

/** What `terminate` works with. */
export interface Termination {
  readonly slot: JobSlot;
  readonly client: JobClient;
  readonly submitter: Submitter;
  readonly options: BatchOptions;
  /** Aborted when somebody else is to go on with it. */
  readonly signal: AbortSignal;
  /** Whether the job gets no time to end by itself; asked again and again. */
  readonly now: () => boolean;
  /** `cancelled`: the batch system has known the job, so that it needs no time to list it. */
  readonly status: (job: SubmittedJob, since: number, cancelled: boolean) => Promise<Tracked>;
  readonly ended: (exit: ExitStatus) => Promise<void>;
}

/**
 * Cancels the job in the slot, sees it end, and kills its processes where they do not. What fails,
 * because the batch system is away, is tried again until `stopTimeout`.
 *
 * @throws StopError, AbortError
 */
export async function terminate(termination: Termination): Promise<void> {
  const { slot, submitter, options, signal, ended } = termination;
  const deadline = Date.now() + options.stopTimeout;
  const push = pusher(termination);
  let state = 'the batch system does not say whether there is a job';
  let failure = '';
  // The first look comes before the first cancel: the id may be that of another job by now.
  let since = 0;
  let pushed = false;
  let accepted = false;
  let nextTry = 0;
  for (let absent = 0; slot.job !== undefined; ) {
    throwIfAborted(signal);
    const { job } = slot;
    if (isSubmitted(job)) {
      const { status, unlisted = false } = await unlessAborted(signal, () =>
        termination.status(job, since, accepted),
      );
      // What is being cleaned up is no server any more, even where that takes for ever; nor is what
      // was cancelled and is in no list, whenever its record comes.
      const over = status.state === 'completing' ? Date.now() > deadline : unlisted && pushed;
      if (status.state === 'ended' || over) {
        const { exit } = status;
        const isKnown = exit !== undefined && (exit.cause !== 'unknown' || !pushed);
        await ended(isKnown ? exit : exitOfJob({ cause: 'cancelled' }));
        return;
      }
      state = `its state is ${status.nativeState || status.state}`;
      if (status.state !== 'unknown' || unlisted) {
        nextTry = 0;
      }
    } else {
      const found = await submitter.find(signal);
      absent = found === 'none' ? absent + 1 : 0;
      if (absent === 2) {
        await ended(neverAccepted(submitter));
        return;
      }
      if (typeof found === 'string') {
        await sleep(findInterval, signal);
        throwIfAborted(signal);
      }
    }
    if (Date.now() > deadline) {
      const what = job.id === undefined ? 'The submission' : `The job ${job.id}`;
      throw new StopError(
        `${what} could not be ended within stopTimeout (${options.stopTimeout / 1000} s): ${failure || state}. Stop it again later.`,
        { retryable: true },
      );
    }
    if (isSubmitted(job)) {
      if (Date.now() >= nextTry) {
        const last = await push(job);
        failure = last.kind === 'failed' ? last.problem : '';
        nextTry = last.kind === 'failed' ? Date.now() + pauseOfTries : 0;
        pushed ||= last.kind !== 'failed';
        accepted ||= last.kind === 'accepted';
      }
      // One ms later than now: an answer to a question asked before the cancel will not do.
      since = performance.now() + 1;
    }
  }
}

/** Cancels, and then kills, a little more at each call. */
function pusher({ slot, client, options, now }: Termination) {
  let cancelledAt: number | undefined;
  let killed = false;
  return async (job: SubmittedJob): Promise<Cancellation> => {
    const facts = slot.facts(job);
    if (cancelledAt === undefined) {
      const cancel = await client.end('cancel', facts);
      // A job that the batch system does not know, or not yet, is cancelled again.
      if (cancel.kind !== 'accepted') {
        return cancel;
      }
      cancelledAt = Date.now();
    }
    if (!killed && (now() || Date.now() - cancelledAt > options.killTimeout)) {
      const kill = await client.end('kill', facts);
      killed = kill.kind !== 'failed';
      return kill;
    }
    return { kind: 'accepted' };
  };
}
