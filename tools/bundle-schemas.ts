/** A schema as parsed from JSON. */
export type Schema = { readonly [keyword: string]: unknown };

/** Parsed schemas by file name (`spawner.json`), which is how a `$ref` names them. */
export type SchemaFiles = ReadonlyMap<string, Schema>;

/**
 * Puts schema files together as one schema of which json-schema-to-typescript makes plain types:
 * interfaces that extend each other where schemas are composed by `allOf`, one for each title, and
 * no alias for each small definition.
 *
 * @param name - title of the outer schema, which has one property for each interface.
 * @throws Error where something in a schema has no counterpart in the types.
 */
export function bundleSchemas(files: SchemaFiles, name: string): Schema {
  const bundler = new Bundler(files);
  for (const [file, schema] of files) {
    if (!isNamed(schema)) {
      throw new Error(`${file}: its title has to be the name of an interface, e.g. SlurmOptions`);
    }
    bundler.define(schema.title, requireDefaults(schema, file), file);
  }
  const titles = Object.keys(bundler.definitions);
  return {
    title: name,
    type: 'object',
    properties: Object.fromEntries(titles.map((title) => [title, definitionRef(title)])),
    definitions: bundler.definitions,
  };
}

/** Keywords that are handled elsewhere, or would come out as doc tags that nobody knows. */
const dropped: ReadonlySet<string> = new Set([
  '$schema',
  '$defs',
  'title',
  'description',
  'default',
  'examples',
  'minItems',
  'maxItems',
  'unevaluatedProperties',
]);

class Bundler {
  readonly definitions: Record<string, Schema> = {};
  readonly #sources = new Map<string, string>();
  readonly #files: SchemaFiles;

  constructor(files: SchemaFiles) {
    this.#files = files;
  }

  define(title: string, schema: Schema, file: string): void {
    const source = JSON.stringify(schema);
    const known = this.#sources.get(title);
    if (known === source) return;
    if (known !== undefined) throw new Error(`${file}: the title ${title} is used twice`);
    this.#sources.set(title, source);
    this.definitions[title] = this.#definition(schema, file);
  }

  /** What stands in for a schema where it is used: its type by name if it has one. */
  #convert(schema: Schema, file: string): Schema {
    const doc = documentation(schema);
    if (typeof schema['tsType'] === 'string') return { tsType: schema['tsType'], ...doc };
    if (schema['instanceof'] !== undefined) {
      throw new Error(`${file}: an option with "instanceof" needs its type in "tsType"`);
    }
    if (typeof schema['$ref'] === 'string') {
      const target = this.#resolve(schema['$ref'], file);
      const { $ref, ...beside } = schema;
      return isNamed(target.schema)
        ? { ...this.#convert(target.schema, target.file), ...doc }
        : this.#convert({ ...target.schema, ...beside }, target.file);
    }
    if (isNamed(schema)) {
      // Of a whole file the interface is made from its root, with defaults filled in.
      if (this.#files.get(file) !== schema) this.define(schema.title, schema, file);
      return { tsType: schema.title, ...doc };
    }
    return { ...this.#definition(schema, file), ...doc };
  }

  #definition(schema: Schema, file: string): Schema {
    const { allOf, properties, ...other } = schema;
    const parts = list(allOf).map((part) => asSchema(part, `${file}, allOf`));
    const parents = parts.filter((part) => part['$ref'] !== undefined);
    const inherited = parts
      .flatMap((part) => entries(part['properties'], file))
      .map(([key, change]) => [key, this.#override(schema, file, key, change)] as const);
    const own = entries(properties, file).map(
      ([key, property]) => [key, this.#convert(property, file)] as const,
    );
    const names = [...inherited, ...own];
    return {
      ...Object.fromEntries(
        Object.entries(other)
          .filter(([keyword]) => !dropped.has(keyword))
          .map(([keyword, value]) => [keyword, this.#value(value, file)]),
      ),
      ...(isNamed(schema) && { title: schema.title }),
      ...documentation({ description: schema['description'] }),
      ...(parents.length > 0 && { extends: parents.map((part) => this.#parent(part, file)) }),
      ...(names.length > 0 && { properties: Object.fromEntries(names) }),
      ...this.#otherNames(schema['unevaluatedProperties'], file),
    };
  }

  /**
   * An index signature where any other name is allowed. There is none where only those are that an
   * option lists: with it, a name that is wrong would be seen at run time alone.
   */
  #otherNames(value: unknown, file: string): Schema {
    if (!isSchema(value)) return {};
    const { $ref } = value;
    const { schema } = typeof $ref === 'string' ? this.#resolve($ref, file) : { schema: value };
    return 'listedIn' in schema ? {} : { additionalProperties: this.#convert(value, file) };
  }

  #value(value: unknown, file: string): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#value(item, file));
    return isSchema(value) ? this.#convert(value, file) : value;
  }

  #parent(part: Schema, file: string): Schema {
    const target = this.#resolve(String(part['$ref']), file);
    if (!isNamed(target.schema)) {
      throw new Error(`${file}: ${part['$ref']} needs a title to be extended`);
    }
    this.#convert(target.schema, target.file);
    return definitionRef(target.schema.title);
  }

  /** A property that a parent has, with what a part of `allOf` says differently: its default. */
  #override(schema: Schema, file: string, key: string, change: Schema): Schema {
    const found = this.#inherited(schema, file, key);
    if (found === undefined) {
      throw new Error(`${file}: move "${key}" from allOf to properties, no other schema has it`);
    }
    return this.#convert({ ...found.schema, ...change }, found.file);
  }

  #inherited(schema: Schema, file: string, key: string): Located | undefined {
    for (const { $ref } of list(schema['allOf']).map((part) => asSchema(part, file))) {
      if (typeof $ref !== 'string') continue;
      const parent = this.#resolve($ref, file);
      const property = asSchema(parent.schema['properties'] ?? {}, file)[key];
      if (isSchema(property)) return { schema: property, file: parent.file };
      const further = this.#inherited(parent.schema, parent.file, key);
      if (further !== undefined) return further;
    }
    return undefined;
  }

  /** `other.json`, `#/$defs/x` or `other.json#/$defs/x`. */
  #resolve(ref: string, from: string): Located {
    const [, target, key] = /^([^#]*)(?:#\/\$defs\/([^/]+))?$/.exec(ref) ?? [];
    const file = target || from;
    const root = this.#files.get(file);
    const schema = key === undefined ? root : asSchema(root?.['$defs'] ?? {}, file)[key];
    if (!isSchema(schema)) throw new Error(`${from}: there is no ${ref}`);
    return { schema, file };
  }
}

interface Located {
  readonly schema: Schema;
  readonly file: string;
}

/** Options that have a default are always there, once defaults are filled in. */
function requireDefaults(schema: Schema, file: string): Schema {
  const changes = list(schema['allOf']).flatMap((part) =>
    entries(asSchema(part, file)['properties'], file),
  );
  const filledIn = [...changes, ...entries(schema['properties'], file)]
    .filter(([, property]) => 'default' in property)
    .map(([key]) => key);
  return { ...schema, required: [...new Set([...list(schema['required']), ...filledIn])] };
}

/** A title makes a type of its own only of what has a shape, not of a text or a number. */
function isNamed(schema: Schema): schema is Schema & { readonly title: string } {
  const hasShape = ['properties', 'allOf', 'anyOf', 'oneOf'].some((key) => key in schema);
  return hasShape && /^[A-Z]\w*$/.test(String(schema['title'] ?? ''));
}

/** The doc comment; braces outside of code would open a TSDoc tag. */
function documentation(schema: Schema): Schema {
  const description = String(schema['description'] ?? '')
    .split('`')
    .map((text, index) => (index % 2 === 0 ? text.replaceAll(/[{}]/g, '\\$&') : text))
    .join('`');
  const tag = 'default' in schema ? `@default \`${JSON.stringify(schema['default'])}\`` : '';
  const text = [description, tag].filter((part) => part !== '').join('\n\n');
  return text === '' ? {} : { description: text };
}

function definitionRef(title: string): Schema {
  return { $ref: `#/definitions/${title}` };
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asSchema(value: unknown, where: string): Schema {
  if (isSchema(value)) return value;
  throw new Error(`${where}: expected an object, not ${JSON.stringify(value)}`);
}

function entries(properties: unknown, file: string): [string, Schema][] {
  return Object.entries(asSchema(properties ?? {}, file)).map(([key, value]) => [
    key,
    asSchema(value, `${file}, ${key}`),
  ]);
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
