import { throwIfAborted, unlessAborted } from '../abort.ts';
import type { SpawnerError } from '../errors.ts';
import { CommandError, StartError } from '../errors.ts';
import { sleep } from '../sleep.ts';
import type { Doubt, JobClient, Submission } from './client.ts';
import type { Job, JobSlot, SubmittedJob } from './job.ts';
import type { PreparedJob } from './request.ts';
import type { MarkedJob } from './scheduler.ts';

/** In ms: between two looks for a job that a doubtful submission may have made. */
export const findInterval = 5000;

/** How many looks without a usable answer there are before the word alone counts that there is no job. */
const looksAfterDenial = 3;

/** Submits the job of a spawner so that there is one, or none, and it is known which. */
export class Submitter {
  readonly #client: JobClient;
  readonly #slot: JobSlot;
  #doubt: SpawnerError | undefined;

  constructor(client: JobClient, slot: JobSlot) {
    this.#client = client;
    this.#slot = slot;
  }

  /**
   * Submits until the job is known to exist, or certain not to. A batch system that is away is
   * waited for.
   *
   * @param tell says what is waited for
   * @throws CommandError, ParseError where there is no job; AbortError where that is not certain:
   *   the slot then holds it; StartError where nobody can find out
   */
  async submit(
    prepared: PreparedJob,
    signal: AbortSignal,
    tell: (message: string) => void,
  ): Promise<SubmittedJob> {
    this.#doubt = undefined;
    for (let attempt = 1; ; attempt += 1) {
      throwIfAborted(signal);
      if (attempt > 1) {
        this.#slot.set({ ...this.#slot.required, submittedAt: Date.now() });
      }
      const submission = await this.#once(prepared);
      if (submission.kind === 'accepted') {
        const { id, cluster, mayBeCut } = submission;
        const found = mayBeCut && this.canFind ? await this.find() : undefined;
        const job = typeof found === 'object' ? found : this.#slot.submitted(id, cluster);
        if (attempt > 1) {
          await this.#cancelEarlier(job, signal);
        }
        return job;
      }
      const { error, doubt } = submission;
      this.#doubt = error;
      if (!this.#client.canFind && mayHaveWorked(submission)) {
        const { jobName } = this.#slot.required;
        this.#slot.set(undefined);
        throw new StartError(
          `${error.message} A job with the name ${jobName} may exist all the same, and there is no command that finds it (commands.find): look for it by hand.`,
          { cause: error },
        );
      }
      tell(
        doubt === 'transient'
          ? `Waiting for the batch system: ${error.message}`
          : `Looking whether there is a job all the same: ${error.message}`,
      );
      // An earlier try may have made a job, whatever the batch system says of this one.
      const isCertain = doubt === 'denied' && attempt === 1;
      const found = await this.#settle(doubt, isCertain, signal);
      if (found !== undefined) {
        return found;
      }
      if (doubt !== 'transient') {
        this.#slot.set(undefined);
        throw error;
      }
    }
  }

  /** Why the submission that is under way, or the last one, was not simply accepted. */
  get doubt(): SpawnerError | undefined {
    return this.#doubt;
  }

  /** Whether there is a command that looks for a job by its mark. */
  get canFind(): boolean {
    return this.#client.canFind;
  }

  /**
   * Looks once for a job that carries our mark.
   *
   * @throws AbortError
   */
  async find(signal?: AbortSignal): Promise<SubmittedJob | 'none' | 'unknown'> {
    const { job } = this.#slot;
    const found = job && (await this.#marked(job, signal));
    if (found === undefined || this.#slot.job?.tag !== job?.tag) {
      return 'unknown';
    }
    const newest = found.at(-1);
    if (newest === undefined) {
      return 'none';
    }
    const submitted = this.#slot.submitted(newest.id, job?.cluster, job?.submittedAt);
    await this.#cancelOthers(submitted, found);
    return submitted;
  }

  async #once(prepared: PreparedJob): Promise<Submission> {
    try {
      return await this.#client.submit(prepared);
    } catch (error) {
      // The command could not be run at all.
      this.#slot.set(undefined);
      throw error;
    }
  }

  /**
   * What became of a doubtful submission: its job, or undefined where there is none. A batch system
   * that was away may take it in late: only two complete answers without it say that there is none.
   *
   * @param isCertain there is none, by the word of the batch system, which need not be confirmed
   */
  async #settle(
    doubt: Doubt,
    isCertain: boolean,
    signal: AbortSignal,
  ): Promise<SubmittedJob | undefined> {
    const enough = doubt === 'refused' || doubt === 'denied' ? 1 : 2;
    for (let absent = 0, looks = 1; ; looks += 1) {
      const found = await this.find(signal);
      if (typeof found === 'object') {
        return found;
      }
      absent = found === 'none' ? absent + 1 : 0;
      if (absent === enough || (isCertain && looks === looksAfterDenial)) {
        return undefined;
      }
      await sleep(findInterval, signal);
      throwIfAborted(signal);
    }
  }

  /** What carries the mark of a job. The answer may have to be waited for, but for nobody who is aborted. */
  #marked(job: Job, signal?: AbortSignal): Promise<readonly MarkedJob[] | undefined> {
    const find = () => this.#client.find(this.#slot.facts(job));
    return signal === undefined ? find() : unlessAborted(signal, find);
  }

  /** Cancels what earlier tries of the same submission have left, until that is certain. */
  async #cancelEarlier(job: SubmittedJob, signal: AbortSignal): Promise<void> {
    for (;;) {
      const marked = await this.#marked(job, signal);
      if (marked !== undefined && (await this.#cancelOthers(job, marked))) {
        return;
      }
      await sleep(findInterval, signal);
      throwIfAborted(signal);
    }
  }

  /** Returns whether all of them were cancelled. */
  async #cancelOthers(
    job: SubmittedJob,
    marked: readonly { readonly id: string }[],
  ): Promise<boolean> {
    let allEnded = true;
    for (const { id } of marked) {
      if (id !== job.id) {
        const { kind } = await this.#client.end('cancel', { ...this.#slot.facts(job), jobId: id });
        allEnded &&= kind !== 'failed';
      }
    }
    return allEnded;
  }
}

/** Whether the submission did not say itself that there is no job. */
function mayHaveWorked({ doubt, error }: Extract<Submission, { kind: 'doubtful' }>): boolean {
  const isCut = error instanceof CommandError && (error.timedOut || error.signal !== null);
  return doubt === 'unreadable' || isCut;
}
