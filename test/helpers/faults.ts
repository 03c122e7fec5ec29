import { CommandError } from '../../lib/errors.ts';
import type { CommandResult, CommandRunner, RunOptions } from '../../lib/runners/runner.ts';
import { sleep } from '../../lib/sleep.ts';

/** A command that something goes wrong with. */
interface FaultyCall {
  /** Runs it as it should be. */
  readonly run: () => Promise<CommandResult>;
  readonly program: string;
  /** In ms: its time limit. */
  readonly timeout: number;
}

/** Something that goes wrong with a command. */
export interface Fault {
  readonly name: string;
  readonly happen: (call: FaultyCall) => Promise<CommandResult>;
}

const failed = (program: string): CommandResult => ({
  stdout: '',
  stderr: `${program}: error: something is wrong\n`,
  exitCode: 1,
  signal: null,
  timedOut: false,
});

const killed: CommandResult = {
  stdout: '',
  stderr: '',
  exitCode: null,
  signal: 'SIGKILL',
  timedOut: false,
};

const timedOut: CommandResult = { ...killed, signal: 'SIGTERM', timedOut: true };

const half = (text: string) => text.slice(0, text.length >> 1);

/** In ms: how long after its failure was reported a command takes effect all the same. */
const delay = 3000;

/** All that can go wrong with one command. */
export const faults: readonly Fault[] = [
  {
    name: 'can not be run',
    happen: async ({ program }) => {
      throw new CommandError(`The command '${program}' can't be run.`, { command: program });
    },
  },
  { name: 'fails', happen: async ({ program }) => failed(program) },
  {
    name: 'works, and reports a failure',
    happen: async ({ run, program }) => {
      await run();
      return failed(program);
    },
  },
  {
    name: 'hangs',
    happen: async ({ timeout }) => {
      await sleep(timeout);
      return timedOut;
    },
  },
  {
    name: 'works, and hangs',
    happen: async ({ run, timeout }) => {
      await run();
      await sleep(timeout);
      return timedOut;
    },
  },
  {
    name: 'hangs, and works later',
    happen: async ({ run, program, timeout }) => {
      await sleep(timeout);
      // What is no client of a server has ended with its time.
      if (!/\b(?:sh|rm|cat|getent)$/.test(program)) {
        void sleep(delay).then(run);
      }
      return timedOut;
    },
  },
  {
    name: 'prints nothing',
    happen: async ({ run }) => ({ ...(await run()), stdout: '' }),
  },
  {
    name: 'prints garbage',
    happen: async ({ run }) => ({ ...(await run()), stdout: '\u{fffd}{<Segmentation 0x7f>\n\n]' }),
  },
  {
    name: 'is cut off',
    happen: async ({ run }) => {
      const result = await run();
      return { ...result, stdout: half(result.stdout) };
    },
  },
  { name: 'is killed', happen: async () => killed },
  {
    name: 'works, and is killed',
    happen: async ({ run }) => ({ ...killed, stdout: half((await run()).stdout) }),
  },
];

/** Which calls something goes wrong with; the first is 1. */
export interface FaultPlan {
  readonly fault: Fault;
  readonly from: number;
  readonly times: number;
}

/** Runs commands by another runner, and lets some of them go wrong. */
export class FaultyRunner implements CommandRunner {
  /** What was run, right or wrong. */
  readonly commands: string[] = [];
  readonly #runner: CommandRunner;
  readonly #plan: FaultPlan | undefined;

  constructor(runner: CommandRunner, plan?: FaultPlan) {
    this.#runner = runner;
    this.#plan = plan;
  }

  run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    const [program = ''] = argv;
    const call = this.commands.push(argv.join(' '));
    const run = () => this.#runner.run(argv, options);
    const { fault, from = 0, times = 0 } = this.#plan ?? {};
    return fault !== undefined && call >= from && call < from + times
      ? fault.happen({ run, program, timeout: options.timeout ?? 60_000 })
      : run();
  }
}
