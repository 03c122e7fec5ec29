import { expect } from 'chai';
import sinon from 'sinon';
import { Manager } from '../../lib/systemd/manager.ts';
import { StubRunner } from '../../lib/testing/index.ts';

const unit = 'jupyter-alice-singleuser.service';
const mine = 'hubspawner:1:alice::mine port 1';

const starting = (description: string) => ({
  MESSAGE_ID: '7d4958e842da4a758f6c1cdc7b36dcc5',
  MESSAGE: `Starting ${unit} - ${description}...`,
});
const stopping = { MESSAGE_ID: 'de5b426a63be47a7b6ac3eaac82e2f6f', MESSAGE: `Stopping ${unit}...` };
const exited = (EXIT_CODE: string, EXIT_STATUS: string, kind = 'Main') => ({
  MESSAGE_ID: '98e322203f7a4ed290d09fe03c09fe15',
  MESSAGE: `${unit}: ${kind} process exited, code=${EXIT_CODE}, status=${EXIT_STATUS}`,
  EXIT_CODE,
  EXIT_STATUS,
});
const failed = (UNIT_RESULT: string) => ({
  MESSAGE_ID: 'd9b373ed55a64feb8242e02dbe79a49c',
  MESSAGE: `${unit}: Failed with result '${UNIT_RESULT}'.`,
  UNIT_RESULT,
});
const succeeded = {
  MESSAGE_ID: '7ad2d189f7e94e70a38c781354912448',
  MESSAGE: `${unit}: Deactivated successfully.`,
};

function managerOf(entries: readonly object[]) {
  const text = entries.map((entry) => `${JSON.stringify(entry)}\n`);
  const runner = new StubRunner(([, option]) =>
    option === '--sync' ? '' : text.toReversed().join(''),
  );
  return new Manager(runner, { scope: 'system', run: {} });
}

describe('The journal of a unit', () => {
  it('is read from its end, whatever the lines hold', async () => {
    const colour = [...Buffer.from('\u001b[1mü')];
    const manager = managerOf([
      { MESSAGE: 'a' },
      { MESSAGE: colour },
      { OTHER: 'x' },
      { MESSAGE: 'b' },
    ]);
    const text = await manager.journal(unit, { lines: 9, since: new Date() });
    expect(text).to.equal('a\n\u001b[1mü\nb\n');
  });

  function end(...entries: readonly object[]) {
    return managerOf(entries).endInJournal(unit, mine, new Date());
  }

  it('says how the server ended', async () => {
    expect(await end(starting(mine), exited('exited', '4'), failed('exit-code'))).to.deep.equal({
      ...{ result: 'exit-code', code: 'exited', status: '4', oomKills: 0 },
    });
    expect(await end(starting(mine), exited('killed', '9'), failed('signal'))).to.include({
      ...{ code: 'killed', status: 'KILL' },
    });
    expect(await end(starting(mine), succeeded)).to.include({ result: 'success', status: '0' });
    expect(await end(starting(mine), stopping, succeeded)).to.include({
      result: 'success',
      code: '',
    });
  });

  it('says nothing of the end of another start, nor of what runs after the server', async () => {
    const other = [exited('exited', '1'), failed('exit-code')];
    expect(await end(...other, starting(mine))).to.equal(undefined);
    expect(await end(starting('hubspawner:1:alice::old port 2'), ...other)).to.equal(undefined);
    expect(
      await end(starting(mine), succeeded, starting('hubspawner:1:alice::new port 2'), ...other),
    ).to.include({ result: 'success' });
    const after = exited('exited', '2', 'Control');
    expect(await end(starting(mine), exited('killed', '9'), after, failed('signal'))).to.include({
      code: 'killed',
      status: 'KILL',
    });
  });

  it('believes nobody but PID 1', async () => {
    const runner = new StubRunner(() => '');
    const manager = new Manager(runner, { scope: 'system', run: {} });
    await manager.endInJournal(unit, mine, new Date());
    expect(runner.calls.at(-1)?.argv).to.include.members(['_PID=1', `UNIT=${unit}`]);
  });

  describe('after a start that failed', () => {
    const options = { lines: 20, since: new Date(), hasEnded: true };

    /** The matches of the command by which it is read. */
    async function matches(scope: 'system' | 'user', uid?: number) {
      const runner = new StubRunner(() => '');
      await new Manager(runner, { scope, run: {} }).journalOfFailure(unit, options, uid);
      const argv = runner.calls.at(-1)?.argv ?? [];
      return argv.slice(argv.findIndex((arg) => arg.startsWith('--output-fields=')) + 1);
    }

    it('has what root and the account say of the unit, and nobody else', async () => {
      const own = [`_SYSTEMD_UNIT=${unit}`, '+', `UNIT=${unit}`, '_UID=0'];
      expect(await matches('system', 1001)).to.deep.equal([...own, '_UID=1001']);
      expect(await matches('system')).to.deep.equal(own);
      const account = [`_SYSTEMD_USER_UNIT=${unit}`, '+', `USER_UNIT=${unit}`];
      expect(await matches('user', 1001)).to.deep.equal([
        ...account,
        ...['+', `SYSLOG_IDENTIFIER=${unit}`],
      ]);
    });

    it('is waited for where it can not be told to write everything down', async () => {
      let reads = 0;
      const lines = [{ MESSAGE: 'why' }, failed('exit-code')].map((one) => JSON.stringify(one));
      const runner = new StubRunner(([, option]) => {
        if (option === '--sync') return { exitCode: 1 };
        reads += 1;
        return reads < 3 ? '' : lines.toReversed().join('\n');
      });
      const manager = new Manager(runner, { scope: 'system', run: {} });
      const text = await manager.journalOfFailure(unit, options, 1001);
      expect([reads, text]).to.deep.equal([3, `why\n${failed('exit-code').MESSAGE}\n`]);
    });

    it('is waited for some seconds', async () => {
      const clock = sinon.useFakeTimers({ now: Date.now() });
      try {
        const runner = new StubRunner(([, option]) =>
          option === '--sync' ? { timedOut: true } : JSON.stringify({ MESSAGE: 'why' }),
        );
        const manager = new Manager(runner, { scope: 'system', run: {} });
        const reading = manager.journalOfFailure(unit, options, 1001);
        await clock.tickAsync(6000);
        expect(await reading).to.equal('why\n');
      } finally {
        clock.restore();
      }
    });
  });

  it('counts the last start where descriptions are not written down', async () => {
    const nameless = { ...starting(''), MESSAGE: `Starting ${unit}...` };
    const first = [nameless, exited('exited', '1'), failed('exit-code')];
    expect(await end(...first, nameless)).to.equal(undefined);
    expect(await end(...first, nameless, succeeded)).to.include({ result: 'success' });
  });
});
