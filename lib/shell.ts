/**
 * Where a value stands in a script. A value can be written only in the first three places: in all
 * others the quotes of a shell word would not quote, or not to every shell.
 */
export type ShellPlace =
  | 'word' // where a word begins
  | 'inside a word' // after other characters of the same word
  | 'comment'
  | 'double quotes'
  | 'single quotes'
  | 'backquotes'
  | 'braces after $'
  | 'arithmetic'
  | 'a here-document'
  | 'a word after $, ~ or a backslash'
  | 'unknown'; // after syntax that shells read differently, or that is not followed here

/** What is open around a place. `a(` is a bracket inside of arithmetic. */
type Open = '(' | '$(' | '((' | 'a(' | '${' | '"';

interface HereDocument {
  readonly delimiter: string;
  /** `<<-`: tabs before the delimiter do not count. */
  readonly tabs: boolean;
  /** Not quoted, so that a backslash joins two lines. */
  readonly expands: boolean;
}

const token = /\\.|\$\(\(|\$[({']|\(\(|<<<|<<|./sy;
const hereDocument =
  /(-?)[ \t]*(?:(\\?)([\w.-]+)|'([^'\n\0]*)'|"([^"$`\\\n\0]*)")(?=[ \t\n;&|<>()]|$)/y;

const singleQuoted = /[^']*'/y;
const dollarQuoted = /(?:\\.|[^'\\])*'/sy;
const backquoted = /(?:\\.|[^`\\])*`/sy;
const restOfLine = /[^\n]*/y;
const wholeLine = /[^\n]*\n/y;
const caseWord = /ase(?!\w)/y;
const rest = /.*/sy;

/**
 * Reads a script in the grammar of the POSIX shell (2.2, 2.3, 2.6, 2.7.4), with what bash adds, and
 * finds the place of every value. It is on the safe side: whatever sh and bash read differently
 * (`$'…\'…'`, `'` in `"${…}"`), and `case` in `$(…)`, whose `)` can only be told by a full parser,
 * makes the places of all the following values unknown.
 *
 * @param script The script, with a NUL character for each value.
 * @returns The places in the order of the values.
 */
export function shellPlaces(script: string): ShellPlace[] {
  const places: ShellPlace[] = [];
  const open: Open[] = [];
  let hereDocuments: HereDocument[] = [];
  let wordStart = true;
  let at = 0;

  /** Reads what `region` matches, or all the rest; the values in it stand in `place`. */
  function skip(region: RegExp, place: ShellPlace): string {
    region.lastIndex = at;
    const text = region.exec(script)?.[0] ?? script.slice(at);
    at += text.length;
    for (const char of text) {
      if (char === '\0') {
        places.push(place);
      }
    }
    return text;
  }

  function giveUp(): void {
    skip(rest, 'unknown');
  }

  function announceHereDocument(): void {
    hereDocument.lastIndex = at;
    const match = hereDocument.exec(script);
    if (match === null) {
      giveUp();
      return;
    }
    const [text, dash, backslash, bare, single, double] = match;
    at += text.length;
    hereDocuments.push({
      delimiter: bare ?? single ?? double ?? '',
      tabs: dash !== '',
      expands: bare !== undefined && backslash === '',
    });
  }

  function readHereDocuments(): void {
    for (const { delimiter, tabs, expands } of hereDocuments) {
      let joined = false;
      while (at < script.length) {
        const line = skip(wholeLine, 'a here-document').replace(/\n$/, '');
        if (!joined && (tabs ? line.replace(/^\t+/, '') : line) === delimiter) {
          break;
        }
        joined = expands && /(?<!\\)(?:\\\\)*\\$/.test(line);
      }
    }
    hereDocuments = [];
  }

  function readInText(text: string, inner: Open | undefined): void {
    if (text === "'") {
      skip(singleQuoted, 'single quotes');
    } else if (text === "$'") {
      if (skip(dollarQuoted, 'single quotes').includes("\\'")) {
        giveUp();
      }
    } else if (text === '((' || text === '(') {
      open.push(text);
    } else if (text === ')' && (inner === '(' || inner === '$(')) {
      open.pop();
      if (inner === '$(' && hereDocuments.length > 0) {
        giveUp();
      }
    } else if (text === '<<') {
      announceHereDocument();
    } else if (text === '\n') {
      readHereDocuments();
    } else if (text === '#' && wordStart) {
      skip(restOfLine, 'comment');
    } else if (text === 'c' && wordStart && open.includes('$(')) {
      caseWord.lastIndex = at;
      if (caseWord.test(script)) {
        giveUp();
      }
    }
    wordStart = /^(?:[ \t\n;&|()]|<+|>)$/.test(text) && !(text === ')' && inner === '$(');
  }

  function readInArithmetic(text: string, inner: '((' | 'a('): void {
    if (text === "'" || text === "$'" || text === '<<') {
      giveUp(); // perhaps `((` are two brackets around commands
    } else if (text === '((') {
      open.push('a(', 'a(');
    } else if (text === '(') {
      open.push('a(');
    } else if (text === ')' && inner === 'a(') {
      open.pop();
    } else if (text === ')' && script[at] === ')') {
      open.pop();
      at += 1;
    } else if (text === ')') {
      giveUp();
    }
  }

  function readInBraces(text: string): void {
    if (text === '}') {
      open.pop();
    } else if (text === "$'" || (text === "'" && open.findLast((o) => o !== '${') === '"')) {
      giveUp();
    } else if (text === "'") {
      skip(singleQuoted, 'single quotes');
    }
  }

  while (at < script.length) {
    token.lastIndex = at;
    const text = token.exec(script)?.[0] ?? '';
    at += text.length;
    const inner = open.at(-1);
    const inText = inner === undefined || inner === '(' || inner === '$(';
    const newCommands = text === '`' || text === '$(' || (text === '(' && inText);

    if (newCommands && hereDocuments.length > 0) {
      giveUp(); // whose first line break is it that their bodies follow?
    } else if (text.endsWith('\0')) {
      if (!inText) {
        places.push(placeInside(inner));
      } else if (text !== '\0' || /[$~]/.test(script[at - 2] ?? '')) {
        places.push('a word after $, ~ or a backslash');
      } else {
        places.push(wordStart ? 'word' : 'inside a word');
      }
      wordStart = false;
    } else if (text.startsWith('\\')) {
      wordStart &&= text === '\\\n';
    } else if (text === '`') {
      skip(backquoted, 'backquotes');
      wordStart = false;
    } else if (text === '$(' || text === '${' || text === '$((') {
      open.push(text === '$((' ? '((' : text);
      wordStart = text === '$(';
    } else if (text === '"') {
      if (inner === '"') {
        open.pop();
      } else {
        open.push('"');
      }
      wordStart = false;
    } else if (inText) {
      readInText(text, inner);
    } else if (inner === '${') {
      readInBraces(text);
      wordStart = false;
    } else if (inner !== '"') {
      readInArithmetic(text, inner);
      wordStart = false;
    }
  }
  return places;
}

function placeInside(open: '((' | 'a(' | '${' | '"'): ShellPlace {
  switch (open) {
    case '"':
      return 'double quotes';
    case '${':
      return 'braces after $';
    default:
      return 'arithmetic';
  }
}
