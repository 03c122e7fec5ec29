/**
 * What authors of hubs rely on in the types of metrics. Nothing here runs: `tsc` is the test.
 */
import { expectTypeOf } from 'expect-type';
import type { OpenMetricsContentType } from 'prom-client';
import { Registry, register } from 'prom-client';
import type { Histogram, SupervisorMetrics } from '../../lib/index.ts';
import { prometheusMetrics } from '../../lib/supervisor/prometheus.ts';

declare const metrics: SupervisorMetrics;
const supervisor = { metrics: () => metrics };

// A registry of either format will do.
prometheusMetrics(supervisor);
prometheusMetrics(supervisor, {});
prometheusMetrics(supervisor, { registry: register, prefix: 'gpu_' });
prometheusMetrics(supervisor, { registry: new Registry() });
prometheusMetrics(supervisor, { registry: new Registry<OpenMetricsContentType>() });
// @ts-expect-error a registry, not what it says
prometheusMetrics(supervisor, { registry: register.metrics() });

// What has a fixed name is always there, and a program may not be.
expectTypeOf(metrics.servers.ready).toEqualTypeOf<number>();
expectTypeOf(metrics.exits['out-of-memory']).toEqualTypeOf<number>();
expectTypeOf(metrics.startSeconds.total).toEqualTypeOf<Histogram>();
expectTypeOf(metrics.commands['sbatch']?.timedOut).toEqualTypeOf<number | undefined>();
// @ts-expect-error there is no such phase
metrics.startSeconds.wait;
// @ts-expect-error a snapshot is to be read
metrics.starts.ready = 0;
