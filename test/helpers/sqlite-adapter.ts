import { readFile, rename, writeFile } from 'node:fs/promises';
import type { KeyvStoreAdapter } from 'keyv';
import type { Database } from 'sql.js';
import initSqlJs from 'sql.js';

/** A storage of Keyv's: a table of an SQLite database, which is written to its file at each change. */
export class SqliteAdapter implements KeyvStoreAdapter {
  /** By `dialect` Keyv knows that the storage can list what it holds. */
  readonly opts = { dialect: 'sqlite' };
  readonly #database: Database;
  readonly #file: string;
  #saved: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  private constructor(database: Database, file: string) {
    this.#database = database;
    this.#file = file;
    database.run('CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL)');
  }

  static async open(file: string): Promise<SqliteAdapter> {
    const sql = await initSqlJs();
    return new SqliteAdapter(new sql.Database(await readFile(file).catch(() => null)), file);
  }

  /** It has no errors to tell of but those of its methods. */
  on(): this {
    return this;
  }

  async get<Value>(key: string): Promise<Value | undefined> {
    const [found] = this.#rows('SELECT key, value FROM entries WHERE key = ?', [Buffer.from(key)]);
    return found?.[1] as Value | undefined;
  }

  async set(key: string, value: string): Promise<void> {
    this.#database.run('INSERT OR REPLACE INTO entries VALUES (?, ?)', [
      Buffer.from(key),
      Buffer.from(value),
    ]);
    await this.#save();
  }

  async delete(key: string): Promise<boolean> {
    this.#database.run('DELETE FROM entries WHERE key = ?', [Buffer.from(key)]);
    const deleted = this.#database.getRowsModified() > 0;
    await this.#save();
    return deleted;
  }

  async clear(): Promise<void> {
    this.#database.run('DELETE FROM entries');
    await this.#save();
  }

  async *iterator<Value>(namespace = ''): AsyncGenerator<(string | Awaited<Value>)[], void> {
    for (const [key, value] of this.#rows('SELECT key, value FROM entries', [])) {
      if (key.startsWith(`${namespace}:`)) {
        yield [key, value];
      }
    }
  }

  async disconnect(): Promise<void> {
    await this.#saved;
    this.#database.close();
  }

  /** Keys are bytes to the database: a text would end at a NUL character. */
  #rows(query: string, values: readonly Buffer[]): [key: string, value: string][] {
    const [result] = this.#database.exec(query, [...values]);
    return (result?.values ?? []).map(([key, value]) => [textOf(key), textOf(value)]);
  }

  /** One at a time; all that wait share the next. */
  #save(): Promise<void> {
    if (this.#next === undefined) {
      this.#next = this.#saved.then(async () => {
        this.#next = undefined;
        await writeFile(`${this.#file}.new`, this.#database.export());
        await rename(`${this.#file}.new`, this.#file);
      });
      this.#saved = this.#next;
    }
    return this.#next;
  }
}

function textOf(value: unknown): string {
  if (!(value instanceof Uint8Array)) {
    throw new TypeError('The database holds something else than bytes.');
  }
  return Buffer.from(value).toString('utf8');
}
