import { expect } from 'chai';
import { MultiSlurmSpawner } from '../../lib/batch/multi-slurm.ts';
import { OptionsError } from '../../lib/errors.ts';
import type { ServerAddress } from '../../lib/events.ts';
import type { MultiSlurmOptions } from '../../lib/generated/options.ts';
import { StubRunner } from '../../lib/testing/index.ts';

class TestSpawner extends MultiSlurmSpawner {
  protected override answers(_address: ServerAddress): Promise<boolean> {
    return Promise.resolve(true);
  }
}

/** The host of a server whose job runs on a node. */
async function hostOn(node: string, options: Partial<MultiSlurmOptions>): Promise<string> {
  const runner = new StubRunner({
    sbatch: '7\n',
    squeue: `\x1e7\x1fRUNNING\x1f${node}\x1f${node}\x1fNone\x1fN/A\x1fN/A\x1fN/A\x1f\n`,
  });
  const spawner = new TestSpawner(
    { user: { name: 'alice' }, runner },
    {
      request: { homedir: '/home/alice' },
      endpoint: 'fixed',
      port: 8888,
      pollInterval: 0,
      ...options,
    },
  );
  const { host } = await spawner.start();
  spawner.clearState();
  return host;
}

describe('MultiSlurmSpawner', () => {
  const daemonResolver = { cn1: 'host1.example.org', cn2: 'host1.example.org' };

  it('finds the host whose daemon has the name of a node', async () => {
    expect(await hostOn('cn2', { daemonResolver })).to.equal('host1.example.org');
  });

  it('takes other names of nodes for those of hosts', async () => {
    expect(await hostOn('cn3', { daemonResolver })).to.equal('cn3');
    expect(await hostOn('cn3', {})).to.equal('cn3');
    expect(await hostOn('constructor', { daemonResolver })).to.equal('constructor');
  });

  it('rewrites only names that it does not find', async () => {
    const execHost = { pattern: '$', replacement: '.example.org' };
    expect(await hostOn('cn1', { daemonResolver, execHost })).to.equal('host1.example.org');
    expect(await hostOn('cn3', { daemonResolver, execHost })).to.equal('cn3.example.org');
  });

  it('refuses what is no name of a host', () => {
    for (const host of ['', 'a b', 'a/b']) {
      const options = { daemonResolver: { cn1: host } };
      expect(() => new TestSpawner({ user: { name: 'alice' } }, options), host).to.throw(
        OptionsError,
        'daemonResolver',
      );
    }
  });

  it('is a SlurmSpawner in all the rest', () => {
    const spawner = new TestSpawner(
      { user: { name: 'alice' } },
      { endpoint: 'fixed', port: 8888, request: { qos: 'high', federation: true } },
    );
    expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'multi-slurm' });
  });
});
