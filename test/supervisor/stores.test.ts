import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { Keyv } from 'keyv';
import { StoreError } from '../../lib/errors.ts';
import { FileStore } from '../../lib/supervisor/file-store.ts';
import { MemoryStore } from '../../lib/supervisor/memory-store.ts';
import type { ServerStore } from '../../lib/supervisor/store.ts';
import { rejected } from '../helpers/errors.ts';
import { SqliteAdapter } from '../helpers/sqlite-adapter.ts';

type TestedStore = ServerStore & { disconnect?(): Promise<void> };

interface Kind {
  /** Whether a second store gives what the first one was told. */
  readonly lasts: boolean;
  /** @param folder empty at first, for the use of the store */
  readonly open: (folder: string) => Promise<TestedStore>;
}

const kinds: Readonly<Record<string, Kind>> = {
  FileStore: { lasts: true, open: async (folder) => new FileStore(join(folder, 'servers')) },
  MemoryStore: { lasts: false, open: async () => new MemoryStore() },
  'Keyv over SQLite': {
    lasts: true,
    open: async (folder) =>
      new Keyv({
        store: await SqliteAdapter.open(join(folder, 'servers.sqlite')),
        throwOnErrors: true,
      }),
  },
  'Keyv over a Map': { lasts: false, open: async () => new Keyv() },
};

/** What a supervisor keeps of a server looks like this, and worse. */
const value = {
  version: 1,
  state: { jobId: '4711', port: 40123, host: 'node01', nothing: null, yes: true },
  list: [1.5, -0.25, '', 'ü\u0000\u2028"\\', ':colon', ':base64:eA==', [], {}],
};

const hostileKeys = [
  '',
  '.',
  '..',
  '../../etc/passwd',
  '/',
  'a/b',
  'a\\b',
  'alice:gpu',
  'lock',
  'alice.json',
  '-rf',
  '__proto__',
  'con',
  'nul\u0000',
  'nul\u0000l',
  'line\nbreak',
  '%2e%2e',
  "'; DROP TABLE entries; --",
  'Ünïcødé',
  'U\u0308nicode',
  '\u{1f600}',
  'case',
  'Case',
  'CASE',
  'x'.repeat(10_000),
  `${'x'.repeat(9_999)}y`,
];

async function contentOf(store: ServerStore): Promise<Map<string, unknown>> {
  const content = new Map<string, unknown>();
  for await (const [key, kept] of store.iterator?.() ?? []) {
    assert.isFalse(content.has(key), `${key} was given twice`);
    content.set(key, kept);
  }
  return content;
}

for (const [name, { lasts, open }] of Object.entries(kinds)) {
  describe(`As a store of servers, ${name}`, () => {
    let folder: string;
    let store: TestedStore;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'stores-'));
      store = await open(folder);
    });
    afterEach(async () => {
      await store.disconnect?.();
      rmSync(folder, { recursive: true });
    });

    it('has nothing at first', async () => {
      assert.deepEqual(await contentOf(store), new Map());
    });

    it('gives back what it was told, and does not say that it is not kept', async () => {
      assert.notStrictEqual(await store.set('alice', value), false);
      assert.deepEqual(await contentOf(store), new Map([['alice', value]]));
    });

    it('keeps the last value of a key', async () => {
      await store.set('alice', value);
      await store.set('alice', { version: 1 });
      assert.deepEqual(await contentOf(store), new Map([['alice', { version: 1 }]]));
    });

    it('keeps the last of values that are set at the same time', async () => {
      await Promise.all(Array.from({ length: 20 }, (_, index) => store.set('alice', { index })));
      assert.deepEqual(await contentOf(store), new Map([['alice', { index: 19 }]]));
    });

    it('keeps a copy', async () => {
      const changing = { jobId: '1' };
      const kept = store.set('alice', changing);
      changing.jobId = '2';
      await kept;
      changing.jobId = '3';
      assert.deepEqual(await contentOf(store), new Map([['alice', { jobId: '1' }]]));
    });

    it('forgets a key, also one that is not there', async () => {
      await store.set('alice', value);
      await store.set('bob', value);
      await store.delete('alice');
      await store.delete('alice');
      await store.delete('carol');
      assert.deepEqual([...(await contentOf(store)).keys()], ['bob']);
      await store.set('alice', value);
      assert.sameMembers([...(await contentOf(store)).keys()], ['alice', 'bob']);
    });

    it('tells all keys apart', async () => {
      await Promise.all(hostileKeys.map((key, index) => store.set(key, { index })));
      const expected = new Map(hostileKeys.map((key, index) => [key, { index }]));
      assert.deepEqual(sorted(await contentOf(store)), sorted(expected));
      for (const [index, key] of hostileKeys.entries()) {
        if (index % 2 === 0) {
          await store.delete(key);
          expected.delete(key);
        }
      }
      assert.deepEqual(sorted(await contentOf(store)), sorted(expected));
    });

    it('keeps many at once', async () => {
      const keys = Array.from({ length: 300 }, (_, index) => `user${index}`);
      await Promise.all(keys.map((key) => store.set(key, { key })));
      await Promise.all(keys.filter((_, index) => index >= 200).map((key) => store.delete(key)));
      assert.deepEqual(
        sorted(await contentOf(store)),
        sorted(new Map(keys.slice(0, 200).map((key) => [key, { key }]))),
      );
    });

    it('can be changed while it is read', async () => {
      const keys = Array.from({ length: 20 }, (_, index) => `user${index}`);
      await Promise.all(keys.map((key) => store.set(key, { key })));
      for await (const [key] of store.iterator?.() ?? []) {
        await store.delete(key);
        if (key !== 'other') {
          await store.set('other', { key });
        }
      }
      await store.delete('other');
      assert.deepEqual(await contentOf(store), new Map());
    });

    if (lasts) {
      it('gives what another one kept before it', async () => {
        await Promise.all([store.set('alice', value), store.set('bob', 1), store.set('carol', 2)]);
        await store.delete('bob');
        await store.disconnect?.();
        store = await open(folder);
        assert.deepEqual(sorted(await contentOf(store)), [
          ['alice', value],
          ['carol', 2],
        ]);
      });
    }
  });
}

function sorted(content: ReadonlyMap<string, unknown>): [string, unknown][] {
  return [...content].sort(([a], [b]) => (a < b ? -1 : 1));
}

describe('A MemoryStore', () => {
  it('gives a copy of the value of a key', async () => {
    const store = new MemoryStore();
    await store.set('alice', value);
    assert.deepEqual(await store.get('alice'), value);
    assert.notStrictEqual(await store.get('alice'), await store.get('alice'));
    assert.isUndefined(await store.get('bob'));
  });

  it('shows what JSON makes of a value', async () => {
    const store = new MemoryStore();
    await store.set('alice', { at: new Date(0), none: undefined, not: Number.NaN });
    assert.deepEqual(await store.get('alice'), { at: '1970-01-01T00:00:00.000Z', not: null });
  });

  it('refuses what is no JSON', async () => {
    const store = new MemoryStore();
    const circle: { self?: unknown } = {};
    circle.self = circle;
    for (const wrong of [undefined, () => {}, 1n, circle]) {
      const error = await rejected(StoreError, store.set('alice', wrong));
      assert.equal(error.message, 'The value of "alice" can\'t be kept: it is no JSON.');
    }
    assert.isUndefined(await store.get('alice'));
  });
});

describe('A Keyv whose storage fails', () => {
  class FailingMap extends Map<string, unknown> {
    override set(): this {
      throw new Error('disk full');
    }
    override delete(): boolean {
      throw new Error('disk full');
    }
  }

  it('says false and tells of the error by an event', async () => {
    const keyv = new Keyv({ store: new FailingMap() });
    const store: ServerStore = keyv;
    const errors: unknown[] = [];
    store.on?.('error', (error) => errors.push(error));
    assert.strictEqual(await store.set('alice', value), false);
    assert.strictEqual(await store.delete('alice'), false);
    assert.match(String(errors), /^Error: disk full,Error: disk full$/);
  });

  it('rejects if it is made so', async () => {
    const store: ServerStore = new Keyv({ store: new FailingMap(), throwOnErrors: true });
    assert.equal((await rejected(Error, store.set('alice', value))).message, 'disk full');
    assert.equal((await rejected(Error, store.delete('alice'))).message, 'disk full');
  });

  it('says false also of a key that was not there', async () => {
    assert.strictEqual(await new Keyv().delete('alice'), false);
  });

  it('takes a key with its namespace for the one without', async () => {
    const keyv = new Keyv();
    await keyv.set('alice', 1);
    await keyv.set('keyv:alice', 2);
    assert.strictEqual(await keyv.get('alice'), 2);
  });
});
