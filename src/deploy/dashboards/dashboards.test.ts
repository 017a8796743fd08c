/** What Grafana and operators hold dashboards and rules to; queries are tested in test/dashboards.test.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { metricsIn } from '../../../test/helpers/dashboard-queries.ts';
import { METRICS as CLUSTER_METRICS, nodeMetrics } from '../../components/receivers/k8s_cluster/catalogue.ts';
import { METRICS as KUBELET_METRICS } from '../../components/receivers/kubelet_stats/catalogue.ts';
import type { MetricDeclaration } from '../../core/metrics/catalogue.ts';
import { collection, type Spec } from '../index.ts';
import { ALERTS, alertGroups, dashboardObjects, dashboards, expressionOf, type Sources, sourcesOf } from './index.ts';
import { sourcesOfQuery } from './sources.ts';

interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}
interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly datasource: { readonly type: string; readonly uid: string };
  readonly queryType?: string;
  readonly format?: string;
  readonly instant?: boolean;
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: Place;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly targets?: readonly Target[];
  readonly panels?: readonly Panel[];
  readonly transformations?: readonly { readonly id: string }[];
  readonly fieldConfig?: {
    readonly defaults: { readonly unit?: string; readonly thresholds: { readonly steps: { value: number | null }[] } };
    readonly overrides: readonly {
      readonly matcher: { readonly id: string; readonly options: string };
      readonly properties: readonly { readonly id: string; readonly value: unknown }[];
    }[];
  };
}
interface Json {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly type: string;
      readonly query: unknown;
      readonly datasource?: unknown;
    }[];
  };
}

const readable = (sources?: Sources) => dashboards(sources).map((d) => ({ ...d, json: d.json as unknown as Json }));
const all = readable();
const panelsOf = (json: Json): Panel[] => json.panels.flatMap((p) => [p, ...(p.panels ?? [])]);

const PANEL_TYPES = ['row', 'stat', 'timeseries', 'bargauge', 'table', 'logs'];
const UNITS = ['percentunit', 'bytes', 'Bps', 's', undefined];
const BUILT_IN = ['__rate_interval', '__range', '__url_time_range', '__data'];
const QUERY_TYPES: Readonly<Record<string, string>> = {
  logs: 'instant',
  stat: 'stats',
  bargauge: 'stats',
  timeseries: 'statsRange',
};

const overlap = (a: Place, b: Place): boolean =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

const OFF = { logsCollection: false, kubeletMetrics: false, hostMetrics: false } as const;
const SELF = { presets: { selfMonitoring: true } } as const;
/** What dashboards remain of, by what a spec collects. */
const PARTS: Readonly<Record<string, readonly [spec: Spec, uids: string]>> = {
  'the defaults': [{}, 'nodes pods workloads volumes events'],
  'an agent': [{ gateway: false }, 'nodes pods workloads volumes'],
  'a gateway': [{ agent: false }, 'nodes pods workloads events'],
  logs: [{ gateway: false, agent: { presets: { ...OFF, logsCollection: true } } }, 'pods'],
  'logs and Falco': [
    { gateway: false, agent: { presets: { ...OFF, logsCollection: true, falco: true } } },
    'pods falco',
  ],
  'kubelets without volumes': [
    { gateway: false, agent: { presets: { ...OFF, kubeletMetrics: { groups: ['pod', 'node'] } } } },
    'nodes pods workloads',
  ],
  'nodes without their disks': [
    { gateway: false, agent: { presets: { ...OFF, hostMetrics: { mount: 'proc', scrapers: { disk: false } } } } },
    'nodes',
  ],
  'some namespaces': [
    { agent: false, gateway: { presets: { clusterMetrics: { namespaces: ['shop'] }, kubernetesEvents: false } } },
    // Pods know their node.
    'nodes pods workloads',
  ],
  'events that a user collects': [
    {
      agent: false,
      gateway: {
        presets: { clusterMetrics: false, kubernetesEvents: false },
        config: {
          receivers: { k8s_events: {} },
          exporters: { otlp_http: { endpoint: 'http://logs.test' } },
          service: { pipelines: { logs: { receivers: ['k8s_events'], exporters: ['otlp_http'] } } },
        },
      },
    },
    'events',
  ],
  'collectors of contrib': [
    { engine: 'otelcol-contrib', agent: false, gateway: SELF },
    'nodes pods workloads events collectors',
  ],
  everything: [
    { agent: { presets: { falco: true, selfMonitoring: true } } },
    'nodes pods workloads volumes events falco collectors',
  ],
};
const parts = Object.entries(PARTS).map(([name, [spec, uids]]) => {
  const sources = sourcesOf(collection(spec));
  return { name, sources, uids: uids.split(' ').map((u) => `sluice-${u}`), shown: readable(sources) };
});

for (const { name, sources, uids, shown } of parts)
  test(`with ${name}, there is what can have data and nothing else`, () => {
    assert.deepEqual(
      shown.map((d) => d.uid),
      uids,
    );
    for (const { title, json } of shown)
      for (const p of panelsOf(json).filter((panel) => panel.type !== 'row')) {
        assert.ok(p.targets!.length > 0, p.title);
        for (const { expr, datasource } of p.targets!) {
          const isLogs = datasource.type !== 'prometheus';
          const needed = sourcesOfQuery({ expr, ...(isLogs ? { logs: 'lines' } : {}) });
          assert.ok(needed.length > 0 && needed.every((s) => sources.has(s)), `${title}, ${p.title}: ${needed}`);
        }
      }
    const groups = alertGroups({ sources, dashboards: uids }) as unknown as {
      rules: { alert: string; annotations: { dashboard?: string } }[];
    }[];
    const rules = groups.flatMap((g) => g.rules);
    for (const { annotations } of rules)
      assert.ok(annotations.dashboard === undefined || uids.includes(annotations.dashboard.slice('/d/'.length)));
    // It would fire for every node whose kubelet nobody asks.
    const isSilence = rules.some((r) => r.alert === 'KubernetesNodeSilent');
    assert.equal(isSilence, sources.has('kubelet') && sources.has('cluster/nodes'));
  });

test('all that dashboards and alerts ask for comes from the receiver whose catalogue has it', () => {
  const metrics = (catalogue: readonly MetricDeclaration[]) =>
    new Set(catalogue.map((m) => m.name.replaceAll('.', '_')));
  const kubelet = metrics(KUBELET_METRICS);
  const cluster = metrics([
    ...CLUSTER_METRICS,
    ...nodeMetrics(['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'], ['cpu', 'memory']),
  ]);
  const exprs = [
    ...all
      .flatMap(({ json }) => panelsOf(json).flatMap((p) => p.targets ?? []))
      .filter((t) => t.queryType === undefined),
    ...ALERTS.map((a) => ({ expr: a.value })),
  ].map((t) => t.expr);
  const has = (known: ReadonlySet<string>, metric: string): boolean => [...known].some((k) => metric.startsWith(k));
  for (const metric of new Set(exprs.flatMap(metricsIn).filter((m) => /^(k8s|container)_/.test(m)))) {
    const [source] = sourcesOfQuery({ expr: metric });
    assert.equal(/^kubelet/.test(source!), has(kubelet, metric), `${metric}: ${source}`);
    assert.equal(/^cluster/.test(source!), has(cluster, metric), `${metric}: ${source}`);
  }
});

const variants = [
  ...all.map((d) => ({ ...d, among: all })),
  ...parts.flatMap(({ name, shown }) => shown.map((d) => ({ ...d, title: `${d.title} with ${name}`, among: shown }))),
];
for (const { title, json, among } of variants)
  describe(title, () => {
    const panels = panelsOf(json);

    test('panels have numbers of their own and places of their own within the grid', () => {
      assert.equal(new Set(panels.map((p) => p.id)).size, panels.length);
      for (const [i, p] of panels.entries()) {
        assert.ok(p.gridPos.x >= 0 && p.gridPos.x + p.gridPos.w <= 24 && p.gridPos.h > 0, p.title);
        for (const other of panels.slice(i + 1))
          assert.ok(!overlap(p.gridPos, other.gridPos), `${p.title}, ${other.title}`);
      }
    });

    test('lines of panels leave no hole', () => {
      const byRow = Map.groupBy(
        panels.filter((p) => p.type !== 'row'),
        (p) => p.gridPos.y,
      );
      for (const line of byRow.values())
        assert.equal(
          line.reduce((w, p) => w + p.gridPos.w, 0),
          24,
          line.map((p) => p.title).join(', '),
        );
    });

    test('panels are of kinds, units and query types that Grafana 10 has', () => {
      assert.ok(json.schemaVersion >= 38);
      for (const p of panels) {
        assert.ok(PANEL_TYPES.includes(p.type), p.type);
        if (p.type === 'row') continue;
        const { defaults, overrides } = p.fieldConfig!;
        assert.ok(UNITS.includes(defaults.unit), `${p.title}: ${defaults.unit}`);
        for (const { properties } of overrides)
          for (const { id, value } of properties) if (id === 'unit') assert.ok(UNITS.includes(String(value)));
        const steps = defaults.thresholds.steps.map((s) => s.value);
        assert.equal(steps[0], null, 'the first threshold is the base');
        assert.deepEqual(
          steps.slice(1),
          steps.slice(1).toSorted((a, b) => a! - b!),
        );
        assert.ok(p.targets!.length > 0, p.title);
        assert.deepEqual(
          p.targets!.map((t) => t.refId),
          p.targets!.map((_, i) => String.fromCharCode(65 + i)),
        );
        for (const t of p.targets!) {
          assert.deepEqual(t.datasource, p.datasource);
          if (t.datasource.type === 'prometheus') assert.equal(t.format, p.type === 'table' ? 'table' : 'time_series');
          else assert.equal(t.queryType, QUERY_TYPES[p.type], p.title);
        }
      }
    });

    test('every variable that is used is there, and every one that is there is used', () => {
      const declared = json.templating.list.map((v) => v.name);
      const { templating: _, ...rest } = json;
      const text = JSON.stringify(rest) + JSON.stringify(json.templating.list.map((v) => [v.query, v.datasource]));
      const used = new Set([...text.matchAll(/\$\{?(\w+)/g)].map((m) => m[1]!));
      for (const name of used) assert.ok(declared.includes(name) || BUILT_IN.includes(name), name);
      for (const name of declared) assert.ok(used.has(name), name);
    });

    test('links lead to dashboards that are there, and take variables that these have', () => {
      for (const [, uid, parameters] of JSON.stringify(json).matchAll(/\/d\/([\w-]+)\?([^"\\]*)/g)) {
        const target = among.find((d) => d.uid === uid);
        assert.ok(target, `${uid}`);
        const names = target.json.templating.list.map((v) => v.name);
        for (const [, name] of parameters!.matchAll(/var-(\w+)=/g)) assert.ok(names.includes(name!), `${uid}: ${name}`);
      }
    });

    test('columns of tables that are named elsewhere in them are there', () => {
      for (const p of panels.filter((t) => t.type === 'table')) {
        const organize = (
          p.transformations as unknown as { id: string; options: { renameByName: Record<string, string> } }[]
        ).find((t) => t.id === 'organize')!;
        const titles = Object.values(organize.options.renameByName);
        assert.equal(new Set(titles).size, titles.length);
        for (const { matcher } of p.fieldConfig!.overrides)
          assert.ok(titles.includes(matcher.options), matcher.options);
        const { sortBy = [] } = (p as unknown as { options: { sortBy?: { displayName: string }[] } }).options;
        for (const { displayName } of sortBy) assert.ok(titles.includes(displayName), displayName);
        const text = JSON.stringify(p.fieldConfig);
        for (const [, field] of text.matchAll(/__data\.fields\[\\"(.*?)\\"\]/g))
          assert.ok(titles.includes(field!), `${p.title}: ${field}`);
      }
    });
  });

test('dashboards have ids of their own', () => {
  assert.equal(new Set(all.map((d) => d.uid)).size, all.length);
  for (const { uid } of all) assert.match(uid, /^[a-z0-9-]{1,40}$/);
});

test('alerts have names of their own, say what to do, and lead to a dashboard that is there', () => {
  assert.equal(new Set(ALERTS.map((a) => a.name)).size, ALERTS.length);
  for (const a of ALERTS) {
    assert.ok(
      all.some((d) => d.uid === a.dashboard),
      a.dashboard,
    );
    assert.match(a.for, /^\d+[mh]$/);
    assert.ok(a.description.length > 20, a.name);
    // Labels that the texts name must survive the aggregation of the query.
    const kept = [...expressionOf(a).matchAll(/\bby \(([^)]*)\)/g)].flatMap((m) => m[1]!.split(', '));
    for (const [, label] of `${a.summary} ${a.description}`.matchAll(/\$labels\.(\w+)/g))
      assert.ok(kept.includes(label!), `${a.name}: ${label}`);
  }
});

test('objects are within the limits of Kubernetes', () => {
  const objects = dashboardObjects('opentelemetry', {
    rules: ['VMRule', 'PrometheusRule'],
    sidecarLabel: { dash: 'yes' },
  });
  assert.deepEqual(
    objects.map((o) => o.kind),
    [...all.map(() => 'ConfigMap'), 'VMRule', 'PrometheusRule'],
  );
  for (const o of objects) {
    assert.match(o.metadata.name, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
    assert.ok(JSON.stringify(o).length < 200_000, o.metadata.name);
    if (o.kind === 'ConfigMap') assert.equal(o.metadata.labels?.['dash'], 'yes');
  }
});
