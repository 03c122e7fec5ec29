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
import type { StartScope } from '../../lib/start.ts';
import type { Json } from '../../lib/state.ts';

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

/** What the class does for its subclasses. */
class HelpedSpawner extends OwnSpawner {
  static override readonly kind = 'helped';
  static override readonly schema = { allOf: [{ $ref: 'spawner.json' }] };

  override start(signal?: AbortSignal): Promise<ServerAddress> {
    return this.runStart(signal, async (start) => {
      expectTypeOf(start).toEqualTypeOf<StartScope>();
      const port = await start.step('launch', this.options.startTimeout, async () => 4000);
      expectTypeOf(port).toBeNumber();
      // @ts-expect-error there is no such step
      await start.step('unpack', null, async () => {});
      this.announce('submitted', { id: '5' });
      // @ts-expect-error it has no id
      this.announce('submitted', { cluster: 'a' });
      return this.setAddress('node1', port);
    });
  }
  override stop(): Promise<void> {
    // @ts-expect-error an end has a cause
    void this.ended({ code: 0, signal: null, message: 'It has ended.' });
    return this.runStop(() =>
      this.ended({ code: 0, signal: null, cause: 'completed', message: 'It has ended.' }),
    );
  }
  protected override saveFields(): Record<string, Json> {
    // @ts-expect-error a Map is no JSON
    const wrong: Record<string, Json> = { jobs: new Map() };
    return { ...wrong, jobs: ['1', { id: 2 }] };
  }
}
expectTypeOf(new HelpedSpawner({ user: { name: 'ada' } }).options).toEqualTypeOf<OwnOptions>();
// @ts-expect-error the help is for subclasses
new HelpedSpawner({ user: { name: 'ada' } }).announce('submitted', { id: '5' });
