import { spawnSync } from 'node:child_process';
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
import { manyLines } from '../helpers/hostile.ts';
import type { Rendered, Subject } from '../helpers/rendering.ts';
import {
  acceptedOf,
  doubtfulOf,
  expectSound,
  render,
  rendered,
  requestOf,
  sampleOf,
} from '../helpers/rendering.ts';
import { subjects } from '../helpers/rendering-subjects.ts';

/** Ends what a job leaves behind, as a batch system does. */
const asJob =
  'exec 3>&2 2>/dev/null; set -m; "$@" 2>&3 & wait $!; status=$?; kill -KILL -- -$!; exit $status';

/** The directory of the files that carry environments. */
const environments = "it's ; #1";

describe('A job script', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hubspawner-'));
    mkdirSync(join(directory, environments));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  /** Makes a program that keeps its arguments and its environment in files beside it. */
  function recorder(folder: string): string {
    const file = join(directory, folder, 'recorder');
    mkdirSync(join(directory, folder));
    writeFileSync(
      file,
      `#!/bin/sh
      for word; do printf '%s\\0' "$word"; done >"$0.words"
      /usr/bin/env -0 >"$0.environment"
      /bin/ls -A "\${0%/*}/../${environments}" >"$0.files"\n`,
    );
    chmodSync(file, 0o700);
    return file;
  }

  /** Runs the job as its batch system does, and gives what a recorder has kept. */
  function run({ execution }: Subject, job: Rendered, program: string) {
    writeFileSync(join(directory, 'script'), job.input);
    if (job.environmentFile) {
      writeFileSync(job.environmentFile.path, job.environmentFile.text, { mode: 0o600 });
    }
    const { argv, env } = execution(job);
    const { status, stderr } = spawnSync('/bin/bash', ['-c', asJob, '-', ...argv], {
      cwd: directory,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 20_000,
    });
    expect({ status, stderr: String(stderr) }).to.deep.equal({ status: 0, stderr: '' });
    const kept = (what: string) => readFileSync(`${program}.${what}`, 'utf8');
    return {
      words: kept('words').split('\0').slice(0, -1),
      environment: kept('environment')
        .split('\0')
        .slice(0, -1)
        .map((line) => line.split(/=(.*)/s).slice(0, 2)),
      /** What there was beside the file of the environment when the server began. */
      files: kept('files'),
    };
  }

  const words = fc.array(manyLines, { maxLength: 6 });
  const alice = { account: 'alice', user: 'alice', serverName: '' };

  for (const [name, subject] of Object.entries(subjects)) {
    describe(`for ${name}`, () => {
      const accepted = acceptedOf(subject);
      const doubtful = doubtfulOf(subject);

      it('asks for what was meant, or there is an OptionsError', () => {
        let scripts = 0;
        const given = fc.oneof(
          { weight: 3, arbitrary: accepted },
          { weight: 2, arbitrary: doubtful },
        );
        fc.assert(
          fc.property(given, (one) => {
            const job = rendered(subject, one);
            if (job !== undefined) {
              scripts += 1;
              expectSound(subject, job, one);
            }
          }),
          { numRuns: 10_000 },
        );
        expect(scripts).to.be.within(2000, 8000);
      }).timeout(60_000);

      it('is one that bash can read', () => {
        const scripts = sampleOf(subject, fc.oneof(accepted, doubtful), 200);
        const functions = scripts.map(({ job }, at) => `f${at}() {\n${job.script}}\n`).join('');
        const bash = (...argv: string[]) => {
          const { stdout, stderr } = spawnSync('bash', argv, {
            input: `${functions}declare -F | wc -l`,
            encoding: 'utf8',
          });
          return `${stdout}${stderr}`.slice(0, 2000);
        };
        expect(bash('-n')).to.equal('');
        // None of them has swallowed the beginning of the next.
        expect(bash()).to.equal('200\n');
      }).timeout(20_000);

      it('gives the server its arguments and its environment, whatever they hold', () => {
        const program = recorder("it's $HOME #1 {{cmd}}");
        const home = join(directory, "it's #home".replace(subject.notInHome, ''));
        mkdirSync(home);
        const request = requestOf(subject, { nprocs: fc.constant(2) });
        const given = fc.record({
          options: fc.record({
            request: request.map(({ srun: _, ...others }) => others),
            cmd: fc.constant([program]),
            args: words,
            endpoint: fc.constant('fixed'),
            port: fc.constant(8888),
            environmentFile: fc.constant(`${directory}/${environments}/{{jobName}}.env`),
          }),
          environment: fc.record({
            FOO: manyLines,
            PATH: fc.constant('/bin:/usr/bin'),
            LC_ALL: fc.constant('C.UTF-8'),
            HOME: manyLines,
            [subject.variables[0] ?? '']: manyLines,
            All: manyLines,
          }),
        });
        const jobs = sampleOf(
          subject,
          given.map((one) => ({ ...alice, home, ...one })),
          50,
        );
        // Of those where the script is an argument, some may be longer than Linux lets one be.
        const isPossible = ({ job }: (typeof jobs)[number]) =>
          subject.execution(job).argv.every((word) => word.length < 131_072);
        for (const { given: one, job } of jobs.filter(isPossible).slice(0, 40)) {
          const got = run(subject, job, program);
          const args = job.options.args.map((word) => word.replaceAll('{port}', '8888'));
          expect(got.words).to.deep.equal(args);
          expect(Object.fromEntries(got.environment)).to.include(one.environment);
          expect(got.environment.join()).not.to.match(/HUBSPAWNER_|hubspawner_|SRUN_/);
          expect(got.files, 'the file of the environment').to.equal('');
        }
        expect(readdirSync(directory), 'a command in a value was run').not.to.include('x');
      }).timeout(60_000);
    });
  }

  it('gives a launcher its words, and those of the server as they are', () => {
    const slurm = subjects['Slurm'];
    expect(slurm).not.to.equal(undefined);
    const program = recorder('launcher');
    const launcher = fc.array(
      manyLines.map((text) => text.replace(/[\s\p{Cc}]/gu, '') || '-'),
      { maxLength: 4 },
    );
    for (const [before, cmd] of fc.sample(fc.tuple(launcher, words), 15)) {
      const srun = [program, ...before].join('  ');
      const request = { srun, nprocs: 3 };
      const options = { request, cmd: ['python3', ...cmd], endpoint: 'fixed', port: 1 };
      const given = { ...alice, home: '/home/alice', options, environment: {} };
      const got = slurm && run(slurm, render(slurm, given), program);
      const after = ['python3', ...cmd].map((word) => word.replaceAll('{port}', '1'));
      expect(got?.words).to.deep.equal([...before, ...after]);
      // From the job, srun takes no number of cores.
      expect(Object.fromEntries(got?.environment ?? [])).to.include({ SRUN_CPUS_PER_TASK: '3' });
    }
    expect(readdirSync(directory), 'a command in a value was run').not.to.include('x');
  }).timeout(20_000);
});
