import { expect } from 'chai';
import type { ProgressEvent } from '../lib/progress.ts';
import { ProgressLog } from '../lib/progress.ts';

const event = (progress: number): ProgressEvent => ({
  progress,
  message: `Step ${progress}`,
  outcome: 'starting',
});

/** What a reader sees until the end. */
async function read(log: ProgressLog): Promise<readonly number[]> {
  const seen: number[] = [];
  for await (const { progress } of log.follow()) seen.push(progress);
  return seen;
}

/** Lets all that can run do so. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('The progress of a start', () => {
  it('is seen from its beginning by readers that come before, during and after it', async () => {
    const log = new ProgressLog();
    const early = read(log);
    log.add(event(10));
    await settle();
    const late = read(log);
    log.add(event(20));
    log.add(event(30));
    log.end();
    for (const reader of [early, late, read(log)]) {
      expect(await reader).to.deep.equal([10, 20, 30]);
    }
    expect(log.last).to.deep.equal(event(30));
  });

  it('comes at once, and not only at the end', async () => {
    const log = new ProgressLog();
    const reader = log.follow();
    const first = reader.next();
    log.add(event(10));
    expect(await first).to.deep.equal({ done: false, value: event(10) });
  });

  it('goes on for the others when a reader leaves', async () => {
    const log = new ProgressLog();
    log.add(event(10));
    for await (const { progress } of log.follow()) {
      expect(progress).to.equal(10);
      break;
    }
    const other = read(log);
    log.add(event(20));
    log.end();
    expect(await other).to.deep.equal([10, 20]);
  });

  it('can be left by a reader that waits, at once', async () => {
    const log = new ProgressLog();
    const reader = log.follow();
    const waiting = reader.next();
    expect(await reader.return?.()).to.deep.equal({ done: true, value: undefined });
    expect(await waiting).to.deep.equal({ done: true, value: undefined });
    log.add(event(10));
    expect(await reader.next()).to.deep.equal({ done: true, value: undefined });
  });

  it('ends for a reader that waits when nothing more comes', async () => {
    const log = new ProgressLog();
    const reader = read(log);
    await settle();
    log.end();
    expect(await reader).to.deep.equal([]);
  });
});
