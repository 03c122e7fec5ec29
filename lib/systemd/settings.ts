import { reachableHost } from '../address.ts';
import { OptionsError } from '../errors.ts';
import type { SystemdOptions } from '../generated/options.ts';
import type { PasswdEntry } from '../runners/passwd.ts';
import type { Property } from './properties.ts';
import { filled, propertiesOf, sliceName, slicePropertiesOf } from './properties.ts';
import type { Service, ServicePlan } from './service.ts';
import type { UnitFacts } from './unit-name.ts';
import { directoryName, dynamicAccount, unitName } from './unit-name.ts';

/** What a start knows beside the options. */
export interface Launch {
  /** Tells it from all others, and names the port. */
  readonly description: string;
  /** Of the server's account; undefined where systemd makes one up. */
  readonly entry: PasswdEntry | undefined;
  /** Of systemd, as in 252. */
  readonly release: number;
  readonly port: number;
  /** Of the server, from the hub and the options. */
  readonly environment: Readonly<Record<string, string>>;
  /** What no error may show. */
  readonly secret: string | undefined;
}

/** As systemd has it for services. */
export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Properties by which a unit sees other files and devices than its machine has. */
const namespaced = /^(?:Private|Protect|ReadOnly|ReadWrite|Inaccessible|Bind|TemporaryFileSystem)/;

/** The options of one server, with their templates filled in, and what they make of its unit. */
export class UnitSettings {
  /** The name of the unit, with `.service`. */
  readonly unit: string;
  /** The account that the server runs as, unless systemd makes one up. */
  readonly account: string;
  /** Those that the options ask for. */
  readonly properties: readonly Property[];
  readonly #options: SystemdOptions;
  readonly #slice: ServicePlan['slice'];
  readonly #directory: string | undefined;
  readonly #paths: readonly string[];

  /** @throws OptionsError if a template can't be filled in, or options do not go together */
  constructor(options: SystemdOptions, facts: UnitFacts) {
    const { slice, userWorkingDir, extraPaths } = options;
    this.#options = options;
    this.unit = unitName(options.unitNameTemplate, facts);
    this.properties = propertiesOf(options, facts);
    const properties = slicePropertiesOf(options, facts);
    this.#slice = slice === undefined ? undefined : { name: sliceName(slice, facts), properties };
    this.account = filled(options.usernameTemplate, 'usernameTemplate', facts);
    this.#directory = userWorkingDir && filled(userWorkingDir, 'userWorkingDir', facts);
    this.#paths = extraPaths.map((path, index) => filled(path, `extraPaths[${index}]`, facts));
    this.#check();
  }

  #check(): void {
    const { slice, sliceProperties, dynamicUsers, unitNameTemplate, scope } = this.#options;
    const { restart, maxRuntime } = this.#options;
    if (slice === undefined && Object.keys(sliceProperties).length > 0) {
      throw new OptionsError(
        'sliceProperties',
        'left out where there is no slice',
        'The option sliceProperties does nothing without the option slice, which names the slice that gets them.',
      );
    }
    if (this.#directory?.startsWith('/') === false) {
      throw new OptionsError('userWorkingDir', 'a template of an absolute path');
    }
    // systemd.service(5) has a service that ran too long started anew by all of these.
    if (maxRuntime !== undefined && ['on-failure', 'on-abnormal', 'always'].includes(restart)) {
      throw new OptionsError(
        'restart',
        "'no' or 'on-abort' where there is a maxRuntime",
        `With the option restart '${restart}' systemd starts a server anew that it has ended after its maxRuntime: leave out one of the two, or take 'on-abort'.`,
      );
    }
    if (scope === 'user') {
      this.#checkUserScope();
    }
    if (dynamicUsers && unitNameTemplate.startsWith('{{')) {
      throw new OptionsError(
        'unitNameTemplate',
        'a template that begins with a word of its own where there are dynamicUsers',
        'With the option dynamicUsers the unit names a directory in /var/lib: the option unitNameTemplate has to begin with a word of its own, as in jupyter-{{username}}, or a person could have the name of a service of this machine.',
      );
    }
  }

  /** @throws OptionsError for what the systemd of an account can't do */
  #checkUserScope(): void {
    const { dynamicUsers, privateNetwork, protectHome, runtimeDir } = this.#options;
    const refused = [
      ...(dynamicUsers ? ['dynamicUsers'] : []),
      ...(privateNetwork ? ['privateNetwork'] : []),
      // It hides what the unit runs.
      ...((protectHome === true || protectHome === 'tmpfs') && runtimeDir === undefined
        ? ['protectHome']
        : []),
    ];
    for (const option of refused) {
      const others = option === 'protectHome' ? " or 'read-only'" : '';
      throw new OptionsError(option, `false${others} where scope is 'user'`);
    }
  }

  /** What the options ask for by a property of the unit; the last one counts. */
  given(property: string): string | undefined {
    return this.properties.findLast(({ name }) => name === property)?.value;
  }

  /** All that the unit is started with. */
  plan(service: Service, launch: Launch): ServicePlan {
    const { cmd, args, ip, startTimeout, privateNetwork } = this.#options;
    const { description, entry, port, secret } = launch;
    return {
      description,
      properties: [...this.#ownProperties(service, launch), ...this.properties],
      command: {
        argv: [...cmd, ...args].map((word) => word.replaceAll('{port}', String(port))),
        environment: this.#environment(launch),
        once: (this.given('Restart') ?? 'no') === 'no',
      },
      slice: this.#slice,
      proxyFor: privateNetwork ? { host: reachableHost(ip), port } : undefined,
      uid: entry?.uid,
      timeout: startTimeout,
      secret,
    };
  }

  /** What every unit gets, whatever the options say. */
  #ownProperties({ unit, directory }: Service, { entry, release }: Launch): readonly Property[] {
    const { scope, stopTimeout } = this.#options;
    const own: readonly (readonly [string, string])[] = [
      ['EnvironmentFile', directory.environmentFile],
      ['ExecStopPost', directory.commands.end.join(' ')],
      // As root, whatever the account and the isolation of the service.
      ...(scope === 'system' ? ([['PermissionsStartOnly', 'yes']] as const) : []),
      ['KillMode', 'mixed'],
      // Else the processes of a server get their shares one by one, and who starts more gets more.
      ['CPUWeight', '100'],
      // Else the whole server ends when the kernel kills one notebook of it for want of memory.
      ...(release >= 243 ? ([['OOMPolicy', 'continue']] as const) : []),
      ['TimeoutStopSec', `${stopTimeout}ms`],
      [
        'WorkingDirectory',
        entry === undefined ? this.#keptDirectory : (this.#directory ?? entry.home),
      ],
      // The systemd of an account does not tell the journal of which unit it is what a server says.
      ...(scope === 'user' ? ([['SyslogIdentifier', unit]] as const) : []),
      ...(this.#isIsolatedUser
        ? ([
            // The systemd of an account ignores, without a word, what it has no right to do outside.
            ['PrivateUsers', 'yes'],
            ['ReadWritePaths', directory.path],
          ] as const)
        : []),
      ...(entry === undefined
        ? ([
            ['DynamicUser', 'yes'],
            ['User', dynamicAccount(unit)],
            ['StateDirectory', directoryName(unit)],
          ] as const)
        : scope === 'system'
          ? ([['User', entry.name]] as const)
          : []),
    ];
    return own.map(([name, value]) => ({ name, value, option: 'SystemdSpawner', since: 0 }));
  }

  /** Whether the systemd of an account is asked for what takes a namespace. */
  get #isIsolatedUser(): boolean {
    return (
      this.#options.scope === 'user' &&
      this.properties.some(({ name, value }) => namespaced.test(name) && value !== 'no')
    );
  }

  /** The home directory of an account that systemd makes up. */
  get #keptDirectory(): string {
    return `/var/lib/${directoryName(this.unit)}`;
  }

  #environment({ entry, environment: all }: Launch): Record<string, string> {
    const { environment, defaultShell } = this.#options;
    const account = {
      ...(entry && { USER: entry.name, LOGNAME: entry.name }),
      HOME: entry?.home ?? this.#keptDirectory,
      SHELL: defaultShell ?? entry?.shell ?? '/bin/bash',
    };
    return {
      ...account,
      ...all,
      ...Object.fromEntries(Object.entries(account).filter(([name]) => !(name in environment))),
      PATH: [...this.#paths, all['PATH'] ?? defaultPath].join(':'),
    };
  }
}
