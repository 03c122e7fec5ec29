import { expect } from 'chai';
import { ParseError } from '../../lib/errors.ts';
import { readCgroup } from '../../lib/systemd/cgroup.ts';
import { exitOfService } from '../../lib/systemd/exit.ts';
import { Manager } from '../../lib/systemd/manager.ts';
import { parseUnits, states } from '../../lib/systemd/units.ts';
import { StubRunner } from '../../lib/testing/index.ts';
import { rejected } from '../helpers/errors.ts';

describe('What systemctl show says', () => {
  const whole =
    'LoadState=loaded\nControlGroup=/a.slice/b.service\nDescription=a = b\nActiveState=active\nTransient=yes\n';
  const show = (stdout: string) =>
    new Manager(new StubRunner({ systemctl: stdout }), { scope: 'system', run: {} }).show(
      'b.service',
    );

  it('is read, in any order', async () => {
    const status = {
      activeState: 'active',
      controlGroup: '/a.slice/b.service',
      description: 'a = b',
      isPermanent: false,
    };
    expect(await show(whole)).to.deep.equal(status);
    const reversed = whole.trimEnd().split('\n').reverse().join('\n');
    expect(await show(`${reversed}\n`)).to.deep.equal(status);
  });

  it('tells a unit that the machine has a file for', async () => {
    const { isPermanent } = await show(whole.replace('Transient=yes', 'Transient=no'));
    expect(isPermanent).to.equal(true);
    const missing = whole.replace('loaded', 'not-found').replace('Transient=yes', 'Transient=no');
    expect((await show(missing)).isPermanent).to.equal(false);
  });

  it('is no answer where it is cut off', async () => {
    for (let length = 0; length < whole.length; length += 1) {
      await rejected(ParseError, show(whole.slice(0, length)));
    }
  });
});

describe('The list of units', () => {
  it('gives names, states and descriptions', () => {
    const { jobs, complete } = parseUnits(
      'jupyter-a\\x2db.service loaded active running hubspawner:1:a%2Db:lab:9 port 4000\n' +
        'jupyter-c.service     loaded failed failed  x  \n' +
        'jupyter-d.service     loaded activating auto-restart y\n' +
        'jupyter-e.service     loaded deactivating stop-sigterm z\n' +
        'jupyter-f.service     loaded strange strange z\n' +
        '                      jupyter-x.service loaded active running forged\n' +
        'jupyter-g.service     loaded deactivating stop-sigterm stop hubspawner:1:g::9 port 1\n',
      states,
    );
    expect(complete).to.equal(true);
    expect(jobs.map(({ id, state, reason }) => `${id} ${state} ${reason}`)).to.deep.equal([
      'jupyter-a\\x2db.service running hubspawner:1:a%2Db:lab:9 port 4000',
      'jupyter-c.service ended x',
      'jupyter-d.service running y',
      'jupyter-e.service completing z',
      'jupyter-f.service unknown z',
      'jupyter-g.service completing hubspawner:1:g::9 port 1',
    ]);
  });

  it('is complete where there are none, and unreadable where it is something else', () => {
    expect(parseUnits('', states)).to.deep.equal({ jobs: [], complete: true });
    expect(() => parseUnits('Failed to list units: Connection timed out\n', states)).to.throw(
      ParseError,
    );
    expect(parseUnits('a.service loaded active running x', states).complete).to.equal(false);
  });
});

describe('The end of a service', () => {
  const all = { memory: true, runtime: true };
  const none = { memory: false, runtime: false };

  for (const [end, expected] of [
    [
      ['success', 'exited', '0', 0],
      ['completed', 0, null],
    ],
    [
      ['success', 'killed', 'TERM', 0],
      ['cancelled', null, 'SIGTERM'],
    ],
    [
      ['exit-code', 'exited', '7', 0],
      ['failed', 7, null],
    ],
    [
      ['signal', 'killed', 'KILL', 0],
      ['failed', null, 'SIGKILL'],
    ],
    [
      ['signal', 'killed', 'KILL', 2],
      ['out-of-memory', null, 'SIGKILL'],
    ],
    [
      ['oom-kill', 'killed', 'KILL', 1],
      ['out-of-memory', null, 'SIGKILL'],
    ],
    [
      ['timeout', 'killed', 'TERM', 0],
      ['timeout', null, 'SIGTERM'],
    ],
    [
      ['watchdog', 'dumped', 'ABRT', 0],
      ['failed', null, 'SIGABRT'],
    ],
    [
      ['core-dump', 'dumped', 'SEGV', 0],
      ['failed', null, 'SIGSEGV'],
    ],
    [
      ['resources', '', '', 0],
      ['failed', null, null],
    ],
  ] as const) {
    it(`${end.join(':')} is ${expected.join(', ')}`, () => {
      const [result, code, status, oomKills] = end;
      const exit = exitOfService({ result, code, status, oomKills }, all);
      expect([exit.cause, exit.code, exit.signal]).to.deep.equal(expected);
      expect(exit.message).to.match(/^The server .*\.$/);
    });
  }

  it('names the limits that were asked for, and no others', () => {
    const late = { result: 'timeout', code: 'killed', status: 'KILL', oomKills: 0 };
    const large = { result: 'oom-kill', code: 'killed', status: 'KILL', oomKills: 1 };
    expect(exitOfService(late, all).message).to.include('maxRuntime');
    expect(exitOfService(large, all).message).to.include('memLimit');
    expect(exitOfService(late, none)).to.deep.equal({
      ...{ code: null, signal: 'SIGKILL', cause: 'cancelled' },
      message: 'The server was stopped (SIGKILL, it did not end in time when it was told to).',
    });
    expect(exitOfService(large, none)).to.include({
      cause: 'out-of-memory',
      message: 'The server was killed for want of memory (SIGKILL).',
    });
  });

  it('of which there is no word is unknown', () => {
    expect(exitOfService(undefined, all)).to.include({ cause: 'unknown', code: null });
  });
});

describe('The kernel about a control group', () => {
  const read = (lines: readonly string[]) =>
    readCgroup(
      async () => ({
        ...{ stdout: `${lines.join('\n')}\n`, stderr: '', exitCode: 2, signal: null },
        timedOut: false,
      }),
      '/system.slice/a.service',
    );

  it('is read with cgroup v2', async () => {
    const at = '/sys/fs/cgroup//system.slice/a:b.service';
    expect(
      await read([
        `${at}/memory.current:9785344`,
        `${at}/memory.max:209715200`,
        `${at}/memory.high:max`,
        `${at}/memory.low:4096`,
        `${at}/memory.swap.max:0`,
        `${at}/cpu.weight:50`,
        `${at}/cpu.stat:usage_usec 1500000`,
        `${at}/cpu.stat:user_usec 1`,
        `${at}/cpu.max:50000 100000`,
        `${at}/pids.current:3`,
        `${at}/pids.max:max`,
      ]),
    ).to.deep.equal({
      ...{ memory: 9_785_344, memoryMax: 209_715_200, cpu: 1.5, cpuMax: 0.5 },
      ...{ memoryHigh: null, memoryLow: 4096, swapMax: 0, cpuWeight: 50 },
      ...{ tasks: 3, tasksMax: null },
    });
  });

  it('keeps no memory for a server whose slice keeps none', async () => {
    const at = '/sys/fs/cgroup/';
    const own = `${at}/system.slice/a.service/memory.low:4096`;
    const lowOf = async (slice: string) =>
      (await read([own, `${at}/system.slice/memory.low:${slice}`])).memoryLow;
    expect([await lowOf('0'), await lowOf('1024'), await lowOf('max')]).to.deep.equal([
      null,
      1024,
      4096,
    ]);
  });

  it('is read with cgroup v1', async () => {
    const at = (controller: string) => `/sys/fs/cgroup/${controller}/system.slice/a.service`;
    expect(
      await read([
        `${at('memory')}/memory.usage_in_bytes:4096`,
        `${at('memory')}/memory.limit_in_bytes:9223372036854771712`,
        `${at('cpu,cpuacct')}/cpuacct.usage:2500000000`,
        `${at('cpu,cpuacct')}/cpu.cfs_quota_us:-1`,
        `${at('cpu,cpuacct')}/cpu.cfs_period_us:100000`,
        `${at('cpu,cpuacct')}/cpu.shares:512`,
        `${at('pids')}/pids.current:1`,
        `${at('pids')}/pids.max:100`,
      ]),
    ).to.deep.equal({
      ...{ memory: 4096, memoryMax: null, cpu: 2.5, cpuMax: null, tasks: 1, tasksMax: 100 },
      ...{ memoryHigh: null, memoryLow: null, swapMax: null, cpuWeight: 50 },
    });
  });

  it('says nothing where nothing is there', async () => {
    const facts = Object.values(await read([]));
    expect(facts).to.have.length(10);
    expect(new Set(facts)).to.deep.equal(new Set([null]));
  });
});
