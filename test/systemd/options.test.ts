import { expect } from 'chai';
import { OptionsError } from '../../lib/errors.ts';
import type { SystemdOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import { propertiesOf, sliceName, slicePropertiesOf } from '../../lib/systemd/properties.ts';
import { SystemdSpawner } from '../../lib/systemd/spawner.ts';

const facts = { username: 'Alice', userid: '7', servername: 'lab', account: 'alice' };

function propertiesFor(options: Partial<SystemdOptions>): readonly string[] {
  const checked = checkOptions<SystemdOptions>('systemd.json', options);
  return propertiesOf(checked, facts).map(({ name, value }) => `${name}=${value}`);
}

describe('The properties of a unit', () => {
  it('are by default that nothing becomes another user', () => {
    expect(propertiesFor({})).to.deep.equal(['NoNewPrivileges=yes']);
    expect(propertiesFor({ disableUserSudo: false })).to.deep.equal(['NoNewPrivileges=no']);
  });

  for (const [options, expected] of [
    [{ memLimit: '4G' }, 'MemoryMax=4294967296'],
    [{ memHigh: 1_000_000 }, 'MemoryHigh=1000000'],
    [{ memGuarantee: '1M' }, 'MemoryLow=1048576'],
    [{ swapMax: 0 }, 'MemorySwapMax=0'],
    [{ cpuLimit: 1.5 }, 'CPUQuota=150%'],
    [{ cpuLimit: 0.125 }, 'CPUQuota=12%'],
    [{ cpuLimit: 0.001 }, 'CPUQuota=1%'],
    [{ cpuLimit: 0.29 }, 'CPUQuota=29%'],
    [{ cpuLimit: 1.15 }, 'CPUQuota=115%'],
    [{ cpuWeight: 50 }, 'CPUWeight=50'],
    [{ tasksMax: 512 }, 'TasksMax=512'],
    [{ maxRuntime: 90_000 }, 'RuntimeMaxSec=90000ms'],
    [{ restart: 'on-failure' }, 'Restart=on-failure'],
    [{ restart: 'on-abort', maxRuntime: 90_000 }, 'Restart=on-abort'],
    [{ unitExtraProperties: { IPAddressDeny: '' } }, 'IPAddressDeny='],
    [
      { unitExtraProperties: { CapabilityBoundingSet: ['', 'CAP_KILL'] } },
      'CapabilityBoundingSet=',
    ],
    [{ isolateTmp: true }, 'PrivateTmp=yes'],
    [{ isolateDevices: true }, 'PrivateDevices=yes'],
    [{ protectSystem: 'strict' }, 'ProtectSystem=strict'],
    [{ protectSystem: true }, 'ProtectSystem=yes'],
    [{ protectHome: 'tmpfs' }, 'ProtectHome=tmpfs'],
    [{ privateNetwork: true }, 'PrivateNetwork=yes'],
    [{ slice: 'jupyter-{{account}}.slice' }, 'Slice=jupyter-alice.slice'],
    [{ slice: 'jupyter-{{username}}.slice' }, 'Slice=jupyter-Alice.slice'],
    [{ readonlyPaths: ['/'] }, 'ReadOnlyPaths=/'],
    [{ readwritePaths: ['/home/{{account}}'] }, 'ReadWritePaths=/home/alice'],
    [{ readwritePaths: ['/a b/"c"'] }, 'ReadWritePaths="/a b/\\"c\\""'],
  ] as const) {
    it(`${JSON.stringify(options)} are ${expected}`, () => {
      expect(propertiesFor(options)).to.include(expected);
    });
  }

  it('of a list are set in its order, after all others', () => {
    const unitExtraProperties = { LimitNOFILE: '16384', BindPaths: ['/srv/{{username}}', '/b'] };
    expect(propertiesFor({ unitExtraProperties }).slice(-3)).to.deep.equal([
      'LimitNOFILE=16384',
      'BindPaths=/srv/Alice',
      'BindPaths=/b',
    ]);
  });

  it('of the preset yield to the options', () => {
    const all = propertiesFor({ hardened: true, isolateTmp: false, protectSystem: 'strict' });
    expect(all).to.include.members(['ProtectKernelModules=yes', 'RestrictSUIDSGID=yes']);
    const last = (name: string) => all.findLast((one) => one.startsWith(`${name}=`));
    expect(last('PrivateTmp')).to.equal('PrivateTmp=no');
    expect(last('PrivateDevices')).to.equal('PrivateDevices=yes');
    expect(last('ProtectSystem')).to.equal('ProtectSystem=strict');
  });

  it('of a slice are filled in too', () => {
    const options = { sliceProperties: { MemoryMax: '48G', Description: 'of {{username}}' } };
    const checked = checkOptions<SystemdOptions>('systemd.json', options);
    expect(slicePropertiesOf(checked, facts)).to.deep.equal([
      'MemoryMax=48G',
      'Description=of Alice',
    ]);
  });

  it('have a slice that is inside of no other account', () => {
    const { slice } = { slice: 'jupyter-{{account}}.slice' };
    expect(sliceName(slice, { ...facts, account: 'a-b' })).to.equal('jupyter-a\\x2db.slice');
  });

  for (const [slice, name] of [
    ['jupyter', 'jupyter.slice'],
    ['org.example', 'org.example.slice'],
    ['jupyter-{{account}}', 'jupyter-ada.slice.slice'],
    ['jupyter-{{account}}.slice', 'jupyter-ada.slice.slice'],
    ['{{#account}}a.slice{{/account}}', 'a.slice'],
    ['team.{{account}}', 'team.ada.slice.slice'],
    ['-.slice', '-.slice'],
  ] as const) {
    it(`have for an account ada.slice of ${slice} the slice ${name}`, () => {
      expect(sliceName(slice, { ...facts, account: 'ada.slice' })).to.equal(name);
    });
  }

  for (const servername of [
    'x /root',
    'x:/root',
    '..',
    '.',
    'a/b',
    '%h',
    'a"',
    "a'",
    'a\\',
    '$A',
  ]) {
    it(`take no server name such as ${servername}`, () => {
      for (const options of [
        { unitExtraProperties: { BindPaths: '/srv/{{servername}}' } },
        { sliceProperties: { MemoryMax: '{{servername}}' } },
        { readonlyPaths: ['/srv/{{servername}}'] },
        { readwritePaths: ['/srv/{{servername}}'] },
      ]) {
        const checked = checkOptions<SystemdOptions>('systemd.json', options);
        const named = { ...facts, servername };
        expect(() => [propertiesOf(checked, named), slicePropertiesOf(checked, named)]).to.throw(
          OptionsError,
          /{{servername}} is/,
        );
      }
      expect(() =>
        propertiesOf(checkOptions('systemd.json', {}), { ...facts, servername }),
      ).not.to.throw();
    });
  }

  for (const [options, path] of [
    ...['/run/a b', '/run/%h', '/run/$a', '/run/"a"', "/run/'a'", '/run/a\\b', '/'].map(
      (runtimeDir) => [{ runtimeDir }, 'runtimeDir'] as const,
    ),
    [{ readonlyPaths: ['{{nobody}}'] }, 'readonlyPaths[0]'],
    [{ unitExtraProperties: { 'Bad Name': 'x' } }, 'unitExtraProperties.Bad Name'],
    [{ unitExtraProperties: { LimitNOFILE: 7 } }, 'unitExtraProperties.LimitNOFILE'],
    [{ slice: 'a\nb' }, 'slice'],
    ...[
      'foo.service',
      'a/b.slice',
      'a b',
      '-a',
      'a-',
      'a--b',
      '.slice',
      'a@b',
      'a-{{servername}}',
    ].map((slice) => [{ slice }, 'slice'] as const),
    [{ slice: 'a'.repeat(250) }, 'slice'],
    [{ sliceProperties: { MemoryMax: '1G' } }, 'sliceProperties'],
    [{ maxRuntime: 1000, restart: 'on-failure' }, 'restart'],
    [{ usernameTemplate: 'u{{userid}}' }, 'usernameTemplate'],
    [{ unitNameTemplate: 'hub-{{userid}}' }, 'unitNameTemplate'],
    [{ userWorkingDir: '/srv/{{userid}}' }, 'userWorkingDir'],
    [{ userWorkingDir: 'srv/{{username}}' }, 'userWorkingDir'],
    [{ extraPaths: ['/bin', '/srv/{{userid}}'] }, 'extraPaths[1]'],
    [{ slice: 'hub-{{userid}}.slice' }, 'slice'],
    [{ readonlyPaths: ['/srv/{{userid}}'] }, 'readonlyPaths[0]'],
    [{ readwritePaths: ['/srv/{{userid}}'] }, 'readwritePaths[0]'],
    [{ unitExtraProperties: { BindPaths: '/srv/{{userid}}' } }, 'unitExtraProperties.BindPaths'],
    [{ slice: 'a', sliceProperties: { Description: '{{userid}}' } }, 'sliceProperties.Description'],
    [{ cpuWeight: 0 }, 'cpuWeight'],
    [{ protectHome: 'yes' }, 'protectHome'],
    [{ scope: 'user', dynamicUsers: true }, 'dynamicUsers'],
  ] as const) {
    it(`${JSON.stringify(options)} are refused`, () => {
      // Some of these are not even of the right type.
      const wrong = options as unknown as Partial<SystemdOptions>;
      expect(() => new SystemdSpawner({ user: { name: 'alice' } }, wrong))
        .to.throw(OptionsError)
        .with.property('path', path);
    });
  }
});
