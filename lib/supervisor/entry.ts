import { createHash } from 'node:crypto';
import { StoreError } from '../errors.ts';

const version = 1;

/** What one file of a `FileStore` holds. */
export interface Entry {
  readonly key: string;
  readonly value: unknown;
}

/**
 * The name of a key's file: a part that people can read, and one that differs for all keys, even
 * where upper and lower case are the same to the file system. The hash is of the key as JSON,
 * which has a spelling of its own for the half characters that UTF-8 has none for.
 */
export function fileNameOf(key: string): string {
  const readable = key
    .slice(0, 40)
    .replace(/^-|[^A-Za-z0-9_-]/g, '_')
    .toLowerCase();
  const hash = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 32);
  return `${readable || '_'}-${hash}.json`;
}

/**
 * A value as JSON.
 *
 * @throws StoreError if it can't be written as JSON
 */
export function jsonOf(key: string, value: unknown): string {
  let text: string | undefined;
  let cause: unknown;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    cause = error;
  }
  if (text === undefined) {
    throw new StoreError(`The value of ${JSON.stringify(key)} can't be kept: it is no JSON.`, {
      cause,
    });
  }
  return text;
}

/**
 * The content of a key's file.
 *
 * @throws StoreError if the value can't be written as JSON
 */
export function formatEntry(key: string, value: unknown): string {
  return `{"version":${version},"key":${JSON.stringify(key)},"value":${jsonOf(key, value)}}\n`;
}

/** What a file holds, or the reason why it can't be used, as in `it is empty`. */
export function parseEntry(bytes: Uint8Array, fileName: string): Entry | string {
  if (bytes.length === 0) {
    return 'it is empty';
  }
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return 'it is no JSON';
  }
  if (typeof content !== 'object' || content === null || !('version' in content)) {
    return 'it has no version';
  }
  if (content.version !== version) {
    const found = JSON.stringify(content.version).slice(0, 40);
    return `it has version ${found}, where this release of hubspawner reads version ${version}`;
  }
  if (!('key' in content && typeof content.key === 'string' && 'value' in content)) {
    return 'it has no key or no value';
  }
  if (fileNameOf(content.key) !== fileName) {
    return 'its name is not the one that belongs to its key';
  }
  return { key: content.key, value: content.value };
}
