/**
 * What people who write options rely on in their types. Nothing here runs: `tsc` is the test.
 */
import { expectTypeOf } from 'expect-type';
import type {
  BatchRequest,
  OptionsSchema,
  ProgressEvent,
  SlurmOptions,
  SlurmRequest,
  Spawner,
  SpawnerContext,
  SpawnerOptions,
} from '../../lib/index.ts';
import {
  GenericBatchSpawner,
  LocalProcessSpawner,
  LsfSpawner,
  SlurmSpawner,
} from '../../lib/index.ts';

const context: SpawnerContext = { user: { name: 'ada' } };

// Everything may be left out, and what is given may be frozen or not.
new SlurmSpawner(context);
new SlurmSpawner(context, {});
new SlurmSpawner(context, { cmd: Object.freeze(['jupyter', 'lab']), request: { memory: '4G' } });
new LocalProcessSpawner(context, { memLimit: '4G', cpuLimit: 0.5, environment: { A: 'b' } });
new LocalProcessSpawner(context, { memLimit: 1024, environment: { A: ({ account }) => account } });

// @ts-expect-error a request is of the batch system, not of a process
new LocalProcessSpawner(context, { request: { memory: '4G' } });
// Where all is said by options, any name may be asked for, by a text.
new GenericBatchSpawner(context, { request: { feature: 'haswell', nprocs: 2 } });
// @ts-expect-error a text
new GenericBatchSpawner(context, { request: { feature: true } });
// @ts-expect-error of the names that all systems have, each has its type
new GenericBatchSpawner(context, { request: { queue: 2 } });

// What `requestNames` adds is said to the types once, and then they know it.
declare module '../../lib/index.ts' {
  interface LsfRequest {
    readonly feature?: string;
  }
}
new LsfSpawner(context, { requestNames: ['feature'], request: { feature: 'haswell' } });
// @ts-expect-error a text
new LsfSpawner(context, { requestNames: ['feature'], request: { feature: 2 } });
// @ts-expect-error the name is of another system
new SlurmSpawner(context, { requestNames: ['feature'], request: { feature: 'haswell' } });
// @ts-expect-error the name is wrong
new SlurmSpawner(context, { request: { memroy: '4G' } });
// @ts-expect-error a list of words, not a line for a shell
new SlurmSpawner(context, { cmd: 'jupyter lab' });
// @ts-expect-error a variable is a text
new SlurmSpawner(context, { environment: { PORT: 8888 } });
// @ts-expect-error a function of the environment is not asynchronous
new SlurmSpawner(context, { environment: { KEY: async () => 'key' } });
// @ts-expect-error there is no such strategy
new SlurmSpawner(context, { endpoint: 'fixt' });
// @ts-expect-error a hook is a function
new SlurmSpawner(context, { hooks: { preSpawn: 'notify' } });
// @ts-expect-error a time is a number of ms
new SlurmSpawner(context, { startTimeout: '60s' });

// Hooks get the spawner, and may be asynchronous.
type Hooks = SpawnerOptions['hooks'];
expectTypeOf<Hooks['preSpawn']>().toEqualTypeOf<
  ((spawner: Spawner) => void | Promise<void>) | undefined
>();
expectTypeOf<NonNullable<Hooks['progressReady']>>().parameters.toEqualTypeOf<
  [Spawner, ProgressEvent]
>();
expectTypeOf<NonNullable<Hooks['progressReady']>>().returns.toEqualTypeOf<
  ProgressEvent | Promise<ProgressEvent>
>();

// What a spawner has is complete, and cannot be changed.
declare const slurm: SlurmSpawner;
expectTypeOf(slurm.options).toEqualTypeOf<SlurmOptions>();
expectTypeOf(slurm.options.request).toEqualTypeOf<SlurmRequest>();
expectTypeOf<SlurmRequest>().toExtend<BatchRequest>();
expectTypeOf(slurm.options.queueTimeout).toEqualTypeOf<number | null>();
expectTypeOf(slurm.options.memLimit).toEqualTypeOf<number | string | undefined>();
// @ts-expect-error options are frozen
slurm.options.port = 5;
// @ts-expect-error lists of options are frozen
slurm.options.args.push('--debug');
// @ts-expect-error objects of options are frozen
slurm.options.environment['A'] = 'b';

// A schema is the name of one, or one.
expectTypeOf<'slurm.json'>().toExtend<OptionsSchema>();
expectTypeOf<{ allOf: { $ref: string }[] }>().toExtend<OptionsSchema>();

// A context says whose server it is; the rest may be left out.
expectTypeOf<Pick<SpawnerContext, 'user'>>().toExtend<SpawnerContext>();
// @ts-expect-error a hub has an address
new SlurmSpawner({ user: { name: 'ada' }, hub: {} });
// @ts-expect-error a token is a text
new SlurmSpawner({ user: { name: 'ada' }, apiToken: 5 });
