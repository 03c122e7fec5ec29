/**
 * `npm test`: every check that needs no scheduler, one after the other. All of them run even where
 * one fails, so that a single run shows everything there is to mend.
 */
import { spawnSync } from 'node:child_process';

const gates = [
  'generate:check',
  'types',
  'lint',
  'unused',
  'test:coverage',
  'test:fuzz',
  'build',
  'test:package',
  'docs:check',
];

const results = gates.map((gate) => {
  console.log(`\n== ${gate}`);
  const begin = performance.now();
  const { status } = spawnSync('npm', ['run', '--silent', gate], { stdio: 'inherit' });
  return { gate, passed: status === 0, seconds: (performance.now() - begin) / 1000 };
});

console.log('');
for (const { gate, passed, seconds } of results) {
  console.log(`${passed ? 'ok    ' : 'FAILED'}  ${gate.padEnd(16)} ${seconds.toFixed(1)} s`);
}
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
