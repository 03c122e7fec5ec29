import { readdirSync, readFileSync } from 'node:fs';
import type { AnySchemaObject, ValidateFunction } from 'ajv/dist/2020.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { DataValidationCxt } from 'ajv/dist/types/index.js';
import { OptionsError } from './errors.ts';
import { kindOf, optionPath, optionsError } from './options-error.ts';
import type { Schema } from './schema-reader.ts';

/**
 * The name of a file in schemas/, or a schema of one's own that refers to them, as in
 * `{ allOf: [{ $ref: 'spawner.json' }], properties: { image: { type: 'string' } } }`. Options that it
 * does not name are refused. Values below a `writeOnly: true` are secrets, and are in no error.
 */
export type OptionsSchema = string | Readonly<Record<string, unknown>>;

const folder = new URL('../schemas/', import.meta.url);

/** By the name of the schema or its JSON, since a class may make its schema anew at each call. */
const validators = new Map<string, ValidateFunction>();
/** How many schemas of classes of other packages have been given a name. */
let ownSchemas = 0;
let ajv: Ajv2020 | undefined;

/** What came of options that nobody can change, by the check. */
const shared = new WeakMap<object, Map<ValidateFunction, unknown>>();

/**
 * A frozen copy of options that many are made with: `checkOptions` checks it once, and gives all of
 * them the same object. Options that can't be copied are returned as they are.
 */
export function sharedOptions<O extends object>(options: O): O {
  try {
    const copy = copyOf(options, [], []);
    shared.set(Object(copy), new Map());
    // A copy of it.
    return deepFreeze(copy) as O;
  } catch {
    // Whoever checks them says what is wrong.
    return options;
  }
}

/**
 * Checks options, fills in defaults, and freezes the result, which is a copy.
 *
 * @throws OptionsError that names the first wrong option by its path, and what was expected
 */
export function checkOptions<O>(schema: OptionsSchema, options: Partial<O>): O {
  const validate = validatorOf(schema);
  const results = shared.get(options);
  const result = results?.get(validate) ?? checked(validate, options, schema);
  results?.set(validate, result);
  // Checked against the schema from which the type was made.
  return result as O;
}

function checked(validate: ValidateFunction, options: unknown, schema: OptionsSchema): unknown {
  const copy = copyOf(options, [], []);
  if (!validate.call(schema, copy)) {
    throw optionsError(validate.errors ?? [], validate.schema, documentOf);
  }
  return deepFreeze(copy);
}

function validatorOf(schema: OptionsSchema): ValidateFunction {
  const key = typeof schema === 'string' ? schema : JSON.stringify(schema);
  let validate = validators.get(key);
  if (validate === undefined) {
    ajv ??= createAjv();
    const name = typeof schema === 'string' ? schema : `own-${ownSchemas}.json`;
    if (typeof schema !== 'string') {
      ownSchemas += 1;
      const own: AnySchemaObject = JSON.parse(key);
      ajv.addSchema(own, name);
    }
    validate = ajv.compile({ $ref: name, type: 'object', unevaluatedProperties: false });
    validators.set(key, validate);
  }
  return validate;
}

function createAjv(): Ajv2020 {
  const created = new Ajv2020({
    useDefaults: true,
    allowUnionTypes: true,
    verbose: true,
    passContext: true,
    // The schemas refine what they refer to, and say its type only there.
    strictTypes: false,
    strictRequired: false,
    formats: { regex: isRegExp },
  });
  created.addVocabulary(['tsType', 'requestNames']);
  created.addKeyword({
    keyword: 'instanceof',
    validate: (_name: string, value: unknown) => typeof value === 'function',
    error: { message: 'must be a function' },
  });
  // The name of an option that is a list of the names allowed here, beside those that the outermost
  // schema has under the same name.
  created.addKeyword({
    keyword: 'listedIn',
    before: '$ref',
    schemaType: 'string',
    validate(
      this: unknown,
      option: string,
      _value: unknown,
      _schema: unknown,
      place?: DataValidationCxt,
    ) {
      const lists: unknown[] = [Object(this)[option], Object(place?.rootData)[option]];
      return lists.some(
        (names) => Array.isArray(names) && names.includes(place?.parentDataProperty),
      );
    },
  });
  for (const name of readdirSync(folder)) {
    const schema: AnySchemaObject = JSON.parse(readFileSync(new URL(name, folder), 'utf8'));
    created.addSchema(schema, name);
  }
  return created;
}

function documentOf(name: string): Schema | undefined {
  const schema: unknown = ajv?.getSchema(name)?.schema;
  return typeof schema === 'object' && schema !== null ? { ...schema } : undefined;
}

function isRegExp(text: string): boolean {
  try {
    new RegExp(text, 'mu');
    return true;
  } catch {
    return false;
  }
}

/**
 * A copy of plain objects and lists, with functions as they are and `undefined` left out.
 *
 * @param above the objects that it stands in
 */
function copyOf(value: unknown, path: readonly string[], above: readonly object[]): unknown {
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const name = optionPath(path);
  if (above.includes(value)) {
    throw new OptionsError(
      name,
      'an object that is not part of itself',
      `The option ${name} is the same object as one that it stands in: such options have no end.`,
    );
  }
  const copy = (inner: unknown, part: string) => copyOf(inner, [...path, part], [...above, value]);
  if (Array.isArray(value)) {
    return Array.from(value, (inner: unknown, index) => copy(inner, String(index)));
  }
  if (!isPlain(value)) {
    throw new OptionsError(
      name,
      'a plain object, a list, a text, a number, a truth value or a function',
      `${path.length === 0 ? 'The options are' : `The option ${name} is`} ${kindOf(value)}; options are plain objects, lists, texts, numbers, truth values and functions.`,
    );
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([part, inner]) => [part, copy(inner, part)]),
  );
}

/** Whether an object is no instance of a class; one of another realm has a prototype of its own. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function deepFreeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
