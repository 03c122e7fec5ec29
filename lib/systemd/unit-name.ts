import { createHash } from 'node:crypto';
import type { SpawnerContext } from '../context.ts';
import { OptionsError } from '../errors.ts';
import type { Template } from '../template.ts';
import { parseTemplate, renderArguments } from '../template.ts';

/** What templates of the options know. */
export interface UnitFacts {
  readonly username: string;
  /** '' where the hub gives none; no template can use it then. */
  readonly userid: string;
  readonly servername: string;
  readonly account: string;
}

/** What templates are told of a server. */
export function unitFacts({ user, serverName = '' }: SpawnerContext, account: string): UnitFacts {
  return { username: user.name, userid: user.id ?? '', servername: serverName, account };
}

/**
 * A template of an option, read.
 *
 * @throws OptionsError where it is none, or uses the id of a person who has none
 */
export function templateFor({ userid }: UnitFacts, text: string, option: string): Template {
  const template = parseTemplate(text, option);
  if (userid === '' && template.names.has('userid')) {
    throw new OptionsError(
      option,
      'a template without {{userid}} where the context has no user.id',
      `The template of the option ${option} uses {{userid}}, but the context has no user.id.`,
    );
  }
  return template;
}

/**
 * The most characters of a name: with `.service` and what systemd puts around it, it becomes that of
 * a directory in /tmp, of which 255 bytes are allowed (PrivateTmp).
 */
const longest = 180;

/**
 * The name of the unit of a server, with `.service`. Names of people and servers are escaped in it,
 * so that two servers have two units; one that is too long is cut, and ends in a hash of itself.
 *
 * @throws OptionsError where the template makes no name, or the same for two servers
 */
export function unitName(template: string, facts: UnitFacts): string {
  const parsed = templateFor(facts, template, 'unitNameTemplate');
  if (confuses(template, parsed)) {
    throw new OptionsError(
      'unitNameTemplate',
      'a template that tells one server from another: {{username}} or {{userid}}, and {{servername}}, with a - between them; people may share an {{account}}',
    );
  }
  const name = fullName(parsed, facts);
  // One that looks cut is cut as well: somebody may have the name that another's was cut to.
  const short =
    name.length <= longest && !/-[0-9a-f]{32}$/.test(name)
      ? name
      : `${name.slice(0, longest - 33).replace(/\\[^\\]{0,3}$/, '')}-${hash(name).slice(0, 32)}`;
  return `${short}.service`;
}

/** Whether it makes one name for two servers. Values may hold what stands between them. */
function confuses(template: string, parsed: Template): boolean {
  return template.split(/\{\{.*?\}\}/).some((between) => {
    const long = `a${between}a`;
    const people = [
      { username: 'a', userid: long, account: 'a' },
      { username: long, userid: 'a', account: 'a' },
    ];
    const names = people.flatMap((person) =>
      ['', 'a', long].map((servername) => fullName(parsed, { ...person, servername })),
    );
    return new Set(names).size < names.length;
  });
}

function fullName(parsed: Template, facts: UnitFacts): string {
  const escaped = escapedFacts(facts);
  const [name = ''] = renderArguments([parsed], { ...escaped });
  if (!/^[A-Za-z0-9:_.\\@-]+$/.test(name) || name.startsWith('.')) {
    throw new OptionsError(
      'unitNameTemplate',
      'a template of letters, digits and :_.-@ beside its values',
    );
  }
  const named = facts.servername !== '' && !parsed.names.has('servername');
  return named ? `${name}-${escaped.servername}` : name;
}

/** The values as they may stand in the name of a unit. */
export function escapedFacts({ username, userid, servername, account }: UnitFacts): UnitFacts {
  return {
    username: escapeUnitName(username),
    userid: escapeUnitName(userid),
    servername: escapeUnitName(servername),
    account: escapeUnitName(account),
  };
}

/**
 * A text as a part of a unit name, as systemd-escape(1) writes it: letters, digits, `:`, `_` and
 * `.` as they are, all else by its bytes, as in `\x2d`; `/` as `-` is left out, so that a `-` of
 * the template divides.
 */
export function escapeUnitName(text: string): string {
  return [...Buffer.from(text)]
    .map((byte, index) => {
      const char = String.fromCharCode(byte);
      const plain = index === 0 ? /[A-Za-z0-9:_]/ : /[A-Za-z0-9:_.]/;
      return plain.test(char) ? char : `\\x${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}

/**
 * A unit name as the name of a directory that every release of systemd takes as it is: other
 * characters than letters, digits, `_`, `.` and `-` make it end in a hash, as does a name that looks
 * like one that does.
 */
export function directoryName(unit: string): string {
  const name = unit.replace(/\.service$/, '');
  const plain = name.replace(/[^A-Za-z0-9_.-]/g, '_');
  return plain === name && !/-[0-9a-f]{16}$/.test(name)
    ? name
    : `${plain.slice(0, 100)}-${hash(name).slice(0, 16)}`;
}

/**
 * The account that systemd makes up for a unit. It would itself take the part before an `@`, which
 * several units have, and an account that is there already, be it root.
 */
export function dynamicAccount(unit: string): string {
  const readable = unit
    .replace(/\.service$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '_')
    .replace(/^[^a-z_]/, '_');
  // useradd(8) and systemd take 31 characters.
  return `${readable.slice(0, 18)}-${hash(unit).slice(0, 12)}`;
}

/** The units of all servers of a template, as a pattern for systemctl. */
export function unitPattern(template: string): string {
  const [before = ''] = template.split('{{');
  return `${before}*.service`;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
