import { constants } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf, StoreError } from '../errors.ts';

/** Neither follows a symbolic link nor waits at a pipe. */
const readOnly = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Makes a directory that only this account can use, and its parents, and sees to it that it is one.
 *
 * @param path absolute
 * @throws StoreError if others may write to it
 */
export async function makePrivateDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first !== undefined) {
    for (let made = path; made.length >= first.length; made = dirname(made)) {
      await syncDirectory(dirname(made));
    }
  }
  const { mode, uid } = await stat(path);
  const own = process.geteuid?.() ?? uid;
  if ((mode & 0o022) !== 0) {
    throw new StoreError(
      `Others may write to the directory ${path} (its mode is ${(mode & 0o777).toString(8)}): take ` +
        'that away by chmod go-w, or name one inside it, which is then made.',
    );
  }
  if (uid !== own && uid !== 0) {
    throw new StoreError(
      `The directory ${path} belongs to another account, with the number ${uid}: this one has ${own}.`,
    );
  }
}

/** Creates a file that only this account can read, and waits until the disk has it. */
export async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Waits until the disk has the names of a directory, where it can be asked to. */
export async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    // The file system has no such request, or the directory is a parent that may only be entered.
    if (!['EINVAL', 'ENOTSUP', 'EACCES'].includes(codeOf(error) ?? '')) {
      throw error;
    }
  }
}

/** The bytes of a file; null for what is there and is none, as a directory or a pipe. */
export async function readRegularFile(path: string): Promise<Uint8Array | null> {
  const file = await open(path, readOnly);
  try {
    return (await file.stat()).isFile() ? await file.readFile() : null;
  } finally {
    await file.close();
  }
}

export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}
