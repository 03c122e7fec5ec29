import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import type { JobFacts, PreparedJob } from '../../lib/batch/request.ts';
import { JobTemplates } from '../../lib/batch/request.ts';
import { newMark } from '../../lib/mark.ts';
import { slurm } from '../../lib/batch/slurm.ts';
import { OptionsError } from '../../lib/errors.ts';
import type { SlurmOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import { impossible, manyLines, oneLine } from '../helpers/hostile.ts';
import { sbatchOptionsIn, strayDirectivesIn } from '../helpers/sbatch-reader.ts';

/** What a hub, an administrator and a person give for one job. */
interface Given {
  readonly options: Record<string, unknown>;
  readonly account: string;
  /** What the account database says. */
  readonly home: string;
  readonly user: string;
  readonly serverName: string;
  /** Of the server. */
  readonly environment: Readonly<Record<string, string>>;
}

const commandEnv = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
/** Stands in every value of an environment, and in nothing else. */
const secret = 'c2VjcmV0';

const notEmpty = oneLine.filter((text) => text !== '');
const names = fc.oneof(
  fc.constantFrom('A', 'PATH', 'TZ', 'SLURM_JOB_ID', 'SBATCH_EXPORT', 'ALL', 'none', 'BASH_ENV'),
  fc.string({ unit: fc.constantFrom('A', 'b', '_', '7'), minLength: 1, maxLength: 8 }),
);
const variables = fc.dictionary(
  names.filter((name) => /^[A-Za-z_]/.test(name)),
  manyLines.map((text) => `${secret}${text}`),
  { maxKeys: 5, noNullPrototype: true },
);

const request = fc.record(
  {
    partition: notEmpty,
    account: notEmpty,
    qos: notEmpty,
    reservation: notEmpty,
    gres: notEmpty,
    cluster: notEmpty,
    queue: notEmpty,
    host: notEmpty,
    username: notEmpty,
    homedir: oneLine.map((text) => `/${text.replace(/[%\\]/g, '')}`),
    memory: fc.constantFrom('4G', '512', '1.5T', '100mb'),
    nprocs: fc.constantFrom<unknown>(1, 64, '8', '08'),
    ngpus: fc.constantFrom<unknown>(0, 2, '0', '4'),
    runtime: fc.constantFrom('30', '12:00:00', '3-05:10:10'),
    options: fc.constantFrom(
      '--exclusive',
      '--constraint="a b" --nice=5 # more',
      "--mail-user='x'",
    ),
    prologue: fc.constantFrom('', ': prologue "$HOME"', 'cat <<E\n#text\nE\n'),
    epilogue: fc.constantFrom('', ': epilogue'),
    srun: fc.array(notEmpty, { minLength: 1, maxLength: 3 }).map((words) => words.join(' ')),
    keepvars: fc.uniqueArray(names, { maxLength: 3 }),
  },
  { requiredKeys: [] },
);

const accepted: fc.Arbitrary<Given> = fc.record({
  options: fc.record(
    {
      request,
      cmd: fc.array(manyLines, { minLength: 1, maxLength: 4 }),
      args: fc.array(manyLines, { maxLength: 4 }),
      endpoint: fc.constantFrom('fixed', 'callback'),
      port: fc.constantFrom(0, 8888),
      memLimit: fc.constantFrom<unknown>('4G', 1),
      cpuLimit: fc.constantFrom(0.5, 3),
    },
    { requiredKeys: ['request'] },
  ),
  account: notEmpty,
  home: oneLine.map((text) => `/${text}`),
  user: manyLines.map((text) => `u${text}`),
  serverName: manyLines,
  environment: variables,
});

/** Somewhere in the options a value is replaced by one that can't be right, or may not be. */
const doubtful: fc.Arbitrary<Given> = fc
  .record({
    given: accepted,
    value: fc.oneof(manyLines, impossible),
    path: fc.constantFrom(
      ...[
        'request.partition',
        'request.account',
        'request.gres',
        'request.username',
        'request.srun',
      ],
      ...[
        'request.homedir',
        'request.memory',
        'request.nprocs',
        'request.runtime',
        'request.ngpus',
      ],
      ...[
        'request.cluster',
        'request.keepvars',
        'request.nonsense',
        'cmd',
        'args',
        'port',
        'nonsense',
      ],
      ...['endpoint', 'request.qos', 'request.reservation'],
    ),
    inList: fc.boolean(),
  })
  .map(({ given, value, path, inList }) => {
    const [outer = '', inner] = path.split('.');
    const one = inList ? [value] : value;
    const request = given.options['request'];
    const options =
      inner === undefined
        ? { ...given.options, [outer]: one }
        : { ...given.options, request: { ...Object(request), [inner]: one } };
    return { ...given, options };
  });

interface Rendered extends PreparedJob {
  readonly options: SlurmOptions;
  readonly facts: JobFacts & { readonly homedir: string };
}

/** @throws OptionsError */
function render({ options, account, home, user, serverName, environment }: Given): Rendered {
  const checked = checkOptions<SlurmOptions>('slurm.json', options);
  const templates = new JobTemplates(slurm, checked);
  const facts = {
    mark: newMark({ user: { name: user }, serverName }, 90),
    username: checked.request.username ?? account,
    homedir: checked.request.homedir ?? home,
    cluster: checked.request.cluster,
  };
  templates.check({ ...facts, jobId: '1' });
  return { ...templates.prepare(facts, environment, commandEnv), options: checked, facts };
}

function rendered(given: Given): Rendered | undefined {
  try {
    return render(given);
  } catch (error) {
    expect(error).to.be.instanceOf(OptionsError);
    return undefined;
  }
}

/** The options that sbatch is to find in the script. */
function wanted({ options: { request, memLimit, cpuLimit }, facts }: Rendered): readonly string[] {
  const { partition, runtime, nprocs, ngpus, gres, account, qos, reservation, options } = request;
  const megabytes = memLimit === undefined ? undefined : memLimit === '4G' ? '4096M' : '1M';
  const memory = request.memory ?? megabytes;
  const cores = nprocs ?? (cpuLimit === undefined ? undefined : Math.ceil(cpuLimit));
  const option = (name: string, value: string | number | undefined) =>
    value === undefined ? [] : [`--${name}=${value}`];
  return [
    ...option('output', `${facts.homedir}/${facts.mark.jobName}.log`),
    ...option('chdir', facts.homedir),
    ...option('partition', partition),
    ...option('time', runtime),
    ...option('mem', memory),
    ...option('cpus-per-task', cores),
    ...option('gpus', Number(ngpus ?? 0) === 0 ? undefined : Number(ngpus)),
    ...option('gres', gres),
    ...option('account', account),
    ...option('qos', qos),
    ...option('reservation', reservation),
    ...sbatchOptionsIn(`#SBATCH ${options ?? ''}`),
  ];
}

function expectSound(job: Rendered, { environment }: Given): void {
  const { script, argv, facts, options } = job;
  expect(sbatchOptionsIn(script)).to.deep.equal(wanted(job));
  expect(strayDirectivesIn(script)).to.deep.equal([]);
  expect(script.startsWith('#!/bin/bash\n')).to.equal(true);
  // sbatch refuses a script with the line breaks of DOS.
  expect(script).not.to.include('\r\n').and.not.to.include('\0');

  const { keepvars = Object.keys(environment) } = options.request;
  const exported = Object.keys(environment).filter((name) => keepvars.includes(name));
  const aliased = exported.map((name) =>
    /^(?:PATH|LC_ALL|TZ|S[A-Z]+_.*|all|none|nil)$/i.test(name) ? `HUBSPAWNER_ENV_${name}` : name,
  );
  const { cluster } = options.request;
  expect(argv).to.deep.equal([
    ...['sbatch', '--parsable', '--no-requeue', `--job-name=${facts.mark.jobName}`],
    ...[`--comment=${facts.mark.tag}`, `--export=${aliased.join(',')}`],
    ...(cluster === undefined ? [] : [`--clusters=${cluster}`]),
  ]);
  expect(facts.mark.jobName).to.match(/^[\w-]{1,90}$/);
  expect(facts.mark.tag).to.match(/^[\x20-\x7e]+$/);
  expect(`${script}${argv.join('\n')}`).not.to.include(secret);
}

/** Jobs of which there is a script. */
function sample(
  arbitrary: fc.Arbitrary<Given>,
  count: number,
): readonly { readonly given: Given; readonly job: Rendered }[] {
  const jobs = fc.sample(arbitrary, 5 * count).flatMap((given) => {
    const job = rendered(given);
    return job === undefined ? [] : [{ given, job }];
  });
  expect(jobs).to.have.lengthOf.at.least(count);
  return jobs.slice(0, count);
}

describe('A job script', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hubspawner-'));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it('holds the options that were meant, or there is an OptionsError', () => {
    let scripts = 0;
    const given = fc.oneof({ weight: 3, arbitrary: accepted }, { weight: 2, arbitrary: doubtful });
    fc.assert(
      fc.property(given, (one) => {
        const job = rendered(one);
        if (job !== undefined) {
          scripts += 1;
          expectSound(job, one);
        }
      }),
      { numRuns: 10_000 },
    );
    expect(scripts).to.be.within(2000, 8000);
  }).timeout(60_000);

  it('is one that bash can read', () => {
    const files = sample(fc.oneof(accepted, doubtful), 200).map(({ job }, index) => {
      const file = join(directory, `${index}.sh`);
      writeFileSync(file, job.script);
      return file;
    });
    const check = 'for file; do bash -n "$file" || echo "$file"; done';
    const { stdout, stderr } = spawnSync('bash', ['-c', check, '-', ...files], {
      encoding: 'utf8',
    });
    expect({ stdout, stderr }).to.deep.equal({ stdout: '', stderr: '' });
  }).timeout(20_000);

  /** Makes a program that keeps its arguments and its environment in files beside it. */
  function recorder(folder: string): string {
    const file = join(directory, folder, 'recorder');
    mkdirSync(join(directory, folder));
    writeFileSync(
      file,
      `#!/bin/sh
      for word; do printf '%s\\0' "$word"; done >"$0.words"
      /usr/bin/env -0 >"$0.environment"\n`,
    );
    chmodSync(file, 0o700);
    return file;
  }

  /** Runs the script with what sbatch hands on to a job, and gives what a recorder has kept. */
  function run({ script, env, argv }: PreparedJob, program: string) {
    const file = join(directory, 'script');
    writeFileSync(file, script);
    const [names = ''] = argv.flatMap((word) => /^--export=(.*)/.exec(word)?.slice(1) ?? []);
    const exported = names.split(',').map((name) => [name, env[name]]);
    execFileSync('bash', [file], {
      cwd: directory,
      env: { PATH: '/usr/bin:/bin', ...Object.fromEntries(exported) },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const kept = (what: string) =>
      readFileSync(`${program}.${what}`, 'utf8').split('\0').slice(0, -1);
    return {
      words: kept('words'),
      environment: kept('environment').map((line) => line.split(/=(.*)/s).slice(0, 2)),
    };
  }

  const words = fc.array(manyLines, { maxLength: 6 });
  const alice = { account: 'alice', home: '/home/alice', user: 'alice', serverName: '' };

  it('gives the server its arguments and its environment, whatever they hold', () => {
    const program = recorder("it's $HOME #1 {{cmd}}");
    const anything = fc.record({
      options: fc.record({
        request: request.map(({ srun: _, keepvars: __, ...others }) => others),
        cmd: fc.constant([program]),
        args: words,
        endpoint: fc.constant('fixed'),
        port: fc.constant(8888),
      }),
      environment: fc.record({
        FOO: manyLines,
        PATH: fc.constant('/bin:/usr/bin'),
        LC_ALL: fc.constant('C.UTF-8'),
        SLURM_CONF: manyLines,
        All: manyLines,
      }),
    });
    const jobs = sample(
      anything.map((one) => ({ ...alice, ...one })),
      45,
    );
    for (const { given, job } of jobs) {
      const got = run(job, program);
      const args = job.options.args.map((word) => word.replaceAll('{port}', '8888'));
      expect(got.words).to.deep.equal(args);
      expect(Object.fromEntries(got.environment)).to.include(given.environment);
      expect(got.environment.join()).not.to.include('HUBSPAWNER_');
    }
    expect(readdirSync(directory), 'a command in a value was run').not.to.include('x');
  }).timeout(20_000);

  it('gives a launcher its words, and those of the server as they are', () => {
    const program = recorder('launcher');
    const launcher = fc.array(
      notEmpty.map((text) => text.replace(/\s/g, '-')),
      { maxLength: 4 },
    );
    for (const [before, cmd] of fc.sample(fc.tuple(launcher, words), 15)) {
      const srun = [program, ...before].join('  ');
      const options = { request: { srun }, cmd: ['python3', ...cmd], endpoint: 'fixed', port: 1 };
      const got = run(render({ ...alice, options, environment: {} }), program);
      const after = ['python3', ...cmd].map((word) => word.replaceAll('{port}', '1'));
      expect(got.words).to.deep.equal([...before, ...after]);
    }
    expect(readdirSync(directory), 'a command in a value was run').not.to.include('x');
  }).timeout(20_000);
});
