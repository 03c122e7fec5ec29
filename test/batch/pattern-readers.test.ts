import { expect } from 'chai';
import { groupsIn, rowReaders } from '../../lib/batch/pattern-readers.ts';
import type { StateTable } from '../../lib/batch/scheduler.ts';
import { ParseError } from '../../lib/errors.ts';

const states: StateTable = {
  W: { state: 'pending' },
  R: { state: 'running' },
  E: { state: 'ended', cause: 'completed' },
};

describe('Readers made of patterns.job and patterns.header', () => {
  const job = String.raw`^(?<id>\d+) (?<state>[WRE]) (?<host>\S+) (?<name>.+)$`;
  const readers = rowReaders(job, '^(?:ID STATE|[- ]+$)');
  const seen = (stdout: string) => {
    const { jobs, complete } = readers.parseQuery(stdout, states);
    return [complete, ...jobs.map(({ id, state }) => `${id} ${state}`)];
  };
  const account = (stdout: string) =>
    readers.parseAccount(stdout, { id: '7', jobName: 'a' }, states);

  it('do not take a list for complete that has a line which they can not read', () => {
    const cut = '7 R n1 a\n8 Q n1 b\n';
    expect(seen(cut)).to.deep.equal([false, '7 running']);
    expect(readers.parseFind(cut)).to.have.property('complete', false);
    expect(seen('7 R n1 a\n\n9 E n1 c\n')).to.deep.equal([true, '7 running', '9 ended']);
    expect(() => seen('8 Q n1 b\n')).to.throw(ParseError);
  });

  it('know the lines of a list that are no jobs, and that it may have no others', () => {
    const header = 'ID STATE HOST NAME\n-- ----- ---- ----\n';
    expect(seen(header)).to.deep.equal([true]);
    expect(seen(`${header}7 R n1 a\n`)).to.deep.equal([true, '7 running']);
    expect(readers.parseFind(header)).to.deep.equal({ jobs: [], complete: true });
    expect(() => rowReaders(job).parseQuery(header, states)).to.throw(ParseError);
  });

  it('leave out a last line that has no end: it may have lost some of it', () => {
    expect(seen('8 R n1 b\n7 E n1 a')).to.deep.equal([false, '8 running']);
    expect(() => seen('7 E n1 a')).to.throw(ParseError);
  });

  it('take nothing in the name of a job for a row', () => {
    for (const end of ['\r', '\u2028', '\u2029']) {
      const name = `x${end}7 E - a`;
      expect(seen(`8 R n1 b\n9 R n1 ${name}\n`)).not.to.include('7 ended');
    }
    expect(seen('8 R n1 b\r\n')).to.deep.equal([true, '8 running']);
  });

  it('believe the row of a job that lives, wherever its others stand', () => {
    expect(seen('7 R n1 a\n7 E n1 a\n')).to.deep.equal([true, '7 running']);
    expect(seen('7 E n1 a\n7 W - a\n7 R n1 a\n')).to.deep.equal([true, '7 running']);
    expect(account('7 R n1 a\n7 E n1 a\n')).to.include({ state: 'running' });
    expect(account('7 E n1 a\n7 E n2 a\n')).to.deep.include({ hosts: ['n2'] });
  });

  it('do not take records that they can not read for none', () => {
    expect(account('8 E n1 b\n')).to.equal(undefined);
    expect(() => account('8 E n1 b\nwhat?\n')).to.throw(ParseError);
    expect(() => account('8 E n1 b\n7 E n1')).to.throw(ParseError);
  });

  it('know the groups of a pattern, not what looks like one', () => {
    expect(groupsIn(String.raw`^(?<id>\d+)|\(?<no>[(?<neither>](?<=x)(?<tag>.)`)).to.deep.equal([
      'id',
      'tag',
    ]);
    expect(groupsIn(undefined)).to.deep.equal([]);
  });
});
