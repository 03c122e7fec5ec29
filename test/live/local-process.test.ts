import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { StartError, StopError } from '../../lib/errors.ts';
import type { LocalProcessOptions } from '../../lib/generated/options.ts';
import { psTable } from '../../lib/local/process.ts';
import { LocalProcessSpawner } from '../../lib/local/spawner.ts';
import { LocalRunner } from '../../lib/runners/local.ts';

/** A supplementary group of alice's. */
const group = 'hubspawner-test';
/** `node -e` needs no file that alice would have to be able to read. */
const node = [process.execPath, '-e'] as const;

const serve = `
  const { readFileSync } = require('node:fs');
  const read = (file) => { try { return readFileSync(file, 'utf8'); } catch (error) { return error.code; } };
  require('node:http').createServer((request, response) => response.end(JSON.stringify({
    uid: process.getuid(), gid: process.getgid(), groups: process.getgroups(),
    env: process.env, cwd: process.cwd(),
    secret: read(process.argv[2]), status: read('/proc/self/status'),
  }))).listen(Number(process.argv[1]), '127.0.0.1');`;

interface Report {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly secret: string;
  readonly status: string;
}

function idOf(...args: readonly string[]): number {
  return Number(execFileSync('id', args, { encoding: 'utf8' }));
}

async function ask(spawner: LocalProcessSpawner): Promise<Report> {
  const response = await fetch(`${spawner.address?.url}`);
  return (await response.json()) as Report;
}

async function startError(spawner: LocalProcessSpawner): Promise<StartError> {
  const error = await spawner.start().catch((reason: unknown) => reason);
  assert.instanceOf(error, StartError);
  return error;
}

describe('LocalProcessSpawner of a hub that is root', () => {
  let scratch: string;
  /** A file that root alone can read. */
  let secret: string;
  let uid: number;
  let gid: number;
  let spawners: LocalProcessSpawner[];

  before(() => {
    assert.equal(process.geteuid?.(), 0, 'this suite has to be run as root');
    for (const account of ['alice', 'bob']) {
      if (spawnSync('id', [account]).status !== 0) {
        execFileSync('useradd', ['--create-home', '--shell', '/bin/bash', account]);
      }
    }
    execFileSync('groupadd', ['--force', group]);
    execFileSync('gpasswd', ['--add', 'alice', group], { stdio: 'ignore' });
    uid = idOf('-u', 'alice');
    gid = idOf('-g', 'alice');
  });
  after(() => {
    execFileSync('groupdel', [group]);
  });

  beforeEach(() => {
    spawners = [];
    scratch = mkdtempSync(join(tmpdir(), 'local-process-'));
    chownSync(scratch, uid, gid);
    mkdirSync(join(scratch, 'root'), { mode: 0o755 });
    secret = join(scratch, 'root', 'secret');
    writeFileSync(secret, 'the key', { mode: 0o600 });
  });
  afterEach(async () => {
    await Promise.all(spawners.map((spawner) => spawner.stop({ now: true })));
    rmSync(scratch, { recursive: true });
  });

  function create(
    account: string,
    options: Partial<LocalProcessOptions> = {},
  ): LocalProcessSpawner {
    const spawner = new LocalProcessSpawner(
      { user: { name: 'alice@example.org', account }, apiToken: 'e1f0c2' },
      {
        cmd: [...node, serve, '{port}', secret],
        logFile: join(scratch, '{{name}}.log'),
        ...options,
      },
    );
    spawners.push(spawner);
    return spawner;
  }
  const log = () => join(scratch, 'alice@example.org.log');

  it('runs the server as the account of its user, with all its groups', async () => {
    const spawner = create('alice', { environment: { COLOUR: 'red' } });
    await spawner.start();
    const report = await ask(spawner);
    assert.equal(report.uid, uid);
    assert.equal(report.gid, gid);
    const groups = execFileSync('id', ['-G', 'alice'], { encoding: 'utf8' });
    assert.sameMembers([...report.groups], groups.trim().split(' ').map(Number));
    assert.include(
      groups,
      execFileSync('getent', ['group', group], { encoding: 'utf8' }).split(':')[2] ?? '',
    );
    assert.equal(report.cwd, '/home/alice');
    assert.deepEqual(report.env, {
      ...spawner.environment(),
      COLOUR: 'red',
      HOME: '/home/alice',
      LOGNAME: 'alice',
      SHELL: '/bin/bash',
      USER: 'alice',
    });
    assert.equal(report.secret, 'EACCES');
    assert.match(report.status, /^CapPrm:\s0+$/m);
    assert.match(report.status, /^CapEff:\s0+$/m);

    const { mode, uid: owner, gid: ownGroup } = lstatSync(log());
    assert.deepEqual([mode & 0o777, owner, ownGroup], [0o600, uid, gid]);
  });

  it('takes a server over, and stops it', async () => {
    const first = create('alice');
    await first.start();
    const second = create('alice');
    second.loadState(first.getState());
    assert.isNull(await second.poll());
    const [exited] = await Promise.all([
      new Promise((resolve) => first.once('exited', resolve)),
      second.stop(),
    ]);
    assert.deepInclude(exited, { signal: 'SIGINT' });
    assert.deepInclude(await second.poll(), { cause: 'cancelled' });
  });

  it('writes through no link that the user has put in the place of the log', async () => {
    symlinkSync(secret, log());
    await create('alice').start();
    assert.equal(readFileSync(secret, 'utf8'), 'the key');
    assert.equal(lstatSync(log()).uid, uid);
  });

  it('writes to no directory that the user may not write to', async () => {
    const folder = join(scratch, 'root');
    const error = await startError(create('alice', { logFile: join(folder, 'server.log') }));
    assert.include(error.message, folder);
    assert.include(error.message, 'Permission denied');
    symlinkSync(folder, join(scratch, 'logs'));
    await startError(create('alice', { logFile: join(scratch, 'logs', 'server.log') }));
    await startError(create('alice', { logFile: join(scratch, 'logs', 'secret') }));
    assert.equal(readFileSync(secret, 'utf8'), 'the key');
    assert.isFalse(existsSync(join(folder, 'server.log')));
  });

  it('writes through no link of another user', async () => {
    const folder = join(scratch, 'shared');
    mkdirSync(folder);
    chmodSync(folder, 0o1777);
    const precious = join(scratch, 'precious');
    writeFileSync(precious, 'data');
    chownSync(precious, uid, gid);
    const link = join(folder, 'server.log');
    symlinkSync(precious, link);
    lchownSync(link, idOf('-u', 'bob'), idOf('-g', 'bob'));
    const error = await startError(create('alice', { logFile: link }));
    assert.include(error.message, link);
    assert.equal(readFileSync(precious, 'utf8'), 'data');
  });

  it('reads the log of a server that has ended', async () => {
    const dies = `console.error('no kernel'); process.exit(3)`;
    const error = await startError(create('alice', { cmd: [...node, dies] }));
    assert.deepInclude(error.exit, { code: 3, cause: 'failed' });
    assert.equal(error.log, 'no kernel\n');
  });

  it('reads nothing that the user may not read', async () => {
    const replaces = `
      const { rmSync, symlinkSync } = require('node:fs');
      rmSync(process.argv[1]);
      symlinkSync(process.argv[2], process.argv[1]);
      process.exit(3);`;
    const error = await startError(create('alice', { cmd: [...node, replaces, log(), secret] }));
    assert.equal(error.exit?.code, 3);
    assert.isUndefined(error.log);
    assert.isTrue(lstatSync(log()).isSymbolicLink());
  });

  it('runs nothing of the user as root', async () => {
    const bin = join(scratch, 'bin');
    const ran = join(scratch, 'ran');
    mkdirSync(bin);
    for (const name of ['setpriv', 'getent', 'sh', 'env', 'rm', 'tail', 'id']) {
      writeFileSync(join(bin, name), `#!/bin/sh\n/usr/bin/id -u >>${ran}\nexit 1\n`);
      chmodSync(join(bin, name), 0o755);
    }
    writeFileSync(ran, '');
    chmodSync(ran, 0o666);
    const spawner = create('alice', {
      environment: { PATH: `${bin}:/usr/bin:/bin`, LD_PRELOAD: join(bin, 'evil.so'), LC_ALL: bin },
    });
    await spawner.start();
    assert.equal(readFileSync(ran, 'utf8'), '');
    // The loader complains of it once: when it loads the server.
    assert.lengthOf(readFileSync(log(), 'utf8').match(/evil\.so/g) ?? [], 1);
    const { env } = await ask(spawner);
    assert.equal(env['LD_PRELOAD'], join(bin, 'evil.so'));
    assert.equal(env['LC_ALL'], bin);
  });

  it('finds only programs that the user can run', async () => {
    const program = join(scratch, 'root', 'program');
    writeFileSync(program, '#!/bin/sh\n', { mode: 0o700 });
    const error = await startError(create('alice', { cmd: [program] }));
    assert.include(error.message, `There is no program '${program}' that the account 'alice'`);
  });

  it('says that there is no such account', async () => {
    const error = await startError(create('no-such-account'));
    assert.include(error.message, "There is no account 'no-such-account'");
  });

  it('says that the home directory can not be entered', async () => {
    const [, , , , , home] = execFileSync('getent', ['passwd', 'nobody'], {
      encoding: 'utf8',
    }).split(':');
    const error = await startError(create('nobody', { logFile: '/dev/null' }));
    assert.include(error.message, `can't enter its home directory ${home}`);
  });

  it('says why a server can not be signalled', async () => {
    const spawner = create('alice');
    await spawner.start();
    process.seteuid?.(idOf('-u', 'bob'));
    try {
      const error = await spawner.stop().catch((reason: unknown) => reason);
      assert.instanceOf(error, StopError);
      assert.include(error.message, 'EPERM');
    } finally {
      process.seteuid?.(0);
    }
    assert.isNull(await spawner.poll());
    await spawner.stop();
    assert.deepInclude(await spawner.poll(), { cause: 'cancelled' });
  });

  it('reads the process table of ps, for systems without /proc', async () => {
    const spawner = create('alice');
    await spawner.start();
    const pid = Number(spawner.getState()['pid']);
    const table = psTable(new LocalRunner());
    const identity = await table.identify(pid);
    assert.equal(await table.status(identity), 'alive');
    assert.equal(await table.status({ ...identity, started: 'never' }), 'replaced');
    assert.deepEqual(await table.members(pid), [pid]);
    await spawner.stop();
    assert.equal(await table.status(identity), 'ended');
    assert.deepEqual(await table.members(pid), []);
  });
});
