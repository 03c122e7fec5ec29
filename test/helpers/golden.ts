import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../golden/', import.meta.url));
const rewrites = process.env['UPDATE_GOLDEN'] === '1';

/**
 * Compares a text with a file of test/golden/, byte by byte; the error shows the lines that differ.
 * With UPDATE_GOLDEN=1 the file is written instead, for the change to be seen in a review.
 */
export function expectGolden(name: string, text: string): void {
  const file = `${folder}${name}`;
  if (rewrites) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, text);
    return;
  }
  const hint = 'If that is as it should be: UPDATE_GOLDEN=1 npx mocha test/batch/golden.test.ts';
  if (!existsSync(file)) {
    throw new Error(`There is no test/golden/${name}. ${hint}`);
  }
  const { status, stdout, stderr } = spawnSync(
    'diff',
    ['-u', '--label', name, '--label', 'now', file, '-'],
    {
      input: text,
      encoding: 'utf8',
    },
  );
  if (status !== 0) {
    throw new Error(`It is not as in test/golden/${name} any more. ${hint}\n${stdout}${stderr}`);
  }
}

/** @throws with what bash says of a script that it can't read */
export function expectReadByBash(script: string): void {
  execFileSync('bash', ['-n'], { input: script, stdio: ['pipe', 'inherit', 'pipe'] });
}
