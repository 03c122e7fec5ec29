import { messageOf } from '../errors.ts';
import type { SpawnerWarning } from '../events.ts';
import type { JobClient } from './client.ts';
import type { Job, JobSlot } from './job.ts';
import type { EnvironmentFile, PreparedJob } from './request.ts';

/**
 * Hands the environment of the server over to its job by a file, where the batch system would show
 * it to others: written before a run of the job, removed by that, and, where it never ran, here.
 */
export class HandOver {
  readonly #client: JobClient;
  readonly #slot: JobSlot;
  readonly #prepare: (job: Job) => Promise<PreparedJob>;
  readonly #warn: (warning: SpawnerWarning) => void;

  constructor(
    client: JobClient,
    slot: JobSlot,
    prepare: (job: Job) => Promise<PreparedJob>,
    warn: (warning: SpawnerWarning) => void,
  ) {
    this.#client = client;
    this.#slot = slot;
    this.#prepare = prepare;
    this.#warn = warn;
  }

  /** @throws CommandError */
  async write(file: EnvironmentFile): Promise<void> {
    await this.#client.writeEnvironment(file);
  }

  /** A run of the job has taken the file, and the next one waits for it. */
  async renew(): Promise<void> {
    const { job } = this.#slot;
    if (job === undefined) {
      return;
    }
    try {
      const { environmentFile } = await this.#prepare(job);
      if (environmentFile !== undefined && this.#slot.job?.tag === job.tag) {
        this.#slot.set({ ...this.#slot.job, environmentFile: environmentFile.path });
        await this.write(environmentFile);
        // The job may have ended, and its file have been removed, before this one was written.
        if (this.#slot.job?.tag !== job.tag) {
          await this.discard(environmentFile.path);
        }
      }
    } catch (cause) {
      this.#warn({
        code: 'command-failed',
        message: `The job has started anew, and could not be given its environment: ${messageOf(cause)}`,
        cause,
      });
    }
  }

  /** The job has ended; whether it has read its environment or not, the file goes. */
  async discard(path: string | undefined): Promise<void> {
    const problem = path === undefined ? undefined : await this.#client.removeEnvironment(path);
    if (problem !== undefined) {
      this.#warn({
        code: 'command-failed',
        message: `The file ${path}, which holds the server's secrets, could not be removed: ${problem}`,
      });
    }
  }
}
