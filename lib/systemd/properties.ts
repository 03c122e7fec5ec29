import { OptionsError } from '../errors.ts';
import type { SystemdOptions } from '../generated/options.ts';
import { renderArguments } from '../template.ts';
import { bytes } from '../units.ts';
import type { UnitFacts } from './unit-name.ts';
import { escapedFacts, templateFor } from './unit-name.ts';

/** A property of a unit, as systemd-run takes it. */
export interface Property {
  readonly name: string;
  readonly value: string;
  /** The option that asks for it. */
  readonly option: string;
  /** The first release of systemd that has it. */
  readonly since: number;
}

/**
 * What `hardened` turns on, and why a Jupyter server can live with it. Not in it are
 * MemoryDenyWriteExecute (numba, PyTorch and V8 write code and run it), RestrictNamespaces (Chromium
 * and bubblewrap need namespaces), SystemCallFilter (a kernel may run any program), ProtectHome (the
 * notebooks are there), PrivateNetwork and IPAddressDeny (people download data).
 */
const hardened: readonly (readonly [name: string, value: string, since: number])[] = [
  // Nothing becomes another user; sudo and su fail.
  ['NoNewPrivileges', 'yes', 187],
  // No capability that root might have had is left to anything in the unit.
  ['CapabilityBoundingSet', '', 21],
  ['AmbientCapabilities', '', 229],
  // /tmp and /var/tmp of its own: no leaks between people, no guessed file names.
  ['PrivateTmp', 'yes', 183],
  // No disks and no other hardware; GPUs go too: give them back by DeviceAllow.
  ['PrivateDevices', 'yes', 209],
  // The system is read-only; the home directory and data directories are not part of it.
  ['ProtectSystem', 'full', 214],
  // Nothing of the kernel is changed: settings, modules, log, clock, cgroups, host name.
  ['ProtectKernelTunables', 'yes', 232],
  ['ProtectKernelModules', 'yes', 232],
  ['ProtectKernelLogs', 'yes', 244],
  ['ProtectControlGroups', 'yes', 232],
  ['ProtectClock', 'yes', 245],
  ['ProtectHostname', 'yes', 242],
  // No setuid programs are made, no real-time scheduling freezes the machine.
  ['RestrictSUIDSGID', 'yes', 242],
  ['RestrictRealtime', 'yes', 231],
  // The execution domain stays that of the kernel, so that old emulations are no way in.
  ['LockPersonality', 'yes', 235],
  // Sockets of the machine and of the network: no raw packets.
  ['RestrictAddressFamilies', 'AF_UNIX AF_INET AF_INET6 AF_NETLINK', 211],
  // Shared memory and message queues go with the last unit that runs as the account.
  ['RemoveIPC', 'yes', 212],
];

/**
 * The properties that the options ask for, in the order in which they are set: the preset, the
 * options, the extra properties.
 *
 * @throws OptionsError for a template that can't be filled in
 */
export function propertiesOf(options: SystemdOptions, facts: UnitFacts): readonly Property[] {
  const list: Property[] = [];
  const add = (option: string, name: string, value: string | undefined, since: number) => {
    if (value !== undefined) {
      list.push({ name, value, option, since });
    }
  };
  if (options.hardened) {
    for (const [name, value, since] of hardened) {
      add('hardened', name, value, since);
    }
  }
  const memory = (size: number | string | undefined) =>
    size === undefined ? undefined : String(bytes(size));
  const { cpuLimit, cpuWeight, tasksMax, maxRuntime, swapMax, slice } = options;
  // systemd takes whole percents; 0.125 is 12 %.
  const quota =
    cpuLimit === undefined
      ? undefined
      : Math.max(1, Math.floor(Number((cpuLimit * 100).toFixed(6))));
  add('memLimit', 'MemoryMax', memory(options.memLimit), 231);
  add('memHigh', 'MemoryHigh', memory(options.memHigh), 231);
  add('memGuarantee', 'MemoryLow', memory(options.memGuarantee), 231);
  add('swapMax', 'MemorySwapMax', memory(swapMax), 232);
  add('cpuLimit', 'CPUQuota', quota === undefined ? undefined : `${quota}%`, 213);
  add('cpuWeight', 'CPUWeight', cpuWeight?.toString(), 232);
  add('tasksMax', 'TasksMax', tasksMax?.toString(), 227);
  add('maxRuntime', 'RuntimeMaxSec', maxRuntime === undefined ? undefined : `${maxRuntime}ms`, 229);
  add('restart', 'Restart', options.restart === 'no' ? undefined : options.restart, 1);
  add('isolateTmp', 'PrivateTmp', yes(options.isolateTmp), 183);
  add('isolateDevices', 'PrivateDevices', yes(options.isolateDevices), 209);
  add('disableUserSudo', 'NoNewPrivileges', yes(options.disableUserSudo), 187);
  add(
    'protectSystem',
    'ProtectSystem',
    yes(options.protectSystem),
    options.protectSystem === 'strict' ? 232 : 214,
  );
  add(
    'protectHome',
    'ProtectHome',
    yes(options.protectHome),
    options.protectHome === 'tmpfs' ? 238 : 214,
  );
  add('privateNetwork', 'PrivateNetwork', options.privateNetwork ? 'yes' : undefined, 33);
  if (slice !== undefined) {
    add('slice', 'Slice', sliceName(slice, facts), 205);
  }
  for (const [option, name] of [
    ['readonlyPaths', 'ReadOnlyPaths'],
    ['readwritePaths', 'ReadWritePaths'],
  ] as const) {
    for (const [index, path] of options[option].entries()) {
      add(option, name, quotedPath(plainlyFilled(path, `${option}[${index}]`, facts)), 231);
    }
  }
  for (const [name, value] of Object.entries(options.unitExtraProperties)) {
    for (const one of typeof value === 'string' ? [value] : value) {
      const option = `unitExtraProperties.${name}`;
      add(option, name, propertyValue(one, option, facts), 0);
    }
  }
  return list;
}

/** The properties that are set for the slice. */
export function slicePropertiesOf(
  { sliceProperties }: SystemdOptions,
  facts: UnitFacts,
): readonly string[] {
  return Object.entries(sliceProperties).flatMap(([name, value]) =>
    (typeof value === 'string' ? [value] : value).map(
      (one) => `${name}=${propertyValue(one, `sliceProperties.${name}`, facts)}`,
    ),
  );
}

/** An empty value is systemd's way to take back what was set before. */
function propertyValue(template: string, option: string, facts: UnitFacts): string {
  return template === '' ? '' : plainlyFilled(template, option, facts);
}

/** Of systemd.unit(5); any other part behind a dot belongs to the name. */
const unitSuffix =
  /\.(?:service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$/;

/**
 * The slice of a server, with `.slice`, as `systemd-run --slice` completes it. The values are escaped:
 * a `-` would put it inside of another slice.
 *
 * @throws OptionsError where it is no name of a slice
 */
export function sliceName(slice: string, facts: UnitFacts): string {
  const escaped = escapedFacts(facts);
  // A value that ends in .slice is not the template's own end.
  const plain = Object.entries(escaped).map(([name, value]) => [name, value && '_'] as const);
  const shape = filled(slice, 'slice', { ...escaped, ...Object.fromEntries(plain) });
  const name = filled(slice, 'slice', escaped);
  const full = unitSuffix.test(shape) ? name : `${name}.slice`;
  // systemd.slice(5): each `-` goes down by one slice.
  const isName =
    full === '-.slice' || /^[A-Za-z0-9:_.\\]+(?:-[A-Za-z0-9:_.\\]+)*\.slice$/.test(full);
  if (!isName || full.length > 255) {
    throw new OptionsError(
      'slice',
      `a template of the name of a slice, such as jupyter.slice or jupyter-{{account}}; it makes ${full}`,
    );
  }
  return full;
}

/** A template filled in with values that add nothing of their own to a list of systemd's. */
function plainlyFilled(template: string, option: string, facts: UnitFacts): string {
  for (const name of templateFor(facts, template, option).names) {
    const value = Object.entries(facts).find(([fact]) => fact === name)?.[1] ?? '';
    if (/[\s\p{Cc}:%$"'\\/]|\.\.|^\.$/u.test(value)) {
      throw new OptionsError(
        option,
        'a template whose values can be written where it has them',
        `The template of the option ${option} can't be filled in: {{${name}}} is ${JSON.stringify(value)}; blanks, quotes, .. and any of : % $ \\ / would change what systemd reads.`,
      );
    }
  }
  return filled(template, option, facts);
}

/**
 * A template of an option, filled in.
 *
 * @throws OptionsError
 */
export function filled(template: string, option: string, facts: UnitFacts): string {
  const [text] = renderArguments([templateFor(facts, template, option)], { ...facts });
  if (text === undefined) {
    throw new OptionsError(option, 'a template that does not come out empty');
  }
  return text;
}

/** A no is said as well: it takes back what `hardened` has turned on. */
function yes(value: boolean | string | undefined): string | undefined {
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : value;
}

/** systemd divides lists of paths at blanks; `"` and `\` are its own (systemd.syntax(7)). */
function quotedPath(path: string): string {
  return /[\s"'\\]/.test(path) ? `"${path.replace(/["\\]/g, '\\$&')}"` : path;
}
