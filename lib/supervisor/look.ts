import type { MarkedServer } from '../mark.ts';
import type { Json } from '../state.ts';
import type { ManagedServer } from './server.ts';

/** Of which servers a spawner can list what lives. */
export interface SpawnerKind {
  readonly spawnerName: string;
  /** Beside those that were registered. */
  readonly options: Readonly<Record<string, Json>>;
}

/** A job or unit, and who has listed it. */
export interface Found {
  readonly marked: MarkedServer;
  readonly kind: SpawnerKind;
}

/** What kinds of spawners list at one time, and which servers there were before they were asked. */
export class Look {
  /** Nothing is known yet of the servers but what the store says. */
  readonly isFirst: boolean;
  readonly #found = new Map<string, Found>();
  /** By kinds that have answered. Those that ask the same have the same list. */
  readonly #lists = new Map<string, readonly MarkedServer[]>();
  readonly #read = new Set<readonly MarkedServer[]>();
  readonly #tags: ReadonlyMap<ManagedServer, string | undefined>;
  /** The keys of servers that were removed since. */
  readonly #removed = new Set<string>();

  constructor(servers: Iterable<ManagedServer>, isFirst: boolean) {
    this.#tags = new Map([...servers].map((server) => [server, server.spawner?.tag]));
    this.isFirst = isFirst;
  }

  /** The servers that there were. */
  get servers(): Iterable<ManagedServer> {
    return this.#tags.keys();
  }

  /** All that was listed, each job or unit once. */
  get found(): readonly Found[] {
    return [...this.#found.values()];
  }

  /** What a kind has listed; undefined without an answer. */
  listOf(kind: SpawnerKind): readonly MarkedServer[] | undefined {
    return this.#lists.get(nameOf(kind));
  }

  /** Throws where the list is none. */
  add(kind: SpawnerKind, list: readonly MarkedServer[]): void {
    const all = this.#read.has(list) ? [] : list.map((marked) => [idOf(marked), marked] as const);
    this.#read.add(list);
    this.#lists.set(nameOf(kind), list);
    for (const [id, marked] of all) {
      this.#found.set(id, this.#found.get(id) ?? { marked, kind });
    }
  }

  removed({ key }: ManagedServer): void {
    this.#removed.add(key);
  }

  /** Whether nothing listed can be what the server of a key had meanwhile, and has no more. */
  isUnchanged(key: string, server: ManagedServer | undefined): boolean {
    return server === undefined
      ? !this.#removed.has(key)
      : this.#tags.has(server) && this.#tags.get(server) === server.spawner?.tag;
  }
}

/** Those with the same name ask the same. */
export function nameOf({ spawnerName, options }: SpawnerKind): string {
  return JSON.stringify([spawnerName, options]);
}

/** Of a job or unit among all. */
export function idOf({ id, tag }: MarkedServer): string {
  return `${id} ${tag}`;
}
