import { assert } from 'chai';
import { CommandError, StartError } from '../../lib/errors.ts';
import { findAccount } from '../../lib/local/account.ts';
import type { CommandResult, CommandRunner } from '../../lib/runners/runner.ts';

const root = { name: 'root', uid: 0, home: '/root', shell: '/bin/bash' };
const hub = { name: 'hub', uid: 990, home: '/srv/hub', shell: '/usr/sbin/nologin' };

/** A runner whose getent says that, and notes what it was asked. */
function database(answer: Partial<CommandResult>) {
  const asked: (readonly string[])[] = [];
  const runner: CommandRunner = {
    run: async (argv) => {
      asked.push(argv);
      return { stdout: '', stderr: '', exitCode: 0, signal: null, timedOut: false, ...answer };
    },
  };
  return { runner, asked };
}

async function refusal(name: string, answer: Partial<CommandResult>, own = root) {
  const { runner, asked } = database(answer);
  try {
    await findAccount(name, runner, undefined, own);
  } catch (error) {
    assert.instanceOf(error, StartError);
    return { error, asked };
  }
  throw new Error(`the account ${name} was found`);
}

describe('findAccount', () => {
  it('takes the account of the hub as it is', async () => {
    const { runner, asked } = database({});
    assert.deepEqual(await findAccount('hub', runner, undefined, hub), {
      name: 'hub',
      home: '/srv/hub',
      shell: '/usr/sbin/nologin',
      prefix: [],
    });
    assert.isEmpty(asked);
  });

  it('finds another account for a hub that is root', async () => {
    const { runner, asked } = database({
      stdout: 'alice:x:1001:100:Alice, Room 7:/home/alice:/bin/zsh\n',
    });
    assert.deepEqual(await findAccount('alice', runner, undefined, root), {
      name: 'alice',
      home: '/home/alice',
      shell: '/bin/zsh',
      prefix: ['setpriv', '--reuid=alice', '--regid=100', '--init-groups', '--'],
    });
    assert.deepEqual(asked, [['getent', 'passwd', 'alice']]);
  });

  it('fills in what the database leaves out', async () => {
    const { runner } = database({ stdout: 'alice:x:1001:100:::\n' });
    assert.deepInclude(await findAccount('alice', runner, undefined, root), {
      home: '/',
      shell: '/bin/sh',
    });
  });

  it('says what to do where the hub is not root', async () => {
    const { error, asked } = await refusal('alice', {}, hub);
    assert.match(error.message, /runs as 'hub'.*as 'alice'.*run the hub as root/);
    assert.isEmpty(asked);
  });

  it('says that there is no such account', async () => {
    const { error } = await refusal('alice', { exitCode: 2 });
    assert.equal(error.message, "There is no account 'alice' on this machine.");
    assert.isFalse(error.retryable);
  });

  for (const answer of [
    { exitCode: 3 },
    { exitCode: null, timedOut: true },
    { stdout: '' },
    { stdout: 'alice:x:1001\n' },
    { stdout: 'alice:x:1001::x:/home/alice:/bin/sh\n' },
    { stdout: 'alice:x:1001:100::/home/alice:/bin/sh\n', exitCode: 1 },
  ]) {
    it(`takes ${JSON.stringify(answer)} for no answer`, async () => {
      const { error } = await refusal('alice', answer);
      assert.include(error.message, 'no usable answer');
      assert.isTrue(error.retryable);
    });
  }

  it('takes no account under another name', async () => {
    const { error } = await refusal('ALICE', { stdout: 'alice:x:1:1::/home/alice:/bin/sh\n' });
    assert.include(error.message, "calls 'ALICE' 'alice'");
  });

  // getent would take digits for the id of an account: 0 for root.
  for (const name of ['0', '1001', '-s', '--help', 'a b', 'a:b', 'a\nb', 'a\0b']) {
    it(`does not ask for ${JSON.stringify(name)}`, async () => {
      const { asked } = await refusal(name, { stdout: 'root:x:0:0::/root:/bin/sh\n' });
      assert.isEmpty(asked);
    });
  }

  it('passes on that the database could not be asked', async () => {
    const failure = new CommandError('There is no getent.', { command: 'getent' });
    const runner: CommandRunner = { run: () => Promise.reject(failure) };
    const error = await findAccount('alice', runner, undefined, root).catch(
      (reason: unknown) => reason,
    );
    assert.strictEqual(error, failure);
  });
});
