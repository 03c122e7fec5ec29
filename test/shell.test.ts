import { expect } from 'chai';
import { shellPlaces } from '../lib/shell.ts';

/** The places of the values, which are written `@`. */
function places(script: string): string[] {
  return shellPlaces(script.replaceAll('@', '\0'));
}

describe('shellPlaces', () => {
  const single: Record<string, readonly string[]> = {
    word: [
      '@',
      'echo @',
      'a=1;@',
      'a &&@',
      '(@)',
      'x=(@)',
      'cat <@',
      'cat <<<@',
      'echo \\\n@',
      '"$(echo @)"',
      "# it's\n@",
      'echo a#"\n" @',
      "cat <<'E'\nit's\nE\n@",
      'cat <<E; echo "\n"\n"\nE\n@',
      'cat <<-E\n\tE\n@',
      'cat <<E\na\\\nE\nE\n@',
      'case a in a) @;; esac',
      'case $x in\n  a) echo 1 ;;\n  *) echo 2 ;;\nesac\necho @',
      'f() { echo "$1"; }\nf @',
      'n=$((1 + (2 * 3)))\necho @',
      'for ((i = 0; i < 3; i++)); do echo @; done',
      `x="\${1:-"a b"}" @`,
      `x=\${1#'a}'} @`,
      'if [ "$a" = b ]; then @; fi',
      "IFS=$'\\n\\t' @",
      'echo `date +"%s"` @',
      'a="$(echo "$(echo ")")")" @',
      'echo "\\"" @',
      "echo it\\'s @",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: shell text
      'echo "$#" $# ${#x} @',
    ],
    'inside a word': ['a@', '--x=@', '"a"@', "'a'@", 'a\\\n@', '$(a)@', '$x@', '\\$x@', 'a#@'],
    comment: ['# @', '#@', 'a # @', 'a;#@', '$(a # @\n)', '(a)#@'],
    'double quotes': ['"@"', '"a $(b) @"', '"\\" @"', '"\n# @"', '"\\@"', '"it\'s @"'],
    'single quotes': ["'@'", "'\\' '@'", "$'@'", `"$(echo '@')"`],
    backquotes: ['`@`', '"`@`"', '`echo \\`@\\``', "`'@'`"],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: shell text
    'braces after $': ['${x:-@}', '"${x:-@}"', '${x:-${y:-@}}'],
    arithmetic: ['$((@))', '"$((@))"', '((@))', '$(((1) + @))'],
    'a here-document': ['cat <<E\n@\nE\n', "cat <<'E'\n@", 'cat <<E\nE \n@', 'cat <<E\na\\\nE\n@'],
    'a word after $, ~ or a backslash': ['$@', '~@', '\\@', 'a\\\\\\@'],
    unknown: [
      'a=$(case x in x) echo "@" ;; esac)',
      "$'\\'' @",
      `"\${x:-'a'}" @`,
      'cat <<$x\n@',
      'cat <<@',
      'cat <<E@',
      'cat <<E $(a\n) @',
      'a=$(cat <<E) @',
      '$((1<<2)) @',
      '((a); b) @',
    ],
  };
  for (const [place, scripts] of Object.entries(single)) {
    for (const script of scripts) {
      it(`finds ${place} in ${JSON.stringify(script)}`, () => {
        expect(places(script)).to.deep.equal([place]);
      });
    }
  }

  it('finds every value, in order', () => {
    expect(places('#!/bin/sh\n# @\n@ "@"@ <<E\n@@\nE\n')).to.deep.equal([
      'comment',
      'word',
      'double quotes',
      'inside a word',
      'a here-document',
      'a here-document',
    ]);
  });

  it('knows no place after syntax that it can misread', () => {
    expect(places(`@ "\${x:-'a'}" @ '@' # @`)).to.deep.equal([
      'word',
      'unknown',
      'unknown',
      'unknown',
    ]);
  });
});
