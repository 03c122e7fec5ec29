import type { ErrorObject } from 'ajv/dist/2020.js';
import { OptionsError } from './errors.ts';
import type { Chain, Schema } from './schema-reader.ts';
import { first, partsOf, SchemaReader, schemaIn } from './schema-reader.ts';

/**
 * Puts in words what ajv has found. What was expected is read from the whole schema of the option,
 * since the keyword that has failed is only a part of it, and a pattern is nothing for a person.
 *
 * @param documentOf finds a schema by the name that a `$ref` has for it
 */
export function optionsError(
  errors: readonly ErrorObject[],
  root: unknown,
  documentOf: (name: string) => Schema | undefined,
): OptionsError {
  // The error that lies deepest says most: the others only repeat that a branch has failed.
  const deepest = errors.reduce((a, b) => (depth(b) > depth(a) ? b : a));
  const same = errors.filter(({ instancePath }) => instancePath === deepest.instancePath);
  // An error about a name comes together with what is wrong with it.
  const error = same.find(({ keyword }) => keyword === 'propertyNames') ?? deepest;
  const { keyword, params, data, message = '' } = error;

  const path = partsOf(error.instancePath);
  const name = optionPath(path);
  const reader = new SchemaReader(documentOf);
  const chains = reader.along(root, path);
  const chain = chains.at(-1) ?? [];

  switch (keyword) {
    case 'listedIn':
      return unknownOption(path.slice(0, -1), path.at(-1) ?? '', chains.at(-2) ?? []);
    case 'unevaluatedProperties':
    case 'additionalProperties': {
      const key = String(params['unevaluatedProperty'] ?? params['additionalProperty']);
      return unknownOption(path, key, chain);
    }
    case 'propertyNames': {
      const key = String(params['propertyName']);
      const expected = reader.nameExpectation(chain) ?? 'another name';
      const text = `The name ${JSON.stringify(key)} in ${name} must be ${expected}.`;
      return new OptionsError(optionPath([...path, key]), expected, text);
    }
    case 'required': {
      const key = String(params['missingProperty']);
      const missing = optionPath([...path, key]);
      const expected = reader.expectation(reader.step(chain, key)) ?? 'given';
      const text = `The option ${missing} is missing; it must be ${expected}.`;
      return new OptionsError(missing, expected, text);
    }
    case 'uniqueItems': {
      const text = `The option ${name} has the same at [${params['j']}] and [${params['i']}].`;
      return new OptionsError(name, 'a list without repetitions', text);
    }
  }

  const expected = same.every(isTold) ? reader.expectation(chain) : undefined;
  if (expected === undefined) {
    const text = `The option ${name} ${message}.`;
    return new OptionsError(name, message.replace(/^must be /, ''), text);
  }
  const isForm = same.some((other) => other.keyword === 'pattern');
  const meaning = isForm && first(chain, 'title') === undefined ? meaningOf(chain) : '';
  const isSecret = chains.some((part) => first(part, 'writeOnly') === true);
  const value = isSecret ? kindOf(data) : shown(data);
  const [subject, be] = path.length === 0 ? ['options', 'they are'] : [`option ${name}`, 'it is'];
  const text = `The ${subject} must be ${expected}; ${be} ${value}.${meaning}`;
  return new OptionsError(name, expected, text);
}

function unknownOption(path: readonly string[], key: string, chain: Chain): OptionsError {
  const unknown = optionPath([...path, key]);
  // A schema may have the name, where another one that it refers to does not allow it.
  const known = chain
    .flatMap(({ schema }) => Object.keys(schemaIn(schema, 'properties')))
    .filter((name) => name !== key);
  const hint = known.length === 0 ? '' : ` ${suggestion(key, [...new Set(known)], path)}`;
  return new OptionsError(unknown, 'left out', `There is no option ${unknown}.${hint}`);
}

/** The keywords that `expectation` puts in words. */
function isTold({ keyword, params }: ErrorObject): boolean {
  const told = ['type', 'enum', 'anyOf', 'instanceof', 'pattern', 'format'];
  return (
    told.includes(keyword) ||
    /^(exclusiveM|m)(in|ax)imum$/.test(keyword) ||
    ((keyword === 'minLength' || keyword === 'minItems') && params['limit'] === 1)
  );
}

/** What the option is, if its schema says so: the first sentence of the description. */
function meaningOf(chain: Chain): string {
  const description = first(chain, 'description');
  const sentence =
    typeof description === 'string' ? /^.*?\.(?=\s|$)/s.exec(description)?.[0] : undefined;
  return sentence === undefined ? '' : ` ${sentence}`;
}

/** The name that was meant, if there is one that looks like it, else all that there are. */
function suggestion(key: string, known: readonly string[], path: readonly string[]): string {
  const plain = (name: string) => name.toLowerCase().replaceAll(/[-_]/g, '');
  const meant =
    known.find((name) => plain(name) === plain(key)) ??
    known.find((name) => isNear(plain(name), plain(key)));
  return meant === undefined
    ? `Known are ${[...known].sort().join(', ')}.`
    : `Is ${optionPath([...path, meant])} meant?`;
}

/** Whether one letter is wrong, missing or too much, or two neighbours are exchanged. */
function isNear(a: string, b: string): boolean {
  const length = Math.min(a.length, b.length);
  let same = 0;
  while (same < length && a[same] === b[same]) {
    same += 1;
  }
  const [restA, restB] = [a.slice(same), b.slice(same)];
  return (
    restA.slice(1) === restB.slice(1) ||
    restA.slice(1) === restB ||
    restA === restB.slice(1) ||
    (restA.slice(2) === restB.slice(2) && restA[0] === restB[1] && restA[1] === restB[0])
  );
}

/** A value in an error: short texts, numbers, truth values; of others their kind. */
function shown(value: unknown): string {
  if (typeof value === 'string' && value.length <= 80) {
    return JSON.stringify(value);
  }
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : kindOf(value);
}

/** What sort of a value it is, with nothing of its content. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) {
    return String(value);
  }
  if (Array.isArray(value)) {
    return value.length === 0 ? 'an empty list' : 'a list';
  }
  if (typeof value === 'object') {
    const name: unknown = Object.getPrototypeOf(value)?.constructor?.name;
    return typeof name === 'string' && name !== 'Object' ? `an instance of ${name}` : 'an object';
  }
  return `a ${typeof value === 'string' ? 'text' : typeof value}`;
}

/** The parts of `/args/2` as `args[2]`. */
export function optionPath(parts: readonly string[]): string {
  const path = parts
    .map((part) => (/^[0-9]+$/.test(part) ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');
  return path === '' ? 'options' : path;
}

function depth({ instancePath }: ErrorObject): number {
  return instancePath.split('/').length;
}
