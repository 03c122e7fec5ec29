import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Choices } from './kinds.ts';

/** What the hub keeps of one server over its own restart. */
export interface SavedServer {
  readonly user: string;
  /** '' is the server without a name. */
  readonly name: string;
  /** Of the kind. */
  readonly kind: string;
  readonly choices: Choices;
  /** The server knows the hub by it, and asks everybody for it: without it the hub is locked out. */
  readonly token: string;
  /** What `getState()` of the spawner gave. */
  readonly state: unknown;
}

/**
 * Reads the servers that an earlier hub has saved; none where there is no file.
 *
 * @throws Error if the file can not be read, or is not what `saveServers` writes
 */
export function readServers(file: string): SavedServer[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return [];
    }
    throw error;
  }
  const saved = parse(text);
  if (!isRecord(saved) || saved['version'] !== 1 || !Array.isArray(saved['servers'])) {
    throw unreadable(file);
  }
  return saved['servers'].map((entry: unknown) => {
    if (!isRecord(entry)) {
      throw unreadable(file);
    }
    const { user, name, kind, choices, token, state } = entry;
    if (
      typeof user !== 'string' ||
      typeof name !== 'string' ||
      typeof kind !== 'string' ||
      typeof token !== 'string' ||
      !isChoices(choices)
    ) {
      throw unreadable(file);
    }
    return { user, name, kind, choices, token, state };
  });
}

/**
 * Replaces the file by a new one, which is whole at any time and which only the hub's account can
 * read: who has a server's token can do in it whatever its owner can.
 */
export function saveServers(file: string, servers: readonly SavedServer[]): void {
  const unfinished = `${file}.${process.pid}`;
  writeFileSync(unfinished, `${JSON.stringify({ version: 1, servers }, null, 2)}\n`, {
    mode: 0o600,
  });
  renameSync(unfinished, file);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unreadable(file: string): Error {
  return new Error(
    `${file} is no state of this hub. Move it away to begin without servers; ` +
      'those that it listed, if it did, go on without a hub.',
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isChoices(value: unknown): value is Choices {
  return isRecord(value) && Object.values(value).every((field) => typeof field === 'string');
}
