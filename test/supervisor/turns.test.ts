import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { AbortError } from '../../lib/errors.ts';
import { Turns } from '../../lib/supervisor/turns.ts';
import { rejected } from '../helpers/errors.ts';

describe('Turns', () => {
  const { signal } = new AbortController();
  afterEach(() => expect(getEventListeners(signal, 'abort')).to.deep.equal([]));

  /** Takes a turn for each, and says in which order they come. */
  function queue(limit: number, users: readonly string[]) {
    const turns = new Turns(limit);
    const called: string[] = [];
    const all = users.map(async (user) => {
      const turn = await turns.take(user, signal);
      called.push(user);
      return turn;
    });
    const settle = () => new Promise((resolve) => setImmediate(resolve));
    return { turns, called, all, settle };
  }

  it('come at once below the limit, and then one for each that ends', async () => {
    const { called, all, settle } = queue(2, ['a', 'b', 'c', 'd']);
    await settle();
    expect(called).to.deep.equal(['a', 'b']);
    (await all[1])?.end();
    await settle();
    expect(called).to.deep.equal(['a', 'b', 'c']);
    for (const turn of all) (await turn).end();
  });

  it('come to each in turn, to who has the fewest first', async () => {
    for (const [limit, expected] of [
      [1, 'abcaba'],
      [2, 'aabcab'],
      [3, 'aaabcb'],
    ] as const) {
      const { called, all, settle } = queue(limit, ['a', 'a', 'a', 'b', 'b', 'c']);
      const order: (typeof all)[number][] = [];
      for (const turn of all) void turn.then(() => order.push(turn));
      for (let index = 0; index < all.length; index += 1) {
        await settle();
        (await order[index])?.end();
      }
      expect(called.join('')).to.equal(expected);
    }
  });

  it('end once, however often that is said', async () => {
    const { called, all, settle } = queue(1, ['a', 'b', 'c']);
    const first = await all[0];
    first?.end();
    first?.end();
    first?.pause();
    first?.resume();
    await settle();
    expect(called).to.deep.equal(['a', 'b']);
    (await all[1])?.end();
    await settle();
  });

  it('do not count while they pause, and count again afterwards', async () => {
    const { called, all, settle } = queue(1, ['a', 'b', 'c']);
    const first = await all[0];
    first?.pause();
    first?.pause();
    await settle();
    expect(called).to.deep.equal(['a', 'b']);
    first?.resume();
    (await all[1])?.end();
    await settle();
    expect(called).to.deep.equal(['a', 'b']);
    first?.end();
    await settle();
    expect(called).to.deep.equal(['a', 'b', 'c']);
  });

  it('are given to nobody by a pause that is over at once', async () => {
    const { called, all, settle } = queue(1, ['a', 'b']);
    const first = await all[0];
    first?.pause();
    first?.resume();
    await settle();
    expect(called).to.deep.equal(['a']);
    first?.end();
    await settle();
  });

  it('can be taken over the limit, which counts', async () => {
    const { turns, called, all, settle } = queue(1, ['a', 'b']);
    const extra = turns.takeNow('c');
    (await all[0])?.end();
    await settle();
    expect(called).to.deep.equal(['a']);
    extra.end();
    await settle();
    expect(called).to.deep.equal(['a', 'b']);
  });

  it('are waited for no longer than until the signal', async () => {
    const turns = new Turns(1);
    const first = await turns.take('a', signal);
    const controller = new AbortController();
    const left = rejected(AbortError, turns.take('b', controller.signal));
    const next = turns.take('c', signal);
    controller.abort();
    await left;
    expect(getEventListeners(controller.signal, 'abort')).to.deep.equal([]);
    first.end();
    (await next).end();
    await rejected(AbortError, turns.take('b', controller.signal));
    (await turns.take('d', signal)).end();
  });
});
