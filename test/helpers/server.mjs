// A single-user server for tests: `node server.mjs --port=N [--ip=ADDRESS]` answers 200 at any path.
// `--exit=CODE` ends at once instead, with a line on standard error; `--never` runs and never listens.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    ip: { type: 'string', default: '127.0.0.1' },
    exit: { type: 'string' },
    never: { type: 'boolean', default: false },
  },
});

if (values.exit !== undefined) {
  console.error(`The server ends with exit code ${values.exit}.`);
  process.exitCode = Number(values.exit);
} else if (values.never) {
  setInterval(() => {}, 60_000);
} else {
  createServer((_, response) => response.end('ok\n')).listen(Number(values.port), values.ip);
}
