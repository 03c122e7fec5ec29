import { assert } from 'chai';
import type { SlurmSpawner } from '../../../../lib/batch/slurm.ts';
import type { ServerAddress } from '../../../../lib/events.ts';
import { answersHttp } from '../../../../lib/readiness.ts';
import type { LiveHub } from '../hub.ts';
import { report } from '../hub.ts';
import { command, ended, until } from '../slurm.ts';

/** What an administrator or a broken node does to the job of a server that runs. */
export function statesSuite(hub: () => LiveHub): void {
  function idOf(spawner: SlurmSpawner): string {
    return String(spawner.getState()['jobId']);
  }

  async function statesOf(spawner: SlurmSpawner): Promise<string[]> {
    return (await hub().jobsOf(spawner)).map(({ state }) => state);
  }

  it('that is suspended has not ended, and goes on', async () => {
    const spawner = hub().create();
    const address = await spawner.start();
    await command(['scontrol', 'suspend', idOf(spawner)]);
    assert.deepEqual(await statesOf(spawner), ['SUSPENDED']);
    assert.isNull(await spawner.poll());
    await command(['scontrol', 'resume', idOf(spawner)]);
    assert.isNull(await spawner.poll());
    assert.equal((await report(address)).account, 'alice');
  });

  it('that is suspended is ended by stop()', async () => {
    const spawner = hub().create();
    await spawner.start();
    await command(['scontrol', 'suspend', idOf(spawner)]);
    await spawner.stop();
    assert.deepEqual(await statesOf(spawner), ['CANCELLED']);
    assert.equal((await spawner.poll())?.cause, 'cancelled');
  });

  async function requeue(spawner: SlurmSpawner): Promise<void> {
    await command(['scontrol', 'update', `JobId=${idOf(spawner)}`, 'Requeue=1']);
    await command(['scontrol', 'requeue', idOf(spawner)]);
    await until('the queue', async () => (await statesOf(spawner)).includes('PENDING'));
    await until('a server without an address', async () => {
      assert.isNull(await spawner.poll());
      return spawner.address === undefined;
    });
    assert.lengthOf(await hub().jobsOf(spawner), 1);
  }

  it('that is put back into the queue has not ended, and is found where it runs anew', async () => {
    const spawner = hub().create({ pollInterval: 300 });
    assert.notEqual((await spawner.start()).host, 'cn3');
    await requeue(spawner);
    const moved = new Promise<ServerAddress>((resolve) => spawner.once('moved', resolve));
    // The first node takes the job no more within 2 minutes, which is when Slurm would start it.
    const change = ['ReqNodeList=cn3', 'StartTime=now'];
    await command(['scontrol', 'update', `JobId=${idOf(spawner)}`, ...change]);
    const { host, url } = await moved;
    assert.equal(host, 'cn3');
    await until('an answer', () => answersHttp(url));
    assert.isNull(await spawner.poll());
  });

  it('that is put back into the queue is ended by stop()', async () => {
    const spawner = hub().create();
    await spawner.start();
    await requeue(spawner);
    await spawner.stop();
    assert.deepEqual(await statesOf(spawner), ['CANCELLED']);
  });

  it('whose node fails has ended with the cause node-failure', async () => {
    // Where no other job is.
    const spawner = hub().create({ request: { options: '--nodelist=cn4' } });
    await spawner.start();
    await command(['scontrol', 'update', 'NodeName=cn4', 'State=DOWN', 'Reason=test']);
    try {
      assert.containsSubset(await ended(spawner), { cause: 'node-failure' });
    } finally {
      await command(['scontrol', 'update', 'NodeName=cn4', 'State=IDLE']);
    }
  });
}
