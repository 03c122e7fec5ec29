// A single-user server for the tests of LocalProcessSpawner: `node server.mjs PORT [BEHAVIOUR]`.
// It tells what it was given at any path, and ends where it is asked for `/…?exit=CODE`.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [, , port, behaviour = ''] = process.argv;

const hasChild = ['dies', 'parent'].includes(behaviour);
const child = hasChild ? spawn('sleep', ['600'], { stdio: 'ignore' }).pid : null;

if (behaviour === 'dies') {
  console.error(`The token is ${process.env.JUPYTERHUB_API_TOKEN}, the child is ${child}.`);
  process.exit(3);
}
if (behaviour === 'stubborn') {
  process.on('SIGINT', () => {}).on('SIGTERM', () => {});
}
if (behaviour === 'mute') {
  setInterval(() => {}, 60_000);
} else {
  createServer(({ url }, response) => {
    const code = new URL(url, 'http://localhost').searchParams.get('exit');
    const { argv, env, pid } = process;
    const input = readFileSync(0, 'utf8');
    const report = { argv, env, pid, cwd: process.cwd(), umask: process.umask(), input, child };
    response.end(JSON.stringify(report), () => {
      if (code !== null) {
        process.exit(Number(code));
      }
    });
  }).listen(Number(port), '127.0.0.1');
}
