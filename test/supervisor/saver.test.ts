import { expect } from 'chai';
import { StoreError } from '../../lib/errors.ts';
import { Saver } from '../../lib/supervisor/saver.ts';
import { rejected } from '../helpers/errors.ts';
import { Gate } from '../helpers/test-hub.ts';
import { TestStore } from '../helpers/test-store.ts';

describe('A saver', () => {
  /** A saver of a record that counts, with what it has written. */
  function counting() {
    const store = new TestStore();
    const record = { count: 0 };
    const written: unknown[] = [];
    store.before = (call, value) => {
      written.push(call === 'set' ? value : call);
    };
    return { store, record, written, saver: new Saver(store, 'key', () => ({ ...record })) };
  }

  it('keeps what is so now', async () => {
    const { store, record, saver } = counting();
    record.count = 1;
    await saver.save();
    expect(await store.content()).to.deep.equal({ key: { count: 1 } });
    expect(saver.isBehind).to.equal(false);
  });

  it('writes one at a time, and once for all who ask meanwhile', async () => {
    const { store, record, written, saver } = counting();
    const gates = [new Gate(), new Gate()];
    let count = 0;
    store.before = (_, value) => {
      written.push(value);
      count += 1;
      return gates[count - 1]?.opened;
    };
    const first = saver.save();
    await null;
    const later = [];
    for (record.count = 1; record.count < 4; record.count += 1) later.push(saver.save());
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).to.deep.equal([{ count: 0 }]);
    gates[0]?.open();
    await first;
    gates[1]?.open();
    await Promise.all(later);
    expect(written).to.deep.equal([{ count: 0 }, { count: 4 }]);
    expect(await store.content()).to.deep.equal({ key: { count: 4 } });
  });

  it('says what has failed, and that it is behind until that has been made up for', async () => {
    const { store, saver } = counting();
    const cause = new Error('disk full');
    store.before = () => Promise.reject(cause);
    const error = await rejected(StoreError, saver.save());
    expect(error).to.include({
      message: "The server can't be kept in the store: disk full",
      retryable: true,
      cause,
    });
    expect(saver.isBehind).to.equal(true);
    await saver.settled();
    store.before = () => {};
    await saver.save();
    expect(saver.isBehind).to.equal(false);
  });

  it('gives the error of a store that has one of its own', async () => {
    const { store, saver } = counting();
    const own = new StoreError('The directory is in use.');
    store.before = () => Promise.reject(own);
    expect(await rejected(StoreError, saver.save())).to.equal(own);
    expect(await rejected(StoreError, saver.remove())).to.equal(own);
  });

  it('removes it after what is being written, and writes it no more', async () => {
    const { store, written, saver } = counting();
    const gate = new Gate();
    store.before = (call) => {
      written.push(call);
      return call === 'set' ? gate.opened : undefined;
    };
    const saved = saver.save();
    await null;
    const removed = saver.remove();
    const late = saver.save();
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).to.deep.equal(['set']);
    gate.open();
    await Promise.all([saved, removed, late, saver.save()]);
    expect(written).to.deep.equal(['set', 'delete']);
    expect(await store.content()).to.deep.equal({});
  });
});
