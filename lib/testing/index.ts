export type { ConformanceSubject, ConformanceTimeouts, TestGlobals } from './conformance.ts';
export { spawnerConformance } from './conformance.ts';
export type { RecordedCommand, Recording, RecordingRunnerOptions } from './recording.ts';
export { RecordingRunner, ReplayRunner } from './recording.ts';
export type { StubAnswer, StubCall, StubFunction, StubTable } from './stub.ts';
export { StubRunner } from './stub.ts';
