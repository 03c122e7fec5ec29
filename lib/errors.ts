import type { ExitStatus } from './events.ts';

/** The `code` of every error that this library throws. */
export type SpawnerErrorCode =
  | 'ERR_SPAWNER_OPTIONS'
  | 'ERR_SPAWNER_STATE'
  | 'ERR_SPAWNER_COMMAND'
  | 'ERR_SPAWNER_PARSE'
  | 'ERR_SPAWNER_START'
  | 'ERR_SPAWNER_TIMEOUT'
  | 'ERR_SPAWNER_ABORTED'
  | 'ERR_SPAWNER_STOP'
  | 'ERR_SPAWNER_STORE';

/** What the constructors of the errors below have in common. */
export interface SpawnerErrorOptions {
  /** Whether the same call may succeed when it is made again later. Default: false. */
  readonly retryable?: boolean;
  /** The error or the abort reason behind this one. */
  readonly cause?: unknown;
}

/** The class of every error that this library throws on purpose. */
export abstract class SpawnerError extends Error {
  /** A constant that programs can test; the message is for people. */
  abstract readonly code: SpawnerErrorCode;
  /** Whether the same call may succeed when it is made again later. */
  readonly retryable: boolean;

  constructor(message: string, { retryable = false, cause }: SpawnerErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.retryable = retryable;
  }

  static {
    SpawnerError.prototype.name = 'SpawnerError';
  }
}

/** An option, a template or the context of a spawner is not what it must be. */
export class OptionsError extends SpawnerError {
  override readonly code = 'ERR_SPAWNER_OPTIONS';
  /** Where the option stands, as in `request.memory` or `args[2]`. */
  readonly path: string;
  /** What was expected there, as in `a number of bytes or a text like '4G'`. */
  readonly expected: string;

  constructor(path: string, expected: string, message?: string, options?: SpawnerErrorOptions) {
    super(message ?? `The option ${path} must be ${expected}.`, options);
    this.path = path;
    this.expected = expected;
  }

  static {
    OptionsError.prototype.name = 'OptionsError';
  }
}

/** A saved state can't be loaded: it is no state, another spawner's, or a newer version's. */
export class StateError extends SpawnerError {
  override readonly code = 'ERR_SPAWNER_STATE';

  static {
    StateError.prototype.name = 'StateError';
  }
}

/** What is known of a command that failed. Neither arguments, environment nor standard input. */
export interface CommandFailure extends SpawnerErrorOptions {
  /** The program, `argv[0]`. */
  readonly command: string;
  /** Default: null, where it did not run or was ended by a signal. */
  readonly exitCode?: number | null;
  /** The signal that ended it. Default: null. */
  readonly signal?: string | null;
  /** The end of what it wrote to standard error. Default: ''. */
  readonly stderr?: string;
  /** Whether it was ended because its time was over. Default: false. */
  readonly timedOut?: boolean;
}

/** A command could not be run, or it ran and failed. */
export class CommandError extends SpawnerError {
  override readonly code = 'ERR_SPAWNER_COMMAND';
  /** The program, `argv[0]`. */
  readonly command: string;
  /** Its exit code; null where it did not run or was ended by a signal. */
  readonly exitCode: number | null;
  /** The signal that ended it, as in `SIGKILL`. */
  readonly signal: string | null;
  /** The end of what it wrote to standard error. */
  readonly stderr: string;
  /** Whether it was ended because its time was over. */
  readonly timedOut: boolean;

  constructor(message: string, failure: CommandFailure) {
    super(message, failure);
    this.command = failure.command;
    this.exitCode = failure.exitCode ?? null;
    this.signal = failure.signal ?? null;
    this.stderr = failure.stderr ?? '';
    this.timedOut = failure.timedOut ?? false;
  }

  static {
    CommandError.prototype.name = 'CommandError';
  }
}

/** The output of a command is not what its manual promises. */
export class ParseError extends SpawnerError {
  override readonly code = 'ERR_SPAWNER_PARSE';
  /** What could not be read. */
  readonly output: string;

  constructor(message: string, output: string, options?: SpawnerErrorOptions) {
    super(message, options);
    this.output = output;
  }

  static {
    ParseError.prototype.name = 'ParseError';
  }
}

/** What is known of a start that failed. */
export interface StartFailure extends SpawnerErrorOptions {
  /** How the job or process of the server ended, if it did. */
  readonly exit?: ExitStatus;
  /** The end of what the server wrote, if it could be read. */
  readonly log?: string;
}

/** A start failed: the server ended before it answered, or it can't be started now. */
export class StartError extends SpawnerError {
  override readonly code = 'ERR_SPAWNER_START';
  /** How the job or process of the server ended; undefined where it did not. */
  readonly exit: ExitStatus | undefined;
  /** The end of what the server wrote; undefined where it could not be read. */
  readonly log: string | undefined;

  constructor(message: string, failure: StartFailure = {}) {
    super(message, failure);
    this.exit = failure.exit;
    this.log = failure.log;
  }

  static {
    StartError.prototype.name = 'StartError';
  }
}

/** The parts of a start that have a time limit of their own. */
export type StartStep = 'preSpawn' | 'submit' | 'queue' | 'launch' | 'readiness' | 'progressReady';

/** A step of a start took longer than its time limit. What had been started was stopped. */
export class StartTimeoutError extends SpawnerError {
  override readonly code = 'ERR_SPAWNER_TIMEOUT';
  /** The step that took too long. */
  readonly step: StartStep;
  /** Its time limit, in ms. */
  readonly timeout: number;

  /** @param cause what the step met with before its time was over, where that is known */
  constructor(message: string, step: StartStep, timeout: number, cause?: SpawnerError) {
    super(message, { retryable: true, cause });
    this.step = step;
    this.timeout = timeout;
  }

  static {
    StartTimeoutError.prototype.name = 'StartTimeoutError';
  }
}

/**
 * A start was aborted by its signal or by `stop()`. `name` is 'AbortError', as for every aborted
 * call in Node; `cause` is the reason that the signal gives.
 */
export class AbortError extends SpawnerError {
  override readonly code = 'ERR_SPAWNER_ABORTED';

  static {
    AbortError.prototype.name = 'AbortError';
  }
}

/** A stop could not be confirmed. The spawner keeps its state, so that `stop()` can be repeated. */
export class StopError extends SpawnerError {
  override readonly code = 'ERR_SPAWNER_STOP';

  static {
    StopError.prototype.name = 'StopError';
  }
}

/** What is known of a store that failed. */
export interface StoreFailure extends SpawnerErrorOptions {
  /** Default: false. */
  readonly isLost?: boolean;
}

/**
 * A store of servers can't be read or written, or another hub uses it. `retryable` where the
 * storage failed, and not what it was given.
 */
export class StoreError extends SpawnerError {
  override readonly code = 'ERR_SPAWNER_STORE';
  /** Whether another hub has taken the store over, and with it the servers. */
  readonly isLost: boolean;

  constructor(message: string, options: StoreFailure = {}) {
    super(message, options);
    this.isLost = options.isLost ?? false;
  }

  static {
    StoreError.prototype.name = 'StoreError';
  }
}

/** Asks a question that may fail, as all do that are about the outside; `instead` is then the answer. */
export async function unlessFailed<T>(ask: () => Promise<T>, instead: T): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof SpawnerError) {
      return instead;
    }
    throw error;
  }
}

/** What a caught value says, whatever it is. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system's own name of an error, as in `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
