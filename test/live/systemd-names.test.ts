import { assert } from 'chai';
import { answersHttp } from '../../lib/readiness.ts';
import { report, serverCommand, unitOf, useServices } from './helpers/services.ts';
import { inside, property, units } from './helpers/systemd.ts';

/** Names of people, some of which are alike. */
const names = [
  ...['a.b', '.a', 'a@b.org', 'a-b', 'a\\x2db', 'a_b', 'a:b', 'a b', 'a/b', 'a..b'],
  ...['EVE', 'eve', 'Eve', 'DOMAIN\\eve', 'jürgen', 'jurgen', 'J\u0308', '王', '🦊'],
  ...['%n', '%%n', '$HOME', '$$', "a';b", 'a"b', '-a', '--', '+a', '!a', '{{account}}'],
  ...[`${'x'.repeat(199)}a`, `${'x'.repeat(199)}b`, 'ü'.repeat(200), 'a.service', 'a-singleuser'],
];

const controls = Array.from({ length: 31 }, (_, code) => String.fromCharCode(code + 1)).join('');
const values = [
  'two\nlines\n',
  '\n',
  '"a" \'b\' `c` \\ \\n \\\\',
  `$HOME \${HOME} $$ $(id) %n %% %h`,
  controls,
  '\u007f\u0080\u2028\ufeff\ufffe🦊',
  ' a  b ',
  '',
  '# no comment; nor = this',
  '*? [a-z] {a,b} ~ ! & | > <',
  '-n',
];

describe('SystemdSpawner: names and values', () => {
  const create = useServices();

  it('each name has a unit of its own, whatever it holds', async () => {
    const light = ['python3', '-m', 'http.server', '--bind', '127.0.0.1', '{port}'];
    const spawners = names.map((name) =>
      create(
        { cmd: light, userWorkingDir: '/srv', hardened: true },
        { user: { name, account: 'alice' } },
      ),
    );
    // A few at once: what counts is that all are there together.
    for (let i = 0; i < spawners.length; i += 6) {
      await Promise.all(spawners.slice(i, i + 6).map((spawner) => spawner.start()));
    }
    const loaded = (await units('jupyter-*')).filter(({ active }) => active === 'active');
    assert.lengthOf(loaded, names.length);
    assert.sameMembers(
      loaded.map(({ unit }) => unit),
      spawners.map(unitOf),
    );
    for (const [index, spawner] of spawners.entries()) {
      assert.isNull(await spawner.poll(), names[index]);
      assert.isAbove(Number((await spawner.usage())?.memory), 1_000_000, names[index]);
    }
    const [first, ...rest] = spawners;
    await first?.stop();
    for (const spawner of rest) {
      assert.isTrue(await answersHttp(spawner.address?.url ?? ''));
    }
    await Promise.all(rest.map((spawner) => spawner.stop()));
    assert.deepEqual(await units('jupyter-*'), []);
  });

  it('servers of one person, and dynamic users, have names of all kinds too', async () => {
    const user = { name: 'Jürgen@DOMAIN\\x', account: 'alice' };
    const spawners = [
      create({}, { user }),
      create({}, { user, serverName: 'proxy' }),
      create({ privateNetwork: true }, { user, serverName: 'ü ß/%n' }),
      create({ dynamicUsers: true }, { user, serverName: 'dynamic' }),
      create({ dynamicUsers: true }, { user, serverName: 'x'.repeat(200) }),
      create({ dynamicUsers: true, privateNetwork: true }, { user, serverName: 'Dynamic' }),
    ];
    await Promise.all(spawners.map((spawner) => spawner.start()));
    const reports = await Promise.all(spawners.map(report));
    assert.deepEqual(
      reports.map(({ environment }) => environment['JUPYTERHUB_SERVER_NAME']),
      spawners.map((spawner) => spawner.serverName),
    );
    assert.lengthOf(new Set(reports.map(({ directory }) => directory)), 4);
    assert.lengthOf(new Set(spawners.map(unitOf)), spawners.length);
  });

  it('arguments and variables arrive as they are', async () => {
    const environment = Object.fromEntries(values.map((value, index) => [`V${index}`, value]));
    const spawner = create({
      cmd: [...serverCommand, ...values],
      args: values,
      environment: { ...environment, LONG: 'ü'.repeat(10_000) },
    });
    await spawner.start();
    const given = await report(spawner);
    assert.deepEqual(given.arguments, [...values, ...values]);
    assert.include(given.environment, { ...environment, LONG: 'ü'.repeat(10_000) });
    await inside(['systemctl', 'daemon-reload']);
    assert.equal(await property(unitOf(spawner), 'ActiveState'), 'active');
    assert.isNull(await spawner.poll());
  });
});
