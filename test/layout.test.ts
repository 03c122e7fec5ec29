import { readdirSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path/posix';
import { expect } from 'chai';
import ts from 'typescript';

/** The folders of lib/: each may import from those before it, and from the files beside them. */
const layers = [
  'generated',
  'runners',
  'endpoint',
  'local',
  'batch',
  'systemd',
  'wrap',
  'supervisor',
  'testing',
  'cli',
];

/** Files directly in lib/ that speak of runners, as the contract of a spawner does. */
const contract = ['spawner.ts', 'context.ts'];

/** What is wrong with one file of lib/ importing another (paths within lib/), or null. */
function violation(from: string, to: string, source = ''): string | null {
  if (from === 'index.ts') return null;
  if (to === 'index.ts') {
    return folderOf(from) === 'cli' ? null : `${from}: nothing but cli/ may import index.ts`;
  }
  const isScheduler = from.startsWith('batch/') && declaresScheduler.test(source);
  if (isScheduler && (to.startsWith('runners/') || to === 'batch/monitor.ts')) {
    return `${from}: a scheduler is data and text in, statuses out: it may not import ${to}`;
  }
  const [importer, imported] = [folderOf(from), folderOf(to)];
  for (const folder of [importer, imported]) {
    if (folder !== null && !layers.includes(folder)) {
      return `${folder}/ is not in the list of layers in test/layout.test.ts`;
    }
  }
  if (imported === null) return null;
  if (importer === null) {
    if (imported === 'generated') return null;
    if (contract.includes(from) && imported === 'runners') return null;
    return `${from}: a file directly in lib/ may not import ${to}`;
  }
  return layers.indexOf(imported) <= layers.indexOf(importer)
    ? null
    : `${from}: ${importer}/ stands above ${imported}/ and may not import ${to}`;
}

const declaresScheduler = /\b(?:const \w+: |satisfies )Scheduler\b/;

function folderOf(path: string): string | null {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : null;
}

function importsOf(file: string, source: string): string[] {
  return ts
    .preProcessFile(source, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => normalize(join(file, '..', specifier)));
}

describe('The layout of lib/', () => {
  it('keeps to the order of its folders', () => {
    const lib = new URL('../lib/', import.meta.url);
    const files = readdirSync(lib, { recursive: true, encoding: 'utf8' });
    const found = files
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => {
        const source = readFileSync(new URL(file, lib), 'utf8');
        return importsOf(file, source).map((imported) => violation(file, imported, source));
      });
    expect(found, 'no import was found').not.to.be.empty;
    expect(found.filter((message) => message !== null)).to.deep.equal([]);
  });

  const allowed = [
    ['index.ts', 'cli/doctor.ts'],
    ['cli/spawn.ts', 'index.ts'],
    ['spawner.ts', 'runners/runner.ts'],
    ['spawner.ts', 'generated/options.ts'],
    ['generated/options.ts', 'spawner.ts'],
    ['batch/monitor.ts', 'runners/runner.ts'],
    ['batch/spawner.ts', 'endpoint/strategies.ts'],
    ['wrap/profiles.ts', 'wrap/form.ts'],
  ] as const;
  for (const [from, to] of allowed) {
    it(`lets ${from} import ${to}`, () => {
      expect(violation(from, to)).to.equal(null);
    });
  }

  const forbidden = [
    ['runners/ssh.ts', 'batch/spawner.ts'],
    ['endpoint/handler.ts', 'supervisor/supervisor.ts'],
    ['local/spawner.ts', 'index.ts'],
    ['errors.ts', 'batch/scheduler.ts'],
    ['options.ts', 'runners/local.ts'],
    ['spawner.ts', 'batch/spawner.ts'],
    ['batch/spawner.ts', 'other/thing.ts'],
  ] as const;
  for (const [from, to] of forbidden) {
    it(`refuses that ${from} imports ${to}`, () => {
      expect(violation(from, to)).to.be.a('string');
    });
  }

  it('refuses that a scheduler imports a runner or the monitor', () => {
    const source = 'export const slurm: Scheduler = {};';
    expect(violation('batch/slurm.ts', 'runners/runner.ts', source)).to.be.a('string');
    expect(violation('batch/slurm.ts', 'batch/monitor.ts', source)).to.be.a('string');
    expect(violation('batch/slurm.ts', 'batch/scheduler.ts', source)).to.equal(null);
  });

  it('sees imports of types, dynamic imports and re-exports', () => {
    const source = `
      import type { A } from '../a.ts';
      export { b } from './b.ts';
      const c = await import('./deep/c.ts');
      import 'node:fs';`;
    expect(importsOf('batch/x.ts', source).sort()).to.deep.equal([
      'a.ts',
      'batch/b.ts',
      'batch/deep/c.ts',
    ]);
  });
});
