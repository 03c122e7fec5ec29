import { resolve } from 'node:path';
import type { SpawnerContext } from '../context.ts';
import { OptionsError } from '../errors.ts';
import type { LocalProcessOptions } from '../generated/options.ts';
import { parseTemplate, renderArguments } from '../template.ts';

/**
 * The absolute path of the file that takes what a server prints.
 *
 * @param home the home directory of the server's account
 * @throws OptionsError if the template can't be filled in
 */
export function logFile(
  { user, serverName = '' }: SpawnerContext,
  options: LocalProcessOptions,
  home: string,
): string {
  const username = inFileName(user.name);
  const servername = inFileName(serverName);
  const [file] = renderArguments([parseTemplate(options.logFile, 'logFile')], {
    username,
    servername,
    name: servername === '' ? username : `${username}+${servername}`,
    account: user.account ?? user.name,
    homedir: home,
  });
  if (file === undefined) {
    throw new OptionsError('logFile', 'a template that does not come out empty');
  }
  return resolve(home, file);
}

/** A name as a part of the name of a file: different for different names, and without `/` and `+`. */
function inFileName(name: string): string {
  return encodeURIComponent(name)
    .replace(/[!'()*]|^\./g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%40', '@');
}
