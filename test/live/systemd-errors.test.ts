import { assert } from 'chai';
import { OptionsError, StartError } from '../../lib/errors.ts';
import type { CommandRunner } from '../../lib/runners/runner.ts';
import { sleep } from '../../lib/sleep.ts';
import { remains, useServices, warningsOf } from './helpers/services.ts';
import { rejection } from './helpers/slurm.ts';
import { inside, property, runner, shell, startUserManager } from './helpers/systemd.ts';

/** Runs commands while the journal stands still, until a while after it is asked for the first time. */
async function withLateJournal<T>(act: (runner: CommandRunner) => Promise<T>): Promise<T> {
  const journald = await property('systemd-journald.service', 'MainPID');
  const signal = (name: string) => inside(['kill', `-${name}`, journald]);
  let goesOn: Promise<unknown> | undefined;
  await signal('STOP');
  try {
    return await act({
      run: (argv, options) => {
        if (argv[0] === 'journalctl') {
          goesOn ??= sleep(700).then(() => signal('CONT'));
        }
        return runner.run(argv, options);
      },
    });
  } finally {
    await (goesOn ?? signal('CONT'));
  }
}

describe('SystemdSpawner: starts that fail on a real systemd', () => {
  const create = useServices();
  before(() =>
    shell(`
      printf 'not a program' >/srv/text; chmod 644 /srv/text
      printf '#!/no/such/interpreter\\n' >/srv/script; chmod 755 /srv/script
      install -d -m 700 /srv/closed`),
  );

  for (const [what, options, message] of [
    [
      'a program that is missing',
      { cmd: ['no-such'] },
      /There is no program no-such .* in the PATH \//,
    ],
    ['a program by its path', { cmd: ['/srv/no-such'] }, /There is no program \/srv\/no-such /],
    ['a file that is no program', { cmd: ['/srv/text'] }, /Permission denied/],
    [
      'an interpreter that is missing',
      { cmd: ['/srv/script'] },
      /script.*not found|bad interpreter/,
    ],
    ['a server that fails', { cmd: ['sh', '-c', 'echo why >&2; exit 5'] }, /exit code 5.*\nwhy\n/s],
    [
      'a directory that is missing',
      { userWorkingDir: '/no/such' },
      /working directory failed: No such/,
    ],
    [
      'a directory that is closed',
      { userWorkingDir: '/srv/closed' },
      /working directory failed: Perm/,
    ],
    [
      'a directory that is a file',
      { userWorkingDir: '/srv/text' },
      /working directory failed: Not a/,
    ],
    [
      'a path that is missing',
      { readwritePaths: ['/no/such'] },
      /mount namespacing: .*No such file/,
    ],
  ] as const) {
    it(`says so of ${what}, and leaves nothing`, async () => {
      const spawner = create(options);
      const warnings = warningsOf(spawner);
      const error = await rejection(spawner.start(), StartError);
      assert.match(error.message, message);
      assert.isNotEmpty(error.log);
      assert.deepEqual(await remains(), []);
      assert.deepEqual(warnings, []);
      assert.deepEqual(spawner.getState(), { version: 1, spawner: 'systemd' });
    });
  }

  it("leaves a service of the machine alone that has the server's name", async () => {
    const unit = 'jupyter-hub.service';
    await shell(`
      printf '[Service]\nExecStart=/bin/sleep 600\n' >/etc/systemd/system/${unit}
      systemctl daemon-reload; systemctl start ${unit}`);
    try {
      const names = { unitNameTemplate: 'jupyter-{{username}}' };
      const spawner = create(names, { user: { name: 'hub', account: 'alice' } });
      for (const state of ['active', 'inactive']) {
        const error = await rejection(spawner.start(), StartError);
        assert.include(error.message, `${unit} belongs to this machine`);
        assert.isFalse(error.retryable);
        assert.equal(await property(unit, 'ActiveState'), state);
        await inside(['systemctl', 'stop', unit]);
      }
    } finally {
      await shell(`rm /etc/systemd/system/${unit}; systemctl daemon-reload`);
    }
  });

  for (const [what, options, kind, message] of [
    [
      'an account that is missing',
      { usernameTemplate: 'no-such' },
      StartError,
      /no account 'no-such'/,
    ],
    [
      'a group that is missing',
      { unitExtraProperties: { Group: 'no-such' } },
      StartError,
      /group credentials: No such process|Failed at step GROUP/,
    ],
    [
      'a credential that is missing',
      { unitExtraProperties: { LoadCredential: 'x:/no/such' } },
      StartError,
      /Failed to set up credentials/,
    ],
    [
      'an environment that is missing',
      { unitExtraProperties: { EnvironmentFile: '/no/such' } },
      StartError,
      /Failed to load environment files: No such file/,
    ],
    [
      'a property that is none',
      { unitExtraProperties: { FooBar: '1' } },
      OptionsError,
      /unitExtraProperties\.FooBar asks for .* refuses: Unknown assignment: FooBar=1/,
    ],
    [
      'a value that is wrong',
      { unitExtraProperties: { MemoryMax: 'lots' } },
      OptionsError,
      /unitExtraProperties\.MemoryMax asks for .* Failed to parse MemoryMax=lots/,
    ],
    [
      'a value of another kind',
      { unitExtraProperties: { ProtectProc: 'maybe' } },
      OptionsError,
      /unitExtraProperties\.ProtectProc asks for .*maybe/,
    ],
    [
      'a slice property that is none',
      { slice: 'jupyter.slice', sliceProperties: { FooBar: '1' } },
      OptionsError,
      /sliceProperties.*Unknown assignment: FooBar=1/s,
    ],
  ] as const) {
    it(`says so of ${what}, and leaves nothing`, async () => {
      const spawner = create(options);
      const error = await rejection<Error>(spawner.start(), kind);
      assert.match(error.message, message);
      assert.deepEqual(await remains(), []);
      assert.deepEqual(spawner.getState(), { version: 1, spawner: 'systemd' });
    });
  }

  // By then the process that knows the reason is gone, and nothing says of which unit it was.
  for (const [where, options, message] of [
    [
      'of the machine',
      { userWorkingDir: '/srv/closed' },
      /working directory failed: Permission denied.*; Failed at step CHDIR/,
    ],
    [
      'of the machine, before it becomes the account',
      { readwritePaths: ['/no/such'] },
      /mount namespacing: .*No such file/,
    ],
    [
      'of the machine, for an account of its own making',
      { dynamicUsers: true, unitExtraProperties: { WorkingDirectory: '/srv/closed' } },
      /Main process exited, code=exited, status=200\/CHDIR/,
    ],
    [
      'of the account',
      { scope: 'user', userWorkingDir: '/srv/closed' },
      /working directory failed: Permission denied.*; Failed at step CHDIR/,
    ],
  ] as const) {
    it(`says so where the journal is late, by the systemd ${where}`, async () => {
      const isUser = 'scope' in options;
      if (isUser) {
        await startUserManager('alice');
      }
      try {
        const error = await withLateJournal((late) =>
          rejection(create(options, { runner: late }).start(), StartError),
        );
        assert.match(error.message, message);
        assert.match(error.log ?? '', /CHDIR|NAMESPACE/);
        assert.deepEqual(await remains(), []);
      } finally {
        if (isUser) {
          await shell('systemctl stop "user@$(id -u alice).service"');
        }
      }
    });
  }

  it('says what a server has printed where the journal is late, by the systemd of the account', async () => {
    await startUserManager('alice');
    try {
      const cmd = ['sh', '-c', 'echo no kernel; exit 9'];
      const error = await withLateJournal((late) =>
        rejection(create({ scope: 'user', cmd }, { runner: late }).start(), StartError),
      );
      assert.include(error.log, 'no kernel\n');
    } finally {
      await shell('systemctl stop "user@$(id -u alice).service"');
    }
  });

  it('starts after all of them', async () => {
    await create().start();
  });
});
