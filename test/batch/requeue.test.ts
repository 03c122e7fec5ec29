import { expect } from 'chai';
import { JobTemplates } from '../../lib/batch/request.ts';
import type { BatchOptions } from '../../lib/generated/options.ts';
import { checkOptions } from '../../lib/options.ts';
import { subjects } from '../helpers/rendering-subjects.ts';

const mark = { tag: 'hubspawner:8f0c2e1b:alice:lab:3b1d0c7a9e55', jobName: 'ju-3b1d0c7a9e55' };

/** How a directive begins, and what it says so that a job is never, or may be, put back. */
const systems: readonly (readonly [name: string, prefix: string, no: string, yes: string])[] = [
  ['Slurm', '#SBATCH', '--no-requeue', '--requeue'],
  ['Slurm with several daemons on a host', '#SBATCH', '--no-requeue', '--requeue'],
  ['Torque', '#PBS', '-r n', '-r y'],
  ['PBS', '#PBS', '-r n', '-r y'],
  ['Moab', '#PBS', '-r n', '-r y'],
  ['LSF', '#BSUB', '-rn', '-r'],
];

for (const [name, prefix, no, yes] of systems) {
  describe(`Whether a job of ${name} is put back into the queue`, () => {
    const { spawner } = subjects[name] ?? {};

    /** What the arguments and the directives say of it, in the order in which they count. */
    function said(options: Partial<BatchOptions>): readonly string[] {
      if (spawner === undefined) {
        throw new Error('This batch system is not known.');
      }
      const checked = checkOptions<BatchOptions>(spawner.scheduler.schema, options);
      const templates = new JobTemplates(spawner.schedulerFor(checked), checked);
      const facts = { mark, username: 'alice', homedir: '/home/alice' };
      const { argv, script } = templates.prepare(facts, {}, {});
      const directives = script.split('\n').filter((line) => line.startsWith(prefix));
      const words = [...directives.toReversed(), argv.join(' ')];
      return words.flatMap(
        (line) => /(?<=\s)(?:--(?:no-)?requeue|-rn|-r(?: [yn])?)(?!\S)/.exec(line) ?? [],
      );
    }

    it('is never, unless someone asks for it', () => {
      expect(said({})).to.deep.equal([no]);
      const [last] = said({ request: { options: '--exclusive' } });
      expect(last).to.equal(no);
    });

    it('is as the options of the request say', () => {
      expect(said({ request: { options: `-p 5 ${yes}` } })[0]).to.equal(yes);
      expect(said({ request: { options: `${no} -p 5` } })[0]).to.equal(no);
    });

    it('is as the script of a site says, and never where that says nothing', () => {
      const script = (line: string) => `#!/bin/bash\n${line}\n# ${prefix} ${yes}\n{{cmd}}\n`;
      expect(said({ script: script(`${prefix} ${yes}`) })).to.deep.equal([yes]);
      expect(said({ script: script(`${prefix} -N x-r ${no}`) })).to.deep.equal([no]);
      expect(said({ script: script(`${prefix} -p 5`) })).to.deep.equal([no]);
      expect(said({ script: script(`echo ${yes}`) })).to.deep.equal([no]);
    });
  });
}
