/**
 * What authors of hubs and of spawners rely on in the types. Nothing here runs: `tsc` is the test.
 */
import { expectTypeOf } from 'expect-type';
import type { SpawnerContext } from '../../lib/context.ts';
import type { ExitStatus, ServerAddress } from '../../lib/events.ts';
import type {
  BatchOptions,
  LocalProcessOptions,
  SlurmOptions,
  SpawnerOptions,
} from '../../lib/generated/options.ts';
import type { CommandResult, CommandRunner } from '../../lib/runners/runner.ts';
import { Spawner } from '../../lib/spawner.ts';

interface OwnOptions extends SpawnerOptions {
  readonly image: string;
}

class OwnSpawner extends Spawner<OwnOptions> {
  override start(): Promise<ServerAddress> {
    expectTypeOf(this.options.image).toEqualTypeOf<string>();
    return Promise.reject(new Error(this.options.image));
  }
  override poll(): Promise<ExitStatus | null> {
    return Promise.resolve(null);
  }
  override stop(): Promise<void> {
    return Promise.resolve();
  }
}

// Options are extended from kind to kind, and a spawner of any kind is a Spawner.
expectTypeOf<BatchOptions>().toExtend<SpawnerOptions>();
expectTypeOf<SlurmOptions>().toExtend<BatchOptions>();
expectTypeOf<LocalProcessOptions>().toExtend<SpawnerOptions>();
expectTypeOf<OwnSpawner>().toExtend<Spawner>();

// A user names any of the options, the spawner finds all that have defaults; none can be changed.
expectTypeOf<SpawnerOptions['cmd']>().toEqualTypeOf<readonly string[]>();
expectTypeOf<undefined>().not.toExtend<SpawnerOptions['startTimeout']>();
expectTypeOf<undefined>().toExtend<SpawnerOptions['rootDir']>();
expectTypeOf<SpawnerOptions>().toEqualTypeOf<Readonly<SpawnerOptions>>();
expectTypeOf(OwnSpawner).toBeConstructibleWith({ user: { name: 'ada' } });
expectTypeOf(OwnSpawner).toBeConstructibleWith({ user: { name: 'ada' } }, { image: 'a', port: 1 });

// @ts-expect-error a context has a user
new OwnSpawner({});
// @ts-expect-error there is no such option
new OwnSpawner({ user: { name: 'ada' } }, { imgae: 'a' });

expectTypeOf<Spawner['start']>().toEqualTypeOf<(signal?: AbortSignal) => Promise<ServerAddress>>();
expectTypeOf<Spawner['poll']>().returns.resolves.toEqualTypeOf<ExitStatus | null>();
expectTypeOf<Spawner['progress']>().returns.toExtend<AsyncIterable<{ message: string }>>();
expectTypeOf<Spawner['loadState']>().parameter(0).toBeUnknown();

// A runner of somebody's own is a function away.
expectTypeOf<{
  run(argv: readonly string[]): Promise<CommandResult>;
}>().toExtend<CommandRunner>();
expectTypeOf<CommandRunner | undefined>().toExtend<SpawnerContext['runner']>();
