import { StubRunner } from '../lib/testing/index.ts';
import { createSpawner } from './jobs.ts';
import { duration, ratio, timeOf } from './measure.ts';
import { renderer } from './rendering.ts';

const count = 1000;

/** A spawner checks its templates by filling them in, so the least that it can take is one script. */
export function constructing(): string {
  const runner = new StubRunner({});
  const render = renderer();
  const times = (run: (index: number) => unknown) =>
    timeOf(() => Array.from({ length: count }, (_, index) => run(index)), 5) / count;
  const ours = times((index) => createSpawner(index, runner));
  const script = times(render);
  return `a new SlurmSpawner, the mean of 1,000: ${duration(ours)}; by one script: ${ratio(ours, script)}`;
}
