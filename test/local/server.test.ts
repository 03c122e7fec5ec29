import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { assert } from 'chai';
import { StartError, StopError } from '../../lib/errors.ts';
import type { ProcessStatus, ProcessTable } from '../../lib/local/process.ts';
import { LocalServer } from '../../lib/local/server.ts';

/** What a table would say, whatever the system says. */
function table(status: ProcessStatus, members: readonly number[] = []): ProcessTable {
  return {
    identify: () => Promise.reject(new Error('The table can not be read.')),
    status: async () => status,
    members: async () => members,
  };
}

describe('LocalServer', () => {
  let child: ChildProcess;
  let pid: number;
  beforeEach(async () => {
    child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
    await once(child, 'spawn');
    pid = child.pid ?? 0;
  });
  afterEach(() => {
    child.kill('SIGKILL');
  });

  const taken = (processes: ProcessTable) => new LocalServer({ pid, started: '1' }, processes);

  async function refusal(server: LocalServer): Promise<StopError> {
    const error: unknown = await server
      .end(
        [
          ['SIGTERM', 30],
          ['SIGKILL', 30],
        ],
        () => false,
      )
      .catch((reason: unknown) => reason);
    assert.instanceOf(error, StopError);
    return error;
  }

  it('names what is left where all signals were in vain', async () => {
    const error = await refusal(taken(table('alive', [pid, 4711])));
    assert.match(error.message, new RegExp(`group ${pid}, ${pid}, 4711 are left after SIGKILL`));
  });

  it('signals nothing while it is unknown whose the process is', async () => {
    const error = await refusal(taken(table('unknown')));
    assert.include(error.message, `${pid}`);
    assert.isNull(child.signalCode);
    assert.isTrue(process.kill(pid, 0));
  });

  for (const status of ['ended', 'replaced'] as const) {
    it(`signals nothing where a server taken over is ${status} already`, async () => {
      const server = taken(table(status, [pid]));
      assert.isFalse(await server.end([['SIGKILL', 30]], () => false));
      assert.isTrue(process.kill(pid, 0));
    });
  }

  it('goes on while members of the group of its own child are left', async () => {
    const members = [4711];
    const server = new LocalServer({ pid, started: '1' }, table('ended', members), child);
    setTimeout(() => members.pop(), 60);
    assert.isTrue(await server.end([['SIGTERM', 5000]], () => false));
    assert.deepInclude(server.exit, { signal: 'SIGTERM' });
    assert.isEmpty(members);
  });

  it('fails to identify what can not be looked up', async () => {
    const error = await taken(table('alive'))
      .identify()
      .catch((reason: unknown) => reason);
    assert.instanceOf(error, StartError);
    assert.include(error.message, `${pid}`);
  });
});
