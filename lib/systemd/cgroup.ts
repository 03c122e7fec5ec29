import type { CommandResult } from '../runners/runner.ts';

/** What the kernel keeps of a unit's processes; null where the machine does not say it. */
export interface CgroupFacts {
  /** In bytes. */
  readonly memory: number | null;
  /** In seconds. */
  readonly cpu: number | null;
  readonly tasks: number | null;
  /** In bytes; null where none is enforced. */
  readonly memoryMax: number | null;
  /** In bytes, from where on it is slowed down; null where none is enforced. */
  readonly memoryHigh: number | null;
  /** In bytes, which nobody takes away; null where it or a slice around it keeps none. */
  readonly memoryLow: number | null;
  /** In bytes; null where none is enforced. */
  readonly swapMax: number | null;
  /** In cores; null where none is enforced. */
  readonly cpuMax: number | null;
  /** Against 100 of all others; null where cores are not shared by weight. */
  readonly cpuWeight: number | null;
  /** null where none is enforced. */
  readonly tasksMax: number | null;
}

/** The control groups around one, from the outermost. */
function around(cgroup: string): readonly string[] {
  const names = cgroup.split('/').slice(1, -1);
  return names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`);
}

/** Of cgroup v2, and of the controllers of v1, each below its own mount. */
const files = (cgroup: string): readonly string[] => [
  ...['', 'unified'].flatMap((mount) =>
    [
      ...['memory.current', 'memory.max', 'memory.high', 'memory.low', 'memory.swap.max'],
      ...['cpu.stat', 'cpu.max', 'cpu.weight', 'pids.current', 'pids.max'],
    ].map((file) => `/sys/fs/cgroup/${mount}${cgroup}/${file}`),
  ),
  ...['', 'unified'].flatMap((mount) =>
    around(cgroup).map((outer) => `/sys/fs/cgroup/${mount}${outer}/memory.low`),
  ),
  ...['memory.usage_in_bytes', 'memory.limit_in_bytes'].map(
    (file) => `/sys/fs/cgroup/memory${cgroup}/${file}`,
  ),
  ...['cpuacct', 'cpu,cpuacct'].map((mount) => `/sys/fs/cgroup/${mount}${cgroup}/cpuacct.usage`),
  ...['cpu', 'cpu,cpuacct'].flatMap((mount) =>
    ['cpu.cfs_quota_us', 'cpu.cfs_period_us', 'cpu.shares'].map(
      (file) => `/sys/fs/cgroup/${mount}${cgroup}/${file}`,
    ),
  ),
  ...['pids.current', 'pids.max'].map((file) => `/sys/fs/cgroup/pids${cgroup}/${file}`),
];

/**
 * Reads what the kernel knows of a control group, v1 or v2, by one command.
 *
 * @param run runs it on the machine of the unit
 * @param cgroup as in `/system.slice/jupyter-alice.service`
 */
export async function readCgroup(
  run: (argv: readonly string[]) => Promise<CommandResult>,
  cgroup: string,
): Promise<CgroupFacts> {
  const { stdout } = await run(['grep', '-sH', '', '--', ...files(cgroup)]);
  const lines = stdout.split('\n').map((line): [string, string] => {
    // The name of a unit may have a colon, and no value has.
    const [path = '', value = ''] = line.split(/:(?=[^:]*$)/);
    const name = path.slice(path.lastIndexOf('/') + 1);
    // cpu.stat has several lines, each a name and a number.
    const [field = '', number] = value.split(' ');
    return name === 'cpu.stat' ? [`cpu.stat ${field}`, number ?? ''] : [name, value];
  });
  const values = new Map(lines);
  // systemd.resource-control(5): what the groups around do not keep is kept for nothing in them.
  const lows = lines
    .filter(([name]) => name === 'memory.low')
    .map(([, value]) => (value === 'max' ? Number.POSITIVE_INFINITY : Number(value)));
  const numberOf = (name: string) => {
    const text = values.get(name);
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
  };
  const microseconds = numberOf('cpu.stat usage_usec');
  const nanoseconds = numberOf('cpuacct.usage');
  const limit = numberOf('memory.limit_in_bytes');
  const [quota = '', period = ''] = (values.get('cpu.max') ?? '').split(' ');
  const shares = numberOf('cpu.shares');
  const quotaV1 = numberOf('cpu.cfs_quota_us');
  const periodV1 = numberOf('cpu.cfs_period_us');
  return {
    memory: numberOf('memory.current') ?? numberOf('memory.usage_in_bytes'),
    cpu:
      microseconds !== null ? microseconds / 1e6 : nanoseconds !== null ? nanoseconds / 1e9 : null,
    tasks: numberOf('pids.current'),
    // v1 writes "no limit" as the largest multiple of a page.
    memoryMax: numberOf('memory.max') ?? (limit !== null && limit < 2 ** 62 ? limit : null),
    memoryHigh: numberOf('memory.high'),
    memoryLow: lows.length === 0 ? null : Math.min(...lows) || null,
    swapMax: numberOf('memory.swap.max'),
    cpuMax: /^\d+$/.test(quota)
      ? Number(quota) / Number(period)
      : quotaV1 !== null && periodV1 !== null
        ? quotaV1 / periodV1
        : null,
    cpuWeight: numberOf('cpu.weight') ?? (shares === null ? null : (shares * 100) / 1024),
    tasksMax: numberOf('pids.max'),
  };
}
