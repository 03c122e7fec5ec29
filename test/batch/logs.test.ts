import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { useSlurmTable } from '../helpers/slurm-table.ts';

describe('The log of a job', () => {
  const table = useSlurmTable();
  let homedir: string;

  beforeEach(() => {
    homedir = mkdtempSync(join(tmpdir(), 'hubspawner-logs-'));
  });
  afterEach(() => rmSync(homedir, { recursive: true }));

  it('is read from its end, without the token, also by a hub that was restarted', async () => {
    const { spawner } = await table.running({ request: { homedir }, logFile: '{{homedir}}/log' });
    writeFileSync(join(homedir, 'log'), 'one\ntwo\nthe token is secret-token\n');
    expect(spawner.abilities).to.deep.equal(['logs']);
    expect(await spawner.logs({ lines: 2 })).to.equal('two\nthe token is [token]\n');

    const next = table.create({ request: { homedir }, logFile: '{{homedir}}/other' });
    next.loadState(spawner.getState());
    expect(await next.logs()).to.equal('one\ntwo\nthe token is [token]\n');
    expect(
      table.slurm.runner.callsOf('tail').every(({ options }) => options.user === 'alice'),
    ).to.equal(true);
  });

  it('is null without a job, and where it can not be read', async () => {
    expect(await table.create().logs()).to.equal(null);
    const { spawner } = await table.running({ request: { homedir }, logFile: '{{homedir}}/log' });
    expect(await spawner.logs()).to.equal(null);
    expect(await spawner.usage()).to.equal(null);
  });
});
