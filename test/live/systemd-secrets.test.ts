import { randomBytes } from 'node:crypto';
import { assert } from 'chai';
import { StartError } from '../../lib/errors.ts';
import { ArgvWatch } from './helpers/argv-watch.ts';
import { remains, report, unitOf, useServices } from './helpers/services.ts';
import { rejection } from './helpers/slurm.ts';
import { inside, shell } from './helpers/systemd.ts';

/** What a person may ask of systemd about a unit, by all of its programs. */
const questions = `
path=/org/freedesktop/systemd1/unit/$(systemd-escape --path "$1" | sed 's/[^A-Za-z0-9]/_/g')
systemctl show "$1"
systemctl cat "$1"
systemctl status --full "$1"
systemctl show-environment
journalctl --unit="$1"
journalctl --lines=1000
ps axeww
dump=$(systemd-analyze dump)
grep -F "$1" <<<"$dump"
echo "$dump"
busctl --json=short call org.freedesktop.systemd1 /org/freedesktop/systemd1 \\
  org.freedesktop.systemd1.Manager GetUnit s "$1"
object=$(busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 \\
  org.freedesktop.systemd1.Manager GetUnit s "$1" | cut -d '"' -f 2)
busctl introspect --full org.freedesktop.systemd1 "$object"
cat /run/systemd/transient/"$1" /proc/*/cmdline
cat /proc/*/environ
find / -xdev \\( -path /proc -o -path /sys -o -path /work \\) -prune -o \\
  -newer /proc/1/comm -type f -readable -print0 | xargs -0 cat
find /run /tmp /dev/shm /var/tmp /var/log/journal -type f -readable -exec cat {} +
`;

describe("SystemdSpawner: the server's token on a real systemd", () => {
  const create = useServices();
  const newToken = () => randomBytes(24).toString('hex');

  /** All files below /run and /var/log/journal that hold a text, as root sees them. */
  const holding = (text: string) =>
    shell(
      'grep -rlFs --devices=skip -f - /run /tmp /dev/shm /var/tmp /var/log/journal || true',
      [],
      {
        input: text,
      },
    );

  it('is for the server alone: bob finds it nowhere, and root in one file of mode 0400', async () => {
    const apiToken = newToken();
    const watch = await ArgvWatch.begin(apiToken);
    const spawner = create({ environment: { MARK: 'shown-nowhere' } }, { apiToken });
    await spawner.start();
    const { environment } = await report(spawner);
    assert.equal(environment['JUPYTERHUB_API_TOKEN'], apiToken);

    const unit = unitOf(spawner);
    const asked = await inside(['bash', '-c', questions, 'bash', unit], {
      user: 'bob',
    }).catch((error: Error) => error.message);
    assert.include(asked, 'EnvironmentFile=/run/hubspawner/');
    assert.include(asked, 'interface');
    assert.isAbove(asked.length, 50_000);
    assert.notInclude(asked, apiToken);
    assert.notInclude(asked, 'shown-nowhere');

    const file = '/run/hubspawner/jupyter-alice-singleuser/environment';
    assert.equal(await holding(apiToken), `${file}\n`);
    assert.equal(await inside(['stat', '--format=%a %U', file]), '400 root\n');
    const journal = await inside(['journalctl', '--output=export', '--all']);
    assert.notInclude(journal, apiToken);

    await spawner.stop();
    assert.equal(await holding(apiToken), '');
    const { rounds, found } = await watch.end();
    assert.isAbove(rounds, 20);
    assert.deepEqual(found, []);
  });

  it('is seen by the questions of this test, if it is in the unit', async () => {
    const token = newToken();
    const set = [`--setenv=CARELESS=${token}`, '--unit=jupyter-careless', '--collect'];
    await inside(['systemd-run', ...set, 'sleep', '60']);
    const asked = await inside(['bash', '-c', questions, 'bash', 'jupyter-careless.service'], {
      user: 'bob',
    }).catch((error: Error) => error.message);
    await inside(['systemctl', 'stop', 'jupyter-careless.service']);
    assert.isAbove(asked.split(token).length, 4);
  });

  it('is gone where the server has ended by itself, even before anybody asks', async () => {
    const apiToken = newToken();
    const spawner = create({}, { apiToken });
    await spawner.start();
    await inside(['systemctl', 'stop', unitOf(spawner)]);
    assert.equal(await holding(apiToken), '');
    assert.isNotNull(await spawner.poll());
  });

  for (const [what, options] of [
    ['a server that ends at once', { cmd: ['false'] }],
    ['a program that is missing', { cmd: ['no-such-program'] }],
    ['a directory that is missing', { userWorkingDir: '/no/such/place' }],
    ['a property that is wrong', { unitExtraProperties: { MemoryMax: 'lots' } }],
    ['a path that is missing', { unitExtraProperties: { BindPaths: '/no/such/place' } }],
    ['a server that never answers', { cmd: ['sleep', '60'], httpTimeout: 300 }],
  ] as const) {
    it(`is gone after a start that failed: ${what}`, async () => {
      const apiToken = newToken();
      const error = await rejection(create(options, { apiToken }).start(), Error);
      assert.notInclude(JSON.stringify([error, error.message, error.cause]), apiToken);
      assert.equal(await holding(apiToken), '');
      assert.deepEqual(await remains(), []);
    });
  }

  it('is cut out of what the server prints', async () => {
    const apiToken = newToken();
    const cmd = ['sh', '-c', 'echo "my token is $JUPYTERHUB_API_TOKEN"; exit 1'];
    const error = await rejection(create({ cmd }, { apiToken }).start(), StartError);
    assert.include(error.log, 'my token is [token]\n', error.log);
    assert.notInclude(error.message, apiToken);
  });
});
