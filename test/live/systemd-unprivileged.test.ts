import { readFileSync } from 'node:fs';
import { assert } from 'chai';
import { CommandError, StartError } from '../../lib/errors.ts';
import type { SystemdOptions } from '../../lib/generated/options.ts';
import type { CommandRunner } from '../../lib/runners/runner.ts';
import { SudoRunner } from '../../lib/runners/sudo.ts';
import { print, report, script, useServices } from './helpers/services.ts';
import { ended, rejection, until } from './helpers/slurm.ts';
import { runner, shell, startUserManager } from './helpers/systemd.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** Runs all commands as the account of the hub. */
const hub: CommandRunner = {
  run: (argv, options = {}) => runner.run(argv, { ...options, user: options.user ?? 'hub' }),
};

/** A block of the README, found by how a line of it begins. */
function block(begin: string): string {
  const found = readme.split('```').find((text) => text.includes(`\n${begin}`));
  assert(found !== undefined, `the README has no block with ${begin}`);
  return found.slice(found.indexOf('\n') + 1);
}

describe('SystemdSpawner: a hub that is not root', () => {
  const create = useServices();
  before(() => shell('id hub >/dev/null 2>&1 || useradd --system --shell /bin/bash hub'));

  /** Starts, asks and stops, as any hub does. */
  async function serve(options: Partial<SystemdOptions>, by: CommandRunner): Promise<void> {
    const slices = { slice: 'jupyter.slice', sliceProperties: { TasksMax: '500' } };
    const spawner = create({ memLimit: '500M', ...slices, ...options }, { runner: by });
    await spawner.start();
    assert.equal((await report(spawner)).account, 'alice');
    assert.isNull(await spawner.poll());
    await print(spawner, 'a line');
    // Only root can have the journal write down what it has got.
    await until('it is there', async () => (await spawner.logs())?.includes('a line\n') === true);
    assert.isAbove(Number((await spawner.usage())?.cpu), 0);
    await script(spawner, 'kill -KILL $PPID').catch(() => {});
    assert.containsSubset(await ended(spawner), { cause: 'failed', signal: 'SIGKILL' });
    await spawner.start();
    await spawner.stop();
    assert.containsSubset(await spawner.poll(), { cause: 'cancelled' });
  }

  it('is refused without a rule', async () => {
    const bySudo = new SudoRunner({ runner: hub });
    const error = await rejection(create({}, { runner: bySudo }).start(), CommandError);
    assert.include(error.message, 'hub ALL = (root) NOPASSWD: SETENV: ');
    await shell('install -d -o hub -m 700 /run/hub');
    const byPolkit = { commandAccount: null, runtimeDir: '/run/hub' };
    const refusal = await rejection(create(byPolkit, { runner: hub }).start(), StartError);
    assert.include(refusal.message, 'Interactive authentication required');
    assert.equal(await shell('find /run/hub -mindepth 1'), '');
  });

  it('serves with the lines of sudoers that the README has', async () => {
    await shell(
      'cat >/etc/sudoers.d/hub; chmod 440 /etc/sudoers.d/hub; visudo -cf /etc/sudoers.d/hub',
      [],
      {
        input: block('hub ALL = (root)'),
      },
    );
    await serve({}, new SudoRunner({ runner: hub }));
    await shell('rm /etc/sudoers.d/hub');
  });

  it("serves with the same lines for the accounts where the scope is 'user'", async () => {
    await startUserManager('alice');
    const input = block('hub ALL = (root)').replaceAll('(root)', '(alice)');
    await shell('cat >/etc/sudoers.d/hub; chmod 440 /etc/sudoers.d/hub', [], { input });
    await serve({ scope: 'user' }, new SudoRunner({ runner: hub }));
    await shell('rm /etc/sudoers.d/hub');
  });

  it('serves with the rule of polkit that the README has', async () => {
    await shell(
      `cat >/etc/polkit-1/rules.d/50-hub.rules
      usermod --append --groups systemd-journal hub
      printf 'd /run/hub 0711 hub hub\\n' >/etc/tmpfiles.d/hub.conf
      systemd-tmpfiles --create hub.conf
      systemctl try-restart polkit`,
      [],
      { input: block('polkit.addRule') },
    );
    await serve({ commandAccount: null, runtimeDir: '/run/hub' }, hub);
    assert.equal(await shell('find /run/hub -mindepth 1'), '');
    await shell('rm /etc/polkit-1/rules.d/50-hub.rules');
  });
});
