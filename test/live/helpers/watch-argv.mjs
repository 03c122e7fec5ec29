// Watches the arguments of all processes of this machine until its standard input ends:
// `SECRET=… node watch-argv.mjs`. Then prints, as JSON, how often it looked at all of them, and the
// arguments that had the text, each once.
import { readdirSync, readFileSync } from 'node:fs';

const secret = process.env.SECRET;
const found = new Set();
let rounds = 0;
let watching = true;

process.stdin.on('end', () => {
  watching = false;
});
process.stdin.resume();
process.stdout.write('watching\n');

while (watching) {
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (argv.includes(secret)) found.add(argv.replaceAll('\0', ' '));
    } catch {
      // It has ended.
    }
  }
  rounds += 1;
  await new Promise((resolve) => setTimeout(resolve, 2));
}
console.log(JSON.stringify({ rounds, found: [...found] }));
