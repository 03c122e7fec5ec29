/** Jobs of any batch system for hostile options: how they are made, and what has to hold of them. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { JobFacts, PreparedJob } from '../../lib/batch/request.ts';
import { JobTemplates } from '../../lib/batch/request.ts';
import type { Scheduler } from '../../lib/batch/scheduler.ts';
import { OptionsError } from '../../lib/errors.ts';
import type { BatchOptions } from '../../lib/generated/options.ts';
import { newMark } from '../../lib/mark.ts';
import { checkOptions } from '../../lib/options.ts';
import { impossible, manyLines, oneLine } from './hostile.ts';
import { strayDirectivesIn } from './rendering-readers.ts';

/** What a batch system gets to read. */
interface Submission {
  /** The words of its command, but for one that is the script. */
  readonly words: readonly string[];
  /** What it finds in the script, or in the description, beside the script. */
  readonly directives: readonly string[];
  readonly script: string;
}

/** What the batch system is to be asked for, beside `request`, whose names are here as well. */
export interface Asked {
  readonly [name: string]: unknown;
  readonly jobName: string;
  readonly tag: string;
  readonly username: string;
  readonly home: string;
  readonly log: string;
  /** As `request` has it, or MiB of `memLimit`. */
  readonly memory: string | number | undefined;
  readonly cores: string | number | undefined;
  readonly gpus: number;
  readonly time: Time | undefined;
  /** The names of variables that are handed over, as the commands see them. */
  readonly exported: readonly string[];
}

/** A walltime as batch systems write it. */
interface Time {
  readonly seconds: number;
  readonly clock: string;
  /** Hours and minutes. */
  readonly minutes: string;
}

/** What `request.runtime` may say. */
const times: Readonly<Record<string, Time>> = {
  '30': { seconds: 1800, clock: '00:30:00', minutes: '0:30' },
  '90:30': { seconds: 5430, clock: '01:30:30', minutes: '1:31' },
  '12:00:00': { seconds: 43_200, clock: '12:00:00', minutes: '12:00' },
  '2-0': { seconds: 172_800, clock: '48:00:00', minutes: '48:00' },
  '3-05:10:10': { seconds: 277_810, clock: '77:10:10', minutes: '77:11' },
};

/** A spawner, and what is known of its batch system without its templates. */
export interface Subject {
  readonly spawner: {
    readonly scheduler: Scheduler;
    schedulerFor(options: BatchOptions): Scheduler;
  };
  /** Options that are given in any case. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Names of `request`, with values that may stand where the templates have them. */
  readonly request: Readonly<Record<string, fc.Arbitrary<unknown>>>;
  /** Those that are given in any case. */
  readonly required?: readonly string[];
  /** Takes what a home directory can't hold out of it: everything else may be in it. */
  readonly notInHome: RegExp;
  readonly longestName: number;
  /** Variables that its commands or its jobs act on. */
  readonly variables: readonly string[];
  /** Where the environment travels with the submission: variables that the commands must not see. */
  readonly aliased?: RegExp;
  /** Its own directives, at the beginning of a line. */
  readonly directive: RegExp;
  wanted(asked: Asked): Omit<Submission, 'script'>;
  read(job: PreparedJob): Submission;
  /** The command and the environment of the job. */
  execution(job: PreparedJob): {
    readonly argv: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  };
}

/** What a hub, an administrator and a person give for one job. */
export interface Given {
  readonly options: Readonly<Record<string, unknown>>;
  readonly account: string;
  /** What the account database says. */
  readonly home: string;
  readonly user: string;
  readonly serverName: string;
  /** Of the server. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A job, and what it was made of. */
export interface Rendered extends PreparedJob {
  readonly options: BatchOptions;
  readonly facts: JobFacts & { readonly homedir: string };
}

const commandEnv = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
/** Stands in every value of an environment, and in nothing else. */
const secret = 'c2VjcmV0';
const notEmpty = oneLine.filter((text) => text !== '');

/** Request options of all batch systems. */
const commonRequest = {
  username: notEmpty,
  nprocs: fc.constantFrom<unknown>(1, 64, '8', '08'),
  ngpus: fc.constantFrom<unknown>(0, 2, '0', '4'),
  runtime: fc.constantFrom(...Object.keys(times)),
  prologue: fc.constantFrom('', ': prologue "$HOME"', 'cat <<E\n#text\nE\n'),
  epilogue: fc.constantFrom('', ': epilogue'),
};

/** Values of `request`, any of which may be missing but for those that are required. */
export function requestOf(
  { request, required = [] }: Subject,
  more: Readonly<Record<string, fc.Arbitrary<unknown>>> = {},
): fc.Arbitrary<Readonly<Record<string, unknown>>> {
  const all: Readonly<Record<string, fc.Arbitrary<unknown>>> = { ...more, ...request };
  return fc.record(all, { requiredKeys: [...required] });
}

/** Options that may be right; most are. */
export function acceptedOf(subject: Subject): fc.Arbitrary<Given> {
  const { notInHome, variables } = subject;
  const names = fc.oneof(
    fc.constantFrom('A', 'PATH', 'TZ', 'ALL', 'none', 'BASH_ENV', ...variables),
    fc.string({ unit: fc.constantFrom('A', 'b', '_', '7'), minLength: 1, maxLength: 8 }),
  );
  const home = oneLine.map((text) => `/${[...text.replace(notInHome, '')].slice(0, 200).join('')}`);
  const homedir = home.map((text) => text.replace(/[%\\]/g, ''));
  const keepvars = fc.uniqueArray(names, { maxLength: 3 });
  return fc.record({
    options: fc.record(
      {
        request: requestOf(subject, { ...commonRequest, homedir, keepvars }),
        cmd: fc.array(manyLines, { minLength: 1, maxLength: 3 }),
        args: fc.array(manyLines, { maxLength: 3 }),
        endpoint: fc.constantFrom(...Array<string>(30).fill('fixed'), 'callback'),
        port: fc.constantFrom(0, 8888),
        memLimit: fc.constantFrom<unknown>('4G', 1),
        cpuLimit: fc.constantFrom(0.5, 3),
      },
      { requiredKeys: ['request', 'endpoint'] },
    ),
    account: notEmpty,
    home,
    user: manyLines.map((text) => `u${text}`),
    serverName: manyLines,
    environment: fc.dictionary(
      names.filter((name) => /^[A-Za-z_]/.test(name)),
      manyLines.map((text) => `${secret}${text}`),
      { maxKeys: 4, noNullPrototype: true },
    ),
  });
}

/** Somewhere a value is replaced by one that can't be right, or may not be. */
export function doubtfulOf(subject: Subject): fc.Arbitrary<Given> {
  const names = Object.keys({ ...commonRequest, ...subject.request });
  const value = fc.oneof(
    manyLines,
    oneLine.map((text) => `-${text}`),
    impossible,
  );
  const isTime = (text: unknown) => typeof text === 'string' && /^[\d:-]+$/.test(text);
  const inOptions = fc
    .record({
      given: acceptedOf(subject),
      value: fc.oneof(value, fc.array(value, { minLength: 1, maxLength: 1 })),
      path: fc.constantFrom(
        ...names.filter((name) => !/^(?:options|prologue|epilogue)$/.test(name)),
        ...['homedir', 'keepvars', 'nonsense', '.cmd', '.args', '.port', '.nonsense', '.endpoint'],
      ),
    })
    // What each walltime means is known of a few only.
    .filter(({ path, value }) => path !== 'runtime' || !isTime(value))
    .map(({ given, value, path }) => {
      const request = Object(given.options['request']);
      const changed = path.startsWith('.')
        ? { [path.slice(1)]: value }
        : { request: { ...request, [path]: value } };
      return { ...given, options: { ...given.options, ...changed } };
    });
  const inAccount = fc
    .record({ given: acceptedOf(subject), home: manyLines, account: manyLines })
    .map(({ given, home, account }) => {
      const { username: _, homedir: __, ...request } = Object(given.options['request']);
      const options = { ...given.options, request };
      return { ...given, home: `/${home}`, account: account || 'x', options };
    });
  return fc.oneof({ weight: 6, arbitrary: inOptions }, { weight: 1, arbitrary: inAccount });
}

/** @throws OptionsError */
export function render({ spawner, options: own }: Subject, given: Given): Rendered {
  const options = checkOptions<BatchOptions>(spawner.scheduler.schema, {
    ...own,
    ...given.options,
  });
  const scheduler = spawner.schedulerFor(options);
  const templates = new JobTemplates(scheduler, options);
  const { user, serverName, environment } = given;
  const facts = {
    mark: newMark({ user: { name: user }, serverName }, scheduler.jobNameLength),
    username: options.request.username ?? given.account,
    homedir: options.request.homedir ?? given.home,
    cluster: 'cluster' in options.request ? String(options.request.cluster) : undefined,
  };
  templates.check({ ...facts, jobId: '1' });
  return { ...templates.prepare(facts, environment, commandEnv), options, facts };
}

/** The job, or undefined where there is an OptionsError. */
export function rendered(subject: Subject, given: Given): Rendered | undefined {
  try {
    return render(subject, given);
  } catch (error) {
    expect(error).to.be.instanceOf(OptionsError);
    return undefined;
  }
}

/** Expects that the batch system is asked for what was meant, and for nothing else. */
export function expectSound(subject: Subject, job: Rendered, { environment }: Given): void {
  const { script, argv, input, env } = job;
  const { memLimit, cpuLimit, logFile: _, ...options } = job.options;
  const { mark, username, homedir } = job.facts;
  const { runtime, nprocs, ngpus, memory, keepvars, ...request } = options.request;
  const names = Object.keys(environment).filter(
    (name) => keepvars === undefined || keepvars.includes(name),
  );
  const { aliased } = subject;
  const asked: Asked = {
    ...request,
    ...mark,
    username,
    runtime,
    home: homedir,
    log: `${homedir}/${mark.jobName}.log`,
    memory: memory ?? (memLimit === undefined ? undefined : memLimit === '4G' ? 4096 : 1),
    cores: nprocs ?? (cpuLimit === undefined ? undefined : Math.ceil(cpuLimit)),
    gpus: Number(ngpus ?? 0),
    time: runtime === undefined ? undefined : times[runtime],
    exported: names.map((name) => (aliased?.test(name) ? `HUBSPAWNER_ENV_${name}` : name)),
  };

  const { words, directives, script: read } = subject.read(job);
  const file = names.length === 0 ? undefined : `${homedir}/.${mark.jobName}.env`;
  const values = names.map((name, at) => [asked.exported[at], environment[name]]);
  expect({
    words,
    directives,
    isScript: read === script && script.startsWith('#!/bin/'),
    stray: strayDirectivesIn(script, subject.directive),
    // sbatch refuses line breaks of DOS, Torque and Flux change CR.
    controls: /[\r\0]/.exec(input),
    hasSecret: `${script}${input}${argv.join('\n')}`.includes(secret),
    env,
    file: job.environmentFile?.path,
    isMarked:
      /^[A-Za-z][\w-]*-[0-9a-f]{12}$/.test(mark.jobName) &&
      mark.jobName.length <= subject.longestName &&
      /^[\x21-\x7e]+$/.test(mark.tag),
  }).to.deep.equal({
    ...subject.wanted(asked),
    isScript: true,
    stray: [],
    controls: null,
    hasSecret: false,
    env: { ...commandEnv, ...(aliased && Object.fromEntries(values)) },
    file: aliased ? undefined : file,
    isMarked: true,
  });
}

/** Jobs that there are for what is given. */
export function sampleOf(
  subject: Subject,
  arbitrary: fc.Arbitrary<Given>,
  count: number,
): readonly { readonly given: Given; readonly job: Rendered }[] {
  const jobs: { given: Given; job: Rendered }[] = [];
  for (const given of fc.sample(arbitrary, 5 * count)) {
    const job = jobs.length < count ? rendered(subject, given) : undefined;
    if (job !== undefined) {
      jobs.push({ given, job });
    }
  }
  expect(jobs).to.have.lengthOf(count);
  return jobs;
}
