/**
 * Makes `lib/generated/options.ts` from `schemas/*.json`.
 *
 *     tsx tools/generate-types.ts [--check] [<schema folder> [<output file>]]
 *
 * With `--check` nothing is written; the exit code is 1 where the file is not what the schemas say.
 *
 * All interfaces stand in one file, since the schemas share theirs through `$ref`: from a file per
 * schema the base options would come out once per file, or need imports of their own.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compile } from 'json-schema-to-typescript';
import ts from 'typescript';
import type { Schema, SchemaFiles } from './bundle-schemas.ts';
import { bundleSchemas } from './bundle-schemas.ts';

/** Types that a `tsType` may name, by the module they come from, as seen from `lib/generated/`. */
const importable: Readonly<Record<string, readonly string[]>> = {
  '../progress.ts': ['ProgressEvent'],
  '../spawner.ts': ['Spawner'],
};

const header = '// Generated from schemas/; run npm run generate.';

/** Name of the interface that only holds the others together; removed from the output. */
const bundleName = 'SchemaBundle';

/**
 * The TypeScript module for a set of schemas.
 *
 * The types describe options after defaults were filled in: a property of a schema's own
 * `properties` with a `default` is required. Properties of nested objects stay as they are.
 * Every property and array is `readonly`.
 *
 * @throws Error where something in a schema has no counterpart in the types.
 */
export async function generateTypes(schemas: SchemaFiles): Promise<string> {
  const source = await compile(bundleSchemas(schemas, bundleName), bundleName, {
    additionalProperties: false,
    bannerComment: '',
    style: { singleQuote: true, printWidth: 100 },
  });
  const body = makeReadonly(removeInterface(source, bundleName)).trim();
  return `${[header, ...typeImports(body)].join('\n')}\n\n${body}\n`;
}

/** Reads every `*.json` of a folder, in alphabetical order. */
export async function readSchemas(folder: string): Promise<SchemaFiles> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  const schemas = new Map<string, Schema>();
  for (const name of names) {
    schemas.set(name, JSON.parse(await readFile(join(folder, name), 'utf8')));
  }
  return schemas;
}

function parse(source: string): ts.SourceFile {
  return ts.createSourceFile('options.ts', source, ts.ScriptTarget.Latest, true);
}

function removeInterface(source: string, name: string): string {
  const found = parse(source).statements.find(
    (statement) => ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  );
  return found === undefined
    ? source
    : source.slice(0, found.getFullStart()) + source.slice(found.getEnd());
}

/**
 * Makes every property, index signature, array and tuple readonly, except inside the type of a
 * function, and puts an empty line between statements.
 */
function makeReadonly(source: string): string {
  const insertions: { readonly at: number; readonly text: string }[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionTypeNode(node)) return;
    if (ts.isPropertySignature(node) || ts.isIndexSignatureDeclaration(node)) {
      const has = node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ReadonlyKeyword);
      if (has !== true) insertions.push({ at: node.getStart(), text: 'readonly ' });
    }
    if ((ts.isArrayTypeNode(node) || ts.isTupleTypeNode(node)) && !isReadonlyType(node.parent)) {
      const nested = ts.isArrayTypeNode(node.parent);
      insertions.push({ at: node.getStart(), text: nested ? '(readonly ' : 'readonly ' });
      if (nested) insertions.push({ at: node.getEnd(), text: ')' });
    }
    ts.forEachChild(node, visit);
  };
  const file = parse(source);
  visit(file);
  for (const statement of file.statements.slice(1)) {
    insertions.push({ at: statement.getFullStart(), text: '\n' });
  }
  // From the end on, so that the positions before stay true. Of two at one position the one found
  // first is the outer one, and has to be inserted last.
  return insertions
    .reverse()
    .sort((a, b) => b.at - a.at)
    .reduce((text, { at, text: piece }) => text.slice(0, at) + piece + text.slice(at), source);
}

function isReadonlyType(node: ts.Node): boolean {
  return ts.isTypeOperatorNode(node) && node.operator === ts.SyntaxKind.ReadonlyKeyword;
}

/** One `import type` per module of which `body` uses a name that it does not declare itself. */
function typeImports(body: string): string[] {
  const file = parse(body);
  const used = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isTypeReferenceNode(node) && ts.isIdentifier(node.typeName))
      used.add(node.typeName.text);
    ts.forEachChild(node, visit);
  };
  visit(file);
  for (const statement of file.statements) {
    if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) {
      used.delete(statement.name.text);
    }
  }
  return Object.entries(importable).flatMap(([from, names]) => {
    const needed = names.filter((name) => used.has(name));
    return needed.length === 0 ? [] : [`import type { ${needed.join(', ')} } from '${from}';`];
  });
}

async function main(args: readonly string[]): Promise<void> {
  const [folder = 'schemas', file = 'lib/generated/options.ts'] = args.filter(
    (arg) => arg !== '--check',
  );
  const made = await generateTypes(await readSchemas(folder));
  if (!args.includes('--check')) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, made);
    return;
  }
  const committed = await readFile(file, 'utf8').catch(() => '');
  if (committed !== made) {
    console.error(`${file} is not what ${folder}/ says: run npm run generate, commit the result`);
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main(process.argv.slice(2));
}
