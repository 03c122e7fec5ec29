import { JobTemplates } from '../lib/batch/request.ts';
import { slurm } from '../lib/batch/slurm.ts';
import type { SlurmOptions } from '../lib/generated/options.ts';
import { newMark } from '../lib/mark.ts';
import { checkOptions } from '../lib/options.ts';
import { options } from './jobs.ts';
import { duration, ratio, timeOf } from './measure.ts';

const environment = { JUPYTERHUB_API_URL: 'http://10.0.0.1:8081/hub/api', PATH: '/usr/bin:/bin' };

/** Writes one job script and its submission. */
export function renderer(): () => string {
  const templates = new JobTemplates(slurm, checkOptions<SlurmOptions>(slurm.schema, options));
  const mark = newMark({ user: { name: 'alice' } }, slurm.jobNameLength);
  const facts = { mark, username: 'alice', homedir: '/home/alice' };
  return () => templates.prepare(facts, environment, environment).script;
}

/** A job script, against JSON of the same text. */
export function rendering(): string {
  const render = renderer();
  const json = JSON.stringify(render());
  const ours = timeOf(render, 501);
  const theirs = timeOf(() => JSON.parse(json), 501);
  return `script of ${render().length.toLocaleString('en')} characters: ${duration(ours)}; by JSON.parse of the same text: ${ratio(ours, theirs)}`;
}
