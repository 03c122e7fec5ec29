import { assert } from 'chai';
import { RecordingRunner } from '../../lib/testing/recording.ts';
import { isAlive, report, sudo, useHub } from './helpers/hub.ts';

const servers = 50;

describe(`SlurmSpawner: ${servers} servers on a real Slurm`, () => {
  const hub = useHub();

  it('are started, polled and stopped at once with few queries', async () => {
    const runner = new RecordingRunner(sudo);
    const queries = () =>
      runner.recording.commands.filter(
        ({ argv }) => argv[0] === 'squeue' && !argv.some((word) => word.startsWith('--user')),
      ).length;
    const create = (index: number) =>
      hub().create(
        { queryInterval: 1000 },
        { runner, serverName: `s${index}`, user: { name: index % 2 === 0 ? 'alice' : 'bob' } },
      );
    const spawners = Array.from({ length: servers }, (_, index) => create(index));

    const addresses = await Promise.all(spawners.map((spawner) => spawner.start()));
    assert.isBelow(queries(), servers / 2, 'queries for the starts');
    assert.lengthOf(new Set(addresses.map(({ host, port }) => `${host}:${port}`)), servers);
    const reports = await Promise.all(addresses.map(report));
    assert.deepEqual(
      reports.map(({ environment }) => environment['JUPYTERHUB_SERVER_NAME']),
      spawners.map(({ serverName }) => serverName),
    );

    // After a restart, with two hubs' worth of states.
    const heirs = [...spawners, ...spawners].map((spawner) => {
      const heir = hub().create(
        {},
        { runner, serverName: spawner.serverName, user: spawner.context.user },
      );
      heir.loadState(spawner.getState());
      return heir;
    });
    const before = queries();
    const polls = await Promise.all(heirs.map((heir) => heir.poll()));
    // None where the answer that the starts have asked for is new enough, or under way.
    assert.isAtMost(queries() - before, 1, `queries for ${heirs.length} polls`);
    assert.deepEqual(
      polls.filter((exit) => exit !== null),
      [],
    );

    const beforeStops = queries();
    await Promise.all(spawners.map((spawner) => spawner.stop()));
    assert.isBelow(queries() - beforeStops, servers / 2, 'queries for the stops');
    const left = await Promise.all(spawners.map((spawner) => hub().jobsOf(spawner)));
    assert.deepEqual(left.flat().filter(isAlive), []);
    assert.lengthOf(left.flat(), servers);
  });
});
