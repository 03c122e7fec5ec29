import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { useHub } from './helpers/hub.ts';
import { api, apiToken, assertGuarded } from './helpers/singleuser.ts';

describe('SlurmSpawner: the real jupyterhub-singleuser', () => {
  const hub = useHub({}, api);

  it('runs as a job, lets its owner in, and sends strangers to the hub', async () => {
    const spawner = hub().create(
      {
        cmd: ['jupyterhub-singleuser'],
        ip: '127.0.0.1',
        defaultUrl: '/tree',
        request: { runtime: '10' },
      },
      { apiToken },
    );
    const { url } = await spawner.start();

    await assertGuarded(url);

    const log = join(hub().scratch, 'alice', `${spawner.getState()['jobName']}.log`);
    assert.notMatch(readFileSync(log, 'utf8'), /Traceback|\[[EC] /);
    assert.isNull(await spawner.poll());
    await spawner.stop();
    assert.equal((await spawner.poll())?.cause, 'cancelled');
    const whole = readFileSync(log, 'utf8');
    assert.notMatch(whole, /Traceback/);
    assert.notInclude(whole, apiToken);
  });
});
