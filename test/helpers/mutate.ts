import fc from 'fast-check';

/**
 * Damage to a text, as fractions of its length and of that of another, so that it fits any text.
 * `lines` are lines or records.
 */
export type Damage =
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'remove'; readonly from: number; readonly length: number }
  | { readonly kind: 'splice'; readonly at: number; readonly from: number; readonly length: number }
  | { readonly kind: 'bytes'; readonly at: number; readonly bytes: Uint8Array }
  | LineDamage;

type LineDamage =
  | { readonly kind: 'swap'; readonly one: number; readonly other: number }
  | { readonly kind: 'drop'; readonly one: number }
  | { readonly kind: 'double'; readonly one: number };

const fraction = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

const lineDamage: fc.Arbitrary<LineDamage> = fc.oneof(
  fc.record({ kind: fc.constant('swap' as const), one: fraction, other: fraction }),
  fc.record({ kind: fc.constant('drop' as const), one: fraction }),
  fc.record({ kind: fc.constant('double' as const), one: fraction }),
);

/** A text whose lines are all as they were, but not all there, in another order, or twice. */
export function shuffled(text: string): fc.Arbitrary<string> {
  return fc
    .array(lineDamage, { minLength: 1, maxLength: 12 })
    .map((all) => all.reduce((lines, one) => onLines(one, lines), linesOf(text)).join(''));
}

/** Damages a text; `other` is another text, of which parts get in. */
export function apply(
  one: Damage,
  buffer: Buffer<ArrayBuffer>,
  other: Buffer,
): Buffer<ArrayBuffer> {
  const place = (where: number) => Math.floor(where * (buffer.length + 1));
  switch (one.kind) {
    case 'cut':
      return buffer.subarray(0, place(one.at));
    case 'remove': {
      const from = place(one.from);
      return Buffer.concat([buffer.subarray(0, from), buffer.subarray(from + one.length)]);
    }
    case 'splice': {
      const from = Math.floor(one.from * other.length);
      const part = other.subarray(from, from + one.length);
      return Buffer.concat([
        buffer.subarray(0, place(one.at)),
        part,
        buffer.subarray(place(one.at)),
      ]);
    }
    case 'bytes': {
      const at = place(one.at);
      return Buffer.concat([
        buffer.subarray(0, at),
        one.bytes,
        buffer.subarray(at + one.bytes.length),
      ]);
    }
    default:
      return Buffer.from(onLines(one, linesOf(buffer.toString())).join(''));
  }
}

function onLines(damage: LineDamage, lines: readonly string[]): readonly string[] {
  const index = (where: number) => Math.floor(where * lines.length);
  const one = index(damage.one);
  switch (damage.kind) {
    case 'drop':
      return lines.toSpliced(one, 1);
    case 'double':
      return lines.toSpliced(one, 0, ...lines.slice(one, one + 1));
    case 'swap': {
      const other = index(damage.other);
      return lines.map(
        (line, at) => (at === one ? lines[other] : at === other ? lines[one] : line) ?? '',
      );
    }
  }
}

function linesOf(text: string): readonly string[] {
  return text.split(/(?<=\n)/);
}
