import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BatchOptions } from '../../lib/generated/options.ts';
import type {
  CommandRunner,
  ServerAddress,
  SpawnerClass,
  Supervisor,
  SystemdOptions,
} from '../../lib/index.ts';
import {
  CondorSpawner,
  FluxSpawner,
  GridEngineSpawner,
  SlurmSpawner,
  SystemdSpawner,
} from '../../lib/index.ts';
import { sleep } from '../../lib/sleep.ts';
import type { Dialect } from './fake/cluster.ts';
import { FakeCluster } from './fake/cluster.ts';
import { condorDialect } from './fake/condor.ts';
import { fluxDialect } from './fake/flux.ts';
import { gridEngineDialect } from './fake/grid-engine.ts';
import type { FakeJob } from './fake/jobs.ts';
import type { Program } from './fake/programs.ts';
import { slurmDialect } from './fake/slurm.ts';
import { FakeUnits } from './fake-units.ts';

/**
 * What the servers of a hub run on, without processes and files: all that goes on by itself waits on
 * the global `setTimeout`, which a test is to fake.
 */
export interface Ground {
  readonly runner: CommandRunner;
  /** The hub that servers can call just now. */
  hub: Supervisor | undefined;
  /** Ids of the jobs or units that live. Each is in the state of the spawner that has it. */
  readonly alive: readonly string[];
  /** The most that ever lived at once. */
  readonly most: number;
  /** Files and directories that are there. */
  readonly files: readonly string[];
  /** Registers the kind of spawner that runs servers here, the first of its supervisor. */
  register(supervisor: Supervisor): void;
}

/** By its port: whether the server that listens there lives. */
const servers = new Map<number, () => boolean>();

let ports = 40_000;

function answers({ port }: ServerAddress): Promise<boolean> {
  return Promise.resolve(servers.get(port)?.() ?? false);
}

class Slurm extends SlurmSpawner {
  protected override answers(address: ServerAddress): Promise<boolean> {
    return answers(address);
  }
}

class GridEngine extends GridEngineSpawner {
  protected override answers(address: ServerAddress): Promise<boolean> {
    return answers(address);
  }
}

class Condor extends CondorSpawner {
  protected override answers(address: ServerAddress): Promise<boolean> {
    return answers(address);
  }
}

class Flux extends FluxSpawner {
  protected override answers(address: ServerAddress): Promise<boolean> {
    return answers(address);
  }
}

class Systemd extends SystemdSpawner {
  protected override answers(address: ServerAddress): Promise<boolean> {
    return answers(address);
  }
}

/** In ms, each: in the queue, until the server listens, between two calls of the hub, until it has ended. */
const pauses = { queue: 1000, launch: 500, call: 2000, end: 1000 };

/** A batch system whose jobs begin, listen and call their hub as the real ones do. */
class BatchGround<O extends BatchOptions> implements Ground {
  readonly runner: CommandRunner;
  hub: Supervisor | undefined;
  most = 0;
  readonly #cluster: FakeCluster;
  readonly #Spawner: SpawnerClass<O>;
  readonly #files = new Set<string>();
  /** Jobs that go on by themselves. */
  readonly #begun = new Set<FakeJob>();
  readonly #ending = new Set<FakeJob>();

  constructor(dialect: Dialect, Spawner: SpawnerClass<O>) {
    this.#Spawner = Spawner;
    const programs = { ...dialect.programs, sh: this.#sh, rm: this.#rm };
    const cluster = new FakeCluster({
      home: tmpdir(),
      run: false,
      dialect: { ...dialect, programs },
    });
    this.#cluster = cluster;
    this.runner = {
      run: async (argv, runOptions) => {
        const result = await cluster.runner.run(argv, runOptions);
        this.#goOn();
        return result;
      },
    };
  }

  get alive(): readonly string[] {
    return this.#living.map(({ id }) => id);
  }

  get files(): readonly string[] {
    return [...this.#files];
  }

  register(supervisor: Supervisor): void {
    supervisor.register('batch', this.#Spawner);
  }

  get #living(): readonly FakeJob[] {
    return this.#cluster.jobs.filter(({ endedAt }) => endedAt === undefined);
  }

  /** Writes the file with the environment of a server. */
  readonly #sh: Program = (_, args, { input = '' }) => {
    const [, script = '', , path = ''] = args;
    if (!script.startsWith('umask 077 && rm -f -- "$1.new"') || input === '') {
      throw new Error(`A ground has no sh ${args.join(' ')}.`);
    }
    this.#files.add(path);
    return '';
  };

  readonly #rm: Program = (_, args) => {
    for (const path of args) this.#files.delete(path);
    return '';
  };

  #goOn(): void {
    const living = this.#living;
    this.most = Math.max(this.most, living.length);
    for (const job of living) {
      if (!this.#begun.has(job)) {
        this.#begun.add(job);
        void this.#live(job);
      }
      if (job.state === 'exiting' && !this.#ending.has(job)) {
        this.#ending.add(job);
        void sleep(pauses.end).then(() => this.#cluster.endJob(job.id, { cause: 'cancelled' }));
      }
    }
  }

  async #live(job: FakeJob): Promise<void> {
    await sleep(pauses.queue);
    if (job.state !== 'queued') {
      return;
    }
    this.#cluster.setState(job.id, 'running');
    await sleep(pauses.launch);
    const isAlive = () => job.state === 'running';
    const file = join(tmpdir(), `.${job.name}.env`);
    while (isAlive() && job.script.includes(file) && !this.#files.delete(file)) {
      await sleep(pauses.call);
    }
    ports += 1;
    const port = ports;
    servers.set(port, isAlive);
    while (isAlive() && !this.#call(port)) {
      await sleep(pauses.call);
    }
  }

  /** Returns whether the hub has taken the port. */
  #call(port: number): boolean {
    const [spawner] = this.hub?.spawners ?? [];
    return spawner?.acceptPort(port) ?? false;
  }
}

class SystemdGround implements Ground {
  hub: Supervisor | undefined;
  readonly #units = new FakeUnits((port, isAlive) => {
    servers.set(port, isAlive);
  });

  get runner(): CommandRunner {
    return this.#units.runner;
  }

  get most(): number {
    return this.#units.most;
  }

  get alive(): readonly string[] {
    return this.#units.alive;
  }

  get files(): readonly string[] {
    return this.#units.directories;
  }

  register(supervisor: Supervisor): void {
    const options: Partial<SystemdOptions> = { runtimeDir: join(tmpdir(), 'run') };
    supervisor.register('systemd', Systemd, options);
  }
}

function batch<O extends BatchOptions>(dialect: Dialect, Spawner: SpawnerClass<O>): () => Ground {
  return () => new BatchGround(dialect, Spawner);
}

/**
 * What servers can run on, each made anew for each test, the three that differ most first: the
 * environment goes with the job, in a file, and in a directory.
 */
export const grounds: Readonly<Record<string, () => Ground>> = {
  SlurmSpawner: batch(slurmDialect({ clusters: ['cluster1'], accounting: 'on' }), Slurm),
  GridEngineSpawner: batch(gridEngineDialect, GridEngine),
  SystemdSpawner: () => new SystemdGround(),
  CondorSpawner: batch(condorDialect, Condor),
  FluxSpawner: batch(fluxDialect, Flux),
};
