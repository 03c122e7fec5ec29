import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import sinon from 'sinon';
import { slurm } from '../../lib/batch/slurm.ts';
import { CommandError, OptionsError } from '../../lib/errors.ts';
import type { SlurmOptions } from '../../lib/generated/options.ts';
import { sleep } from '../../lib/sleep.ts';
import { TestSpawner, useSlurmTable } from '../helpers/slurm-table.ts';

/** As if Slurm showed the environment of a job to everybody. */
class PublicSpawner extends TestSpawner {
  static override readonly scheduler = { ...slurm, jobEnvironment: 'public' as const };
}

describe('The environment of a server, where the batch system shows that of a job', () => {
  const table = useSlurmTable(PublicSpawner);
  let homedir: string;

  beforeEach(() => {
    homedir = mkdtempSync(join(tmpdir(), 'hubspawner-environment-'));
  });
  afterEach(() => rmSync(homedir, { recursive: true }));

  const options = (more: Partial<SlurmOptions> = {}): Partial<SlurmOptions> => ({
    environment: { GREETING: 'it\'s "$HOME"\n`id`\\', PATH: '/opt/bin:/bin:/usr/bin' },
    environmentFile: '{{homedir}}/environment',
    request: { homedir },
    ...more,
  });
  const file = () => join(homedir, 'environment');

  function submission() {
    const [call] = table.slurm.runner.callsOf('sbatch');
    return { argv: call?.argv ?? [], script: call?.options.input ?? '', env: call?.options.env };
  }

  /** What the job does before the prologue, and then `what`. */
  function runBeginning(what: string) {
    const { script } = submission();
    const beginning = script.slice(0, script.indexOf('# Called at the end'));
    const env = { PATH: '/usr/bin:/bin' };
    return spawnSync('/bin/sh', ['-c', `${beginning}\n${what}`], { encoding: 'utf8', env });
  }

  it('is in a file that its account alone can read, and in no command, script or variable', async () => {
    table.begin(table.create(options()));
    await table.clock.tickAsync(100);

    expect(statSync(file()).mode & 0o777).to.equal(0o600);
    expect(readFileSync(file(), 'utf8')).to.include('secret-token');
    const { argv, script, env } = submission();
    expect(JSON.stringify([argv, script, env])).not.to.include('secret-token');
    expect(env).not.to.have.any.keys('GREETING', 'JUPYTERHUB_API_URL');
    const writing = table.slurm.runner.callsOf('sh')[0];
    expect(writing?.options.user).to.equal('alice');
    expect(writing?.argv.join(' ')).not.to.include('secret-token');
  });

  it('reaches the job as it is, and its file is gone before anything else is done', async () => {
    table.begin(table.create(options()));
    await table.clock.tickAsync(100);
    const { stdout, stderr } = runBeginning(
      `printf '%s|' "$GREETING" "$PATH" "$JUPYTERHUB_API_TOKEN"; [ -e ${file()} ] || echo gone`,
    );

    expect(stderr).to.equal('');
    expect(stdout).to.equal(`it's "$HOME"\n\`id\`\\|/opt/bin:/bin:/usr/bin|secret-token|gone\n`);
  });

  it('is waited for by a job that starts before it is there', async () => {
    table.begin(table.create(options()));
    await table.clock.tickAsync(100);
    rmSync(file());
    const late = `(/bin/sleep 0.3; echo "export GREETING=late" >${file()}) &\n`;
    const { script } = submission();
    const beginning = script.slice(0, script.indexOf('# Called at the end'));
    const { stdout } = spawnSync('/bin/sh', ['-c', `${late}${beginning}\necho "$GREETING"`], {
      encoding: 'utf8',
      env: { PATH: '/usr/bin:/bin' },
    });
    expect(stdout).to.equal('late\n');
  });

  for (const [what, spoil] of [
    [
      'is refused',
      () =>
        table.slurm.fail({
          program: 'sbatch',
          result: { exitCode: 1, stderr: 'sbatch: error: no\n' },
        }),
    ],
    [
      'is refused while nobody can look for it',
      () => {
        table.slurm.fail({
          program: 'sbatch',
          result: {
            exitCode: 1,
            stderr: 'sbatch: error: Batch job submission failed: Invalid qos specification\n',
          },
        });
        table.slurm.fail({ program: 'squeue', result: { exitCode: 1 }, times: 99 });
      },
    ],
    ['is held', () => table.slurm.hold()],
    ['ends at once', () => setTimeout(() => void table.slurm.endJob('1001'), 50)],
  ] as const) {
    it(`leaves no file where the job ${what}`, async () => {
      spoil();
      const { outcome, settled } = table.begin(table.create(options()));
      await table.clock.tickAsync(60_000);
      await settled;

      expect(outcome.error).to.be.instanceOf(Error);
      expect(existsSync(file())).to.equal(false);
    });
  }

  it('leaves no file where the start is aborted, or the job stopped while it waits', async () => {
    table.slurm.pend();
    const spawner = table.create(options());
    const { settled } = table.begin(spawner);
    await table.clock.tickAsync(3000);
    expect(spawner.getState()['environmentFile']).to.equal(file());

    const next = table.create(options());
    next.loadState(spawner.getState());
    const stopped = next.stop();
    await table.clock.tickAsync(10_000);
    await stopped;
    expect(existsSync(file())).to.equal(false);
    await table.clock.tickAsync(10_000);
    await settled;
  });

  it('is not in the state once the job has called, and is written again for its next run', async () => {
    const { spawner, id } = await table.running(options());
    expect(spawner.getState()).not.to.have.property('environmentFile');
    runBeginning(':');
    expect(existsSync(file())).to.equal(false);

    table.slurm.setState(id, 'PENDING', 'BeginTime');
    await table.clock.tickAsync(3000);
    await spawner.poll();
    expect(readFileSync(file(), 'utf8')).to.include('secret-token');
    expect(spawner.getState()['environmentFile']).to.equal(file());

    const stopped = spawner.stop();
    await table.clock.tickAsync(10_000);
    await stopped;
    expect(existsSync(file())).to.equal(false);
  });

  it('is written again for a run whose beginning nobody has seen', async () => {
    const { spawner, id } = await table.running(options());
    table.slurm.setState(id, 'PENDING', 'BeginTime');
    await table.clock.tickAsync(5000);
    table.slurm.setState(id, 'RUNNING');
    rmSync(file());
    await spawner.poll();
    expect(existsSync(file())).to.equal(true);
  });

  it('loses no new server where two polls see the end of the old one', async () => {
    const spawner = table.create(options({ endpoint: 'fixed', port: 8888 }));
    const first = table.begin(spawner);
    await table.clock.tickAsync(100);
    table.slurm.setState('1001', 'RUNNING');
    await table.clock.tickAsync(3000);
    await first.settled;
    expect(spawner.getState()).to.have.property('environmentFile');

    await table.slurm.endJob('1001');
    await table.clock.tickAsync(3000);
    const run = table.slurm.runner.run.bind(table.slurm.runner);
    let removals = 0;
    sinon.stub(table.slurm.runner, 'run').callsFake(async (argv, how) => {
      // The second is slow.
      if (argv[0] === 'rm' && ++removals === 2) await sleep(10_000);
      return run(argv, how);
    });
    const polls = [spawner.poll(), spawner.poll()];
    await table.clock.tickAsync(100);
    const { outcome, settled } = table.begin(spawner);
    await table.clock.tickAsync(100);
    table.slurm.setState('1002', 'RUNNING');
    await table.clock.tickAsync(15_000);
    await Promise.all([...polls, settled]);
    expect(outcome.error).to.equal(undefined);
    expect(spawner.getState()).to.include({ jobId: '1002' });
  });

  it('fails the start where the file can not be written, and submits nothing', async () => {
    const spawner = table.create(options({ environmentFile: '{{homedir}}/missing/environment' }));
    const { outcome, settled } = table.begin(spawner);
    await table.clock.tickAsync(100);
    await settled;

    expect(outcome.error).to.be.instanceOf(CommandError);
    expect(String(outcome.error)).to.match(/missing\/environment.*could not be written/s);
    expect(String(outcome.error)).not.to.include('secret-token');
    expect(table.count('sbatch')).to.equal(0);
    expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'slurm' });
  });

  it('takes the place of what lies there, and follows no link', async () => {
    const victim = join(homedir, 'victim');
    writeFileSync(victim, 'kept');
    spawnSync('ln', ['-s', victim, file()]);
    spawnSync('ln', ['-s', victim, `${file()}.new`]);
    table.begin(table.create(options()));
    await table.clock.tickAsync(100);

    expect(readFileSync(victim, 'utf8')).to.equal('kept');
    expect(readFileSync(file(), 'utf8')).to.include('secret-token');
  });

  it('needs an absolute path, and a script that reads it', () => {
    for (const [wrong, path] of [
      [{ environmentFile: 'environment' }, 'environmentFile'],
      [{ script: '#!/bin/sh\n{{cmd}}\n' }, 'script'],
    ] as const) {
      expect(() => table.create(options(wrong)))
        .to.throw(OptionsError)
        .with.property('path', path);
    }
  });
});
