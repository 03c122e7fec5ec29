import { slurm } from '../lib/batch/slurm.ts';
import type { SupervisorSetup } from '../lib/index.ts';
import { MemoryStore } from '../lib/index.ts';
import { newMark } from '../lib/mark.ts';
import type { ServerRequest } from '../lib/supervisor/record.ts';
import { keyOf, writeRecord } from '../lib/supervisor/record.ts';
import { StubRunner } from '../lib/testing/index.ts';
import { jobRows, markOutput, squeueOutput, stateOf } from './jobs.ts';

const hub = { apiUrl: 'http://10.0.0.1:8081/hub/api' };

/**
 * What an earlier hub has left: so many ready servers of a kind `slurm`, all of whose jobs run.
 *
 * @param ownOptions those of one server alone. Default: none
 */
export async function hubOf(
  count: number,
  ownOptions: (user: string) => ServerRequest['options'] = () => ({}),
): Promise<SupervisorSetup & { readonly runner: StubRunner }> {
  const store = new MemoryStore();
  const states = Array.from({ length: count }, (_, index) => {
    const mark = newMark({ user: { name: `user${index}` }, hub }, slurm.jobNameLength);
    return { ...stateOf(index), ...mark };
  });
  for (const [index, state] of states.entries()) {
    const user = { name: `user${index}` };
    const record = writeRecord({
      user,
      serverName: '',
      spawnerName: 'slurm',
      options: ownOptions(user.name),
      phase: 'ready',
      requestedAt: new Date('2026-03-02T08:00:00Z'),
      state,
    });
    await store.set(keyOf(user.name, ''), record);
  }
  const listed = squeueOutput(jobRows(count));
  const runner = new StubRunner({
    squeue: (argv) => (argv.join().includes('%k') ? markOutput(argv, states) : listed),
  });
  return { store, runner, hub, apiToken: ({ user }) => `token-${user.name}` };
}
