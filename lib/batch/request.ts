import { callbackWrapper, portPlaceholders } from '../endpoint/wrapper.ts';
import { kept } from '../environment.ts';
import { OptionsError } from '../errors.ts';
import type { BatchOptions } from '../generated/options.ts';
import type { StartMark } from '../mark.ts';
import { printfText, shellWord } from '../quote.ts';
import type { Template, TemplateValue, TemplateView } from '../template.ts';
import { parseTemplate, renderArguments, renderScript, renderText } from '../template.ts';
import { bytes, seconds } from '../units.ts';
import { groupsIn, hasMarks } from './pattern-readers.ts';
import type { Scheduler, SchedulerCommands } from './scheduler.ts';

/** The placeholder for the port in the server's arguments and in JUPYTERHUB_SERVICE_URL. */
export const portPlaceholder = '{port}';

/** A file that carries the environment of the server to its job. */
export interface EnvironmentFile {
  readonly path: string;
  /** For a shell. It holds the server's secrets. */
  readonly text: string;
}

/** A job, ready to be submitted. */
export interface PreparedJob {
  readonly script: string;
  /** For the standard input of the submission: the script, or a description that holds it. */
  readonly input: string;
  /** To be written before the submission, where the batch system would show it to others. */
  readonly environmentFile?: EnvironmentFile;
  readonly argv: readonly string[];
  /** For the submission: what the commands need, and the values that the job gets by name. */
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
}

/** Request options that the spawner itself makes use of, whatever the templates name. */
const ownRequests: ReadonlySet<string> = new Set([
  'username',
  'homedir',
  'keepvars',
  'keepvarsExtra',
]);

/** Names whose value is script text or a directive of the administrator's. */
const raw: ReadonlySet<string> = new Set(['options', 'prologue', 'epilogue', 'exports']);

/** What a job can't do without where its port is told to the hub. */
const callbackVariables = ['JUPYTERHUB_API_TOKEN', 'JUPYTERHUB_API_URL', 'JUPYTERHUB_SERVICE_URL'];

/** In front of the name of a variable that the commands must not see under its own name. */
const aliasPrefix = 'HUBSPAWNER_ENV_';

/** For `sh -c`: tells the hub a free port, and becomes the server that its arguments name. */
const findPortAndServe = `# hubspawner tells the hub which port the server will have, and becomes the server: see the end.
${callbackWrapper}
HUBSPAWNER_PORT=$(hubspawner_port) || exit 1
${portPlaceholders}
exec "$@"`;

/**
 * Variables that the loader and the C library (glibc 2.36) act on, also those of the commands that
 * only pass them on, and which no setuid program such as sudo hands over.
 */
const loaderVariables =
  /^(LD_.*|GLIBC_TUNABLES|GCONV_PATH|GETCONF_DIR|HOSTALIASES|LOCALDOMAIN|LOCPATH|MALLOC_.*|NIS_PATH|NLSPATH|RESOLV_HOST_CONF|RES_OPTIONS|TMPDIR|TZDIR)$/;

/** Makes scripts and argument vectors for the jobs of one spawner. */
export class JobTemplates {
  readonly #scheduler: Scheduler;
  readonly #options: BatchOptions;
  readonly #script: Template;
  readonly #logFile: Template;
  readonly #environmentFile: Template;
  readonly #description: Template | undefined;
  readonly #commands: { readonly [C in keyof SchedulerCommands]: readonly Template[] };
  readonly #accounting: readonly (readonly Template[])[];
  readonly #explanation: readonly Template[] | undefined;

  /** @throws OptionsError for a template that is none, and for jobs that nobody would find again */
  constructor(scheduler: Scheduler, options: BatchOptions) {
    const { submit, query, find, cancel, kill } = scheduler.commands;
    this.#scheduler = scheduler;
    this.#options = options;
    this.#script = parsed(scheduler.script, 'script');
    this.#logFile = parsed(options.logFile, 'logFile');
    this.#commands = {
      submit: parseArgv(submit, 'commands.submit'),
      query: parseArgv(query, 'commands.query'),
      find: parseArgv(find, 'commands.find'),
      cancel: parseArgv(cancel, 'commands.cancel'),
      kill: parseArgv(kill, 'commands.kill'),
    };
    this.#accounting = scheduler.accounting.map(({ command }) =>
      parseArgv(command, 'commands.accounting'),
    );
    this.#environmentFile = parsed(options.environmentFile, 'environmentFile');
    const { description, explanation } = scheduler;
    this.#description = description && parsed(description.template, 'description');
    this.#explanation = explanation && parseArgv(explanation.command, 'explanation');
    this.#checkMark();
  }

  /** Whether each job is asked about by itself. */
  get asksEach(): boolean {
    return this.#commands.query.some(({ names }) => names.has('jobId'));
  }

  /** Whether `find` says nothing of one job or account: it lists the jobs of all. */
  get findsAll(): boolean {
    return !this.#commands.find.some(({ names }) => ownNames.some((name) => names.has(name)));
  }

  /** Looks whether a submission gives the job what `find` and accounting know it by. */
  #checkMark(): void {
    const { commands, patterns } = this.#options;
    const groups = groupsIn(patterns.job);
    const byName = groups.includes('name') ? ['jobName'] : [];
    const byTag = groups.includes('tag') ? ['tag'] : [];
    // What reads its own output reads names; whether tags too, its own submission shows.
    const own = commands.submit === undefined ? ['jobName', 'tag'] : ['jobName'];
    const needs = [
      ...(this.#commands.find.length > 0
        ? [hasMarks(patterns.job) ? [...byName, ...byTag] : own]
        : []),
      ...(this.#accounting.length > 0 ? [patterns.job === undefined ? own : byName] : []),
    ];
    const templates = [this.#script, ...this.#commands.submit, ...this.#descriptions];
    const missing = needs.find(
      (marks) =>
        marks.length > 0 && !templates.some(({ names }) => marks.some((mark) => names.has(mark))),
    );
    if (missing !== undefined) {
      const [mark] = missing;
      throw new OptionsError(
        'commands.submit',
        `a command with {{${mark}}}`,
        `The option commands.submit must have {{${mark}}}, where the script has not: the job is known by it, and one that is not found again would be submitted twice.`,
      );
    }
  }

  get #descriptions(): readonly Template[] {
    return this.#description ? [this.#description] : [];
  }

  /** The options for the job that are set, and that no template names: the batch system is not asked. */
  get unused(): readonly string[] {
    const templates = [
      this.#script,
      this.#logFile,
      this.#environmentFile,
      ...this.#descriptions,
      ...Object.values(this.#commands).flat(),
    ];
    const used = new Set(templates.flatMap(({ names }) => [...names]));
    const { request, memLimit, cpuLimit } = this.#options;
    const given = new Map<string, string>();
    if (memLimit !== undefined) {
      given.set('memory', 'memLimit');
    }
    if (cpuLimit !== undefined) {
      given.set('nprocs', 'cpuLimit');
    }
    for (const name of Object.keys(request)) {
      given.set(name, `request.${name}`);
    }
    return [...given]
      .filter(([name]) => !used.has(name) && !ownRequests.has(name))
      .map(([, option]) => option);
  }

  /**
   * The script and the submission of one job.
   *
   * @param facts of this job: mark, account, home directory
   * @param environment of the server
   * @param commandEnv of the batch system's commands
   * @throws OptionsError for a value that can't stand where a template has it
   */
  prepare(
    facts: JobFacts,
    environment: Readonly<Record<string, string>>,
    commandEnv: Readonly<Record<string, string>>,
  ): PreparedJob {
    const { keepvars, keepvarsExtra = [] } = this.#options.request;
    const carried = { ...kept(keepvarsExtra), ...selected(environment, keepvars) };
    const facing = this.#view(facts);
    const { exports, env, environmentFile } =
      this.#scheduler.jobEnvironment === 'private'
        ? bySubmission(carried, this.#aliased(carried, commandEnv))
        : this.#byFile(carried, facing);
    if (exports !== '' && !this.#script.names.has('exports')) {
      throw new OptionsError(
        'script',
        'a template with {{{exports}}}',
        'The option script must have {{{exports}}} before the prologue: it gives the job variables of the server.',
      );
    }
    const [logFile = ''] = renderArguments([this.#logFile], facing);
    const view = {
      ...facing,
      logFile,
      cmd: this.#command(),
      exports,
      exportNames: Object.keys(env),
    };
    const script = renderScript(this.#script, view, { ...this.#scheduler, raw });
    const full = {
      ...view,
      once: this.#scheduler.requeue?.test(script) !== true,
      ...(this.#needsLine && { scriptLine: scriptLine(script) }),
    };
    return {
      script,
      input: this.#describe(full) ?? script,
      argv: this.#render(this.#commands.submit, full),
      env: { ...commandEnv, ...env },
      logFile,
      ...(environmentFile && { environmentFile }),
    };
  }

  /** Whether the script goes as one line of a description, or as an argument. */
  get #needsLine(): boolean {
    const templates = [...this.#commands.submit, ...this.#descriptions];
    return templates.some(({ names }) => names.has('scriptLine'));
  }

  #describe(view: TemplateView): string | undefined {
    const { description } = this.#scheduler;
    return description && this.#description
      ? renderText(this.#description, view, description.value, raw)
      : undefined;
  }

  /** The argument vector of a command about one job. */
  argv(command: 'cancel' | 'kill', facts: JobFacts): readonly string[] {
    return this.#render(this.#commands[command], this.#view(facts));
  }

  /**
   * The argument vector of `find`, the same for all where it `findsAll`.
   *
   * @param boundary for between the fields of its output, or ''
   */
  find(facts: JobFacts, boundary = ''): readonly string[] {
    return this.#render(this.#commands.find, { ...this.#view(facts), boundary });
  }

  /**
   * Fills in the templates of all commands, to see whether that is possible.
   *
   * @throws OptionsError
   */
  check(facts: JobFacts): void {
    const view = this.#view(facts);
    const { cancel, kill } = this.#commands;
    for (const command of [cancel, kill, ...this.#accounting, this.#explanation ?? []]) {
      this.#render(command, view);
    }
    this.find(facts);
    this.query(facts);
  }

  /**
   * The argument vector of the query of all jobs, of the cluster that is given or asked for. It may
   * say nothing of one person, so that all share it; that of one job by itself may say its id.
   */
  query({ jobId, cluster }: Pick<JobFacts, 'jobId' | 'cluster'>): readonly string[] {
    const view = {
      ...this.#unset,
      ...this.#options.request,
      ...(cluster !== undefined && { cluster }),
    };
    return this.#render(this.#commands.query, this.asksEach ? { ...view, jobId } : view);
  }

  /** The argument vectors of the accounting sources, in their order. */
  accounting(facts: JobFacts): readonly (readonly string[])[] {
    return this.#accounting.map((command) => this.#render(command, this.#view(facts)));
  }

  /** The argument vector of the command that says why a job waits, where there is one. */
  explanation(facts: JobFacts): readonly string[] | undefined {
    return this.#explanation && this.#render(this.#explanation, this.#view(facts));
  }

  /** An argument vector, with its program in `binDir`. */
  #render(templates: readonly Template[], view: TemplateView): readonly string[] {
    const { binDir } = this.#options;
    const [program, ...words] = renderArguments(templates, view);
    if (program === undefined) {
      return [];
    }
    const isPath = binDir === undefined || program.includes('/');
    return [isPath ? program : `${binDir.replace(/\/+$/, '')}/${program}`, ...words];
  }

  /** The names that templates know, without their values. */
  get #unset(): TemplateView {
    const { requestNames, wordLists } = this.#scheduler;
    const lengths = wordLists.map((name) => `${name}.length`);
    const known = [...commonNames, 'cluster', ...requestNames, ...lengths];
    return Object.fromEntries(known.map((name) => [name, undefined]));
  }

  #view({ mark, username, homedir, jobId, cluster }: JobFacts): TemplateView {
    const { request, memLimit, cpuLimit } = this.#options;
    const { memory = (mebibytes) => `${mebibytes}M`, runtime } = this.#scheduler;
    const { keepvars: _, keepvarsExtra: __, ngpus, ...given } = request;
    const view: Record<string, TemplateValue> = {
      ...this.#unset,
      ...(cpuLimit !== undefined && { nprocs: Math.ceil(cpuLimit) }),
      ...given,
      ...(runtime && given.runtime !== undefined && { runtime: runtime(seconds(given.runtime)) }),
      ngpus: Number(ngpus ?? 0),
      username,
      homedir,
      tag: mark.tag,
      jobName: mark.jobName,
      jobId,
      ...(cluster !== undefined && { cluster }),
    };
    if (memLimit !== undefined && given.memory === undefined) {
      view['memory'] = memory(Math.ceil(bytes(memLimit) / 2 ** 20), view);
    }
    for (const name of this.#scheduler.wordLists) {
      const words = view[name];
      if (typeof words === 'string') {
        const list = words.trim().split(/\s+/);
        view[name] = list;
        // A section over a list stands once for each word, and one over its length once.
        view[`${name}.length`] = list.length;
      }
    }
    return view;
  }

  /** The server's argument vector; with a callback, inside of the wrapper that finds the port. */
  #command(): readonly string[] {
    const { cmd, args, endpoint, port } = this.#options;
    const words = [...cmd, ...args];
    return endpoint === 'callback'
      ? ['/bin/sh', '-c', findPortAndServe, 'hubspawner', ...words]
      : words.map((word) => word.replaceAll(portPlaceholder, String(port)));
  }

  /** The names of variables that the commands must not see, since they would act on them. */
  #aliased(
    environment: Readonly<Record<string, string>>,
    commandEnv: Readonly<Record<string, string>>,
  ): readonly string[] {
    return Object.keys(environment).filter(
      (name) =>
        Object.hasOwn(commandEnv, name) ||
        this.#scheduler.ownVariables.test(name) ||
        loaderVariables.test(name),
    );
  }

  #byFile(environment: Readonly<Record<string, string>>, view: TemplateView): Carried {
    const [path = ''] = renderArguments([this.#environmentFile], view);
    if (!path.startsWith('/')) {
      throw new OptionsError('environmentFile', 'a template of an absolute path');
    }
    const lines = Object.entries(environment).map(
      ([name, value]) => `export ${name}=${shellWord(value)}\n`,
    );
    return lines.length === 0
      ? { exports: '', env: {} }
      : { exports: readFile(path), env: {}, environmentFile: { path, text: lines.join('') } };
  }
}

/** In bytes: the job gets its script as one argument, and Linux takes no longer one. */
const longestLine = 130_000;

function scriptLine(script: string): string {
  const line = printfText(script);
  if (line.length > longestLine) {
    throw new OptionsError(
      'args',
      `of less than ${longestLine} bytes together with the script, where other characters than letters count up to five times`,
    );
  }
  return line;
}

/** How the environment of the server gets into its job. */
interface Carried {
  /** Shell lines of the script. */
  readonly exports: string;
  /** For the submission. */
  readonly env: Readonly<Record<string, string>>;
  readonly environmentFile?: EnvironmentFile;
}

function bySubmission(
  environment: Readonly<Record<string, string>>,
  aliased: readonly string[],
): Carried {
  const entries = Object.entries(environment).map(([name, value]) => [
    aliased.includes(name) ? `${aliasPrefix}${name}` : name,
    value,
  ]);
  return { exports: exportLines(aliased), env: Object.fromEntries(entries) };
}

/** In s: how long a job waits for its environment, which is written anew where it starts anew. */
const fileWait = 900;

/** Shell lines that take the environment out of its file. */
function readFile(path: string): string {
  return `# The environment of the server is in a file that nobody else can read, and that goes now.
hubspawner_file=${shellWord(path)}
hubspawner_wait=${fileWait}
until [ -O "$hubspawner_file" ] && [ ! -L "$hubspawner_file" ] &&
  hubspawner_environment=$(cat "$hubspawner_file" 2>/dev/null); do
  if [ "$hubspawner_wait" = 0 ]; then
    echo "hubspawner: the file $hubspawner_file with the environment of the server is missing." >&2
    exit 1
  fi
  hubspawner_wait=$((hubspawner_wait - 1))
  sleep 1
done
rm -f "$hubspawner_file"
eval "$hubspawner_environment"
unset hubspawner_file hubspawner_wait hubspawner_environment`;
}

/** What the templates are told of one job. */
export interface JobFacts {
  readonly mark: StartMark;
  readonly username: string;
  readonly homedir: string | undefined;
  readonly jobId?: string | undefined;
  readonly cluster?: string | undefined;
}

/** What differs between the jobs of a cluster. */
const ownNames = ['username', 'homedir', 'tag', 'jobName', 'jobId'];

const commonNames: readonly string[] = [
  'queue',
  'host',
  'memory',
  'nprocs',
  'ngpus',
  'runtime',
  'partition',
  'account',
  'options',
  'prologue',
  'epilogue',
];

function selected(
  environment: Readonly<Record<string, string>>,
  names: readonly string[] | undefined,
): Readonly<Record<string, string>> {
  if (names === undefined) {
    return environment;
  }
  const wanted = new Set([...names, ...callbackVariables]);
  return Object.fromEntries(Object.entries(environment).filter(([name]) => wanted.has(name)));
}

/** Shell lines that give variables their own names back. */
function exportLines(names: readonly string[]): string {
  return names
    .map((name) => `export ${name}="$${aliasPrefix}${name}"; unset ${aliasPrefix}${name}`)
    .join('\n');
}

function parseArgv(argv: readonly string[], option: string): readonly Template[] {
  return argv.map((word, index) => parsed(word, `${option}[${index}]`));
}

/** Templates that were parsed before: the spawners of a hub have the same ones. */
const templates = new Map<string, Template>();
const mostTemplates = 1000;

function parsed(text: string, option: string): Template {
  const key = `${option}\n${text}`;
  let template = templates.get(key);
  if (template === undefined) {
    template = parseTemplate(text, option);
    if (templates.size === mostTemplates) {
      templates.clear();
    }
    templates.set(key, template);
  }
  return template;
}
