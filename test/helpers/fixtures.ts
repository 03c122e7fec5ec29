import { readFileSync } from 'node:fs';
import type { CommandResult } from '../../lib/runners/runner.ts';

/** What test/fixtures/…/index.json says of a file beside it. */
export interface FixtureFacts {
  readonly stream: 'stdout' | 'stderr';
  readonly exitCode: number;
  /** What printed it; `$query`, `$find` and `$jobId` are what our templates put there. */
  readonly command: string;
  /**
   * Where it is from: real output of a release (with other names of people, hosts and paths), a
   * manual, or a guess, on which the correctness of no reader may depend.
   */
  readonly trust: `captured ${string}` | 'documented' | 'assumed';
  readonly note?: string;
  /** The file with what the command wrote to standard error, where it wrote to both. */
  readonly stderr?: string;
}

/** What commands printed, as files in one folder of test/fixtures/. */
export class Fixtures {
  /** The names of all files, with what is known of each. */
  readonly index: Readonly<Record<string, FixtureFacts>>;
  readonly #folder: URL;

  constructor(folder: string) {
    this.#folder = new URL(`../fixtures/${folder}/`, import.meta.url);
    this.index = JSON.parse(readFileSync(new URL('index.json', this.#folder), 'utf8'));
  }

  /**
   * The text of a file. In one that ends in `.esc`, `\n`, `\t`, `\xHH` and `\\` stand for single
   * characters, and its own line breaks are only for people.
   */
  text(name: string): string {
    const text = readFileSync(new URL(name, this.#folder), 'utf8');
    return name.endsWith('.esc') ? unescaped(text) : text;
  }

  /** The result of the command that printed it. */
  result(name: string): CommandResult {
    const facts = this.index[name];
    if (facts === undefined) {
      throw new Error(`index.json does not list ${name}`);
    }
    const { stream, exitCode, stderr } = facts;
    const both = { stdout: '', stderr: stderr === undefined ? '' : this.text(stderr) };
    return { ...both, [stream]: this.text(name), exitCode, signal: null, timedOut: false };
  }
}

function unescaped(text: string): string {
  return text
    .replaceAll('\n', '')
    .replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex: string | undefined, char: string) =>
      hex === undefined ? (singles[char] ?? char) : String.fromCharCode(Number.parseInt(hex, 16)),
    );
}

const singles: Readonly<Record<string, string>> = { n: '\n', t: '\t' };

/** All that stands before a byte, for each byte. */
export function cuts(text: string): readonly { readonly cut: string; readonly at: number }[] {
  return Array.from({ length: text.length }, (_, at) => ({ cut: text.slice(0, at), at }));
}
