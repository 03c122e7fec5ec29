import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { ParseError } from '../errors.ts';

/** An element: its attributes, its child elements by name, and its own text. */
export interface XmlElement {
  readonly name: string;
  /** By name. */
  readonly attributes: ReadonlyMap<string, string>;
  /** In their order. */
  readonly children: readonly XmlElement[];
  /** Without entities; '' where it has child elements only. */
  readonly text: string;
}

/** With their order, texts as they are, and no entity but the five of XML: no document can grow. */
const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  trimValues: false,
});

/**
 * The root of an XML document.
 *
 * @param what prints it, for the error
 * @throws ParseError where it is not well-formed, or not all there
 */
export function parseXml(text: string, what: string): XmlElement {
  const damaged = () =>
    new ParseError(`This is not the XML that ${what} prints, or not all of it.`, text);
  // The parser itself takes nearly everything for XML.
  if (/<!(?:DOCTYPE|ENTITY)/i.test(text) || XMLValidator.validate(text) !== true) {
    throw damaged();
  }
  let parsed: unknown;
  try {
    parsed = parser.parse(text);
  } catch {
    throw damaged();
  }
  const [root, ...more] = elementsOf(parsed);
  if (root === undefined || more.length > 0) {
    throw damaged();
  }
  return root;
}

/** The first child element of a name. */
export function childOf(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((child) => child.name === name);
}

/** The text of the first child element of a name; undefined where it is missing. */
export function textOf(element: XmlElement | undefined, name: string): string | undefined {
  return childOf(element, name)?.text;
}

/** All elements of a name at any depth, in their order. */
export function descendantsOf(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.flatMap((child) => [
    ...(child.name === name ? [child] : []),
    ...descendantsOf(child, name),
  ]);
}

/** The parser gives a list of `{ name: [children], ':@': { attribute: text } }` and `{ '#text': text }`. */
function elementsOf(nodes: unknown): readonly XmlElement[] {
  return nodesOf(nodes).flatMap((node) =>
    Object.entries(node)
      .filter(([name]) => name !== ':@' && name !== '#text' && !name.startsWith('?'))
      .map(([name, inner]) => ({
        name,
        attributes: attributesOf(node[':@']),
        children: elementsOf(inner),
        text: textIn(inner),
      })),
  );
}

function nodesOf(nodes: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(nodes) ? nodes.filter((node) => typeof node === 'object') : [];
}

function attributesOf(attributes: unknown): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(Object(attributes)).map(([name, value]) => [name, unescaped(String(value))]),
  );
}

function textIn(nodes: unknown): string {
  return nodesOf(nodes)
    .map((node) => unescaped(String(node['#text'] ?? '')))
    .join('');
}

const entities: Readonly<Record<string, string>> = {
  amp: '&',
  apos: "'",
  gt: '>',
  lt: '<',
  quot: '"',
};

function unescaped(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w+));/gi, (all, decimal, hex, name) => {
    const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
    if (name !== undefined) {
      return entities[name] ?? all;
    }
    return code <= 0x10ffff ? String.fromCodePoint(code) : all;
  });
}
