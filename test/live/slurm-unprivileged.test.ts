import { assert } from 'chai';
import type { ChildHubSetup } from './helpers/child-hub.ts';
import { ChildError, ChildHub } from './helpers/child-hub.ts';
import { report, useHub } from './helpers/hub.ts';
import { rejection } from './helpers/slurm.ts';

describe('SlurmSpawner: a hub that is not root', () => {
  let child: ChildHub;
  afterEach(() => child.end());
  const hub = useHub();

  function open({ options, context, ...rest }: Partial<ChildHubSetup>): void {
    child = new ChildHub({
      account: 'hub',
      runner: 'sudo',
      ...rest,
      context: { user: { name: 'alice' }, apiToken: 'of-a-hub-without-rights', ...context },
      options: { ...hub().options, ...options },
    });
  }

  async function startPollStop(account: string): Promise<void> {
    await child.ask('start');
    const address = await child.event('ready');
    assert(typeof address === 'object' && address !== null && 'url' in address);
    assert.equal((await report({ url: String(address.url) })).account, account);
    assert.isNull(await child.ask('poll'));
    await child.ask('stop');
    assert.containsSubset(await child.ask('poll'), { cause: 'cancelled' });
  }

  it('starts, polls and stops a server by the rules in sudoers', async () => {
    open({});
    await startPollStop('alice');
  });

  it('serves another person by the same rules', async () => {
    open({ context: { user: { name: 'Bob', account: 'bob' } } });
    await startPollStop('bob');
  });

  it('explains a start that failed, without the log that it may not read', async () => {
    open({ options: { cmd: ['sh', '-c', 'echo "no kernel today"; exit 3'] } });
    const { error } = await rejection(child.ask('start'), ChildError);
    assert.containsSubset(error, { code: 'ERR_SPAWNER_START', exit: { code: 3, cause: 'failed' } });
    assert.include(error['message'], 'exit code 3');
    assert.notProperty(error, 'log');
  });

  it('says what is missing in sudoers', async () => {
    open({ context: { user: { name: 'hub', account: 'root' } } });
    const { error } = await rejection(child.ask('start'), ChildError);
    assert.include(
      error['message'],
      '/etc/sudoers.d: hub ALL = (root) NOPASSWD: SETENV: /usr/bin/sbatch',
    );
  });

  it('and serves only its own account needs no sudo', async () => {
    open({ account: 'alice', runner: 'local' });
    await startPollStop('alice');
  });

  it('and serves only its own account shows the log of a start that failed', async () => {
    const options = { cmd: ['sh', '-c', 'echo "no kernel today"; exit 3'] };
    open({ account: 'alice', runner: 'local', options });
    const { error } = await rejection(child.ask('start'), ChildError);
    assert.equal(error['log'], 'no kernel today\n');
  });
});
