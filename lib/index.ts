export type { Ability, LogOptions, ServerUsage } from './abilities.ts';
export { CondorSpawner, condor } from './batch/condor.ts';
export type { JobEnd } from './batch/exit.ts';
export { exitOfJob } from './batch/exit.ts';
export { FluxSpawner, flux } from './batch/flux.ts';
export { GenericBatchSpawner } from './batch/generic.ts';
export { GridEngineSpawner, gridEngine } from './batch/grid-engine.ts';
export type { JobScriptParts } from './batch/job-script.ts';
export { jobScript } from './batch/job-script.ts';
export { LsfSpawner, lsf } from './batch/lsf.ts';
export { MoabSpawner, moab } from './batch/moab.ts';
export type { MonitorHealth } from './batch/monitor.ts';
export { MultiSlurmSpawner } from './batch/multi-slurm.ts';
export { OarSpawner, oar } from './batch/oar.ts';
export { PbsSpawner, pbs } from './batch/pbs.ts';
export type {
  AccountingSource,
  Description,
  Explanation,
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
export type { JobKnowledge } from './batch/status.ts';
export { jobStatus } from './batch/status.ts';
export { TorqueSpawner, torque } from './batch/torque.ts';
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
  StoreFailure,
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
  StoreError,
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
  CondorOptions,
  CondorRequest,
  FluxOptions,
  FluxRequest,
  GenericOptions,
  GenericRequest,
  GridEngineOptions,
  GridEngineRequest,
  LocalProcessOptions,
  LsfOptions,
  LsfRequest,
  MoabOptions,
  MoabRequest,
  MultiSlurmOptions,
  OarOptions,
  OarRequest,
  PbsOptions,
  PbsRequest,
  SlurmOptions,
  SlurmRequest,
  SpawnerOptions,
  SupervisorPolicies,
  SystemdOptions,
  TorqueOptions,
  TorqueRequest,
} from './generated/options.ts';
export { LocalProcessSpawner } from './local/spawner.ts';
export type { Log } from './log.ts';
export type { MarkedServer } from './mark.ts';
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
export type { Stray, SupervisorEvents, SupervisorWarning } from './supervisor/events.ts';
export type { FileStoreEvents } from './supervisor/file-store.ts';
export { FileStore } from './supervisor/file-store.ts';
export type { Histogram } from './supervisor/histogram.ts';
export { MemoryStore } from './supervisor/memory-store.ts';
export type { CommandMetrics, StartPhase, SupervisorMetrics } from './supervisor/metrics.ts';
export type {
  RestoreReport,
  ServerName,
  SpawnerClass,
  StartRequest,
  SupervisorOptions,
  SupervisorSetup,
} from './supervisor/setup.ts';
export type { ServerStatus } from './supervisor/status.ts';
export type { ServerStore } from './supervisor/store.ts';
export type { ServerSummary, SupervisedServer } from './supervisor/supervised-server.ts';
export { Supervisor } from './supervisor/supervisor.ts';
export { SystemdSpawner } from './systemd/spawner.ts';
export { bytes } from './units.ts';
