import { parseArgs } from 'node:util';
import { Exit } from './programs.ts';

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const short = <O extends object, S extends string>(option: O, letter: S) => ({
  ...option,
  short: letter,
});

const clusters = short(text, 'M');

const sbatchOptions = {
  account: short(text, 'A'),
  begin: short(text, 'b'),
  chdir: short(text, 'D'),
  clusters,
  comment: text,
  constraint: short(text, 'C'),
  'cpus-per-task': short(text, 'c'),
  dependency: short(text, 'd'),
  error: short(text, 'e'),
  exclusive: flag,
  export: text,
  gpus: short(text, 'G'),
  gres: text,
  hold: short(flag, 'H'),
  'job-name': short(text, 'J'),
  licenses: short(text, 'L'),
  mem: text,
  'mem-per-cpu': text,
  'no-requeue': flag,
  nodes: short(text, 'N'),
  ntasks: short(text, 'n'),
  'open-mode': text,
  output: short(text, 'o'),
  parsable: flag,
  partition: short(text, 'p'),
  qos: short(text, 'q'),
  requeue: flag,
  reservation: text,
  signal: text,
  time: short(text, 't'),
} as const;

const squeueOptions = {
  all: short(flag, 'a'),
  clusters,
  format: short(text, 'o'),
  jobs: short(text, 'j'),
  local: flag,
  me: flag,
  name: short(text, 'n'),
  noheader: short(flag, 'h'),
  sibling: flag,
  states: short(text, 't'),
  user: short(text, 'u'),
} as const;

const scancelOptions = {
  batch: short(flag, 'b'),
  clusters,
  full: short(flag, 'f'),
  name: short(text, 'n'),
  signal: short(text, 's'),
  user: short(text, 'u'),
} as const;

const sacctOptions = {
  allocations: short(flag, 'X'),
  clusters,
  duplicates: short(flag, 'D'),
  federation: flag,
  format: short(text, 'o'),
  jobs: short(text, 'j'),
  local: flag,
  noheader: short(flag, 'n'),
  parsable2: short(flag, 'P'),
  starttime: short(text, 'S'),
} as const;

const scontrolOptions = { clusters, local: flag, oneliner: short(flag, 'o') } as const;

const tables = {
  sbatch: sbatchOptions,
  squeue: squeueOptions,
  scancel: scancelOptions,
  sacct: sacctOptions,
  scontrol: scontrolOptions,
} as const;

type Tables = typeof tables;

/** Options and positional arguments, as getopt reads them. */
export function read<P extends keyof Tables>(program: P, args: readonly string[]) {
  const options: Tables[P] = tables[program];
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    const [, option = '?'] = /option '([^' ]+)/.exec(String(error)) ?? [];
    throw new Exit(
      1,
      `${program}: unrecognized option '${option}'\nTry "${program} --help" for more information`,
    );
  }
}

/** The arguments on the #SBATCH lines, which end at the first command. */
export function directives(script: string): string[] {
  const found: string[] = [];
  for (const line of script.split('\n')) {
    if (/^#SBATCH\s/.test(line)) found.push(...words(line.slice('#SBATCH'.length)));
    else if (!/^\s*(#|$)/.test(line)) break;
  }
  return found;
}

/** Words with quotes and backslashes, without a comment at the end. */
function words(line: string): string[] {
  const word = /(?:[^\s"'\\#]|\\.|"(?:[^"\\]|\\.)*"|'[^']*'|(?<=\S)#)+/g;
  const [code = ''] = /^(?:[^"'\\#]|\\.|"(?:[^"\\]|\\.)*"|'[^']*'|(?<=\S)#)*/.exec(line) ?? [];
  return (code.match(word) ?? []).map((raw) =>
    raw.replace(/\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_, escaped, double, single) =>
      String(escaped ?? double?.replace(/\\(["\\])/g, '$1') ?? single),
    ),
  );
}

/** A time limit in minutes: minutes, minutes:seconds, hours:minutes:seconds, or with days- in front. */
export function minutes(limit: string): number {
  const [, days, clock = ''] = /^(?:(\d+)-)?(\d+(?::\d+){0,2})$/.exec(limit) ?? [];
  const parts = clock.split(':').map(Number);
  if (clock === '') throw new Exit(255, 'sbatch: error: Invalid --time specification');
  const [first = 0, second = 0, third = 0] = parts;
  if (days !== undefined) return Number(days) * 1440 + first * 60 + second + third / 60;
  return parts.length === 3 ? first * 60 + second + third / 60 : first + second / 60;
}
