import { createHash, randomBytes } from 'node:crypto';
import type { SpawnerContext } from '../context.ts';
import { callbackWrapper, portPlaceholders } from '../endpoint/wrapper.ts';
import { kept } from '../environment.ts';
import { OptionsError } from '../errors.ts';
import type { BatchOptions } from '../generated/options.ts';
import type { Template, TemplateValue, TemplateView } from '../template.ts';
import { parseTemplate, renderArguments, renderScript } from '../template.ts';
import { bytes } from '../units.ts';
import type { Scheduler, SchedulerCommands } from './scheduler.ts';

/** What marks a job as that of one start of one server. */
export interface JobMark {
  /** Hub, user, server and start, as in `hubspawner:8f0c2e1b:alice:lab:3b1d0c7a9e55`. */
  readonly tag: string;
  /** For people, and unique as well. */
  readonly jobName: string;
}

/** The placeholder for the port in the server's arguments and in JUPYTERHUB_SERVICE_URL. */
export const portPlaceholder = '{port}';

/** A job, ready to be submitted. */
export interface PreparedJob {
  readonly script: string;
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

/** Marks a new start of a server. */
export function newMark({ user, serverName = '', hub }: SpawnerContext): JobMark {
  const start = randomBytes(6).toString('hex');
  const hubId = createHash('sha256')
    .update(hub?.apiUrl ?? '')
    .digest('hex')
    .slice(0, 8);
  const who = [user.name, serverName].map(encodeURIComponent).join(':');
  return {
    tag: `hubspawner:${hubId}:${who}:${start}`,
    jobName: [
      'jupyter',
      plain(user.name),
      ...(serverName === '' ? [] : [plain(serverName)]),
      start,
    ].join('-'),
  };
}

/** A name as it may stand in a job name and a file name of any batch system. */
function plain(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, '_').slice(0, 32);
}

/** Makes scripts and argument vectors for the jobs of one spawner. */
export class JobTemplates {
  readonly #scheduler: Scheduler;
  readonly #options: BatchOptions;
  readonly #script: Template;
  readonly #logFile: Template;
  readonly #commands: { readonly [C in keyof SchedulerCommands]: readonly Template[] };
  readonly #accounting: readonly (readonly Template[])[];

  /** @throws OptionsError for a template that is none */
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
    this.#accounting = scheduler.accounting.map(({ command }) => parseArgv(command, 'accounting'));
  }

  /** The options of `request` that are set, and that no template names: they have no effect. */
  get unused(): readonly string[] {
    const templates = [this.#script, this.#logFile, ...Object.values(this.#commands).flat()];
    const used = new Set(templates.flatMap(({ names }) => [...names]));
    return Object.keys(this.#options.request).filter(
      (name) => !used.has(name) && !ownRequests.has(name),
    );
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
    const job = this.#exported(
      { ...kept(keepvarsExtra), ...selected(environment, keepvars) },
      commandEnv,
    );
    const view = {
      ...this.#view(facts),
      cmd: this.#command(),
      exports: exportLines(job.aliased),
      exportNames: Object.keys(job.env),
    };
    const [logFile = ''] = renderArguments([this.#logFile], view);
    if (job.aliased.length > 0 && !this.#script.names.has('exports')) {
      throw new OptionsError(
        'script',
        'a template with {{{exports}}}',
        `The option script must have {{{exports}}} before the prologue, to set ${job.aliased.join(', ')}.`,
      );
    }
    const full = { ...view, logFile };
    return {
      script: renderScript(this.#script, full, { ...this.#scheduler, raw }),
      argv: renderArguments(this.#commands.submit, full),
      env: { ...commandEnv, ...job.env },
      logFile,
    };
  }

  /** The argument vector of a command about one job. */
  argv(command: 'find' | 'cancel' | 'kill', facts: JobFacts): readonly string[] {
    return renderArguments(this.#commands[command], this.#view(facts));
  }

  /**
   * Fills in the templates of all commands, to see whether that is possible.
   *
   * @throws OptionsError
   */
  check(facts: JobFacts): void {
    this.argv('find', facts);
    this.argv('cancel', facts);
    this.argv('kill', facts);
    this.query(facts.cluster);
    this.accounting(facts);
  }

  /** The argument vector of the query of all jobs, of the cluster that is given or asked for. */
  query(cluster?: string): readonly string[] {
    const request: TemplateView = { ...this.#options.request };
    return renderArguments(this.#commands.query, { cluster: cluster ?? request['cluster'] });
  }

  /** The argument vectors of the accounting sources, in their order. */
  accounting(facts: JobFacts): readonly (readonly string[])[] {
    return this.#accounting.map((command) => renderArguments(command, this.#view(facts)));
  }

  #view({ mark, username, homedir, jobId, cluster }: JobFacts): TemplateView {
    const { request, memLimit, cpuLimit } = this.#options;
    const known = [...commonNames, ...this.#scheduler.requestNames];
    const unset = Object.fromEntries(known.map((name) => [name, undefined]));
    const { keepvars: _, keepvarsExtra: __, ngpus, ...given } = request;
    const view: Record<string, TemplateValue> = {
      ...unset,
      ...(memLimit !== undefined && { memory: `${Math.ceil(bytes(memLimit) / 2 ** 20)}M` }),
      ...(cpuLimit !== undefined && { nprocs: Math.ceil(cpuLimit) }),
      ...given,
      ngpus: Number(ngpus ?? 0),
      username,
      homedir,
      tag: mark.tag,
      jobName: mark.jobName,
      jobId,
      ...(cluster !== undefined && { cluster }),
    };
    for (const name of this.#scheduler.wordLists) {
      const words = view[name];
      if (typeof words === 'string') {
        view[name] = words.trim().split(/\s+/);
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

  /** Values under the names by which the submission passes them on. */
  #exported(
    environment: Readonly<Record<string, string>>,
    commandEnv: Readonly<Record<string, string>>,
  ): { readonly env: Readonly<Record<string, string>>; readonly aliased: readonly string[] } {
    const aliased = Object.keys(environment).filter(
      (name) =>
        Object.hasOwn(commandEnv, name) ||
        this.#scheduler.ownVariables.test(name) ||
        loaderVariables.test(name),
    );
    const entries = Object.entries(environment).map(([name, value]) => [
      aliased.includes(name) ? `${aliasPrefix}${name}` : name,
      value,
    ]);
    return { env: Object.fromEntries(entries), aliased };
  }
}

/** What the templates are told of one job. */
export interface JobFacts {
  readonly mark: JobMark;
  readonly username: string;
  readonly homedir: string | undefined;
  readonly jobId?: string | undefined;
  readonly cluster?: string | undefined;
}

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
