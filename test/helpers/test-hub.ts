import sinon from 'sinon';
import type { SupervisorWarning } from '../../lib/supervisor/events.ts';
import type { StartRequest, SupervisorOptions } from '../../lib/supervisor/setup.ts';
import type { SupervisedServer } from '../../lib/supervisor/supervised-server.ts';
import { Supervisor } from '../../lib/supervisor/supervisor.ts';
import { spawnersOf, TestCluster } from './test-cluster.ts';
import { forever, TestStore } from './test-store.ts';

export const apiUrl = 'http://127.0.0.1:8081/hub/api';

/** A supervisor on a cluster and a store, with what it has told. */
export class TestHub {
  readonly cluster: TestCluster;
  readonly store: TestStore;
  readonly supervisor: Supervisor;
  /** Its events but for progress and warnings, as in `ready ada/`. */
  readonly told: string[] = [];
  readonly warnings: SupervisorWarning[] = [];

  constructor({
    cluster = new TestCluster(),
    store = new TestStore(),
    ...options
  }: Partial<Omit<SupervisorOptions, 'store'>> & {
    readonly cluster?: TestCluster;
    readonly store?: TestStore;
  } = {}) {
    this.cluster = cluster;
    this.store = store;
    this.supervisor = new Supervisor({ store, hub: { apiUrl }, ...options });
    this.supervisor.register('cluster', spawnersOf(cluster));
    this.#listen();
  }

  /** What it does from now on comes to nothing, as if its process had ended; its timers are left. */
  kill(): void {
    this.cluster.before = forever;
    this.store.before = forever;
    this.store.isLost = true;
  }

  /** Another hub where this one was. */
  next(options: Partial<Omit<SupervisorOptions, 'store'>> = {}): TestHub {
    const cluster = new TestCluster(this.cluster);
    return new TestHub({ cluster, store: new TestStore(this.store), ...options });
  }

  /** The servers, as in `ada/lab ready`. */
  get servers(): readonly string[] {
    return this.supervisor
      .list()
      .map(({ user, serverName, status }) => `${user.name}/${serverName} ${status}`);
  }

  start(user: string, request: Partial<StartRequest> = {}): ReturnType<Supervisor['start']> {
    return this.supervisor.start({ user, ...request });
  }

  #listen(): void {
    const tell = (event: string) => (server: SupervisedServer) => {
      const { user, serverName, status } = server;
      this.told.push(
        `${event} ${user.name}/${serverName}${event === 'status' ? ` ${status}` : ''}`,
      );
    };
    const { supervisor } = this;
    supervisor.on('status', tell('status'));
    supervisor.on('submitted', tell('submitted'));
    supervisor.on('running', tell('running'));
    supervisor.on('ready', tell('ready'));
    supervisor.on('failed', tell('failed'));
    supervisor.on('exited', tell('exited'));
    supervisor.on('unhealthy', tell('unhealthy'));
    supervisor.on('healthy', tell('healthy'));
    supervisor.on('culled', tell('culled'));
    supervisor.on('removed', tell('removed'));
    supervisor.on('stray', ({ user, serverName, id, fate, reason }) =>
      this.told.push(`stray ${user}/${serverName} ${id} ${fate}: ${reason}`),
    );
    supervisor.on('warning', (warning) => this.warnings.push(warning));
  }
}

/** Replaces all clocks; microtasks run as they do. */
export function fakeClock(): sinon.SinonFakeTimers {
  return sinon.useFakeTimers({
    toFake: [
      ...(['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] as const),
      ...(['setImmediate', 'clearImmediate', 'Date', 'performance'] as const),
    ],
  });
}

/** Resolves when it is opened. */
export class Gate {
  open: () => void = () => {};
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}
