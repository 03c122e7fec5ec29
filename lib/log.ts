import createDebug from 'debug';

/** Writes one line of debug output; `%s`, `%d` and `%o` stand for the arguments. */
export type Log = (format: string, ...values: readonly unknown[]) => void;

/**
 * A debug log, silent unless `DEBUG=hubspawner:*` (or a part of it) is set. It takes names, ids,
 * durations and exit codes. An environment, a script or a token is never passed to it.
 */
export function createLog(part: string): Log {
  return createDebug(`hubspawner:${part}`);
}
