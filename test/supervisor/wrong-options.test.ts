import { expect } from 'chai';
import { OptionsError } from '../../lib/errors.ts';
import { MemoryStore } from '../../lib/supervisor/memory-store.ts';
import { Supervisor } from '../../lib/supervisor/supervisor.ts';
import { rejected } from '../helpers/errors.ts';
import { MinimalSpawner } from '../helpers/minimal-spawner.ts';

describe('Supervisor: a start with options that are wrong', () => {
  it('is refused before there is a server, and counts for nobody', async () => {
    const supervisor = new Supervisor({
      store: new MemoryStore(),
      failureLimit: 1,
      spawnerFailureLimit: 1,
    });
    supervisor.register('minimal', MinimalSpawner, { httpTimeout: 1 });
    const told: string[] = [];
    supervisor.on('status', ({ status }) => told.push(status));
    supervisor.on('failed', () => told.push('failed'));

    const started = supervisor.start({ user: 'ada', options: { startTimeout: 'soon' } });
    const error = await rejected(OptionsError, started);
    expect(error.path).to.equal('startTimeout');
    expect(told).to.deep.equal([]);
    expect(supervisor.metrics().starts.failed).to.equal(0);

    const next = supervisor.start({ user: 'ada', options: { cmd: [] } });
    expect((await rejected(OptionsError, next)).path, 'no pause').to.equal('cmd');
    await supervisor.close();
  });
});
