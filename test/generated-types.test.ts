import { expect } from 'chai';
import type { Schema } from '../tools/bundle-schemas.ts';
import { generateTypes } from '../tools/generate-types.ts';

const base: Schema = {
  title: 'BaseOptions',
  type: 'object',
  properties: {
    cmd: { type: 'array', items: { $ref: '#/$defs/word' }, default: ['server'], minItems: 1 },
    rootDir: {
      description: 'Where it starts, e.g. {{homedir}} or `{{homedir}}/x`.',
      type: 'string',
    },
    limit: { $ref: '#/$defs/ms', description: 'In ms.' },
  },
  $defs: { word: { type: 'string' }, ms: { type: 'integer' } },
};

/** The output for a few schema files, white space reduced so that assertions can name one line. */
async function generate(files: Readonly<Record<string, Schema>>): Promise<string> {
  const source = await generateTypes(new Map(Object.entries(files)));
  return source.replaceAll(/\s+/g, ' ');
}

function options(properties: Schema, more: Schema = {}): Record<string, Schema> {
  return { 'x.json': { title: 'XOptions', type: 'object', properties, ...more } };
}

async function failure(files: Readonly<Record<string, Schema>>): Promise<string> {
  return generate(files).then(
    () => 'no error',
    (error: unknown) => String(error),
  );
}

describe('Types generated from schemas', () => {
  it('say where they come from', async () => {
    expect(await generateTypes(new Map([['base.json', base]]))).to.match(
      /^\/\/ Generated from schemas\/; run npm run generate\.\n\nexport interface BaseOptions \{\n/,
    );
  });

  it('require options that have a default, and only those', async () => {
    const source = await generate({ 'base.json': base });
    expect(source).to.include('readonly cmd: readonly string[];');
    expect(source).to.include('readonly rootDir?: string;');
  });

  it('leave the properties of nested objects optional', async () => {
    const budget = {
      type: 'object',
      default: {},
      properties: { count: { type: 'integer', default: 3 } },
    };
    const source = await generate(options({ budget }));
    expect(source).to.match(/readonly budget: \{.*readonly count\?: number; \};/);
  });

  it('make arrays and index signatures readonly at every depth', async () => {
    const words = {
      type: 'array',
      items: { type: 'array', items: { type: ['string', 'number'] } },
    };
    const labels = { type: 'object', additionalProperties: { type: 'string' } };
    const choice = { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] };
    const source = await generate(options({ words, labels, choice }));
    expect(source).to.include('readonly words?: readonly (readonly (string | number)[])[];');
    expect(source).to.include('readonly labels?: { readonly [k: string]: string; };');
    expect(source).to.include('readonly choice?: string | readonly string[];');
  });

  it('show defaults, and escape what would open a doc tag', async () => {
    const source = await generate({ 'base.json': base });
    expect(source).to.include('@default `["server"]`');
    expect(source).to.include('e.g. \\{\\{homedir\\}\\} or `{{homedir}}/x`.');
  });

  it('extend the interface of a schema that is composed by allOf, without repeating it', async () => {
    const leaf: Schema = {
      title: 'LeafOptions',
      allOf: [{ $ref: 'base.json' }],
      properties: { queue: { type: 'string' }, wait: { $ref: 'base.json#/$defs/ms', default: 5 } },
      unevaluatedProperties: false,
    };
    const source = await generate({ 'base.json': base, 'leaf.json': leaf });
    expect(source).to.match(
      /interface LeafOptions extends BaseOptions \{ readonly queue\?: string; .* readonly wait: number; \}/,
    );
    expect(source.match(/interface BaseOptions/g)).to.have.length(1);
    expect(source.match(/readonly cmd/g)).to.have.length(1);
  });

  it('take an inherited option whose default changes from the schema that declares it', async () => {
    const leaf: Schema = {
      title: 'LeafOptions',
      allOf: [{ properties: { limit: { default: 7 } } }, { $ref: 'base.json' }],
    };
    const source = await generate({ 'base.json': base, 'leaf.json': leaf });
    expect(source).to.match(
      /LeafOptions extends BaseOptions \{ .*In ms\. .*readonly limit: number; \}/,
    );
    expect(source).to.include('readonly limit?: number;');
  });

  it('name nested objects that have a title, and let those extend each other', async () => {
    const request: Schema = {
      title: 'Request',
      type: 'object',
      properties: { queue: { type: 'string' } },
    };
    const more: Schema = {
      title: 'MoreRequest',
      allOf: [{ $ref: '#/$defs/request' }],
      properties: { qos: { type: 'string' } },
    };
    const source = await generate(options({ request: more }, { $defs: { request } }));
    expect(source).to.include('interface Request { readonly queue?: string; }');
    expect(source).to.include('interface MoreRequest extends Request { readonly qos?: string; }');
    expect(source).to.include('readonly request?: MoreRequest;');
  });

  it('have any name where the schema allows it, and not where an option lists the names', async () => {
    const $defs = {
      word: { type: 'string' },
      own: { listedIn: 'names', $ref: '#/$defs/word' },
      request: { title: 'Request', properties: { cores: { type: 'integer' } } },
    };
    const request = (title: string, others: Schema) =>
      generate(
        options(
          {
            request: {
              title,
              type: 'object',
              allOf: [{ $ref: '#/$defs/request' }],
              properties: {},
              unevaluatedProperties: others,
            },
          },
          { $defs },
        ),
      );
    for (const others of [{ $ref: '#/$defs/word' }, { type: 'string' }]) {
      expect(await request('FreeRequest', others)).to.include(
        'interface FreeRequest extends Request { readonly [k: string]: string | number | undefined; }',
      );
    }
    expect(await request('ListedRequest', { $ref: '#/$defs/own' })).to.include(
      'interface ListedRequest extends Request {}',
    );
  });

  it('use tsType as it stands, and import the names that it needs, but no others', async () => {
    const hook = {
      instanceof: 'Function',
      tsType: '(spawner: Spawner, words: string[]) => void',
    };
    const source = await generate(options({ hook }));
    expect(source).to.include("import type { Spawner } from '../spawner.ts'; ");
    expect(source).to.include(`readonly hook?: ${hook.tsType};`);
  });

  it('are refused for a function without a type', async () => {
    const files = options({ hook: { instanceof: 'Function' } });
    expect(await failure(files)).to.include('x.json: an option with "instanceof" needs its type');
  });

  it('are refused for a schema without a title', async () => {
    expect(await failure({ 'y.json': { type: 'object', properties: {} } })).to.include(
      'y.json: its title has to be the name of an interface',
    );
  });

  it('are refused where two schemas have the same title', async () => {
    const files = { ...options({}), 'y.json': { title: 'XOptions', properties: { a: {} } } };
    expect(await failure(files)).to.include('y.json: the title XOptions is used twice');
  });

  it('are refused for a reference that leads nowhere', async () => {
    const files = options({ a: { $ref: 'none.json#/$defs/a' } });
    expect(await failure(files)).to.include('x.json: there is no none.json#/$defs/a');
  });

  it('are refused for an option that stands in allOf and that no parent has', async () => {
    const files = options({}, { allOf: [{ properties: { extra: { type: 'string' } } }] });
    expect(await failure(files)).to.include('move "extra" from allOf to properties');
  });
});
