/** How one command is run. Every field is optional. */
export interface RunOptions {
  /** The operating system's account that the command runs as. Default: the runner's own. */
  readonly user?: string;
  /** Written to the command's standard input, which is then closed. Default: empty. */
  readonly input?: string;
  /**
   * The whole environment of the command: nothing is inherited. A program whose name has no slash
   * is looked up in its `PATH`. Default: only what the runner needs to find programs.
   */
  readonly env?: Readonly<Record<string, string>>;
  /** The working directory. Default: `/`. */
  readonly cwd?: string;
  /** In ms, after which the command and all its children are ended. Default: 60,000. */
  readonly timeout?: number;
  /**
   * Ends the command and all its children; `run()` then resolves with what there is. If it is
   * aborted before, nothing is run and `run()` rejects with an `AbortError`.
   */
  readonly signal?: AbortSignal;
}

/** What came of a command. A command that fails is a result, not an error. */
export interface CommandResult {
  /** Standard output, as UTF-8; what is no UTF-8 is replaced by U+FFFD. */
  readonly stdout: string;
  /** Standard error, likewise. */
  readonly stderr: string;
  /** Null where a signal ended it, and where it was to be ended but would not. */
  readonly exitCode: number | null;
  /** The signal that ended it, as in `SIGKILL`, else null. */
  readonly signal: string | null;
  /** Whether its time was over before it ended. */
  readonly timedOut: boolean;
  /** Whether there was more output than the runner keeps: the rest is missing. Default: false. */
  readonly truncated?: boolean;
}

/**
 * Runs commands: the one way in which spawners touch the world outside of this process, and the
 * place to decide where a command runs and as whom. Tests put a stub here.
 */
export interface CommandRunner {
  /**
   * Runs one command, given as an argument vector, without a shell.
   *
   * Resolves whatever the exit code; rejects with a `CommandError` only where the command could
   * not be run at all: no such program, no permission, no such account.
   */
  run(argv: readonly string[], options?: RunOptions): Promise<CommandResult>;
}
