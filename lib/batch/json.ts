import { ParseError } from '../errors.ts';

/** An object of a JSON document; nothing is known of its values. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/**
 * The object that is a JSON document.
 *
 * @param what prints it, for the error
 * @throws ParseError where it is none, or not all there
 */
export function parseJson(text: string, what: string): JsonRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Told below.
  }
  if (!isRecord(value)) {
    throw new ParseError(`This is not the JSON that ${what} prints, or not all of it.`, text);
  }
  return value;
}

/** Whether a value of a JSON document is an object. */
export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field as a text; '' where it is missing, or neither a text nor a number. */
export function fieldOf(record: JsonRecord | undefined, name: string): string {
  const value = record?.[name];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
