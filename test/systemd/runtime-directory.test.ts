import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { CommandError, StartError } from '../../lib/errors.ts';
import { LocalRunner } from '../../lib/runners/local.ts';
import { Manager } from '../../lib/systemd/manager.ts';
import { RuntimeDirectory } from '../../lib/systemd/runtime-directory.ts';
import { rejected } from '../helpers/errors.ts';

describe('The directory of a unit', () => {
  const manager = new Manager(new LocalRunner(), { scope: 'system', run: {} });
  let home: string;

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'systemd-directory-'));
  });
  afterEach(() => {
    rmSync(home, { recursive: true });
  });

  const mode = (path: string) => statSync(path).mode & 0o7777;
  const at = (path: string) => new RuntimeDirectory(manager, join(home, path));
  const command = { argv: ['true'], environment: { A: '1' }, once: true };

  it('is made with its parents, which others may pass and nothing else', async () => {
    const directory = at('a/b/unit');
    await directory.begin('start', 60);
    expect(['a', 'a/b', 'a/b/unit'].map((path) => mode(join(home, path)))).to.deep.equal([
      0o755, 0o711, 0o700,
    ]);
    await directory.write(command);
    expect(mode(directory.path)).to.equal(0o711);
    await directory.settle();
    expect(readdirSync(directory.path).sort()).to.deep.equal(['end', 'environment', 'run']);
    await directory.remove('start');
    expect(readdirSync(join(home, 'a'))).to.deep.equal(['b']);
  });

  it('leaves a parent that is there as it is', async () => {
    chmodSync(home, 0o1777);
    const directory = at('unit');
    await directory.begin('start', 60);
    await directory.write(command);
    await directory.settle();
    await directory.remove('start');
    expect(mode(home)).to.equal(0o1777);
  });

  it('is no link, nor in one', async () => {
    mkdirSync(join(home, 'real/unit'), { recursive: true });
    symlinkSync('real', join(home, 'parent'));
    symlinkSync('real/unit', join(home, 'unit'));
    for (const path of ['unit', 'parent/unit']) {
      const error = await rejected(StartError, at(path).begin('start', 60));
      expect(error.message).to.match(/runtimeDir has to be/);
    }
    expect(readdirSync(join(home, 'real/unit'))).to.deep.equal([]);
  });

  // Root alone can make what is somebody else's.
  const itAsRoot = process.getuid?.() === 0 ? it : () => {};
  itAsRoot("is nobody else's, nor in somebody else's", async () => {
    mkdirSync(join(home, 'theirs'));
    mkdirSync(join(home, 'unit'));
    for (const path of ['theirs', 'unit']) chownSync(join(home, path), 65534, 65534);
    for (const path of ['theirs/unit', 'unit'])
      await rejected(StartError, at(path).begin('start', 60));
  });

  it('is taken by one start at a time, and left by the one that has it', async () => {
    const [first, second] = [at('unit'), at('unit')];
    await first.begin('first', -1);
    await second.begin('second', 60);
    await first.settle();
    await first.remove('first');
    const error = await rejected(StartError, first.begin('start', 60));
    expect(error.message).to.match(/being started already/);
    expect(readFileSync(join(second.path, 'starting'), 'utf8')).to.match(/^\d+ second\n$/);
    expect(readdirSync(second.path)).to.deep.equal(['starting']);
    await second.settle();
    expect(existsSync(second.path)).to.equal(false);
    await first.begin('start', 60);
  });

  it('runs nothing for a unit of an earlier start that was made late', async () => {
    const [late, next] = [at('unit'), at('unit')];
    await late.begin('late', -1);
    await late.write({ ...command, argv: ['echo', 'late'] });
    await next.begin('next', 60);
    await next.write({ ...command, argv: ['echo', 'next'] });
    const runner = new LocalRunner();
    const refused = await runner.run(late.commands.run);
    expect(refused.stdout).to.equal('');
    expect(refused.stderr).to.match(/too late/);
    expect((await runner.run(next.commands.run)).stdout).to.equal('next\n');
    await runner.run(late.commands.end);
    expect(readdirSync(next.path)).to.not.include('exit');
    await runner.run(next.commands.end);
    expect(readdirSync(next.path)).to.include('exit');
  });

  it('is not being started by others because it can not be made', async () => {
    writeFileSync(join(home, 'file'), '');
    const error = await rejected(CommandError, at('file/unit').begin('start', 60));
    expect(error.message).to.match(/could not be made .*file/);
  });
});
