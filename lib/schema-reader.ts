/** A JSON Schema. */
export type Schema = Readonly<Record<string, unknown>>;

/** A schema, and the document that its `#` stands for. */
interface Located {
  readonly schema: Schema;
  readonly document: Schema;
}

/** A schema and all that it refers to and is composed of; what comes first overrides the rest. */
export type Chain = readonly Located[];

/** Finds what the schemas say of an option, and puts it in words. */
export class SchemaReader {
  readonly #documentOf: (name: string) => Schema | undefined;

  constructor(documentOf: (name: string) => Schema | undefined) {
    this.#documentOf = documentOf;
  }

  /** The schemas of the options, of the option at the first part of a path in them, and so on. */
  along(root: unknown, path: readonly string[]): readonly Chain[] {
    let chain = isSchema(root) ? this.#chain(root, root) : [];
    const chains = [chain];
    for (const name of path) {
      chain = this.step(chain, name);
      chains.push(chain);
    }
    return chains;
  }

  /** The schema of one property or item. */
  step(chain: Chain, name: string): Chain {
    return chain.flatMap(({ schema, document }) => {
      const properties = schemaIn(schema, 'properties');
      const inner = Object.hasOwn(properties, name)
        ? properties[name]
        : (schema['additionalProperties'] ?? schema['items']);
      return isSchema(inner) ? this.#chain(inner, document) : [];
    });
  }

  /** What an option must be, as in `a whole number from 0 to 65535`. */
  expectation(chain: Chain): string | undefined {
    const examples = listed(first(chain, 'examples'));
    const alternatives = chain.flatMap(({ schema, document }) =>
      listed(schema['anyOf'])
        .filter(isSchema)
        .map((one) => inWords(this.#chain(one, document), examples)),
    );
    const words = alternatives.length === 0 ? [inWords(chain, examples)] : alternatives;
    return words.includes(undefined) ? undefined : [...new Set(words)].join(', or ');
  }

  /** What the name of a property must be. */
  nameExpectation(chain: Chain): string | undefined {
    const [names] = chain.flatMap(({ schema, document }) => {
      const inner = schema['propertyNames'];
      return isSchema(inner) ? [this.#chain(inner, document)] : [];
    });
    return names && inWords(names, []);
  }

  #chain(schema: Schema, document: Schema): Chain {
    const parts = listed(schema['allOf']).filter(isSchema);
    return [
      { schema, document },
      ...parts.flatMap((one) => this.#chain(one, document)),
      ...this.#referred(schema, document),
    ];
  }

  #referred({ $ref }: Schema, from: Schema): Chain {
    if (typeof $ref !== 'string') {
      return [];
    }
    const [name = '', pointer = ''] = $ref.split('#');
    const document = name === '' ? from : this.#documentOf(name);
    let schema: unknown = document;
    for (const key of partsOf(pointer)) {
      schema = isSchema(schema) ? schema[key] : undefined;
    }
    return document !== undefined && isSchema(schema) ? this.#chain(schema, document) : [];
  }
}

function inWords(chain: Chain, examples: readonly unknown[]): string | undefined {
  const choices = listed(first(chain, 'enum'));
  if (choices.length > 0) {
    return either.format(choices.map((choice) => JSON.stringify(choice)));
  }
  if (first(chain, 'instanceof') !== undefined) {
    return 'a function';
  }
  const type = first(chain, 'type');
  if (Array.isArray(type)) {
    const kinds = type.map((one) =>
      inWords([{ schema: { type: one }, document: {} }, ...chain], []),
    );
    return either.format(kinds.filter((kind) => kind !== undefined));
  }
  switch (type) {
    case 'string':
      return textInWords(chain, examples);
    case 'integer':
      return `a whole number${range(chain)}`;
    case 'number':
      return `a number${range(chain)}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list${first(chain, 'minItems') === 1 ? ' that is not empty' : ''}${such(examples)}`;
    case 'object':
      return 'an object';
    case 'null':
      return 'null';
    default:
      return undefined;
  }
}

const either = new Intl.ListFormat('en-GB', { type: 'disjunction' });

function textInWords(chain: Chain, examples: readonly unknown[]): string {
  if (first(chain, 'format') === 'regex') {
    return 'a regular expression';
  }
  const texts = examples.filter((example) => typeof example === 'string');
  const title = first(chain, 'title');
  if (title !== undefined) {
    return `${title}${such(texts)}`;
  }
  const pattern = first(chain, 'pattern');
  if (pattern !== undefined && texts.length === 0) {
    return `a text that matches ${pattern}`;
  }
  return `a text${first(chain, 'minLength') === 1 ? ' that is not empty' : ''}${such(texts)}`;
}

function such(examples: readonly unknown[]): string {
  const words = examples.slice(0, 2).map((example) => JSON.stringify(example));
  return words.length === 0 ? '' : `, such as ${words.join(' or ')}`;
}

function range(chain: Chain): string {
  const [min, max] = [first(chain, 'minimum'), first(chain, 'maximum')];
  const [above, below] = [first(chain, 'exclusiveMinimum'), first(chain, 'exclusiveMaximum')];
  if (min !== undefined && max !== undefined) {
    return ` from ${min} to ${max}`;
  }
  return [
    above === undefined ? '' : ` above ${above}`,
    below === undefined ? '' : ` below ${below}`,
    min === undefined ? '' : `, ${min} or more`,
    max === undefined ? '' : `, ${max} or less`,
  ].join('');
}

/** The parts of a JSON pointer, as `/args/2`. */
export function partsOf(pointer: string): readonly string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The value of a keyword in the first schema of a chain that has it. */
export function first(chain: Chain, keyword: string): unknown {
  return chain.find(({ schema }) => keyword in schema)?.schema[keyword];
}

/** A keyword whose value is a schema, or names schemas. */
export function schemaIn(schema: Schema, keyword: string): Schema {
  const value = schema[keyword];
  return isSchema(value) ? value : {};
}

function listed(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
