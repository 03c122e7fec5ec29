import type { ExitStatus, ServerAddress } from '../../lib/events.ts';
import { Spawner } from '../../lib/spawner.ts';

const exit: ExitStatus = { code: 0, signal: null, cause: 'completed', message: 'It has ended.' };

/** No more than the author of a spawner has to write. Its server is a flag. */
export class MinimalSpawner extends Spawner {
  runs = false;
  launches = 0;

  override start(signal?: AbortSignal): Promise<ServerAddress> {
    return this.runStart(signal, async () => {
      this.runs = true;
      this.launches += 1;
      return this.setAddress('node1', 4000);
    });
  }

  override async poll(): Promise<ExitStatus | null> {
    if (!this.runs) await this.ended(exit);
    return this.exit ?? null;
  }

  override stop(): Promise<void> {
    return this.runStop(async () => {
      this.runs = false;
      await this.ended(exit);
    });
  }
}
