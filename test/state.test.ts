import { expect } from 'chai';
import { StateError } from '../lib/errors.ts';
import { Spawner } from '../lib/spawner.ts';
import { rejected, thrown } from './helpers/errors.ts';
import { cancelled, eventsOf, TestMachine, TestSpawner } from './helpers/test-spawner.ts';

const state = { version: 1, spawner: 'test', host: 'node1', port: 4000, id: 'server-1' };

describe('A saved state', () => {
  it('without a server has a version and the kind of spawner, and no more', () => {
    const spawner = new TestSpawner();
    expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'test' });
    expect(Spawner.kind).to.equal('spawner');
  });

  it('of a server holds where it listens, and what the kind of spawner adds', async () => {
    const spawner = new TestSpawner();
    await spawner.start();
    expect(spawner.getState()).to.deep.equal(state);
    await spawner.stop();
    expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'test' });
  });

  it('is what JSON makes of a spawner, so that a hub that logs one shows no secret', async () => {
    const spawner = new TestSpawner(
      { environment: { PASSWORD: 'hunter2' }, hooks: { preSpawn: () => {} } },
      { apiToken: 'b7a0c4' },
    );
    spawner.on('exited', () => {});
    await spawner.start();
    expect(JSON.parse(JSON.stringify({ spawner }))).to.deep.equal({ spawner: state });
  });

  it('gives its server to a spawner that loads it', async () => {
    const machine = new TestMachine();
    const first = new TestSpawner({}, { machine });
    await first.start();
    const second = new TestSpawner({}, { machine });
    const events = eventsOf(second);
    second.loadState(JSON.parse(JSON.stringify(first.getState())));
    expect(second.address).to.deep.equal({ host: 'node1', port: 4000, url: 'http://node1:4000/' });
    expect(second.getState()).to.deep.equal(first.getState());
    expect(await second.poll()).to.equal(null);
    expect(events).to.deep.equal([]);
    await second.stop();
    expect(machine.alive).to.equal(0);
    expect(events[0]).to.deep.equal(['exited', cancelled]);
  });

  it('gives the address its path anew, as the context of the new spawner has it', () => {
    const spawner = new TestSpawner(
      {},
      { hub: { apiUrl: 'http://hub:8081/hub/api', baseUrl: '/jupyter' }, serverName: 'lab' },
    );
    spawner.loadState({ ...state, host: 'fd00::1' });
    expect(spawner.address?.url).to.equal('http://[fd00::1]:4000/jupyter/user/ada/lab/');
  });

  it('may be one of a start that was not over: there is a server, but no address yet', async () => {
    const spawner = new TestSpawner();
    spawner.loadState({ version: 1, spawner: 'test', id: 'server-1' });
    expect(spawner.address).to.equal(undefined);
    expect(await spawner.poll()).to.equal(null);
  });

  const wrong: Readonly<Record<string, readonly [unknown, string]>> = {
    undefined: [undefined, 'This is no saved state of a spawner: it has no version.'],
    null: [null, 'This is no saved state of a spawner: it has no version.'],
    'a number': [42, 'This is no saved state of a spawner: it has no version.'],
    'a text': ['{"version":1}', 'This is no saved state of a spawner: it has no version.'],
    'a list': [[], 'This is no saved state of a spawner: it has no version.'],
    'an empty object': [{}, 'This is no saved state of a spawner: it has no version.'],
    'a newer version': [
      { ...state, version: 2 },
      'The saved state has version 2; this release of hubspawner reads version 1.',
    ],
    'a version that is a text': [
      { ...state, version: '1' },
      'The saved state has version "1"; this release of hubspawner reads version 1.',
    ],
    'a version that is too large': [{ ...state, version: 10n }, 'The saved state can not be read.'],
    'another kind of spawner': [
      { ...state, spawner: 'slurm' },
      'The saved state is one of the spawner "slurm", not of test.',
    ],
    'no kind of spawner': [
      { version: 1, id: 'server-1' },
      'The saved state is one of the spawner undefined, not of test.',
    ],
    'a field that the kind of spawner refuses': [{ ...state, id: 5 }, 'The saved state has no id.'],
    'a host without a port': [
      { ...state, port: undefined },
      'The host or the port of the saved state can not be read.',
    ],
    'a port without a host': [
      { ...state, host: undefined },
      'The host or the port of the saved state can not be read.',
    ],
    'an empty host': [
      { ...state, host: '' },
      'The host or the port of the saved state can not be read.',
    ],
    'a port that is a text': [
      { ...state, port: '4000' },
      'The host or the port of the saved state can not be read.',
    ],
    'the port 0': [
      { ...state, port: 0 },
      'The host or the port of the saved state can not be read.',
    ],
    'a port that does not exist': [
      { ...state, port: 65536 },
      'The host or the port of the saved state can not be read.',
    ],
  };
  for (const [what, [garbage, message]] of Object.entries(wrong)) {
    it(`is refused with a StateError where it is or has ${what}; the spawner stays usable`, async () => {
      const spawner = new TestSpawner();
      const error = thrown(StateError, () => spawner.loadState(garbage));
      expect(error.message).to.equal(message);
      expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'test' });
      expect(spawner.address).to.equal(undefined);
      expect(await spawner.poll()).not.to.equal(null);
      await spawner.start();
      expect(spawner.machine.alive).to.equal(1);
    });
  }

  it('replaces the one that was loaded before, also where it is refused', () => {
    const spawner = new TestSpawner();
    spawner.loadState(state);
    thrown(StateError, () => spawner.loadState({ ...state, id: null }));
    expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'test' });
    expect(spawner.address).to.equal(undefined);
  });

  it('can not be loaded during a start or a stop, which go on undisturbed', async () => {
    const spawner = new TestSpawner();
    const starting = spawner.start();
    thrown(StateError, () => spawner.loadState(state));
    await starting;
    const stopping = spawner.stop();
    thrown(StateError, () => spawner.loadState(state));
    await stopping;
    expect(spawner.machine.alive).to.equal(0);
  });

  it('is emitted before there is anything that could get lost, and at every change', async () => {
    const spawner = new TestSpawner();
    const events = eventsOf(spawner);
    await spawner.start();
    await spawner.stop();
    const states = events.filter(([name]) => name === 'state').map(([, saved]) => saved);
    expect(states).to.deep.equal([
      { version: 1, spawner: 'test', id: 'server-1' },
      state,
      { version: 1, spawner: 'test' },
    ]);
    const names = events.map(([name]) => name).filter((name) => name !== 'progress');
    expect(names.slice(0, 2)).to.deep.equal(['state', 'submitted']);
  });

  it('is forgotten without stopping the server by clearState()', async () => {
    const spawner = new TestSpawner();
    await spawner.start();
    spawner.clearState();
    expect(spawner.getState()).to.deep.equal({ version: 1, spawner: 'test' });
    expect(spawner.address).to.equal(undefined);
    expect(await spawner.poll()).to.deep.include({ message: 'The server has not been started.' });
    await spawner.stop();
    expect(spawner.machine.alive).to.equal(1);
  });

  it('can not be cleared under a start or a stop, which would lose the server', async () => {
    const spawner = new TestSpawner();
    const refused: unknown[] = [];
    const clear = () => {
      try {
        spawner.clearState();
      } catch (error) {
        refused.push(error);
      }
    };
    spawner.once('submitted', clear);
    await spawner.start();
    spawner.once('exited', clear);
    await spawner.stop();

    expect(refused).to.have.length(2);
    for (const error of refused) expect(error).to.be.instanceOf(StateError);
    expect(spawner.machine.alive).to.equal(0);
  });

  it('is kept when a stop fails, so that it can be repeated', async () => {
    const spawner = new TestSpawner();
    await spawner.start();
    spawner.failure = new Error('The cluster is away.');
    expect(await rejected(Error, spawner.stop())).to.equal(spawner.failure);
    expect(spawner.getState()).to.deep.equal(state);
    spawner.failure = undefined;
    await spawner.stop();
    expect(spawner.machine.alive).to.equal(0);
  });
});
