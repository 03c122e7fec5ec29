import { expect } from 'chai';
import type { RegistryContentType } from 'prom-client';
import { AggregatorRegistry, Counter, Registry, register } from 'prom-client';
import { OptionsError, StartError } from '../../lib/errors.ts';
import type { SupervisorMetrics } from '../../lib/supervisor/metrics.ts';
import { Metrics } from '../../lib/supervisor/metrics.ts';
import { prometheusMetrics } from '../../lib/supervisor/prometheus.ts';

/** What Prometheus reads in a text: series by name and labels, and the types of metrics. */
function parse(text: string) {
  const types = new Map<string, string>();
  const series = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, typed, type] = /^# TYPE (\S+) (\w+)$/.exec(line) ?? [];
    if (typed !== undefined && type !== undefined) types.set(typed, type);
    if (line === '' || line.startsWith('#')) continue;
    const [, name, labels = '', value] =
      /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/s.exec(line) ?? expect.fail(`no series: ${line}`);
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)/g)];
    expect(pairs.map(([pair]) => pair).join(''), line).to.equal(labels);
    const key = keyOf(
      name ?? '',
      pairs.map(([, label, raw]) => [label, unescaped(raw ?? '')]),
    );
    expect(series.has(key), `twice: ${line}`).to.equal(false);
    series.set(key, Number(value));
  }
  return { types, series };
}

const keyOf = (name: string, labels: readonly unknown[]) => JSON.stringify([name, labels]);

function unescaped(raw: string): string {
  return raw.replace(/\\(.)/gs, (_, char: string) => (char === 'n' ? '\n' : char));
}

/** What has to be there, by the snapshot. */
function expected(metrics: SupervisorMetrics, prefix = 'hubspawner_'): Map<string, number> {
  const series = new Map<string, number>();
  const add = (name: string, labels: Record<string, string>, value: number) =>
    series.set(keyOf(`${prefix}${name}`, Object.entries(labels)), value);
  const addAll = (name: string, label: string, values: Readonly<Record<string, number>>) => {
    for (const [key, value] of Object.entries(values)) add(name, { [label]: key }, value);
  };
  type Histograms = readonly [string, SupervisorMetrics['startSeconds']['total']][];
  const addHistograms = (name: string, label: string, histograms: Histograms) => {
    for (const [key, { buckets, sum, count }] of histograms) {
      for (const bucket of buckets) {
        add(`${name}_bucket`, { [label]: key, le: String(bucket.le) }, bucket.count);
      }
      add(`${name}_bucket`, { [label]: key, le: '+Inf' }, count);
      add(`${name}_sum`, { [label]: key }, sum);
      add(`${name}_count`, { [label]: key }, count);
    }
  };
  const programs = Object.entries(metrics.commands);
  addAll('servers', 'status', metrics.servers);
  addAll('starts_total', 'outcome', metrics.starts);
  addAll('start_failures_total', 'cause', metrics.failures);
  addAll('exits_total', 'cause', metrics.exits);
  addAll('stops_total', 'outcome', metrics.stops);
  addAll('culled_total', 'reason', metrics.culled);
  addHistograms('start_seconds', 'phase', Object.entries(metrics.startSeconds));
  for (const [program, { ok, failed, timedOut, notRun }] of programs) {
    const outcomes = { ok, failed, timed_out: timedOut, not_run: notRun };
    for (const [outcome, value] of Object.entries(outcomes)) {
      add('commands_total', { program, outcome }, value);
    }
  }
  const times = programs.map(([program, { seconds }]): Histograms[number] => [program, seconds]);
  addHistograms('command_seconds', 'program', times);
  for (const { scheduler, age, failures } of metrics.monitors) {
    if (age !== null) add('monitor_age_seconds', { scheduler }, age);
    add('monitor_failures', { scheduler }, failures);
  }
  return series;
}

/** A supervisor with something of everything. */
class Subject {
  readonly counting = new Metrics();
  asked = 0;
  monitors: SupervisorMetrics['monitors'] = [
    { scheduler: 'slurm', age: 1.5, failures: 0 },
    { scheduler: 'systemd', age: null, failures: 3 },
  ];

  constructor() {
    this.counting.started({
      requested: 0,
      waited: 5,
      slot: 5,
      submitted: 300,
      running: 4000,
      ready: 9000,
    });
    this.counting.started({
      requested: 0,
      waited: 0,
      slot: 0,
      submitted: 10,
      running: 20,
      ready: 9e9,
    });
    const exit = { code: null, signal: null, cause: 'out-of-memory', message: '.' } as const;
    this.counting.failed(new StartError('.', { exit }));
    this.counting.exited('preempted');
    this.counting.stopped('done');
    this.counting.culled('age');
    this.counting.ran('squeue', 'ok', 12);
  }

  metrics(): SupervisorMetrics {
    this.asked += 1;
    const servers = { waiting: 1, starting: 2, ready: 3, unhealthy: 4, stopping: 5 };
    return this.counting.snapshot(servers, this.monitors);
  }
}

describe('prometheusMetrics', () => {
  let registry: Registry;
  let subject: Subject;

  beforeEach(() => {
    registry = new Registry();
    subject = new Subject();
  });

  it('gives what the supervisor says, whenever it is asked', async () => {
    prometheusMetrics(subject, { registry });
    const first = parse(await registry.metrics()).series;
    expect(first).to.deep.equal(expected(subject.metrics()));
    const ready = keyOf('hubspawner_starts_total', [['outcome', 'ready']]);
    expect(first.get(ready)).to.equal(2);

    subject.counting.started({ requested: 0, waited: 5, slot: 5, ready: 10 });
    subject.counting.ran('sbatch', 'notRun');
    const second = parse(await registry.metrics()).series;
    expect(second).to.deep.equal(expected(subject.metrics()));
    expect(second.get(ready)).to.equal(3);
  });

  it('declares counters, gauges and histograms', async () => {
    prometheusMetrics(subject, { registry });
    expect(Object.fromEntries(parse(await registry.metrics()).types)).to.deep.equal({
      hubspawner_servers: 'gauge',
      hubspawner_starts_total: 'counter',
      hubspawner_start_failures_total: 'counter',
      hubspawner_exits_total: 'counter',
      hubspawner_stops_total: 'counter',
      hubspawner_culled_total: 'counter',
      hubspawner_start_seconds: 'histogram',
      hubspawner_commands_total: 'counter',
      hubspawner_command_seconds: 'histogram',
      hubspawner_monitor_age_seconds: 'gauge',
      hubspawner_monitor_failures: 'gauge',
    });
  });

  it('asks the supervisor once for each time that it is asked', async () => {
    prometheusMetrics(subject, { registry });
    await registry.metrics();
    await registry.getMetricsAsJSON();
    expect(subject.asked).to.equal(2);
  });

  it('quotes names that mean something in the text', async () => {
    const names = [
      'a"b',
      'a\\',
      '\\"',
      'a\nb',
      'x"} 1\nhubspawner_servers{status="ready"} 99\n#',
      '\\n',
      '__proto__',
      '',
      'é😀\u2028',
    ];
    for (const name of names) {
      subject.counting.ran(name, 'ok', 1);
      subject.counting.failed(Object.assign(new Error('.'), { code: name }));
    }
    prometheusMetrics(subject, { registry });
    const { series } = parse(await registry.metrics());
    expect(series).to.deep.equal(expected(subject.metrics()));
    for (const name of names) {
      const key = keyOf('hubspawner_commands_total', [
        ['program', name],
        ['outcome', 'ok'],
      ]);
      expect(series.get(key), name).to.equal(1);
    }
  });

  it('gives of several monitors of a scheduler what is worst', async () => {
    subject.monitors = [
      { scheduler: 'slurm', age: 2, failures: 0 },
      { scheduler: 'slurm', age: 70, failures: 4 },
      { scheduler: 'slurm', age: null, failures: 1 },
    ];
    prometheusMetrics(subject, { registry });
    const { series } = parse(await registry.metrics());
    const slurm = [['scheduler', 'slurm']];
    expect(series.get(keyOf('hubspawner_monitor_age_seconds', slurm))).to.equal(70);
    expect(series.get(keyOf('hubspawner_monitor_failures', slurm))).to.equal(4);
  });

  it('keeps two supervisors of a registry apart by prefix', async () => {
    const other = new Subject();
    other.counting.exited('failed');
    prometheusMetrics(subject, { registry });
    prometheusMetrics(other, { registry, prefix: 'gpu:hub_' });
    expect(parse(await registry.metrics()).series).to.deep.equal(
      new Map([...expected(subject.metrics()), ...expected(other.metrics(), 'gpu:hub_')]),
    );
  });

  it('refuses a prefix that is taken, and then registers nothing', async () => {
    new Counter({ name: 'x_culled_total', help: '.', registers: [registry] });
    expect(() => prometheusMetrics(subject, { registry, prefix: 'x_' }))
      .to.throw(OptionsError, /x_culled_total/)
      .with.property('path', 'prefix');
    expect(registry.getMetricsAsArray()).to.have.length(1);
    prometheusMetrics(subject, { registry });
    expect(() => prometheusMetrics(subject, { registry })).to.throw(OptionsError);
  });

  for (const prefix of ['9hub_', 'my-hub_', 'a b', 'a\n', 'é']) {
    it(`refuses the prefix ${JSON.stringify(prefix)}`, () => {
      expect(() => prometheusMetrics(subject, { registry, prefix })).to.throw(OptionsError);
    });
  }

  it('keeps to the rules of OpenMetrics where the registry does', async () => {
    const open = new Registry<RegistryContentType>();
    open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    prometheusMetrics(subject, { registry: open });
    for (let time = 0; time < 2; time += 1) {
      const text = await open.metrics();
      expect(text).to.match(/\n# EOF\n$/);
      const { types, series } = parse(text);
      expect(types.get('hubspawner_starts')).to.equal('counter');
      expect(series).to.deep.equal(expected(subject.metrics()));
    }
  });

  it('goes with what else a registry does', async () => {
    prometheusMetrics(subject, { registry });
    registry.resetMetrics();
    registry.setDefaultLabels({ site: 'a' });
    const json = await registry.getMetricsAsJSON();
    const others = await registry.getMetricsAsJSON();
    registry.setDefaultLabels({});
    expect(parse(await registry.metrics()).series).to.deep.equal(expected(subject.metrics()));

    const merged = AggregatorRegistry.aggregate([json, others]);
    const { series } = parse(await merged.metrics());
    const site = ['site', 'a'];
    const culled = keyOf('hubspawner_culled_total', [['reason', 'age'], site]);
    const age = keyOf('hubspawner_monitor_age_seconds', [['scheduler', 'slurm'], site]);
    expect([series.get(culled), series.get(age)]).to.deep.equal([2, 1.5]);
  });

  it('takes the global registry of prom-client where none is given', async () => {
    try {
      prometheusMetrics(subject, { prefix: 'one_' });
      expect(parse(await register.metrics()).series).to.deep.equal(
        expected(subject.metrics(), 'one_'),
      );
    } finally {
      register.clear();
    }
  });
});
