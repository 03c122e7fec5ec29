import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect } from 'chai';
import ts from 'typescript';
import * as library from '../lib/index.ts';
import { sleep } from '../lib/sleep.ts';
import * as testing from '../lib/testing/index.ts';
import { FakeSystemd } from './helpers/fake-systemd.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const helpers = join(root, 'test/helpers');

/** The blocks of code in the README, by the file name in their first line. */
const examples = new Map(
  [...readme.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```$/gms)].map(
    ([, name = '', text = '']) => [name, text] as const,
  ),
);

/**
 * Has the place of the library's public name in the example with a cluster: all of it, but behind sudo
 * is a Slurm whose jobs run here.
 */
const libraryOnFakeSlurm = (home: string) => `
import type { CommandRunner } from '${root}lib/index.ts';
import { FakeSlurm } from '${helpers}/fake-slurm.ts';

export * from '${root}lib/index.ts';

const slurm = new FakeSlurm({ home: '${home}' });
export class SudoRunner implements CommandRunner {
  readonly run: CommandRunner['run'] = (argv, options) => slurm.runner.run(argv, options);
}
process.once('SIGTERM', () => slurm.close());
`;

/** Stands where the site of the example has JupyterLab. */
const jupyter = `#!/bin/sh
for word; do case $word in --port=*) port=$word ;; esac; done
exec '${process.execPath}' '${helpers}/server.mjs' "$port"
`;

describe('The README', function () {
  this.timeout(60_000);
  let folder: string;
  let files: string[];
  let port: number;
  const name = `readme-${process.pid}`;
  const children: ChildProcess[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'readme-test-'));
    port = await freePort();
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    mkdirSync(join(folder, 'jobs'));
    for (const command of ['mysub', 'mystat', 'mydel']) {
      symlinkSync(join(helpers, 'mybatch.sh'), join(bin, command));
    }
    const lab = join(bin, 'jupyter-lab');
    writeFileSync(lab, jupyter, { mode: 0o755 });
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'hub.secret'), randomBytes(32));
    writeFileSync(join(folder, 'on-fake-slurm.ts'), libraryOnFakeSlurm(folder));
    // Besides where the library is, only what is of the site is changed: ports, addresses, names.
    files = [...examples].map(([file, text]) => {
      const path = join(folder, file);
      const local = text
        .replaceAll("'hubspawner/testing'", `'${root}lib/testing/index.ts'`)
        .replaceAll(
          "'hubspawner'",
          file === 'slurm-hub.ts' ? "'./on-fake-slurm.ts'" : `'${root}lib/index.ts'`,
        )
        .replaceAll(/\b8000|\b8888/g, String(port))
        .replaceAll('10.0.0.1', '127.0.0.1')
        .replaceAll('/opt/jupyter/bin/jupyter-lab', lab)
        .replaceAll("{ name: 'alice', account", `{ name: '${name}', account`);
      writeFileSync(path, local);
      return path;
    });
  });

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit');
    }
  });

  after(() => {
    rmSync(folder, { recursive: true });
    rmSync(join(userInfo().homedir, `.hubspawner-${name}.log`), { force: true });
  });

  /** Runs Node with these arguments, and collects what it prints. */
  function run(...args: readonly string[]) {
    const env = {
      ...process.env,
      PATH: [join(folder, 'bin'), process.env['PATH']].join(delimiter),
      MYBATCH_SERVER: join(folder, 'jobs'),
      TMPDIR: folder,
      NO_COLOR: '1',
      // What other compilers make of the same files can't be summed up with this process's.
      NODE_V8_COVERAGE: '',
    };
    const argv = ['--import', import.meta.resolve('tsx'), ...args];
    const child = spawn(process.execPath, argv, { cwd: folder, env });
    children.push(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
    }
    return {
      child,
      output: () => text,
      async until(pattern: RegExp): Promise<RegExpExecArray> {
        for (;;) {
          const match = pattern.exec(text);
          if (match !== null) return match;
          expect(child.exitCode, text).to.equal(null);
          await sleep(20);
        }
      },
    };
  }

  it('has no TypeScript that is not tested here', () => {
    expect([...examples.keys()]).to.deep.equal([
      'hub.ts',
      'slurm-hub.ts',
      'site.ts',
      'systemd-site.ts',
      'my-spawner.ts',
      'my-spawner.test.ts',
    ]);
    expect(readme.match(/^```(?:ts|typescript|js|javascript)\b/gm)).to.have.length(examples.size);
  });

  it('has TypeScript that the strictest settings accept', () => {
    const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config;
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
    const typeRoots = [join(root, 'node_modules/@types')];
    const imports = { rewriteRelativeImportExtensions: false, allowImportingTsExtensions: true };
    const program = ts.createProgram(files, { ...options, ...imports, typeRoots });
    const problems = files
      .flatMap((file) => ts.getPreEmitDiagnostics(program, program.getSourceFile(file)))
      .map(({ file, messageText }) => {
        return `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
      });
    expect(problems).to.deep.equal([]);
  });

  it('has a hub that runs', async () => {
    const { child, output } = run('hub.ts');
    let location: string | null = null;
    while (location === null) {
      expect(child.exitCode, output()).to.equal(null);
      await sleep(50);
      const redirect = { redirect: 'manual' } as const;
      const answer = await fetch(`http://127.0.0.1:${port}/`, redirect).catch(() => undefined);
      location = answer?.headers.get('location') ?? null;
    }
    expect((await fetch(location)).status).to.equal(200);
    child.kill('SIGINT');
    expect(await once(child, 'exit'), output()).to.deep.equal([0, null]);
    const gone = await fetch(location).catch((error: Error) => error);
    expect(gone).to.be.an.instanceOf(Error);
  });

  it('has a hub for a cluster that runs, keeps its servers in a store, and ends in order', async () => {
    const { child, output, until } = run('slurm-hub.ts');
    const [, url = ''] = await until(/^(http:\S+)$/m);
    expect(new URL(url).pathname).to.equal('/user/alice/');
    expect((await fetch(url)).status).to.equal(200);
    expect(output()).to.contain('alice: 100 %: The server is ready');
    child.kill('SIGTERM');
    expect(await once(child, 'exit'), output()).to.deep.equal([0, null]);
    const files = readdirSync(join(folder, 'servers'));
    expect(files, 'no lock is left').to.have.length(1);
    const { value } = JSON.parse(readFileSync(join(folder, 'servers', files[0] ?? ''), 'utf8'));
    expect(value).to.deep.include({ spawner: 'slurm', phase: 'ready', user: { name: 'alice' } });
  });

  it('has options for a site that reach the script and the commands', async () => {
    const { site } = await import(pathToFileURL(join(folder, 'site.ts')).href);
    const runner = new testing.StubRunner({
      getent: 'alice:x:1000:1000::/home/alice:/bin/sh\n',
      sbatch: new library.CommandError('sbatch is not here', { command: 'sbatch' }),
      squeue: ['\x1e7\x1fRUNNING\x1fn1\x1fn1\x1fNone\x1fN/A\x1fN/A\x1fN/A\x1f\n', ''],
      scancel: '',
      sacct: '',
      scontrol: { exitCode: 1, stderr: 'slurm_load_jobs error: Invalid job id specified\n' },
    });
    const hub = { apiUrl: 'http://127.0.0.1:9/hub/api' };
    const context = { user: { name: 'alice' }, apiToken: 'secret', hub, runner };
    const spawner = new library.SlurmSpawner(context, site);
    await spawner.start().catch(() => {});
    const script = runner.callsOf('sbatch')[0]?.options.input;
    expect(script).to.contain('\n#SBATCH --partition=interactive\n#SBATCH --mem=4G\n');
    expect(script).to.contain('\n#SBATCH --cpus-per-task=2\n');
    expect(script).to.contain('\nmodule load python/3.12\nexec ');

    const job = { jobId: '7', tag: 't', jobName: 'j', submittedAt: '2026-03-02T08:00:00Z' };
    spawner.loadState({ version: 1, spawner: 'slurm', ...job });
    await spawner.stop();
    const cancel = ['/opt/slurm/bin/scancel', '--quiet', '7'];
    expect(runner.callsOf('scancel')[0]?.argv).to.deep.equal(cancel);
  });

  it('has options for a site with systemd that reach the unit', async () => {
    const { site } = await import(pathToFileURL(join(folder, 'systemd-site.ts')).href);
    const systemd = new FakeSystemd(folder);
    const spawner = new library.SystemdSpawner(
      { user: { name: 'alice' }, runner: systemd.runner },
      { ...site, runtimeDir: join(folder, 'run'), cmd: ['sh', '-c', 'exit 1'] },
    );
    await spawner.start().catch(() => {});
    const [call] = systemd.runner.callsOf('systemd-run');
    expect(call?.argv).to.include.members([
      '--property=MemoryMax=4294967296',
      '--property=CPUQuota=200%',
      '--property=ProtectKernelModules=yes',
      '--property=Slice=jupyter.slice',
      '--property=ReadWritePaths=/home/alice',
      '--property=LimitNOFILE=16384',
    ]);
    await systemd.close();
  });

  it('has a batch system in JSON whose jobs run', async () => {
    const [, json = ''] = /^```json\n(.*?)^```$/ms.exec(readme) ?? [];
    const runner = new library.LocalRunner();
    const name = userInfo().username;
    const spawner = new library.GenericBatchSpawner(
      { user: { name }, runner },
      {
        ...JSON.parse(json),
        cmd: [process.execPath, join(helpers, 'server.mjs'), '--port={port}'],
        endpoint: 'fixed',
        port: await freePort(),
        queryInterval: 100,
        binDir: join(folder, 'bin'),
        request: { homedir: folder },
        commandEnvironment: { MYBATCH_SERVER: join(folder, 'jobs') },
      },
    );
    const { url } = await spawner.start();
    expect((await fetch(url)).status).to.equal(200);
    expect(await spawner.poll()).to.equal(null);
    await spawner.stop();
    expect(await spawner.poll()).to.include({ cause: 'completed' });
  });

  it('has a spawner for another batch system, and tests that it passes', async () => {
    const mocha = fileURLToPath(import.meta.resolve('mocha/bin/mocha.js'));
    const { child, output } = run(mocha, '--no-config', '--no-package', 'my-spawner.test.ts');
    const [code] = await once(child, 'close');
    expect(code, output()).to.equal(0);
    expect(output()).to.match(/✔ goes on to say/);
    expect(output()).to.match(/^ {2}\d\d passing/m);
  });

  it('allows in sudoers what SlurmSpawner runs as the person', () => {
    const [, rules = ''] = /^```text\n(.*?)^```$/ms.exec(readme) ?? [];
    const { query: _, ...commands } = library.slurm.commands;
    const accounting = library.slurm.accounting.map(({ command }) => command);
    const queries = [...Object.values(commands), ...accounting];
    expect(new Set(rules.match(/\/\S+\/\w+/g))).to.deep.equal(
      new Set(queries.map(([program = '']) => `/usr/bin/${program}`)),
    );
  });

  it('names what is there, and nothing else', () => {
    const [, ...tables] = readme.split(/^\| from `hubspawner.*$/m);
    const named = tables.map((table) => namesInTable(table));
    expect(named).to.have.length(2);
    expect(library).to.include.all.keys(named[0] ?? []);
    expect(testing).to.include.all.keys(named[1] ?? []);
  });

  it('names options that there are', () => {
    const [, table = ''] = readme.split(/^\| option .*$/m);
    const known = readdirSync(join(root, 'schemas')).flatMap((file) =>
      propertyNames(JSON.parse(readFileSync(join(root, 'schemas', file), 'utf8'))),
    );
    const named = namesInTable(table).flatMap((path) => path.split('.'));
    expect(named).not.to.be.empty;
    expect(known).to.include.members(named);
  });

  it('names the policies of a supervisor, all of them', () => {
    const [, table = ''] = readme.split(/^\| policy .*$/m);
    const file = join(root, 'schemas/supervisor.json');
    const { properties } = JSON.parse(readFileSync(file, 'utf8'));
    expect(namesInTable(table)).to.have.members(Object.keys(properties));
  });

  it('links to files that there are', () => {
    const links = [...readme.matchAll(/\]\((?!http)([^)#]+)\)/g)].map(([, path = '']) => path);
    expect(links.filter((path) => !existsSync(join(root, path)))).to.deep.equal([]);
  });
});

/** The names in the first column of the table that begins here. */
function namesInTable(text: string): string[] {
  const [rows = ''] = text.split('\n\n');
  return rows
    .split('\n')
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)])
    .map(([, found = '']) => found);
}

/** The names of all properties that a schema describes, at any depth. */
function propertyNames(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const own =
    'properties' in schema && typeof schema.properties === 'object' ? schema.properties : {};
  return [...Object.keys(own ?? {}), ...Object.values(schema).flatMap(propertyNames)];
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
