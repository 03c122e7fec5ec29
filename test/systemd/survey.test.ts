import { expect } from 'chai';
import type { SpawnerContext } from '../../lib/context.ts';
import type { SystemdOptions } from '../../lib/generated/options.ts';
import { hubIdOf } from '../../lib/mark.ts';
import { SystemdSpawner } from '../../lib/systemd/spawner.ts';
import type { StubAnswer } from '../../lib/testing/index.ts';
import { StubRunner } from '../../lib/testing/index.ts';

const hub = { apiUrl: 'http://127.0.0.1:8081/hub/api' };
const hubId = hubIdOf({ user: { name: 'alice' }, hub });
const tag = (who: string, id = hubId) => `hubspawner:${id}:${who}:3b1d0c7a9e55`;

const row = (unit: string, active: string, description: string) =>
  `${unit}.service loaded ${active} sub ${description}\n`;

describe('A survey of the units of a hub', () => {
  let answer: StubAnswer;
  let runner: StubRunner;
  beforeEach(() => {
    answer = '';
    runner = new StubRunner(() => answer);
  });

  const create = (
    options: Partial<SystemdOptions> = {},
    context: Partial<SpawnerContext> = {},
  ): SystemdSpawner =>
    new SystemdSpawner(
      { user: { name: 'alice' }, hub, runner, ...context },
      { queryInterval: 30, pollInterval: 0, ...options },
    );

  it('gives states by which other spawners have the servers, and their addresses', async () => {
    const unit = 'jupyter-alice-r\\x26d';
    answer = row(unit, 'active', `${tag('alice:r%26d')} port 40123`);
    const [found, ...more] = (await create({}, { user: { name: 'bob' } }).survey()) ?? [];
    expect(more).to.deep.equal([]);
    expect(found).to.include({ user: 'alice', serverName: 'r&d', id: `${unit}.service` });
    const spawner = create({ ip: '0.0.0.0' }, { serverName: 'r&d' });
    spawner.loadState(JSON.parse(JSON.stringify(found?.state)));
    expect(spawner.address).to.include({ host: '127.0.0.1', port: 40_123 });
    expect(await spawner.poll()).to.equal(null);
    const { directory, startedAt } = spawner.getState();
    expect(directory).to.match(/^\/run\/hubspawner\/jupyter-alice-r_x26d-[0-9a-f]{16}$/);
    expect(startedAt).to.equal('1970-01-01T00:00:00.000Z');
  });

  it('has the directory that the options say', async () => {
    answer = row('jupyter-alice-singleuser', 'active', `${tag('alice:')} port 4000`);
    const [found] = (await create({ runtimeDir: '/srv/run' }).survey()) ?? [];
    expect(found?.state['directory']).to.equal('/srv/run/jupyter-alice-singleuser');
  });

  it('leaves out what has ended, what is of others, and what is no server', async () => {
    const alice = `${tag('alice:')} port 4000`;
    answer = [
      row('jupyter-1', 'inactive', alice),
      row('jupyter-2', 'failed', alice),
      row('jupyter-3', 'deactivating', alice),
      row('jupyter-4', 'activating', `start ${alice}`),
      row('jupyter-5', 'strange', alice),
      row('jupyter-6', 'active', `${tag('alice:', '00000000')} port 4000`),
      row('jupyter-7', 'active', `${tag('%:')} port 4000`),
      row('jupyter-8', 'active', tag('alice:')),
      row('jupyter-9', 'active', `${alice} and more`),
      row('jupyter-10', 'active', `${tag('alice:')} port 70000`),
      row('jupyter-3--proxy', 'active', '/usr/lib/systemd/systemd-socket-proxyd 127.0.0.1:4000'),
    ].join('');
    const servers = await create().survey();
    expect(servers?.map(({ id }) => id)).to.deep.equal(['jupyter-4.service', 'jupyter-5.service']);
  });

  it('costs one command and one object for all who ask at the same time', async () => {
    answer = row('jupyter-alice-singleuser', 'active', `${tag('alice:')} port 4000`);
    const spawners = Array.from({ length: 100 }, (_, n) =>
      create({}, { user: { name: `user${n}` } }),
    );
    const all = await Promise.all(spawners.map((spawner) => spawner.survey()));
    expect(new Set(all).size).to.equal(1);
    expect(runner.calls).to.have.length(1);
    expect(await create().survey()).not.to.equal(all[0]);
  });

  for (const [what, failure] of Object.entries<StubAnswer>({
    'does not answer': { timedOut: true },
    fails: { exitCode: 1, stderr: 'Failed to list units: Connection timed out\n' },
    'prints something else': 'Hello!\n',
  })) {
    it(`says nothing where systemctl ${what}`, async () => {
      answer = failure;
      expect(await create().survey()).to.equal(undefined);
    });
  }

  it('is empty for the systemd of an account, and for a hub without an interface', async () => {
    expect(await create({ scope: 'user' }).survey()).to.deep.equal([]);
    const spawner = new SystemdSpawner({ user: { name: 'alice' }, runner }, { pollInterval: 0 });
    expect(await spawner.survey()).to.deep.equal([]);
    expect(runner.calls).to.deep.equal([]);
  });
});
