import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import fc from 'fast-check';
import { OptionsError } from '../lib/errors.ts';
import { directiveValue, sbatchWord } from '../lib/quote.ts';
import type { ScriptRules } from '../lib/script.ts';
import type { TemplateView } from '../lib/template.ts';
import { parseTemplate, renderArguments, renderScript } from '../lib/template.ts';

const rules: ScriptRules = {
  directive: /^#SBATCH\b/,
  directiveWord: sbatchWord,
  raw: new Set(['prologue', 'options']),
};

function script(text: string, view: TemplateView = {}, others: Partial<ScriptRules> = {}): string {
  return renderScript(parseTemplate(text, 'script'), view, { ...rules, ...others });
}

function args(texts: readonly string[], view: TemplateView = {}): string[] {
  const templates = texts.map((text, i) => parseTemplate(text, `commands.cancel[${i}]`));
  return renderArguments(templates, view);
}

/** What a user reads where this goes wrong. */
function complaint(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).to.be.instanceOf(OptionsError);
    return error instanceof OptionsError ? `${error.path}: ${error.message}` : '';
  }
  return expect.fail('nothing was thrown');
}

describe('parseTemplate', () => {
  it('lists the names that a template uses', () => {
    const template = parseTemplate('{{b}}{{#a}}{{.}}{{^c}}{{{d}}}{{&e}}{{/c}}{{/a}}{{! f }}', 'x');
    expect([...template.names].sort()).to.deep.equal(['a', 'b', 'c', 'd', 'e']);
    expect([...template.rawNames].sort()).to.deep.equal(['d', 'e']);
  });

  const wrong: Record<string, string> = {
    'Unclosed tag': 'a {{b',
    'Unclosed section "b"': '{{#b}}',
    'Unopened section "b"': '{{/b}}',
    'has the partial {{>b}}': '{{> b}}',
    'changes the delimiters': '{{=<% %>=}}',
    'NUL character': 'a\0b',
  };
  for (const [message, text] of Object.entries(wrong)) {
    it(`refuses ${JSON.stringify(text)} and names the option`, () => {
      const said = complaint(() => parseTemplate(text, 'commands.submit[1]'));
      expect(said).to.match(
        /^commands\.submit\[1\]: The template of the option commands\.submit\[1\] /,
      );
      expect(said).to.include(message);
    });
  }
});

describe('the values of a template', () => {
  it('have to be in the view, whether they are written or not', () => {
    const said = complaint(() =>
      script('{{#no}}{{memroy}}{{/no}}', { no: false, memory: 1, cpus: 2 }),
    );
    expect(said).to.include('the unknown name memroy; known are cpus, memory, no');
  });

  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'a.length', '']) {
    it(`are no properties that every object has (${name})`, () => {
      expect(complaint(() => script(`{{${name}}}`, { a: 'b' }))).to.include(
        `unknown name ${name};`,
      );
      expect(complaint(() => args([`{{#${name}}}{{/${name}}}`], { a: 'b' }))).to.include('unknown');
    });
  }

  it('are nothing where they are undefined', () => {
    expect(script('[{{a}}{{#a}}yes{{/a}}{{^a}}no{{/a}}]', { a: undefined })).to.equal('[no]');
  });

  for (const value of [undefined, false, 0, '', []]) {
    it(`are false in a section when they are ${JSON.stringify(value)}`, () => {
      expect(script('{{#a}}yes{{/a}}{{^a}}no{{/a}}', { a: value })).to.equal('no');
    });
  }

  for (const value of [true, 1, 'a', ['']]) {
    it(`are true in a section when they are ${JSON.stringify(value)}`, () => {
      expect(script('{{#a}}yes{{/a}}{{^a}}no{{/a}}', { a: value })).to.equal('yes');
    });
  }

  it('are texts, numbers, booleans and lists of texts, never code', () => {
    const lambda: unknown = JSON.parse('{"a":{}}');
    const view = Object.assign({}, lambda) as TemplateView;
    expect(complaint(() => script('{{a}}', view))).to.include('uses a, whose value is no text');
  });

  it('are {{.}} in a section over a list, and in one over a text', () => {
    expect(script('{{#a}}<{{.}}>{{/a}}', { a: ['x', 'y z'] })).to.equal("<x><'y z'>");
    expect(script('{{#a}}{{^b}}-{{.}}{{/b}}{{/a}}', { a: 'x', b: 0 })).to.equal('-x');
    expect(script('{{#a}}{{#b}}{{.}}{{/b}}{{/a}}', { a: ['x'], b: true })).to.equal('x');
    expect(complaint(() => script('\n{{#b}}{{.}}{{/b}}', { b: true }))).to.include(
      '{{.}} on line 2',
    );
  });

  it('are not read as templates', () => {
    const view = { a: '{{b}}{{{b}}}{{#b}}', b: 'secret', prologue: '{{b}}' };
    expect(script('{{a}} {{{prologue}}}', view)).to.equal("'{{b}}{{{b}}}{{#b}}' {{b}}");
    expect(args(['{{a}}'], view)).to.deep.equal([view.a]);
  });
});

describe('renderScript', () => {
  it('escapes each value for the place where it stands', () => {
    const text = [
      '#!{{shell}}',
      '#SBATCH --job-name={{name}} --nodelist={{hosts}}',
      '# for {{name}}',
      '{{#memory}}',
      '#SBATCH --mem={{memory}}',
      '{{/memory}}',
      '{{{prologue}}}',
      'cd {{home}}/work # {{name}}',
      'exec {{cmd}} --name={{name}}',
      '',
    ].join('\n');
    const view = {
      shell: '/bin/sh',
      name: 'a #b',
      hosts: ['n1', 'n2'],
      memory: '4G',
      prologue: 'module load "x"\n#SBATCH --exclusive',
      home: "/home/o'neil",
      cmd: ['jupyter', '--x=$HOME'],
    };
    expect(script(text, view)).to.equal(
      [
        '#!/bin/sh',
        '#SBATCH --job-name="a #b" --nodelist=n1,n2',
        '# for a #b',
        '#SBATCH --mem=4G',
        'module load "x"',
        '#SBATCH --exclusive',
        "cd '/home/o'\\''neil'/work # a #b",
        "exec jupyter '--x=$HOME' --name='a #b'",
        '',
      ].join('\n'),
    );
  });

  it('writes nothing for an empty list, and quotes for an empty text', () => {
    expect(script('a {{l}}{{t}}', { l: [], t: '' })).to.equal("a ''");
  });

  it('joins a list to no other word, where its second text would be a command', () => {
    expect(script('x=({{l}});', { l: ['a', 'b'] })).to.equal('x=(a b);');
    expect(complaint(() => script('x={{l}}', { l: ['a', 'reboot'] }))).to.include(
      '{{l}} on line 1 is a list',
    );
  });

  const quotes = { double: 'echo "{{a}}/log"', single: "echo '{{a}}'" };
  for (const [kind, text] of Object.entries(quotes)) {
    it(`refuses a value in ${kind} quotes and says what to do`, () => {
      expect(complaint(() => script(`\n${text}`, { a: 'x' }))).to.equal(
        "script: The template of the option script can't be filled in: {{a}} on line 2 stands in " +
          `${kind} quotes, but brings its own: end those before it.`,
      );
    });
  }

  it('refuses a value where no quotes help, and says what to do', () => {
    const said = complaint(() => script('cat <<E\n{{a}}\nE\n', { a: 'x' }));
    expect(said).to.include('{{a}} on line 2 stands in a here-document');
    expect(said).to.include('assign it to a variable on a line before');
    expect(complaint(() => script('a=$(case x in x) {{a}};; esac)', { a: 'x' }))).to.include(
      'misread',
    );
    expect(complaint(() => script('cd ~{{a}}', { a: 'x' }))).to.include('right after a $, ~ or');
  });

  it('knows the quotes that raw text and sections open', () => {
    expect(complaint(() => script('{{{prologue}}} {{a}}', { prologue: 'x="', a: 'x' }))).to.include(
      'double quotes',
    );
    expect(script('{{#q}}"{{/q}}{{a}}', { q: false, a: 'x' })).to.equal('x');
    expect(complaint(() => script('{{#q}}"{{/q}}{{a}}', { q: true, a: 'x' }))).to.include('double');
  });

  describe('on a directive line', () => {
    for (const text of ['a\nb', 'a\rb', 'a\n#SBATCH --uid=0', 'a\u2028b', 'a\0b']) {
      it(`refuses ${JSON.stringify(text)} and names the value`, () => {
        const said = complaint(() =>
          script('#!/bin/sh\n#SBATCH --mem={{memory}}', { memory: text }),
        );
        expect(said).to.match(/\{\{memory\}\} on line 2 holds a (line break|NUL)/);
      });
    }

    it('lets no value become an option', () => {
      expect(complaint(() => script('#SBATCH {{a}}', { a: '--uid=0' }))).to.include(
        'begins with -',
      );
      expect(script('#SBATCH --nice={{a}} -p {{n}}', { a: '-5', n: -5 })).to.equal(
        '#SBATCH --nice=-5 -p -5',
      );
    });

    it('has a value in quotes only if it needs none itself', () => {
      expect(script('#SBATCH --comment="for {{a}}"', { a: 'alice' })).to.equal(
        '#SBATCH --comment="for alice"',
      );
      expect(script('#SBATCH --comment="nice {{a}}"', { a: '-5' })).to.include('"nice -5"');
      expect(complaint(() => script('#SBATCH --comment="for {{a}}"', { a: 'x y' }))).to.include(
        'stands in quotes, but needs its own',
      );
    });

    it('uses the words of the scheduler', () => {
      const pbs = { directive: /^#PBS\b/, directiveWord: directiveValue };
      expect(script('#PBS -N {{a}}', { a: 'x' }, pbs)).to.equal('#PBS -N x');
      expect(complaint(() => script('#PBS -N {{a}}', { a: 'x -l y' }, pbs))).to.include('a blank');
    });

    it("takes no blanks on what may be another scheduler's directive", () => {
      expect(script('#PBS -N {{a}}', { a: 'x' })).to.equal('#PBS -N x');
      expect(complaint(() => script('#PBS -N {{a}}', { a: 'x -l y' }))).to.include('a blank');
      expect(complaint(() => script('#{{a}}', { a: 'SBATCH --uid=0' }))).to.include(
        'right after #',
      );
      expect(complaint(() => script('#SBATCH{{a}}', { a: ' --uid=0' }))).to.include(
        'right after #',
      );
    });

    it('is what both the scheduler and the shell take for one', () => {
      const said = complaint(() => script('echo a\\\n#SBATCH {{a}}', { a: 'x' }));
      expect(said).to.include('begins with # but is no comment');
      expect(complaint(() => script('cat <<E\n#SBATCH {{a}}\nE', { a: 'x' }))).to.include(
        'here-doc',
      );
    });
  });

  it('refuses line breaks in a comment', () => {
    expect(complaint(() => script('# {{a}}', { a: 'x\nreboot' }))).to.include('line break');
    expect(complaint(() => script('ls # {{a}}', { a: 'x\nreboot' }))).to.include('line break');
  });

  describe('with raw values', () => {
    it('writes those that the rules list, as they are', () => {
      expect(script('{{{prologue}}}\n{{&prologue}}', { prologue: 'a "$b"' })).to.equal(
        'a "$b"\na "$b"',
      );
      expect(
        script('{{#options}}\n#SBATCH {{{.}}}\n{{/options}}', { options: ['-n 2 -q a', '-H'] }),
      ).to.equal('#SBATCH -n 2 -q a\n#SBATCH -H\n');
    });

    it('refuses all others, whether they are written or not', () => {
      expect(complaint(() => script('{{#no}}{{{a}}}{{/no}}', { no: 0, a: 'x' }))).to.include(
        'has {{{a}}}, but only {{a}} is allowed',
      );
      expect(complaint(() => script('{{&a}}', { a: 'x' }))).to.include('only {{a}}');
      expect(complaint(() => script('{{#a}}{{{.}}}{{/a}}', { a: 'x' }))).to.include('is from a');
    });

    it('refuses line breaks in directives and comments, and NUL', () => {
      const prologue = 'a\nb';
      for (const text of ['#SBATCH {{{prologue}}}', '# {{{prologue}}}', 'ls # {{{prologue}}}']) {
        expect(complaint(() => script(text, { prologue }))).to.include('line break');
      }
      expect(complaint(() => script('{{{prologue}}}', { prologue: 'a\0b' }))).to.include('NUL');
    });
  });

  describe('with hostile values', () => {
    const pieces = [
      "'",
      '"',
      '\\',
      '$(reboot)',
      '`reboot`',
      '\n',
      '\r\n',
      '\n#SBATCH --uid=0',
      '\n#$ -l x',
    ];
    const hostile = fc.oneof(
      fc.string({ unit: fc.constantFrom(...pieces, ' ', '#', '~', '{{b}}', '-', 'é', ';', 'E') }),
      fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
      fc.constant('\'"\n$(reboot)'.repeat(800)),
    );
    const text = [
      '#!/bin/sh',
      '#SBATCH --comment={{safe}}',
      'print() { exec "$NODE" -e \'console.log(JSON.stringify(process.argv.slice(1)))\' -- "$@"; }',
      'cat > /dev/null <<E',
      "it's #SBATCH",
      'E',
      'a={{a}} # {{safe}}',
      'print "$a" {{a}} pre{{a}}"post" {{l}} "$(printf %s. {{a}})" {{#l}}x{{.}} {{/l}}',
      '',
    ].join('\n');

    for (const shell of ['sh', 'bash']) {
      it(`is a script by which ${shell} gets exactly these values`, () => {
        fc.assert(
          fc.property(hostile, fc.array(hostile, { maxLength: 30 }), (a, l) => {
            const safe = a.replace(/[\p{Cc}\u2028\u2029]/gu, '').slice(0, 200);
            const input = script(text, { a, l, safe });
            execFileSync('bash', ['-n'], { input });
            const env = { PATH: process.env['PATH'], NODE: process.execPath, LC_ALL: 'C.UTF-8' };
            const printed = execFileSync(shell, ['-s'], { input, env, encoding: 'utf8' });
            expect(JSON.parse(printed)).to.deep.equal([
              ...[a, a, `pre${a}post`, ...l, `${a}.`],
              ...l.map((item) => `x${item}`),
            ]);
            const directives = input.split('\n').filter((line) => /^\s*#[^ !]/.test(line));
            expect(directives).to.deep.equal([`#SBATCH --comment=${sbatchWord(safe)}`]);
          }),
          { numRuns: 12 },
        );
      });
    }
  });
});

describe('renderArguments', () => {
  it('writes values as they are', () => {
    const view = { a: `a b'"$x\n#`, l: ['x', 'y'], n: 0, f: false };
    expect(args(['--a={{a}}', '{{{a}}}', '{{l}}', '{{n}}{{f}}'], view)).to.deep.equal([
      `--a=${view.a}`,
      view.a,
      'x,y',
      '0false',
    ]);
  });

  it('leaves out what turns out empty, but not what is empty', () => {
    const option = '{{#cluster}}--clusters={{cluster}}{{/cluster}}';
    expect(args(['scancel', option, '{{cluster}}', ''], { cluster: '' })).to.deep.equal([
      'scancel',
      '',
    ]);
    expect(args([option], { cluster: 'c1' })).to.deep.equal(['--clusters=c1']);
  });

  it('lets no value become an option', () => {
    for (const text of ['{{id}}', '{{#id}}{{id}}{{/id}}', '{{none}}{{id}}', '{{empty}}-x']) {
      const view = { id: '--all', none: undefined, empty: '' };
      const said = complaint(() => args(['scancel', text], view));
      expect(said).to.include('commands.cancel[1]').and.include('begin with -');
    }
    expect(args(['-{{id}}', 'x{{id}}'], { id: '-5' })).to.deep.equal(['--5', 'x-5']);
  });

  it('refuses NUL', () => {
    expect(complaint(() => args(['{{a}}'], { a: 'a\0' }))).to.include(
      '{{a}} on line 1 holds a NUL',
    );
  });
});
