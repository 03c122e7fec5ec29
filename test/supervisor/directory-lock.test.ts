import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { StoreError } from '../../lib/errors.ts';
import type { ProcessStatus, ProcessTable } from '../../lib/local/process.ts';
import type { LockOptions } from '../../lib/supervisor/directory-lock.ts';
import { DirectoryLock } from '../../lib/supervisor/directory-lock.ts';
import { rejected } from '../helpers/errors.ts';

/** Above the highest number that Linux gives to a process. */
const other = 4_194_400;

describe('DirectoryLock', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'lock-'));
    file = join(directory, 'lock');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** A table in which this process lives, and every other one has that status. */
  function processes(status: ProcessStatus): ProcessTable {
    return {
      identify: async (pid) => ({ pid, started: '777', bootId: 'boot-1' }),
      status: async ({ pid }) => (pid === process.pid ? 'alive' : status),
      members: async () => [],
    };
  }

  /** A machine whose time passes by its waiting alone; `atSecond` is what happens meanwhile. */
  function machine(status: ProcessStatus, atSecond: (second: number) => void = () => {}) {
    const passed = { ms: 0 };
    const beats: { ms: number; action: () => Promise<void>; ended: boolean }[] = [];
    const lost: StoreError[] = [];
    const options: LockOptions = {
      processes: processes(status),
      machine: 'boot-1 pid:[1]',
      sleep: async (ms) => {
        passed.ms += ms;
        atSecond(passed.ms / 1000);
      },
      every: (ms, action) => {
        const beat = { ms, action, ended: false };
        beats.push(beat);
        return () => {
          beat.ended = true;
        };
      },
      lost: (error) => lost.push(error),
    };
    return { lock: new DirectoryLock(directory, options), options, passed, beats, lost };
  }

  function textOf(holder: Readonly<Record<string, unknown>> = {}): string {
    return JSON.stringify({
      pid: other,
      started: '666',
      bootId: 'boot-1',
      machine: 'boot-1 pid:[1]',
      host: 'hub01',
      token: 'theirs',
      ...holder,
    });
  }

  /** A lock that was made, and last touched, some time ago. */
  function leave(text: string, path = file): void {
    writeFileSync(path, text);
    utimesSync(path, 1000, 1000);
  }

  const isOwn = () => JSON.parse(readFileSync(file, 'utf8')).pid === process.pid;

  it('is a file that says who holds it, for as long as it is held', async () => {
    const { lock } = machine('ended');
    await lock.acquire();
    const { token, ...holder } = JSON.parse(readFileSync(file, 'utf8'));
    assert.match(token, /^[0-9a-f]{32}$/);
    assert.deepEqual(holder, {
      pid: process.pid,
      started: '777',
      bootId: 'boot-1',
      machine: 'boot-1 pid:[1]',
      host: hostname(),
    });
    assert.equal(statSync(file).mode & 0o777, 0o600);
    await lock.check();
    await lock.acquire();
    assert.deepEqual(readdirSync(directory), ['lock']);
    await lock.release();
    await lock.release();
    assert.deepEqual(readdirSync(directory), []);
  });

  it('tells this machine from others by itself', async () => {
    const first = new DirectoryLock(directory);
    await first.acquire();
    const error = await rejected(StoreError, new DirectoryLock(directory).acquire());
    assert.equal(
      error.message,
      `The directory ${directory} is used by the hub with process ${process.pid} on ` +
        `${hostname()}; disconnect the other store. Its lock is ${file}.`,
    );
    await first.release();
    const second = new DirectoryLock(directory);
    await second.acquire();
    await second.release();
  });

  it('is refused at once while its holder lives', async () => {
    leave(textOf());
    const { lock, passed } = machine('alive');
    const error = await rejected(StoreError, lock.acquire());
    assert.equal(
      error.message,
      `The directory ${directory} is used by the hub with process ${other} on hub01; stop it ` +
        `first. Its lock is ${file}.`,
    );
    assert.equal(passed.ms, 0);
    assert.equal(readFileSync(file, 'utf8'), textOf());
    assert.deepEqual(readdirSync(directory), ['lock']);
  });

  for (const status of ['ended', 'replaced'] as const) {
    it(`is taken over at once if its holder is ${status}`, async () => {
      leave(textOf());
      const { lock, passed } = machine(status);
      await lock.acquire();
      assert.equal(passed.ms, 0);
      assert.isTrue(isOwn());
      assert.deepEqual(readdirSync(directory), ['lock']);
    });
  }

  const untold = {
    'is of another machine': textOf({ machine: 'boot-2 pid:[1]' }),
    'is of another container': textOf({ machine: 'boot-1 pid:[2]', pid: process.pid }),
    'can not be looked up': textOf(),
    'has no known start': textOf({ started: '' }),
    'is not named, as the lock is empty': '',
    'is not named, as the lock is no JSON': '{"pid":',
    'is not named, as the lock is no object': 'null',
    'is not named, as the lock has wrong fields': textOf({ pid: String(other) }),
    'is not named, as the lock has too few fields': '{"pid":12}',
  };
  for (const [what, text] of Object.entries(untold)) {
    describe(`whose holder ${what}`, () => {
      beforeEach(() => leave(text));

      it('is taken over after 30 s without a touch', async () => {
        const { lock, passed } = machine('unknown');
        await lock.acquire();
        assert.equal(passed.ms, 30_000);
        assert.isTrue(isOwn());
        assert.deepEqual(readdirSync(directory), ['lock']);
      });

      it('is refused if it is touched meanwhile', async () => {
        const { lock, passed } = machine('unknown', (second) => {
          if (second === 9) {
            utimesSync(file, 1010, 1010);
          }
        });
        const error = await rejected(StoreError, lock.acquire());
        assert.match(error.message, /^The directory .* is used by .*; stop it first\. /);
        assert.equal(passed.ms, 9000);
        assert.equal(readFileSync(file, 'utf8'), text);
      });
    });
  }

  it('is refused if another took it while it was watched', async () => {
    leave(textOf());
    const { lock } = machine('unknown', () => leave(textOf({ pid: other + 1 })));
    const error = await rejected(StoreError, lock.acquire());
    assert.include(error.message, `process ${other + 1} on hub01`);
  });

  it('is taken if it is given free while it is watched', async () => {
    leave(textOf());
    const { lock, passed } = machine('unknown', (second) => {
      if (second === 3) {
        rmSync(file);
      }
    });
    await lock.acquire();
    assert.equal(passed.ms, 3000);
    assert.isTrue(isOwn());
  });

  it('is not watched further when nobody waits any more', async () => {
    leave(textOf());
    const controller = new AbortController();
    const { lock } = machine('unknown', (second) => second === 2 && controller.abort());
    const error = await rejected(StoreError, lock.acquire(controller.signal));
    assert.include(error.message, 'was disconnected before it was opened');
    assert.equal(readFileSync(file, 'utf8'), textOf());
  });

  it('is not waited for where the directory is gone', async () => {
    rmSync(directory, { recursive: true });
    const error = await rejected(Error, machine('ended').lock.acquire());
    mkdirSync(directory);
    assert.match(error.message, /^ENOENT/);
  });

  it('is touched every 10 s', async () => {
    const { lock, beats } = machine('ended');
    await lock.acquire();
    await lock.acquire();
    assert.deepEqual(
      beats.map(({ ms }) => ms),
      [10_000],
    );
    utimesSync(file, 1000, 1000);
    await beats[0]?.action();
    assert.isAbove(statSync(file).mtimeMs, 1_000_000);
    assert.isFalse(beats[0]?.ended);
    await lock.release();
    assert.isTrue(beats[0]?.ended);
  });

  it('that was taken over is lost for good, and neither touched nor removed', async () => {
    const { lock, beats, lost } = machine('ended');
    await lock.acquire();
    leave(textOf());
    const error = await rejected(StoreError, lock.check());
    assert.equal(
      error.message,
      `Another hub has taken over the directory ${directory}: the hub with process ${other} on ` +
        'hub01. Nothing more is saved by this one; end it.',
    );
    assert.isTrue(beats[0]?.ended);
    await beats[0]?.action();
    assert.equal(statSync(file).mtimeMs, 1_000_000);
    await lock.release();
    assert.equal(readFileSync(file, 'utf8'), textOf());
    rmSync(file);
    assert.equal(await rejected(StoreError, lock.check()), error);
    assert.deepEqual(lost, [error]);
  });

  it('that was removed is lost', async () => {
    const { lock, beats, lost } = machine('ended');
    await lock.acquire();
    rmSync(file);
    await beats[0]?.action();
    const error = await rejected(StoreError, lock.check());
    assert.include(error.message, `The lock ${file} was removed`);
    assert.deepEqual(lost, [error]);
    assert.isFalse(existsSync(file));
  });

  it('goes to one of many that take it over at the same time', async () => {
    for (let round = 0; round < 100; round += 1) {
      const stale = textOf({ token: `${round}` });
      leave(stale);
      const locks = Array.from({ length: 2 + (round % 5) }, () => machine('ended').lock);
      const results = await Promise.allSettled(locks.map((lock) => lock.acquire()));
      const winners = locks.filter((_, index) => results[index]?.status === 'fulfilled');
      assert.lengthOf(winners, 1, `in round ${round}`);
      for (const result of results) {
        if (result.status === 'rejected') {
          assert.instanceOf(result.reason, StoreError);
          assert.include(result.reason.message, `process ${process.pid}`);
        }
      }
      await winners[0]?.check();
      assert.deepEqual(readdirSync(directory), ['lock']);
    }
  });

  it('goes to one of many that take it when there is none', async () => {
    for (let round = 0; round < 30; round += 1) {
      const locks = Array.from({ length: 5 }, () => machine('ended').lock);
      const results = await Promise.allSettled(locks.map((lock) => lock.acquire()));
      assert.lengthOf(
        results.filter(({ status }) => status === 'fulfilled'),
        1,
      );
      await Promise.all(locks.map((lock) => lock.release()));
      assert.deepEqual(readdirSync(directory), []);
    }
  });

  describe('that another was about to take over', () => {
    let claim: string;
    beforeEach(() => {
      const hash = createHash('sha256').update(textOf()).digest('hex').slice(0, 32);
      claim = `${file}.${hash}.tmp`;
      leave(textOf());
      leave(textOf({ pid: other + 1 }), claim);
    });

    it('is taken over if that one has ended, too', async () => {
      const { lock } = machine('ended');
      await lock.acquire();
      assert.isTrue(isOwn());
      assert.deepEqual(readdirSync(directory), ['lock']);
    });

    it('is refused while that one lives', async () => {
      const table: ProcessTable = {
        ...processes('ended'),
        status: async ({ pid }) => (pid === other ? 'ended' : 'alive'),
      };
      const lock = new DirectoryLock(directory, { ...machine('ended').options, processes: table });
      const error = await rejected(StoreError, lock.acquire());
      assert.include(error.message, `process ${other + 1} on hub01`);
      assert.isTrue(existsSync(claim));
    });
  });

  for (const [what, change] of [
    ['is gone', () => rmSync(file)],
    ['was touched', () => utimesSync(file, 1010, 1010)],
  ] as const) {
    it(`is looked at anew if it ${what} when it is to be taken over`, async () => {
      leave(textOf());
      let asked = 0;
      const table: ProcessTable = {
        ...processes('ended'),
        status: async () => {
          asked += 1;
          if (asked === 1) {
            change();
          }
          return 'ended';
        },
      };
      const lock = new DirectoryLock(directory, { ...machine('ended').options, processes: table });
      await lock.acquire();
      assert.isTrue(isOwn());
      assert.equal(asked, what === 'is gone' ? 1 : 2);
      assert.deepEqual(readdirSync(directory), ['lock']);
    });
  }
});
