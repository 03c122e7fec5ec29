import { FakeCluster } from './fake/cluster.ts';
import type { FakeEnd, JobTableOptions } from './fake/jobs.ts';
import type { SlurmSite } from './fake/slurm.ts';
import { slurmDialect } from './fake/slurm.ts';
import { meaningOf } from './fake/slurm-output.ts';

/** What a test wants of its Slurm. */
export interface FakeSlurmOptions extends Omit<JobTableOptions, 'idOf'> {
  /** The first is the one that commands without `--clusters` talk to. Default: one cluster. */
  readonly clusters?: readonly string[];
}

/** How a job is to end. */
export interface SlurmEnd extends Pick<FakeEnd, 'exitCode' | 'signal' | 'reason'> {
  /** In Slurm's own word. Default: COMPLETED. */
  readonly state?: string;
}

/** A Slurm 22.05, whose states tests name by Slurm's own words. */
export class FakeSlurm extends FakeCluster {
  readonly #site: SlurmSite;

  constructor({ clusters = ['cluster1'], ...options }: FakeSlurmOptions) {
    const site: SlurmSite = { clusters, accounting: 'on' };
    super({ ...options, dialect: slurmDialect(site) });
    this.#site = site;
  }

  /** Whether there is a slurmdbd, and whether it answers. */
  set accounting(accounting: SlurmSite['accounting']) {
    this.#site.accounting = accounting;
  }

  /** From now on jobs do not start, for this reason, until `release()`. */
  override pend(reason = 'Resources', estimatedStart?: Date): void {
    super.pend(reason, estimatedStart);
  }

  /** Without an id as if each job were held by its owner, until `release()`. */
  override hold(id?: string): void {
    if (id === undefined) this.pend('JobHeldUser');
    else super.hold(id);
  }

  /** Lets a job start, or all. */
  override release(id?: string): void {
    if (id === undefined) this.releaseAll();
    else super.release(id);
  }

  /** Moves a job to another state; its processes are left alone. */
  override setState(id: string, native: string, reason = ''): void {
    const { state, cause } = meaningOf(native);
    super.setState(id, state, reason, { native, ...(cause && { cause }) });
  }

  /** Ends a job, and resolves when its processes have ended. */
  override endJob(id: string, { state = 'COMPLETED', ...end }: SlurmEnd = {}): Promise<void> {
    const { cause = 'unknown' } = meaningOf(state);
    return super.endJob(id, { ...end, cause, native: state });
  }
}
