/**
 * What authors of hubs rely on in the types of events and errors. Nothing here runs: `tsc` is the test.
 */
import { expectTypeOf } from 'expect-type';
import type {
  ExitCause,
  ExitStatus,
  ProgressEvent,
  ServerAddress,
  Spawner,
  SpawnerError,
  SpawnerErrorCode,
  SpawnerState,
  SpawnerWarning,
  StartStep,
  StopOptions,
  Submitted,
} from '../../lib/index.ts';
import { CommandError, OptionsError, StartError, StartTimeoutError } from '../../lib/index.ts';

declare const spawner: Spawner;

// A listener knows what it gets.
spawner.on('state', (state) => expectTypeOf(state).toEqualTypeOf<SpawnerState>());
spawner.on('progress', (event) => expectTypeOf(event).toEqualTypeOf<ProgressEvent>());
spawner.on('submitted', (job) => expectTypeOf(job).toEqualTypeOf<Submitted>());
spawner.once('running', ({ host }) => expectTypeOf(host).toEqualTypeOf<string>());
spawner.once('ready', (address) => expectTypeOf(address).toEqualTypeOf<ServerAddress>());
spawner.once('exited', (exit) => expectTypeOf(exit).toEqualTypeOf<ExitStatus>());
spawner.off('warning', (warning: SpawnerWarning) => warning.code);
// @ts-expect-error there is no such event
spawner.on('exit', () => {});
// @ts-expect-error it gets a state
spawner.on('state', (state: string) => state);
// @ts-expect-error a listener is called with the spawner as `this`, and nothing else
spawner.on('state', () => {}, { save: true });

// What is told in a fixed set of words can be told apart by them, without a default.
function colourOf({ outcome }: ProgressEvent): string {
  switch (outcome) {
    case 'starting':
      return 'blue';
    case 'ready':
      return 'green';
    case 'failed':
      return 'red';
  }
}
expectTypeOf(colourOf).returns.toBeString();
expectTypeOf<'out-of-memory'>().toExtend<ExitCause>();
expectTypeOf<string>().not.toExtend<ExitCause>();

// A state is JSON, and whoever loads one need not know what it is.
expectTypeOf(spawner.toJSON()).toEqualTypeOf<SpawnerState>();
expectTypeOf(spawner.getState().version).toEqualTypeOf<1>();
spawner.loadState(JSON.parse('null'));
// @ts-expect-error a Date would not survive JSON
const saved: SpawnerState = { version: 1, spawner: 'test', at: new Date() };
expectTypeOf(saved).toExtend<SpawnerState>();

// An error is known by its class, and has the fields of it.
function tell(error: unknown): string | number | undefined {
  if (error instanceof OptionsError) return error.path;
  if (error instanceof StartTimeoutError) {
    expectTypeOf(error.step).toEqualTypeOf<StartStep>();
    return error.timeout;
  }
  if (error instanceof StartError) {
    expectTypeOf(error.exit).toEqualTypeOf<ExitStatus | undefined>();
    return error.log;
  }
  return error instanceof CommandError ? error.stderr : undefined;
}
expectTypeOf(tell).returns.toEqualTypeOf<string | number | undefined>();
expectTypeOf<SpawnerError['code']>().toEqualTypeOf<SpawnerErrorCode>();
expectTypeOf<OptionsError>().toExtend<SpawnerError>();

// A signal is all that a start takes; a stop need not be told anything.
expectTypeOf(spawner.start).parameter(0).toEqualTypeOf<AbortSignal | undefined>();
expectTypeOf(spawner.stop).parameter(0).toEqualTypeOf<StopOptions | undefined>();
expectTypeOf<{ now: true }>().toExtend<StopOptions>();
