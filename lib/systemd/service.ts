import { urlHost } from '../environment.ts';
import { OptionsError, StartError } from '../errors.ts';
import { withoutSecret } from '../runners/log-tail.ts';
import type { CommandResult } from '../runners/runner.ts';
import type { CgroupFacts } from './cgroup.ts';
import { readCgroup } from './cgroup.ts';
import type { ServiceEnd } from './exit.ts';
import type { Manager, UnitStatus } from './manager.ts';
import { failed } from './manager.ts';
import type { Property } from './properties.ts';
import type { RuntimeDirectory, ServiceCommand } from './runtime-directory.ts';

/** All that a unit is started with. */
export interface ServicePlan {
  /** Tells this start from all others, and names the port. */
  readonly description: string;
  readonly properties: readonly Property[];
  readonly command: ServiceCommand;
  /** `NAME=value`, set for the slice before. */
  readonly slice: { readonly name: string; readonly properties: readonly string[] } | undefined;
  /** Where the hub reaches a server that has a network of its own. */
  readonly proxyFor: { readonly host: string; readonly port: number } | undefined;
  /** Of the server's account; undefined where systemd makes one up. */
  readonly uid: number | undefined;
  /** In ms: how long systemd may take to start it. */
  readonly timeout: number;
  /** What no error may show. */
  readonly secret: string | undefined;
}

/** The unit of one server. */
export class Service {
  readonly unit: string;
  readonly directory: RuntimeDirectory;
  readonly #manager: Manager;

  constructor(manager: Manager, unit: string, directory: RuntimeDirectory) {
    this.#manager = manager;
    this.unit = unit;
    this.directory = directory;
  }

  /** @throws CommandError, ParseError where there is no usable answer */
  status(): Promise<UnitStatus> {
    return this.#manager.show(this.unit);
  }

  /**
   * Starts it, and comes back when the server's process has taken its place.
   *
   * @throws StartError with what systemd says, and the end of the journal; OptionsError for a
   *   property that it does not know
   */
  async start(plan: ServicePlan): Promise<void> {
    const began = new Date();
    const { slice } = plan;
    if (slice !== undefined && slice.properties.length > 0) {
      await this.#setSlice(slice.name, slice.properties);
    }
    await this.directory.write(plan.command);
    const argv = [
      ...this.#manager.command('systemd-run'),
      `--unit=${this.unit}`,
      `--description=${plan.description}`,
      ...['--collect', '--no-ask-password', '--service-type=exec'],
      ...plan.properties.map(({ name, value }) => `--property=${name}=${value}`),
      '--',
      ...this.directory.commands.run,
    ];
    const result = await this.#manager.run(argv, { timeout: plan.timeout });
    if (result.exitCode !== 0 || result.timedOut) {
      if (await this.#hasRun(result)) {
        return;
      }
      throw await this.#refusal(result, plan, began);
    }
    if (plan.proxyFor !== undefined) {
      await this.#startProxy(plan.proxyFor);
    }
  }

  /** Whether the start failed since the server ended at once, before systemd had noticed it. */
  async #hasRun({ stderr, timedOut }: CommandResult): Promise<boolean> {
    // The stop waits for what is run after the server.
    if (timedOut || !/^Job for /m.test(stderr) || (await this.stop()) !== undefined) {
      return false;
    }
    const { code, status } = (await this.directory.end()) ?? {};
    // By 200 and more systemd says what it could not do before: systemd.exec(5).
    return code !== undefined && !(code === 'exited' && Number(status) >= 200);
  }

  /** What systemd says of a unit that it does not start. */
  async #refusal(
    result: CommandResult,
    plan: ServicePlan,
    began: Date,
  ): Promise<OptionsError | StartError> {
    const { stderr } = result;
    const [, name] =
      /(?:Unknown assignment: |Cannot set property |Failed to parse |Invalid )([A-Z][A-Za-z]+)/.exec(
        stderr,
      ) ?? [];
    const culprit = plan.properties.findLast(
      (property) => property.name === name || stderr.includes(`'${property.value}'`),
    );
    if (culprit !== undefined) {
      return new OptionsError(
        culprit.option,
        `a property that this systemd takes`,
        `The option ${culprit.option} asks for the property ${culprit.name}=${culprit.value}, which systemd refuses: ${stderr.trim()}`,
      );
    }
    if (/was already loaded|already exists/.test(stderr)) {
      return new StartError(
        `The unit ${this.unit} is there already, started by somebody else: ${stderr.trim()}`,
        { retryable: true },
      );
    }
    const lines = await this.#journalOfFailure(result, plan, began);
    const journal = withoutSecret(lines, plan.secret);
    const error = failed('systemd-run', result, `systemd did not start ${this.unit}`);
    const said = journal
      .split('\n')
      .filter((line) => line.startsWith(`${this.unit}: `))
      .map((line) => line.slice(this.unit.length + 2));
    const reasons = said.filter(
      (line) => !/ process exited, |^Failed with result |\/run\/systemd\/transient\//.test(line),
    );
    // It has the name of the step that failed, as in `status=200/CHDIR`.
    const why =
      reasons.length > 0
        ? reasons
        : said.filter((line) => line.startsWith('Main process exited, '));
    return new StartError([error.message, ...new Set(why)].join('; '), {
      retryable: result.timedOut,
      cause: error,
      ...(journal !== '' && { log: journal }),
    });
  }

  async #journalOfFailure(
    { stderr }: CommandResult,
    { uid }: ServicePlan,
    since: Date,
  ): Promise<string> {
    // Where systemd refused to begin, there is no end.
    const options = { lines: 20, since, hasEnded: /^Job for /m.test(stderr) };
    return (await this.#manager.journalOfFailure(this.unit, options, uid)) ?? '';
  }

  /** A socket of the machine's own, and behind it a service in the network of the server. */
  async #startProxy({ host, port }: NonNullable<ServicePlan['proxyFor']>): Promise<void> {
    const listen = `${urlHost(host)}:${port}`;
    // No server has that name: the `-` of a server's name is escaped.
    const name = this.unit.replace(/\.service$/, '--proxy');
    // In lists of units a backslash takes the next character as it is.
    const server = this.unit.replaceAll('\\', '\\\\');
    const argv = [
      ...this.#manager.command('systemd-run'),
      `--unit=${name}`,
      ...['--collect', '--no-ask-password'],
      ...[`ListenStream=${listen}`, `BindsTo=${server}`, `After=${server}`].map(
        (property) => `--socket-property=${property}`,
      ),
      ...[
        'PrivateNetwork=yes',
        `JoinsNamespaceOf=${server}`,
        `BindsTo=${server}`,
        `After=${server}`,
        'DynamicUser=yes',
      ].map((property) => `--property=${property}`),
      // It divides at the last colon, and takes no brackets.
      ...['--', '/usr/lib/systemd/systemd-socket-proxyd', `${host}:${port}`],
    ];
    const result = await this.#manager.run(argv);
    if (result.exitCode !== 0 || result.timedOut) {
      const error = failed('systemd-run', result, `The socket of ${this.unit} could not be made`);
      throw new StartError(error.message, { cause: error });
    }
  }

  async #setSlice(slice: string, properties: readonly string[]): Promise<void> {
    const argv = [...this.#manager.command('systemctl'), 'set-property', '--runtime', slice];
    const result = await this.#manager.run([...argv, ...properties]);
    if (result.exitCode !== 0 || result.timedOut) {
      throw new OptionsError(
        'sliceProperties',
        'properties that systemd takes for a slice',
        failed('systemctl', result, `systemd refuses the sliceProperties for ${slice}`).message,
      );
    }
  }

  /** Ends it, with time to end by itself. Returns why that failed, if it did. */
  async stop(timeout?: number): Promise<string | undefined> {
    const argv = [...this.#manager.command('systemctl'), 'stop', '--', this.unit];
    const result = await this.#manager.run(argv, timeout === undefined ? {} : { timeout });
    // A unit that is not loaded has ended.
    return (result.exitCode === 0 && !result.timedOut) || / not loaded/.test(result.stderr)
      ? undefined
      : failed('systemctl', result, `systemctl did not stop ${this.unit}`).message;
  }

  /** Kills all of its processes. */
  async kill(): Promise<void> {
    const argv = [
      ...this.#manager.command('systemctl'),
      'kill',
      '--signal=SIGKILL',
      '--',
      this.unit,
    ];
    await this.#manager.run(argv);
  }

  /** Makes a unit that has failed loadable again. */
  async reset(): Promise<void> {
    await this.#manager.run([
      ...this.#manager.command('systemctl'),
      'reset-failed',
      '--',
      this.unit,
    ]);
  }

  /**
   * How it ended, as far as anybody knows: it was started with that description, at that time.
   *
   * @param isReplaced whether its directory is another unit's by now
   */
  async end(
    description: string,
    since: Date,
    isReplaced: boolean,
  ): Promise<ServiceEnd | undefined> {
    return (
      (isReplaced ? undefined : await this.directory.end()) ??
      this.#manager.endInJournal(this.unit, description, since)
    );
  }

  /** What the kernel says of its processes. */
  async cgroup(): Promise<CgroupFacts | undefined> {
    const { controlGroup } = await this.status();
    return controlGroup === ''
      ? undefined
      : readCgroup((argv) => this.#manager.run(argv), controlGroup);
  }

  /** The end of its journal. */
  journal(options: Parameters<Manager['journal']>[1]): Promise<string | undefined> {
    return this.#manager.journal(this.unit, options);
  }
}
