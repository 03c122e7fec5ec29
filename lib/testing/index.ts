export type { TestGlobals } from './conformance.ts';
export { spawnerConformance } from './conformance.ts';
export type { RecordedCommand, Recording, RecordingRunnerOptions } from './recording.ts';
export { RecordingRunner } from './recording.ts';
export type { ReplayRunnerOptions } from './replay.ts';
export { ReplayRunner } from './replay.ts';
export type { StubAnswer, StubCall, StubFunction, StubTable } from './stub.ts';
export { StubRunner } from './stub.ts';
export type { ConformanceSubject, ConformanceTimeouts } from './subject.ts';
