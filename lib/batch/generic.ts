import { OptionsError } from '../errors.ts';
import type { GenericOptions } from '../generated/options.ts';
import { directiveValue } from '../quote.ts';
import { groupsIn, hasMarks, rowReaders, stateNames } from './pattern-readers.ts';
import type { Scheduler } from './scheduler.ts';
import { uses, withOverrides } from './scheduler.ts';
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
 * file will do. Where `commands.find` is not given, a job is looked for by its mark in the list of
 * `commands.query`, if that has marks and owners. Options: `schemas/generic.json`.
 */
export class GenericBatchSpawner extends BatchSpawner<GenericOptions> {
  static override readonly scheduler: Scheduler = generic;

  /** @throws OptionsError where the options do not say how the commands are read */
  static override schedulerFor(options: GenericOptions): Scheduler {
    const { commands, patterns } = options;
    const { query = [], cancel = [] } = commands;
    const { job, header } = patterns;
    const asksEach = uses(query, 'commands.query', 'jobId');
    const rows = job === undefined ? undefined : rowReaders(job, header);
    // Anybody can give a job the name of ours.
    const lists = !asksEach && hasMarks(job) && groupsIn(job).includes('owner');
    const scheduler = withOverrides(
      {
        ...generic,
        accounting: rows
          ? (commands.accounting ?? []).map((command) => ({ command, parse: rows.parseAccount }))
          : [],
        commands: { ...generic.commands, find: lists ? query : [], kill: cancel },
      },
      options,
    );
    const isRead = asksEach ? scheduler.parseQuery !== unread : patterns.job !== undefined;
    if (!isRead) {
      unread();
    }
    check(options, asksEach);
    return scheduler;
  }
}

/** Looks whether all is there without which no server can be started, and seen to end. */
function check({ commands, patterns }: GenericOptions, asksEach: boolean): void {
  const { job, running, host, notFound } = patterns;
  if (!uses(commands.cancel ?? [], 'commands.cancel', 'jobId')) {
    throw new OptionsError('commands.cancel', 'a command with {{jobId}}, which it ends');
  }
  for (const name of ['accounting', 'find'] as const) {
    if ((commands[name] ?? []).length > 0 && job === undefined) {
      throw new OptionsError('patterns.job', `given where commands.${name} is: it reads its lines`);
    }
  }
  if (!asksEach) {
    return;
  }
  if (notFound === undefined) {
    throw new OptionsError(
      'patterns.notFound',
      'given where commands.query has {{jobId}}: it tells that there is no such job any more',
    );
  }
  const byState = stateNames.some((state) => patterns[state] !== undefined);
  if (byState && running === undefined) {
    throw new OptionsError('patterns.running', 'given where patterns of other states are');
  }
  if (byState && host === undefined && !groupsIn(running).includes('host')) {
    throw new OptionsError(
      'patterns.host',
      'given, or a group (?<host>…) in patterns.running: a start needs the execution host',
    );
  }
}
