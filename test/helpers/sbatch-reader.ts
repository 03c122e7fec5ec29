/**
 * What sbatch reads in a job script: a second implementation of its rules, for tests. It reads the
 * lines up to the first that is neither empty nor a comment; those that begin with `#SBATCH` hold
 * options, divided by blanks. `"` and `'` quote, a backslash takes the next character as it is in
 * and out of quotes, `#` begins a comment, and an empty word ends the line.
 *
 * @throws where it would take a line for the border between two parts of a heterogeneous job
 */
export function sbatchOptionsIn(script: string): readonly string[] {
  const options: string[] = [];
  for (const line of script.split('\n')) {
    if (line.startsWith('#SBATCH')) {
      if (/(?:het|pack)job/i.test(line)) {
        throw new Error(`sbatch takes this for a border: ${line}`);
      }
      options.push(...wordsOf(line.slice('#SBATCH'.length)));
    } else if (/^\s*[^\s#]/.test(line)) {
      break;
    }
  }
  return options;
}

/** The words of a line of options. */
export function wordsOf(line: string): readonly string[] {
  const words: string[] = [];
  let rest = withoutBlanks(line);
  while (rest !== '' && !rest.startsWith('#')) {
    const [all = '', word] = wordAt(rest);
    if (word === '') {
      break;
    }
    words.push(word);
    rest = withoutBlanks(rest.slice(all.length));
  }
  return words;
}

/** The blanks of the C locale: sbatch knows no others. */
function withoutBlanks(text: string): string {
  return text.replace(/^[ \t\v\f\r]+/, '');
}

/** The first word of a text, as it stands there and as it is meant. */
function wordAt(text: string): readonly [string, string] {
  let word = '';
  let quote = '';
  let at = 0;
  for (; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '\\') {
      at += 1;
      word += text.charAt(at);
    } else if (quote !== '') {
      if (char === quote) {
        quote = '';
      } else {
        word += char;
      }
    } else if (char === '"' || char === "'") {
      quote = char;
    } else if (char === '#' || /[ \t\v\f\r]/.test(char)) {
      break;
    } else {
      word += char;
    }
  }
  if (quote !== '') {
    throw new Error(`sbatch refuses a line with an open ${quote}: ${text}`);
  }
  return [text.slice(0, at), word];
}
