import { expect } from 'chai';
import type { SpawnerContext } from '../lib/context.ts';
import { hubIdOf, newMark, serverOf } from '../lib/mark.ts';

const hub = { apiUrl: 'http://127.0.0.1:8081/hub/api' };

describe('The mark of a start', () => {
  const marked = (context: SpawnerContext) => serverOf(newMark(context, 90).tag, hubId);
  const hubId = hubIdOf({ user: { name: 'alice' }, hub }) ?? '';

  for (const [name, serverName] of [
    ['alice', ''],
    ['alice', 'lab'],
    ['a:b/%41 c', ':::'],
    ["Ångström's (2)", '%'],
    ['\n\x1e\x1f', '\0'],
  ] as const) {
    it(`says whose server it is: ${JSON.stringify([name, serverName])}`, () => {
      const server = { user: name, serverName };
      expect(marked({ user: { name }, serverName, hub })).to.deep.equal(server);
    });
  }

  it('is nothing to another hub, nor that of a hub without an interface to any', () => {
    const other = { apiUrl: 'http://127.0.0.1:8082/hub/api' };
    expect(marked({ user: { name: 'alice' }, hub: other })).to.equal(undefined);
    expect(marked({ user: { name: 'alice' } })).to.equal(undefined);
    expect(hubIdOf({ user: { name: 'alice' } })).to.equal(undefined);
  });

  for (const tag of [
    '',
    '(null)',
    `hubspawner:${hubId}:alice::3b1d0c7a9e55 and more`,
    ` hubspawner:${hubId}:alice::3b1d0c7a9e55`,
    `hubspawner:${hubId}:alice::3b1d0c7a9e55\n`,
    `hubspawner:${hubId}:alice:3b1d0c7a9e55`,
    `hubspawner:${hubId}:alice:::3b1d0c7a9e55`,
    `hubspawner:${hubId}:::3b1d0c7a9e55`,
    `hubspawner:${hubId}:alice::3b1d0c7a9e5`,
    `hubspawner:${hubId}:alice::3B1D0C7A9E55`,
    `hubspawner:${hubId}:%:x:3b1d0c7a9e55`,
    `hubspawner:${hubId}:%ff:x:3b1d0c7a9e55`,
    `hubspawner:${hubId}:alice:%E0%A4%A:3b1d0c7a9e55`,
    // Other spellings of `alice` and `lab`.
    `hubspawner:${hubId}:%61lice:lab:3b1d0c7a9e55`,
    `hubspawner:${hubId}:alice:l%61b:3b1d0c7a9e55`,
    `hubspawner:${hubId}:a%2fb:lab:3b1d0c7a9e55`,
    `hubspawner:${hubId}:a b:lab:3b1d0c7a9e55`,
    `hubspawner:${hubId}:\ud800:lab:3b1d0c7a9e55`,
  ]) {
    it(`is not what stands in ${JSON.stringify(tag)}`, () => {
      expect(serverOf(tag, hubId)).to.equal(undefined);
    });
  }
});
