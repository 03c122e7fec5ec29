import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
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
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import fc from 'fast-check';
import { OptionsError, StoreError } from '../../lib/errors.ts';
import { FileStore } from '../../lib/supervisor/file-store.ts';
import { rejected, thrown } from '../helpers/errors.ts';

const holder = fileURLToPath(new URL('../helpers/store-holder.ts', import.meta.url));
/** With which it ends. */
const lostCode = 3;
const value = { jobId: '4711', name: 'Zoë "\\', list: [1, null, true] };

describe('FileStore', () => {
  let folder: string;
  let directory: string;
  let stores: FileStore[];
  let errors: StoreError[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'file-store-'));
    directory = join(folder, 'servers');
    stores = [];
    errors = [];
  });
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.disconnect()));
    rmSync(folder, { recursive: true });
  });

  /** One whose error events are collected. */
  function open(): FileStore {
    const store = new FileStore(directory);
    store.on('error', (error) => {
      assert.instanceOf(error, StoreError);
      errors.push(error);
    });
    stores.push(store);
    return store;
  }

  /** The files of a directory in which some values are kept, by key. */
  async function filesOf(values: Readonly<Record<string, unknown>>) {
    const files: Record<string, string> = {};
    const store = open();
    for (const [key, kept] of Object.entries(values)) {
      const before = existsSync(directory) ? readdirSync(directory) : [];
      await store.set(key, kept);
      const [name = ''] = names().filter((file) => file !== 'lock' && !before.includes(file));
      files[key] = join(directory, name);
    }
    await store.disconnect();
    return files;
  }

  async function contentOf(store: FileStore): Promise<[string, unknown][]> {
    const content: [string, unknown][] = [];
    for await (const entry of store.iterator()) {
      content.push(entry);
    }
    return content.sort(([a], [b]) => (a < b ? -1 : 1));
  }

  const allRejected = (...calls: readonly Promise<unknown>[]) =>
    Promise.all(calls.map((call) => rejected(StoreError, call)));

  const names = () => readdirSync(directory).sort();
  const modeOf = (path: string) => statSync(path).mode & 0o777;

  it('needs the path of a directory', () => {
    assert.equal(thrown(OptionsError, () => new FileStore('')).path, 'directory');
  });

  it('does nothing before it is used', async () => {
    await open().disconnect();
    assert.isFalse(existsSync(directory));
  });

  it('keeps one file for each key, that people can read', async () => {
    const files = await filesOf({ 'Ada@example.org/GPU': value, '-x': 1, '': 2 });
    assert.match(
      basename(files['Ada@example.org/GPU'] ?? ''),
      /^ada_example_org_gpu-[0-9a-f]{32}\.json$/,
    );
    assert.match(basename(files['-x'] ?? ''), /^_x-[0-9a-f]{32}\.json$/);
    assert.match(basename(files[''] ?? ''), /^_-[0-9a-f]{32}\.json$/);
    assert.deepEqual(JSON.parse(readFileSync(files['Ada@example.org/GPU'] ?? '', 'utf8')), {
      version: 1,
      key: 'Ada@example.org/GPU',
      value,
    });
  });

  it('gives the value of a key, or undefined', async () => {
    const store = open();
    await store.set('alice', value);
    assert.deepEqual(await store.get('alice'), value);
    assert.isUndefined(await store.get('bob'));
    assert.isTrue(await store.delete('alice'));
    assert.isFalse(await store.delete('alice'));
    assert.isUndefined(await store.get('alice'));
  });

  it('tells keys apart that UTF-8 does not', async () => {
    const store = open();
    await Promise.all([store.set('\ud800', 1), store.set('\ud801', 2), store.set('\ufffd', 3)]);
    assert.deepEqual(await contentOf(store), [
      ['\ud800', 1],
      ['\ud801', 2],
      ['\ufffd', 3],
    ]);
  });

  it('does what is asked of a key in order', async () => {
    const store = open();
    const [, before, , after] = await Promise.all([
      store.set('alice', 1),
      store.get('alice'),
      store.set('alice', 2),
      store.get('alice'),
      store.delete('alice'),
    ]);
    assert.deepEqual([before, after], [1, 2]);
    assert.deepEqual(await contentOf(store), []);
  });

  it('refuses what is no JSON, and keeps what there was', async () => {
    const store = open();
    await store.set('alice', value);
    const error = await rejected(StoreError, store.set('alice', 1n));
    assert.include(error.message, 'The value of "alice" can\'t be kept');
    assert.isFalse(error.retryable);
    assert.deepEqual(await store.get('alice'), value);
  });

  describe('as for who can read and write', () => {
    it('makes a directory, its parents and files for this account alone', async () => {
      directory = join(folder, 'a/b');
      const files = await filesOf({ alice: value });
      assert.equal(modeOf(join(folder, 'a')), 0o700);
      assert.equal(modeOf(directory), 0o700);
      assert.equal(modeOf(files['alice'] ?? ''), 0o600);
    });

    for (const mode of [0o770, 0o777, 0o702]) {
      it(`refuses a directory with mode ${mode.toString(8)}`, async () => {
        mkdirSync(directory);
        chmodSync(directory, mode);
        const error = await rejected(StoreError, open().set('alice', value));
        assert.include(error.message, `Others may write to the directory ${directory}`);
        assert.deepEqual(names(), []);
      });
    }

    it('takes a directory that others may read', async () => {
      mkdirSync(directory);
      chmodSync(directory, 0o755);
      await open().set('alice', value);
    });

    if (process.geteuid?.() === 0) {
      it('refuses a directory of another account', async () => {
        mkdirSync(directory);
        chownSync(directory, 65534, 65534);
        const error = await rejected(StoreError, open().get('alice'));
        assert.include(error.message, 'belongs to another account, with the number 65534');
      });
    }
  });

  describe('of which something is damaged', () => {
    const text = (content: unknown) => JSON.stringify(content);
    const damages: Readonly<Record<string, readonly [(file: string) => void, RegExp]>> = {
      empty: [(file) => writeFileSync(file, ''), /it is empty/],
      binary: [(file) => writeFileSync(file, Buffer.from([0, 255, 1, 254])), /it is no JSON/],
      'no UTF-8': [
        (file) =>
          writeFileSync(
            file,
            Buffer.from(text({ version: 1, key: 'alice', value: '\xff' }), 'latin1'),
          ),
        /it is no JSON/,
      ],
      'no object': [(file) => writeFileSync(file, 'null'), /it has no version/],
      'of another version': [
        (file) => writeFileSync(file, text({ version: 2, key: 'alice', value })),
        /it has version 2, where this release of hubspawner reads version 1/,
      ],
      'without a key': [(file) => writeFileSync(file, text({ version: 1, value })), /no key/],
      'without a value': [
        (file) => writeFileSync(file, text({ version: 1, key: 'alice' })),
        /no value/,
      ],
      "with another's key": [
        (file) => writeFileSync(file, text({ version: 1, key: 'bob', value })),
        /its name is not the one that belongs to its key/,
      ],
      'a directory': [(file) => mkdirSync(file), /it is no regular file/],
      'a symbolic link': [(file) => symlinkSync('/dev/zero', file), /it can't be read \(ELOOP/],
      'a pipe': [(file) => execFileSync('mkfifo', [file]), /it is no regular file/],
      ...(process.geteuid?.() !== 0 && {
        unreadable: [
          (file: string) => writeFileSync(file, '', { mode: 0o200 }),
          /it can't be read \(EACCES/,
        ] as const,
      }),
    };
    for (const [name, [damage, reason]] of Object.entries(damages)) {
      it(`sets aside a file that is ${name}`, async () => {
        const { alice = '' } = await filesOf({ alice: value, bob: 1 });
        rmSync(alice);
        damage(alice);
        const store = open();
        assert.deepEqual(await contentOf(store), [['bob', 1]]);
        assert.lengthOf(errors, 1);
        assert.include(errors[0]?.message, `The file ${alice} can't be used`);
        assert.include(errors[0]?.message, `It is now ${alice}.damaged-1: mend it`);
        assert.match(errors[0]?.message ?? '', reason);
        assert.isUndefined(await store.get('alice'));
        assert.lengthOf(errors, 1);
        assert.deepEqual(await contentOf(store), [['bob', 1]]);
        assert.lengthOf(errors, 2);
        assert.include(errors[1]?.message, `${alice}.damaged-1 was set aside: the record`);
        await store.set('alice', 2);
        assert.equal(await store.get('alice'), 2);
      });
    }

    it('sets all of them aside, and overwrites none', async () => {
      const { alice = '' } = await filesOf({ alice: value });
      const store = open();
      for (const n of [1, 2, 3]) {
        writeFileSync(alice, `garbage ${n}`);
        const got = await Promise.all([store.get('alice'), store.get('alice'), contentOf(store)]);
        assert.deepEqual(got, [undefined, undefined, []]);
        assert.lengthOf(
          errors.filter(({ message }) => message.includes('It is now')),
          n,
        );
      }
      for (const n of [1, 2, 3]) {
        assert.equal(readFileSync(`${alice}.damaged-${n}`, 'utf8'), `garbage ${n}`);
      }
    });

    it('says so where it can not be set aside, and gives the others', async () => {
      await filesOf({ bob: 1 });
      const file = join(directory, `${'x'.repeat(245)}.json`);
      writeFileSync(file, 'garbage');
      assert.deepEqual(await contentOf(open()), [['bob', 1]]);
      assert.include(errors[0]?.message, `The file ${file} can't be used, because it is no JSON`);
      assert.include(errors[0]?.message, 'nor be renamed: ENAMETOOLONG');
    });

    it('goes on where a listener throws', async () => {
      const { alice = '' } = await filesOf({ alice: value, bob: 1 });
      writeFileSync(alice, '');
      const store = open().on('error', () => {
        throw new Error('a failing listener');
      });
      assert.deepEqual(await contentOf(store), [['bob', 1]]);
    });

    it('gives, of files that are cut at any byte, the whole ones', async () => {
      const keys = Object.fromEntries(Array.from({ length: 120 }, (_, n) => [`user${n}`, value]));
      const files = Object.entries(await filesOf(keys));
      const whole: string[] = [];
      for (const [cut, [key, file]] of files.entries()) {
        const bytes = readFileSync(file);
        writeFileSync(file, bytes.subarray(0, cut));
        // The line's end is no part of the JSON.
        if (cut >= bytes.length - 1) {
          whole.push(key);
        }
      }
      assert.isNotEmpty(whole);
      assert.deepEqual(
        await contentOf(open()),
        whole.sort().map((key) => [key, value]),
      );
      assert.lengthOf(errors, files.length - whole.length);
    });

    it('gives no garbage, whatever is in a file', async () => {
      const { alice = '' } = await filesOf({ alice: value, bob: 1 });
      const good = readFileSync(alice);
      const flipped = fc
        .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
        .map((changes) => {
          const bytes = Buffer.from(good);
          for (const [at, byte] of changes) bytes[at] = byte;
          return bytes;
        });
      const garbage = fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.string({ unit: 'binary' }).map((content) => Buffer.from(content)),
        fc.json().map((content) => Buffer.from(content)),
        fc
          .record(
            { version: fc.jsonValue(), key: fc.jsonValue(), value: fc.jsonValue() },
            { requiredKeys: [] },
          )
          .map((content) => Buffer.from(text(content))),
        flipped,
      );
      const store = open();
      await fc.assert(
        fc.asyncProperty(garbage, async (bytes) => {
          writeFileSync(alice, bytes);
          const count = errors.length;
          const content = new Map(await contentOf(store));
          assert.equal(content.get('bob'), 1);
          if (content.has('alice')) {
            const kept: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
            assert.deepEqual(kept, { version: 1, key: 'alice', value: content.get('alice') });
            assert.lengthOf(errors, count);
          } else {
            assert.lengthOf(errors, count + 1);
            const [, aside = ''] = /It is now (.*?): mend/.exec(errors.at(-1)?.message ?? '') ?? [];
            assert.isTrue(readFileSync(aside).equals(bytes));
            rmSync(aside);
          }
        }),
        { numRuns: 400 },
      );
    });
  });

  it('removes what a killed one left behind, and nothing else', async () => {
    const { alice = '' } = await filesOf({ alice: value });
    const others = ['notes.txt', 'backup.tmp', 'lock.txt', 'x.json.old', 'y.json.abc.tmp'];
    const hash = 'ab'.repeat(16);
    const leftovers = [
      `${basename(alice)}.0123456789ab.tmp`,
      'lock.0123456789ab.tmp',
      `lock.${hash}.tmp`,
      `lock.${hash}.tmp.0123456789ab.tmp`,
    ];
    for (const name of [...others, ...leftovers]) writeFileSync(join(directory, name), '{');
    assert.deepEqual(await contentOf(open()), [['alice', value]]);
    assert.deepEqual(names(), [...others, 'lock', basename(alice)].sort());
    assert.isEmpty(errors);
  });

  it('shows the old value or the new one at any time', async () => {
    const { alice = '' } = await filesOf({ alice: { index: 0, text: '' } });
    const store = open();
    let writing = true;
    const written = Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        store.set('alice', { index, text: 'x'.repeat(index * 1000) }),
      ),
    ).finally(() => {
      writing = false;
    });
    const seen = new Set<number>();
    while (writing) {
      const { index, text } = JSON.parse(readFileSync(alice, 'utf8')).value;
      assert.lengthOf(text, index * 1000);
      seen.add(index);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await written;
    assert.isAbove(seen.size, 1);
  });

  it('rejects where the system refuses, and leaves nothing behind', async () => {
    const { alice = '' } = await filesOf({ alice: value });
    const store = open();
    rmSync(alice);
    mkdirSync(alice);
    const error = await rejected(StoreError, store.set('alice', 1));
    assert.include(error.message, `The file ${alice} can't be written: EISDIR`);
    assert.isTrue(error.retryable);
    assert.instanceOf(error.cause, Error);
    assert.deepEqual(names(), ['lock', basename(alice)].sort());
    await store.set('bob', 1);
    assert.deepEqual(await contentOf(store), [['bob', 1]]);
  });

  it('is tried again where it could not be opened', async () => {
    writeFileSync(directory, '');
    const store = open();
    const [error] = await allRejected(
      store.get('alice'),
      store.set('alice', 1),
      store.delete('alice'),
    );
    assert.match(error?.message ?? '', /can't be read: EEXIST/);
    assert.include(
      (await rejected(StoreError, contentOf(store))).message,
      `The directory ${directory} can't be read`,
    );
    rmSync(directory);
    await store.set('alice', value);
    assert.deepEqual(await contentOf(store), [['alice', value]]);
  });

  describe('when two use one directory', () => {
    it('refuses the second until the first is disconnected', async () => {
      const [first, second] = [open(), open()];
      await first.set('alice', value);
      for (const error of await allRejected(
        second.set('bob', 1),
        second.delete('alice'),
        second.get('alice'),
        contentOf(second),
      )) {
        assert.include(
          error.message,
          `${directory} is used by the hub with process ${process.pid}`,
        );
      }
      const last = first.set('alice', 2);
      await first.disconnect();
      await last;
      assert.deepEqual(await contentOf(second), [['alice', 2]]);
    });

    it('can not be used after it was disconnected', async () => {
      const store = open();
      await store.set('alice', value);
      await store.disconnect();
      await store.disconnect();
      for (const error of await allRejected(
        store.set('alice', 1),
        store.get('alice'),
        contentOf(store),
      )) {
        assert.include(error.message, 'was disconnected');
      }
      assert.notInclude(names(), 'lock');
    });

    it('changes nothing when another has taken it over', async () => {
      const { alice = '' } = await filesOf({ alice: value });
      const store = open();
      await store.get('alice');
      const theirs = JSON.stringify({ pid: 1, token: 'theirs' });
      writeFileSync(join(directory, 'lock'), theirs);
      const before = names();
      for (const error of await allRejected(
        store.set('alice', 1),
        store.set('bob', 1),
        store.delete('alice'),
      )) {
        assert.include(error.message, `Another hub has taken over the directory ${directory}`);
        assert.isFalse(error.retryable);
      }
      writeFileSync(alice, 'garbage');
      assert.isUndefined(await store.get('alice'));
      assert.match(errors[0]?.message ?? '', /nor be renamed: Another hub has taken over/);
      await store.disconnect();
      assert.deepEqual(names(), before);
      assert.equal(readFileSync(join(directory, 'lock'), 'utf8'), theirs);
    });
  });

  describe('of another process', () => {
    let child: ChildProcess;
    let ended: Promise<unknown>;
    let counts: number;
    async function startHolder(): Promise<void> {
      counts = 0;
      child = spawn(process.execPath, ['--import', 'tsx', holder, directory], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      ended = once(child, 'exit');
      child.stdout?.on('data', (data) => {
        counts += String(data).split('\n').length - 1;
      });
    }
    async function written(count: number): Promise<void> {
      while (counts < count) await once(child.stdout ?? process.stdin, 'data');
    }
    /** Until all of its threads stand still. */
    async function stop(): Promise<void> {
      child.kill('SIGSTOP');
      const tasks = `/proc/${child.pid}/task`;
      const stands = (id: string) => readFileSync(join(tasks, id, 'stat'), 'utf8').includes(') T ');
      while (!readdirSync(tasks).every(stands)) await new Promise(setImmediate);
    }
    async function kill(): Promise<void> {
      child.kill('SIGKILL');
      await ended;
    }
    afterEach(kill);

    it('is refused while that lives, also if it is stopped, and free when it is killed', async () => {
      await startHolder();
      await written(3);
      const refused = `is used by the hub with process ${child.pid}`;
      assert.include((await rejected(StoreError, open().get('steady'))).message, refused);
      await stop();
      assert.include((await rejected(StoreError, open().get('steady'))).message, refused);
      await kill();
      assert.isDefined(await open().get('steady'));
    });

    it('can not spoil the store after it was paused and lost it', async () => {
      for (const round of [1, 2, 3, 4, 5]) {
        await startHolder();
        await written(round);
        await stop();
        // As one on another machine would take it over.
        for (const name of names().filter((name) => name.endsWith('.tmp'))) {
          rmSync(join(directory, name));
        }
        const lock = join(directory, 'lock');
        const own = readFileSync(lock);
        writeFileSync(lock, 'theirs');
        const content = () => names().map((name) => readFileSync(join(directory, name), 'utf8'));
        const before = content();
        child.kill('SIGCONT');
        assert.deepEqual(await ended, [lostCode, null]);
        assert.deepEqual(content(), before);
        writeFileSync(lock, own);
      }
    });

    it('has nothing torn when that was killed in the middle', async () => {
      let last = -1;
      for (const round of [1, 2, 3, 4]) {
        await startHolder();
        await written(round * 7);
        await kill();
        const store = open();
        for (const [key, kept] of await contentOf(store)) {
          const { count, text } = kept as { count: number; text?: string };
          assert.include(['steady', 'fleeting'], key);
          if (key === 'steady') {
            assert.lengthOf(text ?? '', count % 5000);
            // What was reported is on the disk.
            assert.isAtLeast(count, counts - 1);
            last = count;
          }
        }
        assert.isAtLeast(last, 0);
        assert.isEmpty(errors);
        assert.lengthOf(
          names().filter((name) => name.endsWith('.tmp')),
          0,
        );
        await store.disconnect();
      }
    });
  });
});
