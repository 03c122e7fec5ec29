// Generated from schemas/; run npm run generate.
import type { ProgressEvent } from '../progress.ts';
import type { Spawner } from '../spawner.ts';

/**
 * What is asked of the batch system for a job: the names that job scripts know.
 */
export interface BatchRequest {
  /**
   * The queue. Default: none, and the batch system decides.
   */
  readonly queue?: string;
  /**
   * The host of the batch server. Default: none, and the batch system decides.
   */
  readonly host?: string;
  /**
   * Memory a node: a number with the unit that the batch system knows. Default: `memLimit`, where it is given.
   */
  readonly memory?: string;
  /**
   * Processor cores. Default: `cpuLimit`, rounded up, where it is given.
   */
  readonly nprocs?: number | string;
  /**
   * Graphics processors; 0 asks for none. Default: none, and the batch system decides.
   */
  readonly ngpus?: number | string;
  /**
   * The walltime, for all batch systems alike: minutes, minutes:seconds, hours:minutes:seconds, or with days in front, as days-hours, days-hours:minutes or days-hours:minutes:seconds. Default: none, and the batch system decides.
   */
  readonly runtime?: string;
  /**
   * The partition. Default: none, and the batch system decides.
   */
  readonly partition?: string;
  /**
   * The account that is charged. Default: none, and the batch system decides.
   */
  readonly account?: string;
  /**
   * More options for the batch system, put on a directive line of their own as they are. Default: none.
   */
  readonly options?: string;
  /**
   * Shell commands that the job runs before the server, as they are. Default: none.
   */
  readonly prologue?: string;
  /**
   * Shell commands that the job runs after the server, as they are. Default: none.
   */
  readonly epilogue?: string;
  /**
   * The account on the cluster, in scripts. Default: the account of the context's user, or its name.
   */
  readonly username?: string;
  /**
   * The home directory, an absolute path without %, \ and line breaks. Default: what the account database says.
   */
  readonly homedir?: string;
  /**
   * Names of the variables of the server's environment that the job gets. Default: all of them.
   */
  readonly keepvars?: readonly string[];
  /**
   * Names of variables that the job gets from the hub's own environment, where they are set. Default: none.
   */
  readonly keepvarsExtra?: readonly string[];
}

/**
 * Options of every spawner that runs the server as a job of a batch system.
 */
export interface BatchOptions extends SpawnerOptions {
  /**
   * The address on which the server listens: one of its machine's own, or 0.0.0.0 or :: for all.
   *
   * @default `"0.0.0.0"`
   */
  readonly ip: string;
  /**
   * Names of variables that the server gets from the hub's own environment, where they are set. Nothing else of it is passed on.
   *
   * @default `[]`
   */
  readonly envKeep: readonly string[];
  /**
   * In ms: the longest that launching the server may take, from the moment at which its process or job runs to that at which its address is known. Time in a queue and the wait for its first answer have limits of their own.
   *
   * @default `300000`
   */
  readonly startTimeout: number;
  /**
   * In ms: the longest from the moment at which the address is known to the server's first answer.
   *
   * @default `120000`
   */
  readonly httpTimeout: number;
  /**
   * What is asked of the batch system for a job.
   *
   * @default `{}`
   */
  readonly request: BatchRequest;
  /**
   * In ms: the longest that the job may wait in the queue before the start fails and the job is cancelled; null is without limit.
   *
   * @default `null`
   */
  readonly queueTimeout: number | null;
  /**
   * In ms: how long `stop()` tries to cancel the job and to see it end, before it fails; it can then be called again.
   *
   * @default `300000`
   */
  readonly stopTimeout: number;
  /**
   * In ms: how long the job may take to end after it was cancelled, before its processes are killed.
   *
   * @default `30000`
   */
  readonly killTimeout: number;
  /**
   * In ms: the time limit of each command of the batch system. A submission that takes longer is looked up by its tag, not repeated blindly.
   *
   * @default `60000`
   */
  readonly commandTimeout: number;
  /**
   * In ms: the least time between two queries of the job list. One query serves all spawners of the same runner, scheduler and cluster.
   *
   * @default `2000`
   */
  readonly queryInterval: number;
  /**
   * In ms: how long after its submission a job that the scheduler does not list yet counts as pending.
   *
   * @default `30000`
   */
  readonly gracePeriod: number;
  /**
   * How long the state of a job may stay unknown, because the scheduler gives no usable answer, before accounting is asked about it: both numbers have to be reached. The job counts as alive all the while.
   *
   * @default `{}`
   */
  readonly unknownBudget: {
    /**
     * In ms: the time since the last usable answer.
     *
     * @default `600000`
     */
    readonly time?: number;
    /**
     * Unusable answers in a row.
     *
     * @default `10`
     */
    readonly count?: number;
  };
  /**
   * In ms: how long after the end of its walltime a job counts as ended although the scheduler has not answered since. Where its list does not say when that is, it is `request.runtime` after the job was last seen running.
   *
   * @default `600000`
   */
  readonly walltimeSlack: number;
  /**
   * What becomes of a start whose job is held, and does not start before someone acts. `fail`: the start fails with the reason, and the job is cancelled. `wait`: it waits, within `queueTimeout`.
   *
   * @default `"fail"`
   */
  readonly held: 'fail' | 'wait';
  /**
   * How the hub learns the port of the server. `callback`: the job picks a free port and tells the hub. `fixed`: `port` says it, and nothing is told.
   *
   * @default `"callback"`
   */
  readonly endpoint: 'callback' | 'fixed';
  /**
   * The file that takes what the job prints, on a file system that execution nodes and submit host share. A template with the names of `script`.
   *
   * @default `"{{homedir}}/{{jobName}}.log"`
   */
  readonly logFile: string;
  /**
   * The file that carries the environment of the server, its token among it, to the job where the batch system would show a job's environment to others. Its mode is 0600; the job removes it before the server runs. It has to be on a file system that execution nodes and submit host share. A template with the names of `script`.
   *
   * @default `"{{homedir}}/.{{jobName}}.env"`
   */
  readonly environmentFile: string;
  /**
   * The most characters of a job's name, which ends in 12 that no other job has. Default: what the batch system allows in all of its releases.
   */
  readonly jobNameLength?: number;
  /**
   * Rewrites the name of the execution host that the batch system gives into the one that the hub reaches: where the regular expression `pattern` matches it, the match is replaced by `replacement`, in which $1 is its first group. Default: none.
   */
  readonly execHost?: {
    /**
     * What is replaced in the name, with the flag u.
     *
     * @default `"^.*$"`
     */
    readonly pattern?: string;
    /**
     * What takes its place: $& is all that was matched, $1 to $9 and $<name> are the groups. Default: none, it is required.
     */
    readonly replacement: string;
  };
  /**
   * The directory of the batch system's client programs, for those commands whose first word is no path. Default: they are looked for in PATH.
   */
  readonly binDir?: string;
  /**
   * Environment variables for the commands of the batch system, beside PATH, LC_ALL=C, TZ=UTC and those of the hub's that the scheduler's clients need to find their configuration.
   *
   * @default `{}`
   */
  readonly commandEnvironment: {
    readonly [k: string]: string;
  };
  /**
   * The job script, a mustache template. Each value is quoted for the place it stands in: a directive line, or a word of the shell. Where a directive line says whether the job may be put back into the queue, that counts; else it is submitted as one that may not, if the batch system knows that. Default: the scheduler's own; GenericBatchSpawner has none and needs one.
   */
  readonly script?: string;
  /**
   * A regular expression with the flag u that matches the beginning of a directive line of `script`, on which values are quoted as its directives need it. Default: the scheduler's own; with GenericBatchSpawner the script has none.
   */
  readonly directive?: string;
  /**
   * Who can see the environment that a job was submitted with. `public`: others than its owner and administrators, or nobody knows; then a file carries the server's environment. `private`: the job gets its environment from that of the submission, of which `exportNames` lists the names: a word of `commands.submit` passes them on, if the batch system does not by itself take the whole environment. Default: the scheduler's own; with GenericBatchSpawner `public`.
   */
  readonly jobEnvironment?: 'private' | 'public';
  /**
   * Names of `request` of the site's own, whose values are texts of one line, and which the templates may use beside those that the scheduler has. In TypeScript, a declaration adds them to the type of `request`. Default: none.
   */
  readonly requestNames?: readonly string[];
  /**
   * The commands of the batch system, one word each, without a shell; each word is a mustache template, and one that comes out empty is left out. They take the place of the scheduler's own. GenericBatchSpawner has none and needs `submit`, `query` and `cancel`.
   *
   * @default `{}`
   */
  readonly commands: {
    /**
     * Reads the script from standard input, gives the job the name \{\{jobName\}\}, by which it is found again, prints the job id. Default: the scheduler's own.
     */
    readonly submit?: readonly string[];
    /**
     * Lists all jobs, as the hub's own account. Where a word has \{\{jobId\}\}, each job is asked about by itself, as its account. Default: the scheduler's own.
     */
    readonly query?: readonly string[];
    /**
     * Lists the jobs of all with their marks and owners, as the hub's own account, once for all who look for a job at the same time. One that names \{\{username\}\}, \{\{homedir\}\}, \{\{tag\}\}, \{\{jobName\}\} or \{\{jobId\}\} is run for each by itself, as that account, and survey() finds nothing. \{\{boundary\}\} is another text for each command: it keeps apart what people may write into their jobs. That of Slurm may leave it out, and prints id, comment and name then. Default: the scheduler's own; with GenericBatchSpawner `query`, where its list has marks and owners, else none.
     */
    readonly find?: readonly string[];
    /**
     * Ends the job \{\{jobId\}\}. Default: the scheduler's own.
     */
    readonly cancel?: readonly string[];
    /**
     * Kills the processes of the job \{\{jobId\}\}. Default: the scheduler's own; with GenericBatchSpawner `cancel`.
     */
    readonly kill?: readonly string[];
    /**
     * Say how the job \{\{jobId\}\} ended, asked in turn; each stands for the scheduler's own command at its place, and must print what that does. An empty list asks none. Default: the scheduler's own; with GenericBatchSpawner none.
     */
    readonly accounting?: readonly (readonly string[])[];
  };
  /**
   * Regular expressions that read what the commands print, instead of the scheduler's own. `job` and `header` see one line at a time and have the flag u; all others have the flags m and u. GenericBatchSpawner has none of its own and needs `jobId`, and `job` or those of the states.
   *
   * @default `{}`
   */
  readonly patterns: {
    /**
     * One line of the output of a submission: the group `id` is the job id, `cluster` the cluster. Default: the scheduler's own.
     */
    readonly jobId?: string;
    /**
     * On standard error: the command failed although its exit code may be 0. Default: the scheduler's own.
     */
    readonly outage?: string;
    /**
     * On standard error of a submission: the batch system was not there or not able, and has made no job; it is tried again. Default: the scheduler's own.
     */
    readonly transient?: string;
    /**
     * In the output of a command about one job that failed: the scheduler knows no such job, or it has ended. Default: the scheduler's own.
     */
    readonly notFound?: string;
    /**
     * One line of the output of `query` and `find` that is a job. The groups `id` and `state` are required; `host` (hosts, that of the script first, in any form that batch systems print, as `node01/0-3+node02/0`, `2*node01:node02`, `slot1@node01` or `node[01-03],gpu1`; other texts are for `execHost` to rewrite), `reason`, `code` (the exit code), `name`, `tag` and `owner` are read where they are there. Where it is all that reads `query`, `host` is required too; where marks are to be found by it, `name` or `tag`. A line that is not blank and that neither this nor `header` matches makes it unknown whether a job that is not listed is there. Default: none, and the scheduler's own code reads the list.
     */
    readonly job?: string;
    /**
     * A line of the list that is no job, such as titles and rules between them. Where it is given, an output without jobs is a list only with such a line (or where it is empty and this matches an empty line, as the example does for a qstat, which prints nothing where there is no job); where it is not, an empty output of `query` means that there are no jobs, so a command that may fail without an exit code or a word needs it. Default: none.
     */
    readonly header?: string;
    /**
     * In the output of a `query` about one job, that is one with \{\{jobId\}\}: it is held. Default: none.
     */
    readonly held?: string;
    /**
     * In the output of a `query` about one job: it is suspended. Default: none.
     */
    readonly suspended?: string;
    /**
     * In the output of a `query` about one job: it runs. Default: none.
     */
    readonly running?: string;
    /**
     * In the output of a `query` about one job: it waits in the queue. Default: none.
     */
    readonly pending?: string;
    /**
     * In the output of a `query` about one job: it has ended; the group `code` is its exit code. Default: none.
     */
    readonly ended?: string;
    /**
     * In the output of a `query` about one job: its execution host is the group `host`. Default: none.
     */
    readonly host?: string;
  };
  /**
   * What native states mean, beside or instead of the scheduler's own table.
   *
   * @default `{}`
   */
  readonly states: {
    readonly [k: string]: {
      /**
       * What a job in this state is doing. Default: none, it is required.
       */
      readonly state: 'pending' | 'held' | 'running' | 'suspended' | 'completing' | 'ended' | 'unknown';
      /**
       * Why a job in this state ended. Default: unknown, unless the batch system says more.
       */
      readonly cause?:
        | 'completed'
        | 'failed'
        | 'cancelled'
        | 'timeout'
        | 'out-of-memory'
        | 'preempted'
        | 'node-failure'
        | 'unknown';
    };
  };
}

/**
 * Options of every spawner.
 */
export interface SpawnerOptions {
  /**
   * The program of the single-user server and its first arguments, one word each; no shell reads them. The text `{port}` in a word is replaced by the port to listen on.
   *
   * @default `["jupyterhub-singleuser"]`
   */
  readonly cmd: readonly string[];
  /**
   * More arguments, put after those of `cmd`.
   *
   * @default `[]`
   */
  readonly args: readonly string[];
  /**
   * The address on which the server listens: one of its machine's own, or 0.0.0.0 or :: for all.
   *
   * @default `"127.0.0.1"`
   */
  readonly ip: string;
  /**
   * The port on which the server listens; 0 takes one that is free.
   *
   * @default `0`
   */
  readonly port: number;
  /**
   * Environment variables for the server: a text, or a function of the spawner that gives the text when the server is started. They win over all others.
   *
   * @default `{}`
   */
  readonly environment: {
    /**
     * The value of one variable.
     */
    readonly [k: string]: string | ((spawner: Spawner) => string);
  };
  /**
   * Names of variables that the server gets from the hub's own environment, where they are set. Nothing else of it is passed on.
   *
   * @default `["PATH","LANG","LC_ALL","TZ"]`
   */
  readonly envKeep: readonly string[];
  /**
   * The directory that the server shows, as JUPYTERHUB_ROOT_DIR. A template: \{\{username\}\}, \{\{account\}\} and \{\{servername\}\} stand for what they say; a leading ~ is the user's home directory. Default: none.
   */
  readonly rootDir?: string;
  /**
   * Where a person lands in the server, as JUPYTERHUB_DEFAULT_URL. A template like `rootDir`. Default: none, and the server decides.
   */
  readonly defaultUrl?: string;
  /**
   * The most memory that the server may use: bytes, or a number with K, M, G or T (powers of 1024). The server finds it in MEM_LIMIT; whether it is enforced depends on the spawner. Default: none.
   */
  readonly memLimit?: number | string;
  /**
   * The memory that the server is sure to get, like `memLimit`; in MEM_GUARANTEE. Default: none.
   */
  readonly memGuarantee?: number | string;
  /**
   * The most cores that the server may use; in CPU_LIMIT. Whether it is enforced depends on the spawner. Default: none.
   */
  readonly cpuLimit?: number;
  /**
   * The cores that the server is sure to get; in CPU_GUARANTEE. Default: none.
   */
  readonly cpuGuarantee?: number;
  /**
   * Whether the server logs what helps to find faults, by JUPYTERHUB_DEBUG.
   *
   * @default `false`
   */
  readonly debug: boolean;
  /**
   * Whether the server leaves the user's own configuration files aside, by JUPYTERHUB_DISABLE_USER_CONFIG.
   *
   * @default `false`
   */
  readonly disableUserConfig: boolean;
  /**
   * In ms: the longest that launching the server may take, from the moment at which its process or job runs to that at which its address is known. Time in a queue and the wait for its first answer have limits of their own.
   *
   * @default `60000`
   */
  readonly startTimeout: number;
  /**
   * In ms: the longest from the moment at which the address is known to the server's first answer.
   *
   * @default `30000`
   */
  readonly httpTimeout: number;
  /**
   * In ms: how often a running server is asked whether it still lives, so that `exited` is emitted soon after its end; 0 leaves the asking to the hub.
   *
   * @default `30000`
   */
  readonly pollInterval: number;
  /**
   * Functions that are called around a start and a stop, and awaited. Example: `{ preSpawn: ({ account }) => makeHome(account) }`.
   *
   * @default `{}`
   */
  readonly hooks: {
    /**
     * Called before each start; when it throws, nothing is started and the start fails. Default: none. Example: `async ({ account }) => makeHome(account)`.
     */
    readonly preSpawn?: (spawner: Spawner) => void | Promise<void>;
    /**
     * Called after a server has ended, by itself or by `stop()`; when it throws, or takes longer than `startTimeout`, a `warning` is emitted. It must not wait for a `Supervisor` that starts or stops the same server, which waits for the hook: that is for a listener of its event `removed`. Default: none. Example: `({ account }) => unmount(account)`.
     */
    readonly postStop?: (spawner: Spawner) => void | Promise<void>;
    /**
     * Makes the last progress event of a start, from the one that it is given. Default: none, and that one stays as it is. Example: `(spawner, event) => ({ ...event, message: 'Your notebooks are ready.' })`.
     */
    readonly progressReady?: (
      spawner: Spawner,
      event: ProgressEvent
    ) => ProgressEvent | Promise<ProgressEvent>;
  };
}

/**
 * What is asked of HTCondor for the job.
 */
export interface CondorRequest extends BatchRequest {
  /**
   * The name of the schedd (-name), as condor_status -schedd shows it. Default: the one of this host.
   */
  readonly host?: string;
  /**
   * Memory (request_memory): megabytes, or a number with K, M, G or T. Default: `memLimit`, where it is given.
   */
  readonly memory?: string;
  /**
   * The accounting group (accounting_group). Default: none, and the batch system decides.
   */
  readonly account?: string;
  /**
   * A line that the submit description has before its last one, as it is. Default: none.
   */
  readonly options?: string;
  /**
   * An expression that the machine has to fulfil (requirements), as it is. Default: none.
   */
  readonly requirements?: string;
}

/**
 * Options of CondorSpawner.
 */
export interface CondorOptions extends BatchOptions {
  /**
   * In ms: how long after its submission a job that the scheduler does not list yet counts as pending.
   *
   * @default `5000`
   */
  readonly gracePeriod: number;
  /**
   * What is asked of HTCondor for the job.
   *
   * @default `{}`
   */
  readonly request: CondorRequest;
  /**
   * The submit description that condor_submit reads, a mustache template with the names of `script` and with `scriptLine`: the script as one line, which `printf %b` turns back into it. Values are written as they are, without quotes; one with a line break or a macro is refused. Default: that of HTCondor's scheduler object.
   */
  readonly description?: string;
}

/**
 * What is asked of Flux for the job.
 */
export interface FluxRequest extends BatchRequest {
  /**
   * The bank that is charged (system.bank). Default: none, and the batch system decides.
   */
  readonly account?: string;
}

/**
 * Options of FluxSpawner.
 */
export interface FluxOptions extends BatchOptions {
  /**
   * What is asked of Flux for the job.
   *
   * @default `{}`
   */
  readonly request: FluxRequest;
}

/**
 * What is asked of the batch system for the job. Names that are not listed are texts of one line, which the templates may use.
 */
export interface GenericRequest extends BatchRequest {
  readonly [k: string]: string | number | readonly string[] | undefined;
}

/**
 * Options of GenericBatchSpawner: all that is to be known of a batch system.
 */
export interface GenericOptions extends BatchOptions {
  /**
   * The commands of the batch system, one word each, without a shell; each word is a mustache template, and one that comes out empty is left out. They take the place of the scheduler's own. GenericBatchSpawner has none and needs `submit`, `query` and `cancel`.
   *
   * @default `{}`
   */
  readonly commands: {
    /**
     * Reads the script from standard input, gives the job the name \{\{jobName\}\}, by which it is found again, prints the job id. Default: the scheduler's own.
     */
    readonly submit: readonly string[];
    /**
     * Lists all jobs, as the hub's own account. Where a word has \{\{jobId\}\}, each job is asked about by itself, as its account. Default: the scheduler's own.
     */
    readonly query: readonly string[];
    /**
     * Lists the jobs of all with their marks and owners, as the hub's own account, once for all who look for a job at the same time. One that names \{\{username\}\}, \{\{homedir\}\}, \{\{tag\}\}, \{\{jobName\}\} or \{\{jobId\}\} is run for each by itself, as that account, and survey() finds nothing. \{\{boundary\}\} is another text for each command: it keeps apart what people may write into their jobs. That of Slurm may leave it out, and prints id, comment and name then. Default: the scheduler's own; with GenericBatchSpawner `query`, where its list has marks and owners, else none.
     */
    readonly find?: readonly string[];
    /**
     * Ends the job \{\{jobId\}\}. Default: the scheduler's own.
     */
    readonly cancel: readonly string[];
    /**
     * Kills the processes of the job \{\{jobId\}\}. Default: the scheduler's own; with GenericBatchSpawner `cancel`.
     */
    readonly kill?: readonly string[];
    /**
     * Say how the job \{\{jobId\}\} ended, asked in turn; each stands for the scheduler's own command at its place, and must print what that does. An empty list asks none. Default: the scheduler's own; with GenericBatchSpawner none.
     */
    readonly accounting?: readonly (readonly string[])[];
  };
  /**
   * Regular expressions that read what the commands print, instead of the scheduler's own. `job` and `header` see one line at a time and have the flag u; all others have the flags m and u. GenericBatchSpawner has none of its own and needs `jobId`, and `job` or those of the states.
   *
   * @default `{}`
   */
  readonly patterns: {
    /**
     * One line of the output of a submission: the group `id` is the job id, `cluster` the cluster. Default: the scheduler's own.
     */
    readonly jobId: string;
    /**
     * On standard error: the command failed although its exit code may be 0. Default: the scheduler's own.
     */
    readonly outage?: string;
    /**
     * On standard error of a submission: the batch system was not there or not able, and has made no job; it is tried again. Default: the scheduler's own.
     */
    readonly transient?: string;
    /**
     * In the output of a command about one job that failed: the scheduler knows no such job, or it has ended. Default: the scheduler's own.
     */
    readonly notFound?: string;
    /**
     * One line of the output of `query` and `find` that is a job. The groups `id` and `state` are required; `host` (hosts, that of the script first, in any form that batch systems print, as `node01/0-3+node02/0`, `2*node01:node02`, `slot1@node01` or `node[01-03],gpu1`; other texts are for `execHost` to rewrite), `reason`, `code` (the exit code), `name`, `tag` and `owner` are read where they are there. Where it is all that reads `query`, `host` is required too; where marks are to be found by it, `name` or `tag`. A line that is not blank and that neither this nor `header` matches makes it unknown whether a job that is not listed is there. Default: none, and the scheduler's own code reads the list.
     */
    readonly job?: string;
    /**
     * A line of the list that is no job, such as titles and rules between them. Where it is given, an output without jobs is a list only with such a line (or where it is empty and this matches an empty line, as the example does for a qstat, which prints nothing where there is no job); where it is not, an empty output of `query` means that there are no jobs, so a command that may fail without an exit code or a word needs it. Default: none.
     */
    readonly header?: string;
    /**
     * In the output of a `query` about one job, that is one with \{\{jobId\}\}: it is held. Default: none.
     */
    readonly held?: string;
    /**
     * In the output of a `query` about one job: it is suspended. Default: none.
     */
    readonly suspended?: string;
    /**
     * In the output of a `query` about one job: it runs. Default: none.
     */
    readonly running?: string;
    /**
     * In the output of a `query` about one job: it waits in the queue. Default: none.
     */
    readonly pending?: string;
    /**
     * In the output of a `query` about one job: it has ended; the group `code` is its exit code. Default: none.
     */
    readonly ended?: string;
    /**
     * In the output of a `query` about one job: its execution host is the group `host`. Default: none.
     */
    readonly host?: string;
  };
  /**
   * What is asked of the batch system for the job. Names that are not listed are texts of one line, which the templates may use.
   *
   * @default `{}`
   */
  readonly request: GenericRequest;
}

/**
 * What is asked of Grid Engine for the job.
 */
export interface GridEngineRequest extends BatchRequest {
  /**
   * Memory a slot (-l h_vmem): bytes, or a number with K, M, G or T. It limits the address space, of which a server reserves more than it uses. Default: `memLimit`, where it is given, divided by the slots of `pe`.
   */
  readonly memory?: string;
  /**
   * The parallel environment that gives `nprocs` slots on one host (-pe). Required for `nprocs`, and for a `cpuLimit` above 1. Default: none, and one slot.
   */
  readonly pe?: string;
  /**
   * The project (-P). Default: none, and the batch system decides.
   */
  readonly project?: string;
  /**
   * Whether the server is asked to end, by SIGTERM, before the job is killed (-notify): the epilogue then runs as well. The queue's `notify` says how long that may take, and nothing can shorten it. Where it is false, qdel kills all of the job at once. Default: false.
   */
  readonly notify?: boolean;
}

/**
 * Options of GridEngineSpawner.
 */
export interface GridEngineOptions extends BatchOptions {
  /**
   * What is asked of Grid Engine for the job.
   *
   * @default `{}`
   */
  readonly request: GridEngineRequest;
}

/**
 * Options of LocalProcessSpawner.
 */
export interface LocalProcessOptions extends SpawnerOptions {
  /**
   * The file that takes what the server prints. The server's account makes it anew at each start, with mode 0600, in a directory where it may do so. A template: \{\{homedir\}\} and \{\{account\}\} are of the account; \{\{username\}\}, \{\{servername\}\} and \{\{name\}\}, which is both joined, are written in a form that is safe in a file name.
   *
   * @default `"{{homedir}}/.hubspawner-{{name}}.log"`
   */
  readonly logFile: string;
  /**
   * In ms: how long a server may take to end after SIGINT, before it gets SIGTERM.
   *
   * @default `10000`
   */
  readonly interruptTimeout: number;
  /**
   * In ms: how long a server may take to end after SIGTERM, before it gets SIGKILL.
   *
   * @default `5000`
   */
  readonly terminateTimeout: number;
  /**
   * In ms: how long the end of a server may take after SIGKILL, before `stop()` fails.
   *
   * @default `5000`
   */
  readonly killTimeout: number;
}

/**
 * What is asked of IBM Spectrum LSF 10.1 for the job.
 */
export interface LsfRequest extends BatchRequest {
  /**
   * Memory of the job, as its limit (-M) and its reservation (rusage[mem]): a whole number with K, M, G or T, with or without a B; a bare number has the unit that the site has set (LSF_UNIT_FOR_LIMITS). Default: `memLimit`, where it is given.
   */
  readonly memory?: string;
  /**
   * The project (-P). Default: none, and the batch system decides.
   */
  readonly project?: string;
}

/**
 * Options of LsfSpawner.
 */
export interface LsfOptions extends BatchOptions {
  /**
   * What is asked of IBM Spectrum LSF 10.1 for the job.
   *
   * @default `{}`
   */
  readonly request: LsfRequest;
}

/**
 * What is asked of Moab for the job.
 */
export interface MoabRequest extends BatchRequest {
  /**
   * Memory of the job (-l mem): a whole number of bytes, or with K, M, G or T. Default: `memLimit`, where it is given.
   */
  readonly memory?: string;
  /**
   * The quality of service (-l qos). Default: none, and the batch system decides.
   */
  readonly qos?: string;
  /**
   * The reservation (-l advres). Default: none.
   */
  readonly reservation?: string;
}

/**
 * Options of MoabSpawner.
 */
export interface MoabOptions extends BatchOptions {
  /**
   * What is asked of Moab for the job.
   *
   * @default `{}`
   */
  readonly request: MoabRequest;
}

/**
 * Options of MultiSlurmSpawner.
 */
export interface MultiSlurmOptions extends SlurmOptions {
  /**
   * The name of the host that runs the daemon of a node, by the name of the node; a node that it does not name is a host of its own name.
   *
   * @default `{}`
   */
  readonly daemonResolver: {
    readonly [k: string]: string;
  };
}

/**
 * Options of SlurmSpawner.
 */
export interface SlurmOptions extends BatchOptions {
  /**
   * What is asked of Slurm for the job.
   *
   * @default `{}`
   */
  readonly request: SlurmRequest;
}

/**
 * What is asked of OAR 2.5 for the job.
 */
export interface OarRequest extends BatchRequest {
  /**
   * The project (--project). Default: none, and the batch system decides.
   */
  readonly project?: string;
  /**
   * What the nodes have to have (-p). Default: none.
   */
  readonly properties?: string;
  /**
   * The resources (-l), without a walltime. Default: on one node, as many of `core` as `nprocs` says, or else one; or as many of `gpu` as `ngpus` says, with all that belongs to them.
   */
  readonly resources?: string;
  /**
   * A type of jobs (-t). Default: none.
   */
  readonly type?: string;
}

/**
 * Options of OarSpawner.
 */
export interface OarOptions extends BatchOptions {
  /**
   * What is asked of OAR 2.5 for the job.
   *
   * @default `{}`
   */
  readonly request: OarRequest;
}

/**
 * What is asked of PBS Professional 18.1 or later, or OpenPBS, for the job.
 */
export interface PbsRequest extends BatchRequest {
  /**
   * Memory of the job's chunk (mem): a whole number of bytes, or with kb, mb, gb or tb. Default: `memLimit`, where it is given.
   */
  readonly memory?: string;
  /**
   * The project (-P). Default: none, and the batch system decides.
   */
  readonly project?: string;
}

/**
 * Options of PbsSpawner.
 */
export interface PbsOptions extends BatchOptions {
  /**
   * What is asked of PBS Professional 18.1 or later, or OpenPBS, for the job.
   *
   * @default `{}`
   */
  readonly request: PbsRequest;
}

/**
 * What is asked of Slurm for the job.
 */
export interface SlurmRequest extends BatchRequest {
  /**
   * Memory a node (--mem): a whole number of megabytes, or with K, M, G or T. Default: `memLimit`, where it is given.
   */
  readonly memory?: string;
  /**
   * The cluster, where slurmdbd knows several (--clusters). Default: none, and the batch system decides.
   */
  readonly cluster?: string;
  /**
   * Whether all clusters of a federation may run the job: they are all asked about it (--sibling, --federation). Without it, or with `cluster`, one cluster alone is asked (--local). Default: false.
   */
  readonly federation?: boolean;
  /**
   * The quality of service (--qos). Default: none, and the batch system decides.
   */
  readonly qos?: string;
  /**
   * The words of a launcher that is put before the server's command, divided by blanks; each is quoted for the shell. It finds `nprocs` in SRUN_CPUS_PER_TASK, without which srun would give the server one core. Default: none.
   */
  readonly srun?: string;
  /**
   * The reservation (--reservation). Default: none.
   */
  readonly reservation?: string;
  /**
   * Generic resources (--gres). Default: none.
   */
  readonly gres?: string;
}

/**
 * How a supervisor starts, watches and ends servers.
 */
export interface SupervisorPolicies {
  /**
   * How many starts are under way at once; others wait for their turn, people with fewer starts under way first. A start whose job waits in the queue of a batch system does not count.
   *
   * @default `100`
   */
  readonly startLimit: number;
  /**
   * The most servers of one person: ready, on their way, or not stopped yet. Default: none.
   */
  readonly userLimit?: number;
  /**
   * The most servers of all together: ready, on their way, or not stopped yet. Default: none.
   */
  readonly serverLimit?: number;
  /**
   * How often a start is begun anew by itself after it has failed for a reason that may pass.
   *
   * @default `2`
   */
  readonly retries: number;
  /**
   * How long the first pause before that takes, in ms; each one after it takes twice as long, and each up to half of that less, by chance.
   *
   * @default `5000`
   */
  readonly retryDelay: number;
  /**
   * After how many starts of a server that failed one after the other it can't be started for the time of failurePause.
   *
   * @default `3`
   */
  readonly failureLimit: number;
  /**
   * After the starts of how many people by one kind of spawner that failed one after the other nothing is started by it for the time of failurePause.
   *
   * @default `20`
   */
  readonly spawnerFailureLimit: number;
  /**
   * How long nothing is started after repeated failures, in ms. Then one more failure is enough for another pause.
   *
   * @default `60000`
   */
  readonly failurePause: number;
  /**
   * How often is asked which servers live, in ms, give or take a tenth.
   *
   * @default `30000`
   */
  readonly pollInterval: number;
  /**
   * How often a server is asked whether it answers HTTP, in ms; 0 is never. One that does not twice in a row is unhealthy.
   *
   * @default `60000`
   */
  readonly healthInterval: number;
  /**
   * After how long without touch() a server is stopped, in ms, counted from when it was ready, or known to be after a restart of the hub; 0 is never.
   *
   * @default `0`
   */
  readonly idleTimeout: number;
  /**
   * How long after the request for it a server is stopped, in ms; 0 is never.
   *
   * @default `0`
   */
  readonly maxAge: number;
  /**
   * What is done with jobs and units that carry the mark of this hub and belong to no server that it knows: whether they are ended, or only told of.
   *
   * @default `"cancel"`
   */
  readonly strays: 'cancel' | 'report';
}

/**
 * Options of SystemdSpawner. Templates know \{\{username\}\}, the name in the hub; \{\{userid\}\}, its id there, if the hub gives one; \{\{servername\}\}; and \{\{account\}\}, that of the operating system.
 */
export interface SystemdOptions extends SpawnerOptions {
  /**
   * Whose systemd runs the servers. `system`: that of the machine, which the hub may ask if it is root or by a rule of sudo or polkit. `user`: that of the server's own account, for which lingering has to be on (loginctl enable-linger).
   *
   * @default `"system"`
   */
  readonly scope: 'system' | 'user';
  /**
   * The account that the server runs as, a template. Without effect with `dynamicUsers`.
   *
   * @default `"{{account}}"`
   */
  readonly usernameTemplate: string;
  /**
   * The name of the unit, without .service, a template. Names are escaped in it as systemd does it, and two servers never get the same one: it needs \{\{username\}\} or \{\{userid\}\}, since people may share an account, and a - between one value and the next. Where it lacks \{\{servername\}\}, that is put at its end for servers that have a name.
   *
   * @default `"jupyter-{{username}}-singleuser"`
   */
  readonly unitNameTemplate: string;
  /**
   * The directory in which the server starts, a template of an absolute path. Without effect with `dynamicUsers`, where it starts in the directory that is kept. Default: the home directory of its account.
   */
  readonly userWorkingDir?: string;
  /**
   * The server's SHELL, which its terminals run. Default: the shell of its account, or /bin/bash.
   */
  readonly defaultShell?: string;
  /**
   * Directories, templates, that are put before the server's PATH.
   *
   * @default `[]`
   */
  readonly extraPaths: readonly string[];
  /**
   * Whether systemd makes an account for the server, which is there only while it runs; its files are kept in /var/lib/<unit> from one start to the next, so that `unitNameTemplate` has to begin with a word of its own. systemd 235.
   *
   * @default `false`
   */
  readonly dynamicUsers: boolean;
  /**
   * The slice to which the server belongs, a template: what it limits holds for all of its servers together. Where the template does not end in .slice, that is added. Default: none, and systemd decides.
   */
  readonly slice?: string;
  /**
   * Properties that are set for `slice`, which has to be given, before the server starts. They stay when it has ended, and when they are left out here, until the machine is booted anew or somebody calls systemctl revert for the slice.
   *
   * @default `{}`
   */
  readonly sliceProperties: {
    readonly [k: string]: string | readonly string[];
  };
  /**
   * Properties of the unit, by their names in systemd.exec(5), systemd.resource-control(5) and systemd.service(5): a text, or several, which are set in their order; an empty one takes back what was set before. Templates. They come after all others. They are no place for secrets.
   *
   * @default `{}`
   */
  readonly unitExtraProperties: {
    readonly [k: string]: string | readonly string[];
  };
  /**
   * Where the server is slowed down and made to give memory back, before `memLimit` ends it; like `memLimit`. cgroup v2. Default: none.
   */
  readonly memHigh?: number | string;
  /**
   * The most swap that the server may use; 0 is none. cgroup v2. Default: none.
   */
  readonly swapMax?: 0 | (number | string);
  /**
   * The share of the server where cores are scarce, against 100 for all others. Default: none.
   */
  readonly cpuWeight?: number;
  /**
   * The most processes and threads of the server. Default: none.
   */
  readonly tasksMax?: number;
  /**
   * In ms: how long the server may run before systemd ends it. Only with `restart` `no` or `on-abort`: the others would start it anew. systemd 229. Default: none.
   */
  readonly maxRuntime?: number;
  /**
   * When systemd starts a server anew that has ended by itself, on the same port (Restart).
   *
   * @default `"no"`
   */
  readonly restart: 'no' | 'on-failure' | 'on-abnormal' | 'on-abort' | 'always';
  /**
   * Whether the server has a /tmp and /var/tmp of its own (PrivateTmp). Default: false, or true with `hardened`.
   */
  readonly isolateTmp?: boolean;
  /**
   * Whether the server sees no devices but those that every program needs (PrivateDevices). Default: false, or true with `hardened`.
   */
  readonly isolateDevices?: boolean;
  /**
   * Whether nothing that the server starts can become another user, by sudo, su or any other means (NoNewPrivileges).
   *
   * @default `true`
   */
  readonly disableUserSudo: boolean;
  /**
   * Directories, templates, in which the server can write nothing, below those of `readwritePaths` aside (ReadOnlyPaths).
   *
   * @default `[]`
   */
  readonly readonlyPaths: readonly string[];
  /**
   * Directories, templates, in which the server can write although they are below one of `readonlyPaths` (ReadWritePaths), as far as its account may.
   *
   * @default `[]`
   */
  readonly readwritePaths: readonly string[];
  /**
   * Which directories of the system are read-only: `true` /usr and /boot, `full` /etc too, `strict` everything but /home, /root and /run/user (ProtectSystem). Default: false, or `full` with `hardened`. systemd 214, `strict` 232.
   */
  readonly protectSystem?: false | true | 'full' | 'strict';
  /**
   * How /home, /root and /run/user look: `true` empty and closed, `read-only`, or `tmpfs`, empty but for what is bound into it (ProtectHome). Where `scope` is `user`, `read-only` alone. Default: false. systemd 214, `tmpfs` 238.
   */
  readonly protectHome?: false | true | 'read-only' | 'tmpfs';
  /**
   * Whether the server has a network of its own with nothing but a loopback in it (PrivateNetwork). The hub reaches it all the same, through a socket of systemd's; the server reaches nobody, the hub included. Where `scope` is `system`.
   *
   * @default `false`
   */
  readonly privateNetwork: boolean;
  /**
   * Turns on all that a Jupyter server can live with; the reference of SystemdSpawner lists each line. Options that are given win.
   *
   * @default `false`
   */
  readonly hardened: boolean;
  /**
   * What becomes of a unit of the same name that is there before a start and that this spawner does not know: `replace` stops it, `adopt` takes a running one over, as the server, and replaces any other. A server that another hubspawner hub has started, or this one for another person or under another name, is left alone, and the start fails.
   *
   * @default `"replace"`
   */
  readonly existingUnit: 'replace' | 'adopt';
  /**
   * In ms: how long the server may take to end after SIGTERM, before all of its processes get SIGKILL.
   *
   * @default `10000`
   */
  readonly stopTimeout: number;
  /**
   * The account that runs the commands of systemd where `scope` is `system`; null is the hub's own, where a rule of polkit allows it.
   *
   * @default `"root"`
   */
  readonly commandAccount: string | null;
  /**
   * A directory of the hub's own, in which each server has one while it runs, for the file with its environment, which nobody else can read. It has to be on a file system in memory, and to belong to the account that runs the commands: root, or where `scope` is `user` that of the server; it is made, with mode 711, where it is missing. Default: /run/hubspawner, or hubspawner in the account's own /run/user directory where `scope` is `user`.
   */
  readonly runtimeDir?: string;
  /**
   * In ms: the time limit of each command, beside what a start or stop may take.
   *
   * @default `30000`
   */
  readonly commandTimeout: number;
  /**
   * In ms: the least time between two questions for all units. One question serves all spawners of the same runner and scope.
   *
   * @default `1000`
   */
  readonly queryInterval: number;
}

/**
 * What is asked of Torque for the job.
 */
export interface TorqueRequest extends BatchRequest {
  /**
   * Memory of the job (-l mem): a whole number of bytes, or with K, M, G or T. Default: `memLimit`, where it is given.
   */
  readonly memory?: string;
  /**
   * The host of the batch server (qsub -q @host, qstat @host). Default: that of the clients' configuration.
   */
  readonly host?: string;
}

/**
 * Options of TorqueSpawner.
 */
export interface TorqueOptions extends BatchOptions {
  /**
   * What is asked of Torque for the job.
   *
   * @default `{}`
   */
  readonly request: TorqueRequest;
}
