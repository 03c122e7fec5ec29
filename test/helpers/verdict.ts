import { failureOf, saysNotFound } from '../../lib/batch/command.ts';
import type { JobStatus, SchedulerPatterns } from '../../lib/batch/scheduler.ts';
import type { CommandResult } from '../../lib/runners/runner.ts';

/**
 * What the result of a command is taken for: an answer, word that there is no such job, a batch
 * system that is away (for a submission), or a failure that says nothing.
 */
export function verdictOf(
  result: CommandResult,
  patterns: SchedulerPatterns,
): 'answer' | 'not found' | 'away' | 'failure' {
  if (failureOf('it', result, patterns.outage) === undefined) return 'answer';
  if (saysNotFound(result, patterns)) return 'not found';
  return patterns.transient.test(result.stderr) ? 'away' : 'failure';
}

/** A status in few words, as in `7 running node01,node02` and `8 timeout 140 node01`. */
export function brief({ id, state, hosts = [], exit, reason }: JobStatus): string {
  const end = exit === undefined ? '' : (exit.signal ?? exit.code ?? '');
  return [id, exit?.cause ?? state, end, hosts.join(','), reason ?? '']
    .filter((part) => part !== '')
    .join(' ');
}
