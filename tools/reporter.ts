import { appendFileSync } from 'node:fs';
import Mocha from 'mocha';

/**
 * The reporter of every mocha run: the usual listing, and, where the environment names a file in
 * `MOCHA_COUNTS`, a line `<passed> <failed>` appended to it, from which `.ci/run` makes its sum.
 */
export default class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const file = process.env['MOCHA_COUNTS'];
    if (file === undefined) return;
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      appendFileSync(file, `${this.stats.passes} ${this.stats.failures}\n`);
    });
  }
}
