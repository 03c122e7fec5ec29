/**
 * The server that a person gets where there is no Jupyter: one page that says who runs it where, and
 * shows the time of its machine. It needs nothing but Node.
 *
 *     node server.mjs --ip=127.0.0.1 --port=8888 --base-url=/user/alice/
 *
 * With JUPYTER_TOKEN or JUPYTERHUB_API_TOKEN in its environment it answers only those who send it
 * as `Authorization: token …`.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import { hostname, userInfo } from 'node:os';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    ip: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '8888' },
    'base-url': { type: 'string', default: '/' },
  },
});
const base = `/${values['base-url']}/`.replace(/\/+/g, '/');
const token = process.env['JUPYTER_TOKEN'] ?? process.env['JUPYTERHUB_API_TOKEN'] ?? '';

const server = createServer((req, res) => {
  const { pathname } = new URL(req.url ?? '/', 'http://server');
  if (!allowed(req.headers.authorization)) {
    answer(res, 403, 'text/plain', 'The token of this server is needed.\n');
  } else if (pathname === base) {
    answer(res, 200, 'text/html', page());
  } else if (pathname === `${base}clock`) {
    clock(res);
  } else {
    answer(res, 404, 'text/plain', `There is only ${base} here.\n`);
  }
});

server.listen(Number(values.port), values.ip, () => {
  const { port } = server.address();
  console.log(`Listening on http://${values.ip}:${port}${base}`);
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    console.log(`Ended by ${signal}`);
    process.exit(0);
  });
}

function allowed(authorization = '') {
  const given = authorization.replace(/^token +/i, '');
  return token === '' || timingSafeEqual(sha256(given), sha256(token));
}

function sha256(text) {
  return createHash('sha256').update(text).digest();
}

function answer(res, status, type, body) {
  res.writeHead(status, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store' });
  res.end(body);
}

function clock(res) {
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const tick = () => res.write(`data: ${new Date().toTimeString().slice(0, 8)}\n\n`);
  tick();
  const timer = setInterval(tick, 1000);
  res.on('close', () => clearInterval(timer));
}

function page() {
  const person = process.env['JUPYTERHUB_USER'] ?? userInfo().username;
  const job = process.env['SLURM_JOB_ID'];
  const facts = {
    Account: userInfo().username,
    Machine: hostname(),
    Process: String(process.pid),
    ...(job && { 'Slurm job': `${job} on ${process.env['SLURMD_NODENAME'] ?? 'some node'}` }),
  };
  const rows = Object.entries(facts).map(([name, value]) => `<dt>${name}<dd>${escaped(value)}`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Server of ${escaped(person)}</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif; }
  body { max-width: 30rem; margin: 12vh auto; padding: 0 1rem; }
  h1 { font-size: 1.5rem; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1.5rem; }
  dt { opacity: 0.65; }
  dd { margin: 0; }
  output { font-variant-numeric: tabular-nums; }
</style>
<h1>It works, ${escaped(person)}.</h1>
<dl>${rows.join('\n')}
<dt>Its clock<dd><output>…</output></dl>
<script>
  const output = document.querySelector('output');
  const clock = new EventSource('clock');
  clock.onmessage = ({ data }) => { output.textContent = data; };
  clock.onerror = () => { output.textContent = 'The server does not answer.'; };
</script>
`;
}

function escaped(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
