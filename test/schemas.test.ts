import { readdirSync, readFileSync } from 'node:fs';
import { runInThisContext } from 'node:vm';
import { expect } from 'chai';
import { checkOptions } from '../lib/options.ts';

const folder = new URL('../schemas/', import.meta.url);

/** What a schema says of an option. */
interface Documented {
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
}

/** All options of a schema, at any depth, with their JSON pointers. */
function* optionsIn(schema: unknown, at = '#'): Generator<readonly [string, Documented]> {
  if (typeof schema !== 'object' || schema === null) return;
  for (const [name, option] of Object.entries(Reflect.get(schema, 'properties') ?? {})) {
    yield [`${at}/properties/${name}`, Object(option)];
    yield* optionsIn(option, `${at}/properties/${name}`);
  }
  for (const [name, inner] of Object.entries(Reflect.get(schema, '$defs') ?? {})) {
    yield* optionsIn(inner, `${at}/$defs/${name}`);
  }
  yield* optionsIn(Reflect.get(schema, 'additionalProperties'), `${at}/additionalProperties`);
}

/** The examples; for functions, which JSON does not have, the code of one that the description has. */
function examplesOf(option: Documented): readonly unknown[] {
  const { description = '', examples } = option;
  const [, code] = /Example: `(.+)`\.$/.exec(description) ?? [];
  return (
    examples ??
    (code !== undefined && /"instanceof":"Function"/.test(JSON.stringify(option))
      ? [runInThisContext(`(${code})`)]
      : [])
  );
}

/** The schema of an option as one that stands in another file. */
function alone(option: Documented, file: string): object {
  const { default: _, ...rest } = option;
  return JSON.parse(JSON.stringify(rest).replaceAll('"$ref":"#', `"$ref":"${file}#`));
}

describe('Schemas', () => {
  for (const file of readdirSync(folder)) {
    it(`describe each option in ${file}, with a default and examples that are right`, () => {
      const schema: unknown = JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
      for (const [pointer, option] of optionsIn(schema)) {
        const { description = '', default: byDefault } = option;
        expect(description, pointer).to.match(/^[A-Z].*[.`]$/);
        const examples = examplesOf(option);
        expect(examples, `${pointer}: examples`).not.to.be.empty;
        // What no value says, words do.
        const isSaid = 'default' in option || / Default: ./.test(description);
        expect(isSaid, `${pointer}: default`).to.equal(true);
        const own = { properties: { option: alone(option, file) } };
        for (const value of 'default' in option ? [...examples, byDefault] : examples) {
          expect(() => checkOptions(own, { option: value }), pointer).not.to.throw();
        }
      }
    });
  }
});
