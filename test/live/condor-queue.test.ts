import { statSync } from 'node:fs';
import { assert } from 'chai';
import type { CondorSpawner } from '../../lib/batch/condor.ts';
import { StartError } from '../../lib/errors.ts';
import { EventLog } from '../../lib/testing/harness.ts';
import { command, report, useCondor } from './helpers/condor.ts';
import { rejection, until } from './helpers/slurm.ts';

describe('CondorSpawner: a job in the queue of a real HTCondor', () => {
  const hub = useCondor();

  const jobOf = (spawner: CondorSpawner) => String(spawner.getState()['jobId']);

  /** What a start says, as soon as it says something of that kind. */
  async function said(events: EventLog, words: RegExp): Promise<string> {
    const find = () => events.progress.find(({ message }) => words.test(message))?.message;
    await until(String(words), () => find() !== undefined);
    return find() ?? '';
  }

  it('says why it waits, and starts when it can', async () => {
    const spawner = hub().create({ request: { requirements: 'Machine == "nosuch"' } });
    const events = new EventLog(spawner);
    const starting = spawner.start();
    const words = await said(events, /no match found: /);
    assert.match(words, /^Job \d+\.0 waits in the queue \(no match found: no machine /);
    await command(['condor_qedit', jobOf(spawner), 'Requirements', 'true']);
    assert.equal((await report(await starting)).account, 'alice');
  });

  it('fails to start where it is held, with the reason and without a job', async () => {
    const spawner = hub().create({ request: { options: 'hold = true' } });
    const { message } = await rejection(spawner.start(), StartError);
    assert.include(message, "submitted on hold at user's request");
    assert.deepEqual(await hub().jobsOf(spawner), []);
    assert.deepEqual(hub().environmentFiles, []);
  });

  it('waits where the option says so; its environment is in a file for nobody else', async () => {
    const spawner = hub().create({ held: 'wait', request: { options: 'hold = true' } });
    const events = new EventLog(spawner);
    const starting = spawner.start();
    await said(events, /is held/);
    const [file = ''] = hub().environmentFiles;
    const { mode, uid } = statSync(file);
    assert.equal(mode & 0o777, 0o600);
    assert.equal(uid, statSync('/home/alice').uid);
    await command(['condor_release', jobOf(spawner)], { user: 'alice' });
    const { environment } = await report(await starting);
    assert.isString(environment['JUPYTERHUB_API_TOKEN']);
    assert.deepEqual(hub().environmentFiles, []);
  });

  it('is alive while it is suspended', async () => {
    const spawner = hub().create();
    const address = await spawner.start();
    await command(['condor_suspend', jobOf(spawner)], { user: 'alice' });
    await until('the suspension', async () => (await hub().jobsOf(spawner))[0]?.status === 7);
    assert.isNull(await spawner.poll());
    await command(['condor_continue', jobOf(spawner)], { user: 'alice' });
    assert.equal((await report(address)).account, 'alice');
    assert.isNull(await spawner.poll());
  });

  it('can be stopped while it is suspended', async () => {
    const spawner = hub().create();
    await spawner.start();
    await command(['condor_suspend', jobOf(spawner)], { user: 'alice' });
    await until('the suspension', async () => (await hub().jobsOf(spawner))[0]?.status === 7);
    await spawner.stop();
    assert.equal((await spawner.poll())?.cause, 'cancelled');
  });

  const returns: Readonly<Record<string, (id: string) => Promise<void>>> = {
    'was vacated': async (id) => {
      await command(['condor_vacate_job', id]);
    },
    'was held and released': async (id) => {
      await command(['condor_hold', id], { user: 'alice' });
      await until('the end of its run', async () =>
        (await command(['condor_q', id, '-af', 'JobStatus'])).startsWith('5'),
      );
      await command(['condor_release', id], { user: 'alice' });
    },
  };
  for (const [what, happens] of Object.entries(returns)) {
    it(`starts anew when it ${what}: with its environment, at an address that is told`, async () => {
      const spawner = hub().create();
      const events = new EventLog(spawner);
      const before = await report(await spawner.start());
      await happens(jobOf(spawner));
      await until('the move', async () => {
        assert.isNull(await spawner.poll());
        return events.moved.length > 0;
      });
      const [address] = events.moved;
      assert(address);
      await until('an answer', () =>
        report(address).then(
          () => true,
          () => false,
        ),
      );
      const after = await report(address);
      assert.equal(
        after.environment['JUPYTERHUB_API_TOKEN'],
        before.environment['JUPYTERHUB_API_TOKEN'],
      );
      assert.deepEqual(hub().environmentFiles, []);
      assert.deepEqual(events.exited, []);
      assert.isNull(await spawner.poll());
    });
  }
});
