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

  it('take the first host of every form of a list', () => {
    const hosts = (list: string) =>
      readers.parseQuery(`7 R ${list} a\n`, states).jobs[0]?.hosts ?? [];
    for (const [list, all] of [
      ['node01', ['node01']],
      ['node01,gpu-2.cluster.example,node01', ['node01', 'gpu-2.cluster.example']],
      ['node[01-02,07],gpu1', ['node01', 'node02', 'node07', 'gpu1']],
      ['node01/0-3+node02/0', ['node01', 'node02']],
      ['node01/0-3+node02', ['node01', 'node02']],
      ['node01/0,2,4-6+node02/1', ['node01', 'node02']],
      ['node01/0-3,10.0.0.2/0', ['node01', '10.0.0.2']],
      ['node01:15002/0*4+node02:15002/0', ['node01', 'node02']],
      ['2*node01:node02', ['node01', 'node02']],
      ['node01:4,node02:4', ['node01', 'node02']],
      ['node01(4),node02', ['node01', 'node02']],
      ['node01*4', ['node01']],
      ['slot1@node01', ['node01']],
      ['slot1_2@glidein_1@node01.cluster.example', ['node01.cluster.example']],
      ['10.0.0.1:8080', ['10.0.0.1']],
      ['fd00::1', ['fd00::1']],
      ['2001:db8:0:0:0:0:0:1,node02', ['2001:db8:0:0:0:0:0:1', 'node02']],
      ['node01,???', ['node01']],
    ] as const) {
      expect(hosts(list), list).to.deep.equal(all);
    }
    for (const list of ['-', '*', '(null)', 'n/a', 'N/A', 'None', 'undefined']) {
      expect(hosts(list), list).to.deep.equal([]);
    }
  });

  it('give no later host, but the text itself, where the first can not be read', () => {
    for (const list of [
      'node[01-03,gpu1',
      'node[a-b],gpu1',
      '???,node02',
      'all.q@node01',
      'fe80::1%eth0,node02',
      '[node01:1][node02:1]',
    ]) {
      const { hosts } = readers.parseQuery(`7 R ${list} a\n`, states).jobs[0] ?? {};
      expect(hosts, list).to.deep.equal([list]);
    }
  });

  it('do not take an output without jobs for a list that lacks its header', () => {
    for (const output of ['', '\n', '\n\n']) {
      expect(() => seen(output), JSON.stringify(output)).to.throw(ParseError);
      expect(() => readers.parseFind(output), JSON.stringify(output)).to.throw(ParseError);
      expect(account(output), JSON.stringify(output)).to.equal(undefined);
      const answer = { jobs: [], complete: true };
      expect(rowReaders(job).parseQuery(output, states)).to.deep.equal(answer);
      expect(rowReaders(job, '^(?:ID STATE.*)?$').parseQuery(output, states)).to.deep.equal(answer);
    }
  });

  it('know the groups of a pattern, not what looks like one', () => {
    expect(groupsIn(String.raw`^(?<id>\d+)|\(?<no>[(?<neither>](?<=x)(?<tag>.)`)).to.deep.equal([
      'id',
      'tag',
    ]);
    expect(groupsIn(undefined)).to.deep.equal([]);
  });
});
