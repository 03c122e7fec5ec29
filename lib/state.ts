import { StateError } from './errors.ts';

/** A value that JSON can hold. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [name: string]: Json };

/** What a hub saves of a spawner, to load it into a new one after a restart. JSON. */
export interface SpawnerState {
  /** Of the format. */
  readonly version: 1;
  /** The kind of spawner that wrote it, as in `slurm`. */
  readonly spawner: string;
  /** Where the server listens, once that is known. */
  readonly host?: string;
  /** Present where `host` is. */
  readonly port?: number;
  /** What else the kind of spawner needs. */
  readonly [field: string]: Json | undefined;
}

/**
 * The fields of a saved state.
 *
 * @throws StateError if it is none of this kind of spawner and of this version
 */
export function checkState(state: unknown, kind: string): Readonly<Record<string, unknown>> {
  if (typeof state !== 'object' || state === null || !('version' in state)) {
    throw new StateError('This is no saved state of a spawner: it has no version.');
  }
  const fields: Readonly<Record<string, unknown>> = { ...state };
  if (fields['version'] !== 1) {
    throw new StateError(
      `The saved state has version ${JSON.stringify(fields['version'])}; this release of hubspawner reads version 1.`,
    );
  }
  if (fields['spawner'] !== kind) {
    throw new StateError(
      `The saved state is one of the spawner ${JSON.stringify(fields['spawner'])}, not of ${kind}.`,
    );
  }
  return fields;
}
