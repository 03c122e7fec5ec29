import { basename } from 'node:path/posix';
import type { CommandResult, CommandRunner, RunOptions } from '../runners/runner.ts';
import type { CommandOutcome, Metrics } from './metrics.ts';

/** By runner and metrics: monitors are shared by those who have the same runner. */
const measuring = new WeakMap<CommandRunner, WeakMap<Metrics, CommandRunner>>();

/**
 * A runner that runs commands by another one and counts them, by the names of their programs: what
 * comes after a name is nobody's business. It is the same object each time.
 */
export function measured(runner: CommandRunner, metrics: Metrics): CommandRunner {
  let byMetrics = measuring.get(runner);
  if (byMetrics === undefined) {
    byMetrics = new WeakMap();
    measuring.set(runner, byMetrics);
  }
  let wrapper = byMetrics.get(metrics);
  if (wrapper === undefined) {
    wrapper = new MeasuredRunner(runner, metrics);
    byMetrics.set(metrics, wrapper);
  }
  return wrapper;
}

class MeasuredRunner implements CommandRunner {
  readonly #runner: CommandRunner;
  readonly #metrics: Metrics;

  constructor(runner: CommandRunner, metrics: Metrics) {
    this.#runner = runner;
    this.#metrics = metrics;
  }

  async run(argv: readonly string[], options?: RunOptions): Promise<CommandResult> {
    const program = basename(argv[0] ?? '');
    const begun = performance.now();
    let result: CommandResult;
    try {
      result = await this.#runner.run(argv, options);
    } catch (error) {
      this.#metrics.ran(program, 'notRun');
      throw error;
    }
    this.#metrics.ran(program, outcomeOf(result), performance.now() - begun);
    return result;
  }
}

function outcomeOf({ timedOut, exitCode }: CommandResult): CommandOutcome {
  if (timedOut) {
    return 'timedOut';
  }
  return exitCode === 0 ? 'ok' : 'failed';
}
