import { OptionsError } from '../errors.ts';
import type { GenericOptions } from '../generated/options.ts';
import { directiveValue } from '../quote.ts';
import { rowReaders } from './pattern-readers.ts';
import type { Scheduler } from './scheduler.ts';
import { withOverrides } from './scheduler.ts';
import { BatchSpawner } from './spawner.ts';

const nothing = /(?!)/;

function unread(): never {
  throw new OptionsError(
    'patterns',
    'with job, or with one of held, suspended, running, pending and ended',
    'The option patterns must say how the output of commands.query is read: job matches a line that is a job; held, suspended, running, pending and ended match the output about one job.',
  );
}

/** Knows nothing of any batch system: all of it comes from the options. */
const generic: Scheduler = {
  name: 'generic',
  schema: 'generic.json',
  manual: 'schemas/generic.json',
  script: '',
  jobEnvironment: 'public',
  jobNameLength: 15,
  requestNames: [],
  wordLists: [],
  directive: nothing,
  directiveWord: directiveValue,
  environment: [],
  ownVariables: nothing,
  commands: { submit: [], query: [], find: [], cancel: [], kill: [] },
  patterns: { jobId: nothing, outage: nothing, notFound: nothing, transient: nothing },
  states: {},
  parseQuery: unread,
  parseFind: unread,
  accounting: [],
};

/**
 * Runs the server as a job of a batch system that is described by options alone, for which a JSON
 * file will do. Options: `schemas/generic.json`.
 */
export class GenericBatchSpawner extends BatchSpawner<GenericOptions> {
  static override readonly scheduler: Scheduler = generic;

  /** @throws OptionsError where the options do not say how the query is read */
  static override schedulerFor(options: GenericOptions): Scheduler {
    const { directive, jobEnvironment, requestNames, commands, patterns } = options;
    const { query = [], cancel = [] } = commands;
    const asksEach = query.some((word) => word.includes('jobId'));
    const rows =
      patterns.job === undefined ? undefined : rowReaders(new RegExp(patterns.job, 'mu'));
    const hasMarks = /\(\?<(?:name|tag)>/.test(patterns.job ?? '');
    const scheduler = withOverrides(
      {
        ...generic,
        jobEnvironment,
        requestNames,
        directive: new RegExp(directive, 'u'),
        accounting: rows
          ? (commands.accounting ?? []).map((command) => ({ command, parse: rows.parseAccount }))
          : [],
        commands: { ...generic.commands, find: asksEach || !hasMarks ? [] : query, kill: cancel },
      },
      options,
    );
    const isRead = asksEach ? scheduler.parseQuery !== unread : patterns.job !== undefined;
    return isRead ? scheduler : unread();
  }
}
