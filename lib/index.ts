export type { JobEnd } from './batch/exit.ts';
export { exitOfJob } from './batch/exit.ts';
export type {
  AccountingSource,
  JobState,
  JobStatus,
  MarkedJob,
  MarkedJobs,
  NativeState,
  QueryAnswer,
  Scheduler,
  SchedulerCommands,
  SchedulerPatterns,
  StateTable,
} from './batch/scheduler.ts';
export { SlurmSpawner, slurm } from './batch/slurm.ts';
export { BatchSpawner } from './batch/spawner.ts';
export type { HubFacts, SpawnerContext, SpawnerUser } from './context.ts';
export type { EndpointHandler, EndpointTarget } from './endpoint/handler.ts';
export { endpointHandler } from './endpoint/handler.ts';
export { servicePrefix } from './environment.ts';
export type {
  CommandFailure,
  SpawnerErrorCode,
  SpawnerErrorOptions,
  StartFailure,
  StartStep,
} from './errors.ts';
export {
  AbortError,
  CommandError,
  OptionsError,
  ParseError,
  SpawnerError,
  StartError,
  StartTimeoutError,
  StateError,
  StopError,
} from './errors.ts';
export type {
  ExitCause,
  ExitStatus,
  ServerAddress,
  SpawnerEvents,
  SpawnerWarning,
  Submitted,
} from './events.ts';
export type {
  BatchOptions,
  BatchRequest,
  LocalProcessOptions,
  SlurmOptions,
  SlurmRequest,
  SpawnerOptions,
} from './generated/options.ts';
export { LocalProcessSpawner } from './local/spawner.ts';
export type { Log } from './log.ts';
export type { OptionsSchema } from './options.ts';
export type { ProgressEvent } from './progress.ts';
export { directiveValue } from './quote.ts';
export type { LocalRunnerOptions } from './runners/local.ts';
export { LocalRunner } from './runners/local.ts';
export type { CommandResult, CommandRunner, RunOptions } from './runners/runner.ts';
export type { SudoRunnerOptions } from './runners/sudo.ts';
export { SudoRunner } from './runners/sudo.ts';
export type { StopOptions } from './spawner.ts';
export { Spawner } from './spawner.ts';
export type { StartScope } from './start.ts';
export type { Json, SpawnerState } from './state.ts';
export { bytes } from './units.ts';
