import { isIPv6 } from 'node:net';

/** The most hosts of one job: a damaged answer must not fill the memory. */
const mostHosts = 100_000;

/** Whether a text is one name of a host, and no list or placeholder. */
export function isHostName(text: string): boolean {
  return /^\w[\w.-]*$/.test(text);
}

/** Whether a text can be the host of an address: a name, or an address of IPv4 or IPv6. */
export function isHost(text: string): boolean {
  return isHostName(text) || (isIPv6(text) && !text.includes('%'));
}

/** The words, without the signs around them, for a job that has no host. */
const noHost = /^(?:null|none|none assigned|n a|undefined)?$/i;

/**
 * The hosts of a list in any form that batch systems have, each once, that of the script first:
 * `node[01-03],gpu1`, `node01/0-3+node02/0*4`, `node01:15002/0`, `node01:4,node02:4`,
 * `2*node01:node02`, `node01(4) node02`, `slot1_2@node01`. One that can't be read is left out; where
 * that is the first, there is the text as it is, which is no host, and nothing else.
 */
export function hostsIn(text: string): readonly string[] {
  if (noHost.test(text.replace(/\W+/g, ' ').trim())) {
    return [];
  }
  // The slots of a host and their processors; ranges of slots have commas of their own.
  const bare = text.replace(/\/\d+(?:[-,]\d+)*(?:\*\d+)?(?![\w./-])/g, '');
  const parts = bare.match(/(?:[^,+\s[]|\[[^\]]*(?:\]|$))+/g) ?? [];
  const names = parts
    // After a colon stands another host, or a number: a port, slots.
    .flatMap((part) => (isIPv6(part) ? [part] : part.replace(/:\d+$/, '').split(':')))
    .map((name) => name.replace(/^\d+\*|^slot\d.*@|\*\d+$|\(\d+\)$/g, ''));
  const [first = '', ...others] = expandHostlist(names.join());
  return isHost(first) ? [...new Set([first, ...others.filter(isHost)])] : [text];
}

/** `node[01-03,07],gpu1` as a list, up to a part that can't be read: the first is that of the script. */
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
    if (expanded.length === 0) {
      return hosts;
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
