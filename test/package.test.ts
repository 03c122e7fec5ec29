import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { expect } from 'chai';

/** What someone who installs the package gets. Needs dist/, so it runs after the build. */
describe('The package', () => {
  const root = new URL('..', import.meta.url);
  let packed: Packed;

  before(() => {
    expect(existsSync(new URL('dist', root)), 'dist/ is missing: npm run build').to.equal(true);
    packed = parsePacked(run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts']));
  });

  it('holds the compiled library, its types and the schemas, and nothing else', () => {
    const compiled = list('lib', '.ts').map((file) => file.slice(0, -'.ts'.length));
    const expected = [
      'LICENSE',
      'package.json',
      ...(existsSync(new URL('README.md', root)) ? ['README.md'] : []),
      ...compiled.flatMap((file) => [`dist/${file}.d.ts`, `dist/${file}.js`]),
      ...list('schemas', '.json').map((file) => `schemas/${file}`),
    ];
    expect([...packed.files].sort()).to.deep.equal(expected.sort());
  });

  it('stays under 300 kB to download', () => {
    expect(packed.size).to.be.below(300_000);
  });

  for (const [specifier, source] of [
    ['hubspawner', '../lib/index.ts'],
    ['hubspawner/prometheus', '../lib/supervisor/prometheus.ts'],
    ['hubspawner/testing', '../lib/testing/index.ts'],
  ] as const) {
    it(`exports from ${specifier} in plain Node what its source exports`, async () => {
      const script = `console.log(JSON.stringify(Object.keys(await import('${specifier}'))))`;
      const exported: unknown = JSON.parse(
        run(process.execPath, ['--input-type=module', '-e', script]),
      );
      const module: object = await import(source);
      expect(exported).to.have.members(Object.keys(module)).and.not.to.be.empty;
    });
  }

  it('lets others read its schemas', async () => {
    for (const file of list('schemas', '.json')) {
      expect(existsSync(new URL(import.meta.resolve(`hubspawner/schemas/${file}`)))).to.equal(true);
    }
  });

  function run(command: string, args: readonly string[]): string {
    return execFileSync(command, args, { cwd: root, encoding: 'utf8' });
  }

  function list(folder: string, ending: string): string[] {
    const files = readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' });
    return files.filter((file) => file.endsWith(ending));
  }
});

interface Packed {
  readonly files: readonly string[];
  readonly size: number;
}

function parsePacked(json: string): Packed {
  const [first]: readonly { files: { path: string }[]; size: number }[] = JSON.parse(json);
  if (first === undefined) throw new Error('npm pack reported no package');
  return { files: first.files.map(({ path }) => path), size: first.size };
}
