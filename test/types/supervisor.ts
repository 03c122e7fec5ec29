/**
 * What authors of hubs rely on in the types of the supervisor. Nothing here runs: `tsc` is the test.
 */
import { expectTypeOf } from 'expect-type';
import Keyv from 'keyv';
import type {
  ExitStatus,
  ProgressEvent,
  RestoreReport,
  ServerAddress,
  ServerName,
  ServerStatus,
  ServerStore,
  SpawnerOptions,
  Stray,
  SupervisedServer,
  SupervisorMetrics,
  SupervisorPolicies,
  SupervisorWarning,
} from '../../lib/index.ts';
import {
  endpointHandler,
  FileStore,
  LocalProcessSpawner,
  MemoryStore,
  SlurmSpawner,
  Spawner,
  Supervisor,
} from '../../lib/index.ts';
import { prometheusMetrics } from '../../lib/supervisor/prometheus.ts';

const store = new MemoryStore();

// A store is one of ours, a Keyv, or what has three methods.
new Supervisor({ store: new FileStore('servers') });
new Supervisor({ store: new Keyv({ throwOnErrors: true }) });
expectTypeOf<Pick<ServerStore, 'set' | 'delete'>>().toExtend<ServerStore>();
// @ts-expect-error servers have to be kept somewhere
new Supervisor({});
// @ts-expect-error a Map is no store
new Supervisor({ store: new Map<string, unknown>() });

// Policies stand beside the rest, and all have a value or are limits that there need not be.
const supervisor = new Supervisor({ store, startLimit: 10, strays: 'report' });
expectTypeOf(supervisor.policies).toEqualTypeOf<SupervisorPolicies>();
expectTypeOf(supervisor.policies.retries).toEqualTypeOf<number>();
expectTypeOf(supervisor.policies.userLimit).toEqualTypeOf<number | undefined>();
expectTypeOf<SupervisorPolicies>().toEqualTypeOf<Readonly<SupervisorPolicies>>();
// @ts-expect-error there is no such policy
new Supervisor({ store, startLimits: 10 });
// @ts-expect-error strays are ended or reported
new Supervisor({ store, strays: 'adopt' });
// @ts-expect-error a time is a number of ms
new Supervisor({ store, pollInterval: '30s' });

// A token may have to be looked up.
new Supervisor({ store, apiToken: ({ user }) => user.name });
new Supervisor({ store, apiToken: async ({ serverName }: ServerName) => serverName });
// @ts-expect-error a token is a text
new Supervisor({ store, apiToken: () => 5 });

interface OwnOptions extends SpawnerOptions {
  readonly image: string;
}
declare class OwnSpawner extends Spawner<OwnOptions> {
  override start(): Promise<ServerAddress>;
  override poll(): Promise<ExitStatus | null>;
  override stop(): Promise<void>;
}
declare class OtherSpawner extends OwnSpawner {
  constructor(image: string);
}

// The options are those of the class, and a spawner of somebody's own is as good as ours.
supervisor
  .register('slurm', SlurmSpawner, { request: { memory: '4G' }, queueTimeout: 60_000 })
  .register('local', LocalProcessSpawner)
  .register('own', OwnSpawner, { image: 'notebook', startTimeout: 1000 });
// @ts-expect-error the name is wrong
supervisor.register('slurm', SlurmSpawner, { request: { memroy: '4G' } });
// @ts-expect-error a request is of a batch system, not of a process
supervisor.register('local', LocalProcessSpawner, { request: { memory: '4G' } });
// @ts-expect-error an image has a name
supervisor.register('own', OwnSpawner, { image: 5 });
// @ts-expect-error nothing can be made of the base of all spawners
supervisor.register('spawner', Spawner);
// @ts-expect-error a class, not one of its spawners
supervisor.register('slurm', new SlurmSpawner({ user: { name: 'ada' } }));
// @ts-expect-error its constructor takes something else
supervisor.register('other', OtherSpawner);

// A request says whose server it is; its options come out of a store again.
expectTypeOf(supervisor.start({ user: 'ada' })).resolves.toEqualTypeOf<ServerAddress>();
void supervisor.start({
  user: { name: 'ada', account: 'al' },
  serverName: 'gpu',
  spawner: 'slurm',
});
void supervisor.start({ user: 'ada', options: { request: { memory: '4G' }, args: ['--debug'] } });
// @ts-expect-error whose?
void supervisor.start({ serverName: 'gpu' });
// @ts-expect-error a function is no JSON
void supervisor.start({ user: 'ada', options: { environment: { KEY: () => 'key' } } });
expectTypeOf(supervisor.stop).toBeCallableWith('ada');
expectTypeOf(supervisor.stop).toBeCallableWith('ada', 'gpu', { now: true });
expectTypeOf(supervisor.close).toBeCallableWith({ servers: 'stop' });
// @ts-expect-error servers are kept or stopped
void supervisor.close({ servers: 'cancel' });

// What it knows is there to be read.
expectTypeOf(supervisor.find('ada')).toEqualTypeOf<SupervisedServer | undefined>();
expectTypeOf(supervisor.list({ user: 'ada' })).toEqualTypeOf<readonly SupervisedServer[]>();
expectTypeOf(supervisor.progress('ada')).toEqualTypeOf<AsyncIterable<ProgressEvent>>();
expectTypeOf(supervisor.restore()).resolves.toEqualTypeOf<RestoreReport>();
expectTypeOf(supervisor.metrics()).toEqualTypeOf<SupervisorMetrics>();
endpointHandler(() => supervisor.spawners);
prometheusMetrics(supervisor);
for (const server of supervisor.list()) {
  // @ts-expect-error what becomes of a server is the supervisor's to say
  server.status = 'ready';
}

/** Whoever tells all statuses apart has none left. */
export function colourOf(status: ServerStatus): string {
  switch (status) {
    case 'waiting':
    case 'starting':
      return 'blue';
    case 'ready':
      return 'green';
    case 'unhealthy':
      return 'red';
    case 'stopping':
      return 'grey';
  }
}

// A listener knows what it gets.
supervisor.on('status', (server) => expectTypeOf(server).toEqualTypeOf<SupervisedServer>());
supervisor.on('progress', (server, event) => {
  expectTypeOf(server.user.name).toBeString();
  expectTypeOf(event).toEqualTypeOf<ProgressEvent>();
});
supervisor.once('ready', (_, address) => expectTypeOf(address).toEqualTypeOf<ServerAddress>());
supervisor.on('failed', (_, error) => expectTypeOf(error).toBeUnknown());
supervisor.on('exited', (_, exit) => expectTypeOf(exit).toEqualTypeOf<ExitStatus>());
supervisor.on('culled', (_, why) => expectTypeOf(why).toEqualTypeOf<'idle' | 'age'>());
supervisor.on('stray', (stray) => expectTypeOf(stray).toEqualTypeOf<Stray>());
supervisor.on('warning', (warning, server) => {
  expectTypeOf(warning).toEqualTypeOf<SupervisorWarning>();
  expectTypeOf(server).toEqualTypeOf<SupervisedServer | undefined>();
});
expectTypeOf<'status-unknown' | 'store-failed'>().toExtend<SupervisorWarning['code']>();
// @ts-expect-error there is no such event
supervisor.on('started', () => {});
// @ts-expect-error the server comes first
supervisor.on('exited', (exit: ExitStatus) => exit);
// @ts-expect-error events are the supervisor's to tell
supervisor.announce('stray', undefined);
