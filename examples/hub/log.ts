import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** In bytes. */
const tailLength = 4096;

/** Where the server at a path like `/user/alice/` writes its log: one file for each. */
export function logFileOf(path: string, folder: string): string {
  const readable = path.replace(/[^A-Za-z0-9]+/g, '-').slice(0, 60);
  const distinct = createHash('sha256').update(path).digest('hex').slice(0, 8);
  return join(folder, `log${readable}${distinct}.txt`);
}

/** The end of a log, from the beginning of a line; undefined where there is none. */
export function tailOf(file: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return undefined;
  }
  try {
    const start = Math.max(0, fstatSync(descriptor).size - tailLength);
    const buffer = Buffer.alloc(tailLength);
    const text = buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, tailLength, start));
    return (start === 0 ? text : text.replace(/^.*\n/, '')).trim() || undefined;
  } finally {
    closeSync(descriptor);
  }
}
