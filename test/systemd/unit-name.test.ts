import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import fc from 'fast-check';
import { OptionsError } from '../../lib/errors.ts';
import {
  directoryName,
  escapeUnitName,
  unitName,
  unitPattern,
} from '../../lib/systemd/unit-name.ts';

const template = 'jupyter-{{username}}-singleuser';

function nameOf(username: string, servername = '', of = template): string {
  return unitName(of, { username, servername, userid: '7', account: 'alice' });
}

describe('The name of a unit', () => {
  for (const [username, servername, name] of [
    ['alice', '', 'jupyter-alice-singleuser.service'],
    ['alice', 'lab', 'jupyter-alice-singleuser-lab.service'],
    ['Alice.Liddell', '', 'jupyter-Alice.Liddell-singleuser.service'],
    ['alice@example.org', '', 'jupyter-alice\\x40example.org-singleuser.service'],
    ['a-b', 'c-d', 'jupyter-a\\x2db-singleuser-c\\x2dd.service'],
    ['müller', '', 'jupyter-m\\xc3\\xbcller-singleuser.service'],
    ['a\\b/c d', '', 'jupyter-a\\x5cb\\x2fc\\x20d-singleuser.service'],
    ['.hidden', '', 'jupyter-\\x2ehidden-singleuser.service'],
  ] as const) {
    it(`of ${username}/${servername} is ${name}`, () => {
      expect(nameOf(username, servername)).to.equal(name);
    });
  }

  it('is escaped as systemd-escape does it', () => {
    const texts = ['alice', 'a-b', 'müller', 'a\\b', 'a b', '.x', 'a@b:c_d.e', '$HOME%h', '😀'];
    const theirs = execFileSync('systemd-escape', ['--', ...texts], { encoding: 'utf8' });
    expect(texts.map(escapeUnitName)).to.deep.equal(theirs.trim().split(' '));
  });

  const anyName = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 210 }),
    fc.string({ unit: fc.constantFrom('a', '-', '\\', 'x', '2', 'd', '.'), minLength: 1 }),
  );

  it('is one that systemd takes, and another for each server', () => {
    const names = new Map<string, string>();
    fc.assert(
      fc.property(anyName, fc.oneof(fc.constant(''), anyName), (username, servername) => {
        const name = nameOf(username, servername);
        expect(name).to.match(/^[A-Za-z0-9:_.\\@-]{1,208}\.service$/);
        const who = JSON.stringify([username, servername]);
        expect(names.get(name) ?? who).to.equal(who);
        names.set(name, who);
        expect(directoryName(name)).to.match(/^[A-Za-z0-9_.-]{1,210}$/);
      }),
      { numRuns: 3000 },
    );
  });

  it('of 200 characters that have to be escaped is cut, and ends in a hash', () => {
    const one = nameOf('ü'.repeat(200));
    const other = nameOf(`${'ü'.repeat(199)}ö`);
    expect(one).to.have.length.below(220).and.not.equal(other);
    expect(one).to.match(/\\x[0-9a-f]{2}-[0-9a-f]{32}\.service$/);
  });

  for (const wrong of [
    'jupyter',
    'jupyter-{{username}}{{servername}}',
    'jupyter {{username}}',
    '{{nobody}}',
    'a/{{username}}',
    'jupyter-{{account}}',
    'jupyter-{{account}}-{{servername}}',
    'jupyter-{{username}}_{{servername}}',
    'jupyter-{{username}}{{userid}}',
    'jupyter-{{userid}}{{servername}}',
    'jupyter-{{username}}{{#servername}}-named{{/servername}}',
  ]) {
    it(`is not made by ${wrong}`, () => {
      expect(() => nameOf('alice', 'lab', wrong))
        .to.throw(OptionsError)
        .with.property('path', 'unitNameTemplate');
    });
  }

  for (const right of [
    'jupyter-{{userid}}',
    '{{username}}@{{userid}}',
    'jupyter-{{username}}-{{servername}}',
    'jupyter-{{username}}{{#servername}}-{{servername}}{{/servername}}',
    '{{account}}-{{userid}}-{{servername}}-x',
  ]) {
    it(`is made by ${right}, another for each server`, () => {
      const names = ['7', '8'].flatMap((userid) =>
        ['', 'lab', 'b'].map((servername) =>
          unitName(right, { username: `user${userid}`, userid, servername, account: 'guest' }),
        ),
      );
      expect(new Set(names)).to.have.property('size', 6);
    });
  }

  it('has no id of a person who has none', () => {
    const facts = { username: 'alice', userid: '', servername: '', account: 'alice' };
    expect(() => unitName('jupyter-{{userid}}', facts))
      .to.throw(OptionsError, /unitNameTemplate uses {{userid}}, but .* user\.id/)
      .with.property('path', 'unitNameTemplate');
  });

  it('has a pattern that all units of a template match', () => {
    expect(unitPattern(template)).to.equal('jupyter-*.service');
    expect(unitPattern('{{username}}-x')).to.equal('*.service');
  });

  it('of somebody else is never what a long one was cut to', () => {
    const of = 'jupyter-{{username}}';
    const cut = nameOf('x'.repeat(300), '', of);
    const [, username = '', servername = ''] =
      /^jupyter-(x+)-([0-9a-f]{32})\.service$/.exec(cut) ?? [];
    expect(username).to.have.length.above(50);
    expect(nameOf(username, servername, of)).not.to.equal(cut);
  });

  it('as a directory has a hash where characters are missing', () => {
    expect(directoryName('jupyter-alice.service')).to.equal('jupyter-alice');
    expect(directoryName('a\\x2db.service')).to.match(/^a_x2db-[0-9a-f]{16}$/);
    expect(directoryName('a\\x2db.service')).not.to.equal(directoryName('a_x2db.service'));
    const hashed = directoryName('a\\x2db.service');
    expect(directoryName(`${hashed}.service`)).not.to.equal(hashed);
  });
});
