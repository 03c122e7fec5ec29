import { readdirSync, readFileSync } from 'node:fs';
import type { AnySchemaObject, ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { OptionsError } from './errors.ts';

/** The name of a file in schemas/, or a schema of one's own that refers to them by `$ref`. */
export type OptionsSchema = string | Readonly<Record<string, unknown>>;

const folder = new URL('../schemas/', import.meta.url);

const validators = new Map<OptionsSchema, ValidateFunction>();
let ajv: Ajv2020 | undefined;

/**
 * Checks options, fills in defaults, and freezes the result, which is a copy.
 *
 * @throws OptionsError that names the first wrong option by its path, and what was expected
 */
export function checkOptions<O>(schema: OptionsSchema, options: Partial<O>): O {
  const copy = copyOf(options);
  const validate = validatorOf(schema);
  if (!validate(copy)) {
    throw optionsError(validate.errors ?? []);
  }
  // Checked above against the schema from which the type was made.
  return deepFreeze(copy) as O;
}

function validatorOf(schema: OptionsSchema): ValidateFunction {
  let validate = validators.get(schema);
  if (validate === undefined) {
    ajv ??= createAjv();
    validate = typeof schema === 'string' ? ajv.getSchema(schema) : ajv.compile({ ...schema });
    if (validate === undefined) {
      throw new Error(`There is no schema ${String(schema)}.`);
    }
    validators.set(schema, validate);
  }
  return validate;
}

function createAjv(): Ajv2020 {
  const created = new Ajv2020({
    useDefaults: true,
    allowUnionTypes: true,
    verbose: true,
    // The schemas refine what they refer to, and say its type only there.
    strictTypes: false,
    strictRequired: false,
    formats: { regex: isRegExp },
  });
  created.addVocabulary(['tsType']);
  created.addKeyword({
    keyword: 'instanceof',
    validate: (_name: string, value: unknown) => typeof value === 'function',
    error: { message: 'must be a function' },
  });
  for (const name of readdirSync(folder)) {
    const schema: AnySchemaObject = JSON.parse(readFileSync(new URL(name, folder), 'utf8'));
    created.addSchema(schema, name);
  }
  return created;
}

function isRegExp(text: string): boolean {
  try {
    new RegExp(text, 'mu');
    return true;
  } catch {
    return false;
  }
}

/** A copy of plain objects and lists, with functions as they are and `undefined` left out. */
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(copyOf);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([name, inner]) => [name, copyOf(inner)]),
  );
}

function deepFreeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}

/** The error that lies deepest says most: the others only repeat that a branch has failed. */
function optionsError(errors: readonly ErrorObject[]): OptionsError {
  const deepest = errors.reduce((a, b) => (depth(b) > depth(a) ? b : a));
  const alternatives = errors.find(
    ({ keyword, instancePath }) => keyword === 'anyOf' && instancePath === deepest.instancePath,
  );
  if (alternatives !== undefined) {
    const expected = errors
      .filter((error) => error.instancePath === deepest.instancePath && error !== alternatives)
      .filter(({ keyword }) => keyword !== '$ref')
      .map(expectation);
    return wrong(pathOf(deepest.instancePath), [...new Set(expected)].join(', or '), deepest.data);
  }
  const { keyword, params, instancePath, parentSchema } = deepest;
  if (keyword === 'unevaluatedProperties' || keyword === 'additionalProperties') {
    const name = String(params['unevaluatedProperty'] ?? params['additionalProperty']);
    const path = pathOf(`${instancePath}/${escapePointer(name)}`);
    const known = Object.keys(parentSchema?.['properties'] ?? {});
    const hint = known.length === 0 ? '' : ` Known are ${known.sort().join(', ')}.`;
    return new OptionsError(path, 'left out', `There is no option ${path}.${hint}`);
  }
  if (keyword === 'propertyNames') {
    const name = String(params['propertyName']);
    return new OptionsError(
      pathOf(`${instancePath}/${escapePointer(name)}`),
      'named by letters, digits and _',
      `The name ${JSON.stringify(name)} in ${pathOf(instancePath)} must consist of letters, digits and _.`,
    );
  }
  return wrong(pathOf(instancePath), expectation(deepest), deepest.data);
}

/** Options may be secrets: of a value, only numbers, truth values and kinds are told. */
function wrong(path: string, expected: string, value: unknown): OptionsError {
  const got =
    typeof value === 'number' || typeof value === 'boolean'
      ? String(value)
      : value === null
        ? 'null'
        : Array.isArray(value)
          ? 'a list'
          : `${typeof value === 'object' ? 'an' : 'a'} ${typeof value === 'string' ? 'text' : typeof value}`;
  return new OptionsError(path, expected, `The option ${path} must be ${expected}; it is ${got}.`);
}

function expectation({ keyword, params, parentSchema, message }: ErrorObject): string {
  switch (keyword) {
    case 'type':
      return kinds(params['type']);
    case 'enum':
      return `one of ${(params['allowedValues'] as readonly unknown[]).map((value) => JSON.stringify(value)).join(', ')}`;
    case 'pattern': {
      const examples: unknown = parentSchema?.['examples'];
      const example = Array.isArray(examples) ? `, as in ${JSON.stringify(examples[0])}` : '';
      return `a text that matches ${params['pattern']}${example}`;
    }
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
      return `a number ${params['comparison']} ${params['limit']}`;
    case 'minLength':
      return 'a text that is not empty';
    case 'minItems':
      return 'a list that is not empty';
    case 'uniqueItems':
      return 'a list without repetitions';
    case 'required':
      return `an object with ${params['missingProperty']}`;
    case 'format':
      return 'a regular expression';
    case 'instanceof':
      return 'a function';
    default:
      return message?.replace(/^must be /, '') ?? 'otherwise';
  }
}

const kindNames: Readonly<Record<string, string>> = {
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  null: 'null',
};

function kinds(type: string | readonly string[]): string {
  return [type]
    .flat()
    .map((name) => kindNames[name] ?? name)
    .join(' or ');
}

function depth({ instancePath }: ErrorObject): number {
  return instancePath.split('/').length;
}

function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** `/args/2` as `args[2]`. */
function pathOf(pointer: string): string {
  const path = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^[0-9]+$/.test(part) ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');
  return path === '' ? 'options' : path;
}
