import type { Metric, Registry, RegistryContentType } from 'prom-client';
import { register } from 'prom-client';
import { OptionsError } from '../errors.ts';
import type { Histogram } from './histogram.ts';
import type { SupervisorMetrics } from './metrics.ts';

/** The options of `prometheusMetrics`. */
export interface PrometheusOptions {
  /** Where the metrics are registered. Default: the global registry of prom-client. */
  readonly registry?: Registry<RegistryContentType>;
  /**
   * What all names begin with: letters, digits, `_` and `:`, and no digit first. Another one for each
   * supervisor of a registry. Default: `hubspawner_`.
   */
  readonly prefix?: string;
}

/**
 * Registers the metrics of a supervisor in a registry of prom-client, which has to be installed too.
 * Whenever the registry is asked, they are what `supervisor.metrics()` says at that moment.
 *
 * @throws OptionsError if the prefix can't begin a name, or if the registry has such metrics already
 *
 * @example
 * import { prometheusMetrics } from 'hubspawner/prometheus';
 * import { register } from 'prom-client';
 *
 * prometheusMetrics(supervisor);
 * // … where the hub answers GET /metrics:
 * response.setHeader('content-type', register.contentType);
 * response.end(await register.metrics());
 */
export function prometheusMetrics(
  supervisor: { metrics(): SupervisorMetrics },
  { registry = register, prefix = 'hubspawner_' }: PrometheusOptions = {},
): void {
  if (!/^(?:[A-Za-z_:][A-Za-z0-9_:]*)?$/.test(prefix)) {
    throw new OptionsError('prefix', 'letters, digits, _ and :, and no digit first');
  }
  // A registry asks all its metrics before it waits for an answer, and so gets those of one moment.
  let current: SupervisorMetrics | undefined;
  const now = () => {
    if (current === undefined) {
      current = supervisor.metrics();
      queueMicrotask(() => {
        current = undefined;
      });
    }
    return current;
  };
  const families = descriptions.map(
    (description) => new Family(`${prefix}${description.name}`, description, now),
  );
  const taken = families.find(({ name }) => registry.getSingleMetric(name) !== undefined);
  if (taken !== undefined) {
    throw new OptionsError(
      'prefix',
      'another one for each supervisor of a registry',
      `The registry has a metric ${taken.name} already: choose another prefix.`,
    );
  }
  for (const family of families) {
    // The types name prom-client's own four classes alone, but a registry takes whatever answers as
    // they do: its cluster.js registers such objects too.
    registry.registerMetric(family as unknown as Metric);
  }
}

/** One line of the text. */
interface Sample {
  /** Where it is not that of the metric. */
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

interface Description {
  /** Without the prefix. */
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** How prom-client makes one value of those of several processes. Default: `sum`. */
  readonly aggregator?: 'max';
  /** @param name with the prefix */
  readonly samples: (metrics: SupervisorMetrics, name: string) => readonly Sample[];
}

/** What a registry asks for its values. */
class Family {
  /** A registry in OpenMetrics' format takes `_total` from it. */
  name: string;
  readonly help: string;
  readonly type: Description['type'];
  readonly aggregator: 'sum' | 'max';
  readonly #get: () => readonly Sample[];

  constructor(name: string, description: Description, now: () => SupervisorMetrics) {
    const { help, type, aggregator = 'sum', samples } = description;
    this.name = name;
    this.help = help;
    this.type = type;
    this.aggregator = aggregator;
    this.#get = () => samples(now(), name);
  }

  async get() {
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values: this.#get() };
  }

  /** For `registry.resetMetrics()`: what a supervisor has counted can't be reset. */
  reset(): void {}
}

const descriptions: readonly Description[] = [
  {
    name: 'servers',
    help: 'Servers by status.',
    type: 'gauge',
    samples: ({ servers }) => samplesOf('status', servers),
  },
  {
    name: 'starts_total',
    help: 'Starts by what came of them; retried ones failed and were begun anew.',
    type: 'counter',
    samples: ({ starts }) => samplesOf('outcome', starts),
  },
  {
    name: 'start_failures_total',
    help: 'Failed starts by cause.',
    type: 'counter',
    samples: ({ failures }) => samplesOf('cause', failures),
  },
  {
    name: 'exits_total',
    help: 'Ends of servers that had been ready, by cause.',
    type: 'counter',
    samples: ({ exits }) => samplesOf('cause', exits),
  },
  {
    name: 'stops_total',
    help: 'Stops by what came of them.',
    type: 'counter',
    samples: ({ stops }) => samplesOf('outcome', stops),
  },
  {
    name: 'culled_total',
    help: 'Servers that were stopped because they were idle or too old.',
    type: 'counter',
    samples: ({ culled }) => samplesOf('reason', culled),
  },
  {
    name: 'start_seconds',
    help: 'How long starts took that gave a server, by phase.',
    type: 'histogram',
    samples: ({ startSeconds }, name) =>
      Object.entries(startSeconds).flatMap(([phase, histogram]) =>
        histogramSamples(name, { phase }, histogram),
      ),
  },
  {
    name: 'commands_total',
    help: 'Commands by program and by what came of them.',
    type: 'counter',
    samples: ({ commands }) =>
      Object.entries(commands).flatMap(([program, { ok, failed, timedOut, notRun }]) => [
        { labels: { program, outcome: 'ok' }, value: ok },
        { labels: { program, outcome: 'failed' }, value: failed },
        { labels: { program, outcome: 'timed_out' }, value: timedOut },
        { labels: { program, outcome: 'not_run' }, value: notRun },
      ]),
  },
  {
    name: 'command_seconds',
    help: 'How long commands took that were run, by program.',
    type: 'histogram',
    samples: ({ commands }, name) =>
      Object.entries(commands).flatMap(([program, { seconds }]) =>
        histogramSamples(name, { program }, seconds),
      ),
  },
  {
    name: 'monitor_age_seconds',
    help: 'The time since the last usable answer of a scheduler; of several monitors the longest.',
    type: 'gauge',
    aggregator: 'max',
    samples: ({ monitors }) =>
      greatestByScheduler(
        monitors.flatMap(({ scheduler, age }) => (age === null ? [] : [[scheduler, age]])),
      ),
  },
  {
    name: 'monitor_failures',
    help: 'Queries of a scheduler that failed in a row; of several monitors the most.',
    type: 'gauge',
    aggregator: 'max',
    samples: ({ monitors }) =>
      greatestByScheduler(monitors.map(({ scheduler, failures }) => [scheduler, failures])),
  },
];

function samplesOf(label: string, values: Readonly<Record<string, number>>): readonly Sample[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }));
}

function histogramSamples(
  name: string,
  labels: Sample['labels'],
  { buckets, sum, count }: Histogram,
): readonly Sample[] {
  const bucket = (le: string | number, value: number): Sample => ({
    metricName: `${name}_bucket`,
    labels: { ...labels, le },
    value,
  });
  return [
    ...buckets.map(({ le, count }) => bucket(le, count)),
    bucket('+Inf', count),
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

/** A series may occur once alone, and a scheduler can have several monitors. */
function greatestByScheduler(
  values: readonly (readonly [scheduler: string, value: number])[],
): readonly Sample[] {
  const greatest = new Map<string, number>();
  for (const [scheduler, value] of values) {
    greatest.set(scheduler, Math.max(value, greatest.get(scheduler) ?? 0));
  }
  return [...greatest].map(([scheduler, value]) => ({ labels: { scheduler }, value }));
}
