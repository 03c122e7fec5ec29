import { constants } from 'node:os';
import type { ExitCause, ExitStatus } from '../events.ts';

const signalNames: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
);

const sentences: Readonly<Record<ExitCause, string>> = {
  completed: 'The job ended by itself',
  failed: 'The job failed',
  cancelled: 'The job was cancelled',
  timeout: 'The job reached the end of its walltime',
  'out-of-memory': 'The job used more memory than it may and was killed',
  preempted: 'The job had to make room for another',
  'node-failure': 'The node on which the job ran failed',
  unknown: 'The job has ended, and nothing says how',
};

/** What a batch system knows of the end of a job. */
export interface JobEnd {
  /** Why it ended. */
  readonly cause: ExitCause;
  /** The exit code of the job script; 128 + n says that signal n ended what it ran last. */
  readonly code?: number | undefined;
  /** The number of the signal that ended the job script. */
  readonly signal?: number | undefined;
  /** What the batch system adds in its own words. */
  readonly detail?: string | undefined;
}

/** The end of a job, with a sentence for people. */
export function exitOfJob({ cause, code: given, signal, detail }: JobEnd): ExitStatus {
  // A 0 is no exit code where the job was ended before it had one.
  const code = given === 0 && cause !== 'completed' ? undefined : given;
  const number = signal ?? (code !== undefined && code > 128 ? code - 128 : undefined);
  const signalName =
    number === undefined ? undefined : (signalNames.get(number) ?? `signal ${number}`);
  const facts = [
    ...(code === undefined ? [] : [`exit code ${code}`]),
    ...(signalName === undefined ? [] : [signalName]),
    ...(detail === undefined || detail === '' ? [] : [detail]),
  ];
  return {
    code: code ?? null,
    signal: signalName ?? null,
    cause,
    message: `${sentences[cause]}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}.`,
  };
}
