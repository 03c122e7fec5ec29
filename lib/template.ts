import mustache from 'mustache';
import { OptionsError } from './errors.ts';
import { refuseNul } from './quote.ts';
import type { ScriptRules, ScriptValue } from './script.ts';
import { listed, placeRaw, placeValue } from './script.ts';
import { shellPlaces } from './shell.ts';

/** A value that a template can use; an undefined one is known, and there is nothing to write. */
export type TemplateValue = ScriptValue | undefined;

/** The values that templates can use, by their names. */
export type TemplateView = Readonly<Record<string, TemplateValue>>;

/**
 * A mustache template that was read without errors: `{{name}}`, sections `{{#name}}…{{/name}}` and
 * inverted sections `{{^name}}…{{/name}}` around what depends on a value, and comments `{{! … }}`.
 *
 * `undefined`, `false`, `0`, an empty text and an empty list are false in a section. A section over a
 * list is written once for each of its texts, which is `{{.}}` there; in one over a text or number
 * `{{.}}` is that. An undefined value and an empty list write nothing, `false` and `0` themselves.
 */
export interface Template {
  /** The option that the template comes from, as in `script` or `commands.cancel[1]`. */
  readonly option: string;
  /** The names that it uses, `.` aside. */
  readonly names: ReadonlySet<string>;
  /** Those of them that it uses in `{{{name}}}` or `{{&name}}`. */
  readonly rawNames: ReadonlySet<string>;
  readonly tokens: readonly Token[];
}

type Token =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'value'; readonly name: string; readonly raw: boolean; readonly line: number }
  | {
      readonly kind: 'section';
      readonly name: string;
      readonly inverted: boolean;
      readonly line: number;
      readonly tokens: readonly Token[];
    };

/** Mustache's own: type, text or name, start and end in the template, what stands in a section. */
type MustacheToken = readonly [
  type: string,
  value: string,
  start: number,
  end: number,
  tokens?: readonly MustacheToken[],
];

/** A value in its place. `source` is its name, or that of the section whose text `.` is. */
interface Filled {
  readonly name: string;
  readonly source: string;
  readonly raw: boolean;
  /** The line in the template. */
  readonly line: number;
  readonly value: ScriptValue;
}

/** What `.` is in a section. */
interface Item {
  readonly source: string;
  readonly value: string | number;
}

/**
 * Reads a mustache template.
 *
 * @param option The path of the option that it comes from, for error messages.
 * @throws {OptionsError} for what is not mustache, and for partials and other delimiters, which are
 *   not supported.
 */
export function parseTemplate(text: string, option: string): Template {
  if (text.includes('\0')) {
    throw templateError(option, 'holds a NUL character');
  }
  const names = new Set<string>();
  const rawNames = new Set<string>();

  function convert(token: MustacheToken): Token[] {
    const [type, value, start, , inner = []] = token;
    const line = text.slice(0, start).split('\n').length;
    switch (type) {
      case 'text':
        return [{ kind: 'text', text: value }];
      case '!':
        return [{ kind: 'text', text: '' }];
      case 'name':
      case '&':
        if (value !== '.') {
          names.add(value);
        }
        if (value !== '.' && type === '&') {
          rawNames.add(value);
        }
        return [{ kind: 'value', name: value, raw: type === '&', line }];
      case '#':
      case '^': {
        if (value !== '.') {
          names.add(value);
        }
        const tokens = inner.flatMap(convert);
        return [{ kind: 'section', name: value, inverted: type === '^', line, tokens }];
      }
      case '>':
        throw templateError(option, `has the partial {{>${value}}}, and there are no partials`);
      default:
        throw templateError(option, 'changes the delimiters; they are always {{ and }}');
    }
  }

  let parsed: readonly MustacheToken[];
  try {
    // A writer of its own, since the shared one keeps every template for good.
    parsed = new mustache.Writer().parse(text, ['{{', '}}']);
  } catch (error) {
    throw templateError(option, `can't be read: ${error instanceof Error ? error.message : error}`);
  }
  return { option, names, rawNames, tokens: parsed.flatMap(convert) };
}

/**
 * Writes a job script. Every value is escaped for the place where it stands in the script:
 *
 * - on a directive line by `rules.directiveWord`, a list with commas between its texts; where the
 *   template has it in quotes, as it is, if it needs no quoting. A text that begins a word must not
 *   begin with `-`, else it could be another option;
 * - on a line that begins with `#` and a letter or sign, which may be another scheduler's directive,
 *   as it is, if it needs no quoting;
 * - in other comments as it is, without line breaks;
 * - everywhere else as a word of the POSIX shell, a list as several words with blanks between them,
 *   for which it has to begin a word. Text before and after a value belongs to the same word, as in
 *   `{{homedir}}/log`; quotes around it would quote its own quotes, so they are refused, as are
 *   here-documents, backquotes, arithmetic and `${…}`.
 *
 * Values are never read as a template, and none can make a line that is taken for a directive.
 *
 * @throws {OptionsError} for a name that the view lacks, for `{{{name}}}` of one that is not
 *   `rules.raw`, and for a value that can't stand in its place.
 */
export function renderScript(template: Template, view: TemplateView, rules: ScriptRules): string {
  const filled = fill(template, view);
  for (const name of template.rawNames) {
    if (!rules.raw.has(name)) {
      throw templateError(template.option, `has {{{${name}}}}, but only {{${name}}} is allowed`);
    }
  }
  const parts = filled.map((part) =>
    typeof part === 'string' || !part.raw
      ? part
      : { ...part, text: explained(template, part, () => rawText(part, rules)) },
  );
  const outline = parts.map((part) =>
    typeof part === 'string' ? part : 'text' in part ? part.text : '\0',
  );
  const places = shellPlaces(outline.join('')).values();

  let script = '';
  for (const part of parts) {
    const line = script.slice(script.lastIndexOf('\n') + 1);
    if (typeof part === 'string') {
      script += part;
    } else if ('text' in part) {
      script += explained(template, part, () => placeRaw(part.text, line));
    } else {
      const place = places.next().value ?? 'unknown';
      script += explained(template, part, () => placeValue(part.value, place, line, rules));
    }
  }
  return script;
}

/**
 * Writes a text in a language of its own, such as a description of a job: each value by `write`,
 * which throws a RangeError, as the escapers do, where it can't stand there.
 *
 * @throws {OptionsError} as `renderScript`
 */
export function renderText(
  template: Template,
  view: TemplateView,
  write: (text: string) => string,
  raw: ReadonlySet<string>,
): string {
  return fill(template, view)
    .map((part) =>
      typeof part === 'string'
        ? part
        : explained(template, part, () =>
            part.raw ? rawText(part, { raw }) : write(listed(part.value)),
          ),
    )
    .join('');
}

/**
 * Writes the arguments of a command, which no shell reads: the values stand as they are, a list with
 * commas between its texts. An argument that turns out empty is left out, unless its template is
 * empty: so an option can depend on a value, as in
 * `{{#cluster}}--clusters={{cluster}}{{/cluster}}`. `{{name}}` and `{{{name}}}` are the same here.
 *
 * @throws {OptionsError} for a name that the view lacks, for NUL, and where an argument that begins
 *   with a value begins with `-`: it would be an option.
 */
export function renderArguments(templates: readonly Template[], view: TemplateView): string[] {
  return templates.flatMap((template) => {
    const parts = fill(template, view).filter((part) => part !== '');
    const argument = parts
      .map((part) =>
        typeof part === 'string' ? part : explained(template, part, () => argumentText(part.value)),
      )
      .join('');
    const first = parts[0];
    if (typeof first === 'object' && argument.startsWith('-')) {
      throw valueError(template, first, 'makes the argument begin with -, as options do');
    }
    return argument === '' && template.tokens.length > 0 ? [] : [argument];
  });
}

/** The texts of a template, and between them the values that the view has for it. */
function fill(template: Template, view: TemplateView): (string | Filled)[] {
  const values = new Map<string, TemplateValue>();
  for (const name of template.names) {
    if (!Object.hasOwn(view, name)) {
      const known = Object.keys(view).sort().join(', ');
      throw templateError(template.option, `uses the unknown name ${name}; known are ${known}`);
    }
    const value: unknown = view[name];
    if (!isTemplateValue(value)) {
      throw templateError(template.option, `uses ${name}, whose value is no text, number or list`);
    }
    values.set(name, value);
  }

  function fillIn(tokens: readonly Token[], item: Item | undefined): (string | Filled)[] {
    return tokens.flatMap((token): (string | Filled)[] => {
      if (token.kind === 'text') {
        return [token.text];
      }
      if (token.name === '.' && item === undefined) {
        const where = `on line ${token.line}, outside of a section over a list or text`;
        throw templateError(template.option, `has {{.}} ${where}`);
      }
      const value = token.name === '.' ? item?.value : values.get(token.name);
      const source = token.name === '.' ? (item?.source ?? '.') : token.name;
      if (token.kind === 'value') {
        const { name, raw, line } = token;
        const nothing = value === undefined || (typeof value === 'object' && value.length === 0);
        return nothing ? [] : [{ name, source, raw, line, value }];
      }
      const holds = typeof value === 'object' ? value.length > 0 : Boolean(value);
      if (holds === token.inverted) {
        return [];
      }
      if (typeof value === 'object' && holds) {
        return value.flatMap((text) => fillIn(token.tokens, { source, value: text }));
      }
      const isItem = holds && (typeof value === 'string' || typeof value === 'number');
      return fillIn(token.tokens, isItem ? { source, value } : item);
    });
  }

  return fillIn(template.tokens, undefined);
}

function rawText(part: Filled, rules: Pick<ScriptRules, 'raw'>): string {
  if (!rules.raw.has(part.source)) {
    throw new RangeError(`is from ${part.source}, which may only stand in {{.}}`);
  }
  if (typeof part.value === 'object') {
    throw new RangeError('is a list: write a section over it');
  }
  const text = String(part.value);
  refuseNul(text);
  return text;
}

function argumentText(value: ScriptValue): string {
  const text = listed(value);
  refuseNul(text);
  return text;
}

function isTemplateValue(value: unknown): value is TemplateValue {
  return Array.isArray(value)
    ? value.every((text) => typeof text === 'string')
    : ['string', 'number', 'boolean', 'undefined'].includes(typeof value);
}

/** Says of which value the RangeError of an escaper is. */
function explained(template: Template, part: Filled, write: () => string): string {
  try {
    return write();
  } catch (error) {
    throw error instanceof RangeError ? valueError(template, part, error.message) : error;
  }
}

function valueError({ option }: Template, { name, raw, line }: Filled, reason: string) {
  const tag = raw ? `{{{${name}}}}` : `{{${name}}}`;
  return new OptionsError(
    option,
    'a template whose values can be written where it has them',
    `The template of the option ${option} can't be filled in: ${tag} on line ${line} ${reason}.`,
  );
}

function templateError(option: string, reason: string): OptionsError {
  const message = `The template of the option ${option} ${reason}.`;
  return new OptionsError(option, 'a mustache template', message);
}
