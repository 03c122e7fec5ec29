import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { procTable, psTable, signalGroup } from '../../lib/local/process.ts';
import type { CommandResult, CommandRunner } from '../../lib/runners/runner.ts';

/** Above the highest number that Linux gives to a process. */
const pid = 4_194_400;

describe('Process tables', () => {
  /** The leader of a group: of empty groups, tables are not asked. */
  let leader: ChildProcess;
  let group: number;
  before(() => {
    leader = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
    group = leader.pid ?? 0;
  });
  after(() => leader.kill('SIGKILL'));

  describe('procTable', () => {
    let proc: string;
    beforeEach(() => {
      proc = mkdtempSync(join(tmpdir(), 'proc-'));
      mkdirSync(join(proc, 'sys/kernel/random'), { recursive: true });
      writeFileSync(join(proc, 'sys/kernel/random/boot_id'), 'boot-1\n');
    });
    afterEach(() => rmSync(proc, { recursive: true }));

    /** As proc(5) has it. */
    function write(id: number, { state = 'S', of = id, started = '777', name = 'node' } = {}) {
      mkdirSync(join(proc, `${id}`), { recursive: true });
      const rest = '0 -1 4194304 1 0 0 0 5 6 0 0 20 0 7 0';
      writeFileSync(
        join(proc, `${id}`, 'stat'),
        `${id} (${name}) ${state} 1 ${of} ${of} ${rest} ${started} 123 456\n`,
      );
    }
    const table = () => procTable(proc);
    const known = { pid, started: '777', bootId: 'boot-1' };

    it('identifies a process by its number, start and boot', async () => {
      write(pid, { name: 'a) S (b' });
      assert.deepEqual(await table().identify(pid), known);
      rmSync(join(proc, 'sys'), { recursive: true });
      assert.deepEqual(await table().identify(pid), { pid, started: '777' });
    });

    it('tells a process from others by its start', async () => {
      write(pid);
      assert.equal(await table().status(known), 'alive');
      assert.equal(await table().status({ ...known, started: '778' }), 'replaced');
      assert.equal(await table().status({ ...known, bootId: 'boot-2' }), 'replaced');
      assert.equal(await table().status({ pid, started: '777' }), 'alive');
      rmSync(join(proc, 'sys'), { recursive: true });
      assert.equal(await table().status(known), 'alive');
    });

    it('knows that a process has ended', async () => {
      assert.equal(await table().status(known), 'ended');
      assert.deepEqual(await table().identify(pid), { ...known, started: '' });
      for (const state of ['Z', 'X']) {
        write(pid, { state });
        assert.equal(await table().status(known), 'ended');
      }
    });

    it('takes nothing that it can not read for an end', async () => {
      mkdirSync(join(proc, `${pid}`, 'stat'), { recursive: true });
      assert.equal(await table().status(known), 'unknown');
      rmSync(join(proc, `${pid}`), { recursive: true });
      write(pid, { started: 'x' });
      assert.equal(await table().status(known), 'unknown');
      // It lives, and nothing is shown of it.
      assert.equal(await table().status({ ...known, pid: process.pid }), 'unknown');
    });

    it('lists the members of a group that have not ended', async () => {
      write(group);
      write(pid, { of: group });
      write(pid + 1, { of: group, state: 'Z' });
      write(pid + 2);
      assert.sameMembers([...(await table().members(group))], [group, pid]);
      assert.isEmpty(await table().members(pid + 2), 'the system knows no such group');
    });
  });

  describe('psTable', () => {
    const known = { pid, started: 'Mon Nov 2 07:44:09 2026' };

    /** A table whose ps answers that, and what it was asked. */
    function answering(answer: Partial<CommandResult>) {
      const asked: unknown[] = [];
      const runner: CommandRunner = {
        run: async (argv, options) => {
          asked.push([argv, options?.env?.['LC_ALL'], options?.env?.['TZ']]);
          return { stdout: '', stderr: '', exitCode: 0, signal: null, timedOut: false, ...answer };
        },
      };
      return { table: psTable(runner), asked };
    }
    const row = (id: number, of: number, state: string) =>
      `${id} ${of} ${state}  Mon Nov  2 07:44:09 2026    \n`;

    it('identifies a process by its number and date', async () => {
      const { table, asked } = answering({ stdout: row(pid, pid, 'Ss') });
      assert.deepEqual(await table.identify(pid), known);
      const words = ['ps', '-o', 'pid=', '-o', 'pgid=', '-o', 'stat=', '-o', 'lstart='];
      assert.deepEqual(asked, [[[...words, '-p', String(pid)], 'C', 'UTC']]);
    });

    for (const [answer, status] of [
      [{ stdout: row(pid, pid, 'Ss+') }, 'alive'],
      [{ stdout: row(pid, pid, 'S').replace('07:44:09', '07:44:10') }, 'replaced'],
      [{ stdout: row(pid, pid, 'Z') }, 'ended'],
      [{ exitCode: 1 }, 'ended'],
      [{ exitCode: 1, stderr: 'ps: out of memory' }, 'unknown'],
      [{ exitCode: null, timedOut: true }, 'unknown'],
      [{ stdout: 'usage: ps [-AaCcEefhjlMmrSTvwXx]\n' }, 'unknown'],
    ] as const) {
      it(`takes ${JSON.stringify(answer)} for ${status}`, async () => {
        assert.equal(await answering(answer).table.status(known), status);
      });
    }

    it('lists the members of a group that have not ended', async () => {
      const stdout = [
        row(group, group, 'Ss'),
        row(pid, group, 'S'),
        row(pid + 1, group, 'Z'),
        row(pid + 2, pid + 2, 'S'),
      ].join('');
      const { table } = answering({ stdout });
      assert.sameMembers([...(await table.members(group))], [group, pid]);
      assert.isEmpty(await table.members(pid + 2), 'the system knows no such group');
    });
  });

  it('signal a group, and tell whether there is one', async () => {
    const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
    const id = child.pid ?? 0;
    assert.isTrue(signalGroup(id, 0));
    assert.isTrue(signalGroup(id, 'SIGTERM'));
    await once(child, 'exit');
    assert.equal(child.signalCode, 'SIGTERM');
    assert.isFalse(signalGroup(id, 'SIGTERM'));
  });
});
