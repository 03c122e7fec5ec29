import { abortCases, slowAbortCases } from './cases/abort.ts';
import { failingCases } from './cases/failing.ts';
import { progressCases } from './cases/progress.ts';
import { startCases } from './cases/start.ts';
import { slowStateCases, stateCases } from './cases/state.ts';
import { slowStopCases, stopCases } from './cases/stop.ts';
import type { Cases } from './harness.ts';
import { Harness } from './harness.ts';
import type { ConformanceSubject } from './subject.ts';

/** What is used of a test framework. */
export interface TestGlobals {
  /** Declares a group of tests; the time limit of each, in ms, is for vitest. */
  readonly describe: (title: string, body: (this: unknown) => void, timeout?: number) => unknown;
  /** Declares a test. */
  readonly it: (title: string, body: () => Promise<void>) => unknown;
  /** Declares what is done after each test of the group. */
  readonly afterEach: (body: () => Promise<void>) => unknown;
}

/**
 * Declares the tests that every spawner has to pass: what a hub relies on, from the first `poll()`
 * to a server that dies by itself. To be called where `describe` may be called. Each test creates
 * spawners by `subject.create()` and stops them at its end.
 *
 * The time limit of the tests is set for mocha and vitest by this function; node:test has none.
 *
 * @param globals a test framework. Default: the global functions, as mocha and vitest (with
 *   `globals: true`) provide them; for node:test give `await import('node:test')`
 * @throws TypeError if there are no such functions
 *
 * @example
 * spawnerConformance({
 *   name: 'FluxSpawner',
 *   create: (context) => new FluxSpawner({ user: { name: 'alice' }, hub, ...context }, options),
 *   killBehindItsBack: async (spawner) => {
 *     await flux('cancel', String(spawner.getState()['jobId']));
 *   },
 * });
 */
export function spawnerConformance(
  subject: ConformanceSubject,
  globals: TestGlobals = globalsIn(globalThis),
): void {
  const { describe, it, afterEach } = globals;
  const harness = new Harness(subject);
  const body = function (this: unknown) {
    setTimeLimit(this, harness.timeLimit);
    afterEach(() => harness.release());
    for (const [title, run] of Object.entries(casesFor(subject))) {
      it(title, () => run(harness));
    }
  };
  describe(`${subject.name} does what a hub relies on`, body, harness.timeLimit);
}

function casesFor({ createFailing, createSlow }: ConformanceSubject): Cases {
  return {
    ...startCases,
    ...(createFailing && failingCases),
    ...progressCases,
    ...stopCases,
    ...(createSlow && slowStopCases),
    ...abortCases,
    ...(createSlow && slowAbortCases),
    ...stateCases,
    ...(createSlow && slowStateCases),
  };
}

function globalsIn(scope: object): TestGlobals {
  if (isTestGlobals(scope)) {
    return scope;
  }
  throw new TypeError(
    'There are no global functions describe, it and afterEach here: ' +
      'give those of the test framework as the second argument of spawnerConformance.',
  );
}

function isTestGlobals(scope: object): scope is TestGlobals {
  const names = ['describe', 'it', 'afterEach'];
  return names.every((name) => typeof Reflect.get(scope, name) === 'function');
}

/** Mocha takes the time limit of a suite by a method of the suite, and no third argument. */
function setTimeLimit(suite: unknown, limit: number): void {
  if (typeof suite === 'object' && suite !== null && 'timeout' in suite) {
    const { timeout } = suite;
    if (typeof timeout === 'function') {
      timeout.call(suite, limit);
    }
  }
}
