/** The most hosts of one job: a damaged answer must not fill the memory. */
const mostHosts = 100_000;

/** Whether a text is one name of a host, and no list or placeholder. */
export function isHostName(text: string): boolean {
  return /^\w[\w.-]*$/.test(text);
}

/** `node[01-03,07],gpu1` as a list, without what can't be read. */
export function expandHostlist(list: string): readonly string[] {
  if (/^(?:\(null\)|None assigned|n\/a)?$/.test(list)) {
    return [];
  }
  const names = list.match(/(?:[^,[\]]|\[[^\]]*\])+/g) ?? [];
  if (names.join(',') !== list) {
    return [];
  }
  const hosts: string[] = [];
  for (const name of names) {
    let expanded = [''];
    for (const part of name.match(/[^[]+|\[[^\]]*\]/g) ?? []) {
      const pieces = part.startsWith('[') ? numbersIn(part.slice(1, -1)) : [part];
      if (expanded.length * pieces.length + hosts.length > mostHosts) {
        return [];
      }
      expanded = expanded.flatMap((head) => pieces.map((piece) => head + piece));
    }
    for (const host of expanded) {
      hosts.push(host);
    }
  }
  return hosts;
}

/** `01-03,07` as a list; too many numbers are as good as none. */
function numbersIn(ranges: string): readonly string[] {
  const numbers: string[] = [];
  for (const range of ranges.split(',')) {
    const [, first, last = first] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(range) ?? [];
    if (first === undefined || numbers.length + Number(last) - Number(first) >= mostHosts) {
      return [];
    }
    for (let number = Number(first); number <= Number(last); number++) {
      numbers.push(String(number).padStart(first.length, '0'));
    }
  }
  return numbers;
}
