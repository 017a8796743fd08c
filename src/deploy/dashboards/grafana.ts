/** Pieces of Grafana dashboards (classic JSON model, Grafana 10 and newer) as small functions: panels. */
import type { Json } from '../config.ts';

export type Fields = { [key: string]: Json };

/** Variables of type datasource: each dashboard works with whatever instance has them. */
export const METRICS: Fields = { type: 'prometheus', uid: '${metrics}' };
export const LOGS: Fields = { type: 'victoriametrics-logs-datasource', uid: '${logs}' };

/** Of the grid. */
export const COLUMNS = 24;

export interface Query {
  readonly expr: string;
  readonly legend?: string;
  /** LogsQL instead of PromQL: lines, numbers over time, or numbers of the whole range. */
  readonly logs?: 'lines' | 'range' | 'total';
  /** Of the whole range, for tables and single numbers; a LogsQL query of totals is always one. */
  readonly isInstant?: boolean;
}

export interface Threshold {
  readonly color: Color;
  /** From this value on; undefined: from the lowest on. */
  readonly from?: number;
}

export type Color = 'green' | 'yellow' | 'orange' | 'red' | 'blue' | 'purple' | 'text';

export interface PanelOptions {
  readonly title: string;
  /** What it shows and how to read it: the (i) of the panel. */
  readonly about?: string;
  readonly queries: readonly Query[];
  readonly unit?: string;
  readonly decimals?: number;
  readonly min?: number;
  readonly max?: number;
  readonly thresholds?: readonly Threshold[];
  /** Of 24 columns. */
  readonly width?: number;
  /** Of 30 pixels. */
  readonly height?: number;
}

/** What of a dashboard can have data, and which dashboards there are. */
export interface Shown {
  hasData(query: Query): boolean;
  hasDashboard(uid: string): boolean;
}

/** A panel without a place. */
export interface Panel {
  readonly width: number;
  readonly height: number;
  readonly json: Fields;
  /** With those queries and links that lead to something; undefined when none of the queries does. */
  only(shown: Shown): Panel | undefined;
}

/** Green below the first limit, yellow from it on, red from the second on. */
export const warnAt = (yellow: number, red: number): Threshold[] => [
  { color: 'green' },
  { color: 'yellow', from: yellow },
  { color: 'red', from: red },
];
/** Good is nothing. */
export const NONE_IS_GOOD: readonly Threshold[] = [{ color: 'green' }, { color: 'red', from: 1 }];
export const PLAIN: readonly Threshold[] = [{ color: 'text' }];

const stepsOf = (thresholds: readonly Threshold[]): Fields => ({
  mode: 'absolute',
  steps: thresholds.map(({ color, from }) => ({ color, value: from ?? null })),
});

const QUERY_TYPES = { lines: 'instant', range: 'statsRange', total: 'stats' } as const;

function targets(queries: readonly Query[], format: 'time_series' | 'table'): Json[] {
  return queries.map((q, i): Fields => {
    const refId = String.fromCharCode(65 + i);
    const legend: Fields = q.legend === undefined ? {} : { legendFormat: q.legend };
    if (q.logs)
      return { refId, datasource: LOGS, editorMode: 'code', expr: q.expr, queryType: QUERY_TYPES[q.logs], ...legend };
    const when = q.isInstant ? { instant: true, range: false } : { instant: false, range: true };
    return { refId, datasource: METRICS, editorMode: 'code', expr: q.expr, format, ...when, ...legend };
  });
}

interface Make {
  readonly type: string;
  readonly custom?: Fields;
  readonly colorMode: 'palette-classic' | 'thresholds';
  readonly options: Fields;
  readonly overrides?: Json[];
  readonly transformations?: Json[];
  readonly links?: Json[];
  readonly format?: 'time_series' | 'table';
  readonly width: number;
  readonly height: number;
  readonly more?: Fields;
}

function panel(o: PanelOptions, m: Make): Panel {
  const defaults: Fields = {
    color: { mode: m.colorMode },
    ...(m.custom ? { custom: m.custom } : {}),
    ...(o.unit === undefined ? {} : { unit: o.unit }),
    ...(o.decimals === undefined ? {} : { decimals: o.decimals }),
    ...(o.min === undefined ? {} : { min: o.min }),
    ...(o.max === undefined ? {} : { max: o.max }),
    thresholds: stepsOf(o.thresholds ?? PLAIN),
    mappings: [],
    links: m.links ?? [],
  };
  return {
    width: o.width ?? m.width,
    height: o.height ?? m.height,
    json: {
      type: m.type,
      title: o.title,
      ...(o.about === undefined ? {} : { description: o.about }),
      datasource: o.queries.some((q) => q.logs) ? LOGS : METRICS,
      targets: targets(o.queries, m.format ?? 'time_series'),
      fieldConfig: { defaults, overrides: m.overrides ?? [] },
      options: m.options,
      ...(m.transformations ? { transformations: m.transformations } : {}),
      ...m.more,
    },
    only(shown) {
      const queries = o.queries.filter((q) => shown.hasData(q));
      return queries.length === 0 ? undefined : panel({ ...o, queries }, m);
    },
  };
}

/** One number, or one per series. */
export const stat = (o: PanelOptions & { readonly links?: Json[] }): Panel =>
  panel(
    { ...o, queries: o.queries.map((q) => ({ ...q, isInstant: true })) },
    {
      type: 'stat',
      colorMode: 'thresholds',
      width: 4,
      height: 4,
      links: o.links ?? [],
      options: {
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        colorMode: o.thresholds ? 'value' : 'none',
        graphMode: 'none',
        justifyMode: 'auto',
        orientation: 'auto',
        textMode: 'auto',
        wideLayout: true,
      },
    },
  );

export interface LinesOptions extends PanelOptions {
  /** Areas on top of each other. */
  readonly isStacked?: boolean;
  readonly isBars?: boolean;
  /** Series whose legend matches are drawn below zero: the other direction. */
  readonly below?: string;
  /** Series whose legend matches are dashed and without a colour of their own: limits, wanted numbers. */
  readonly limit?: string;
  /** Colours of series by their whole legend. */
  readonly colors?: Readonly<Record<string, Color>>;
  /** Thresholds as lines. */
  readonly hasThresholdLines?: boolean;
}

export function lines(o: LinesOptions): Panel {
  const byRegexp = (options: string, properties: Json[]): Fields => ({
    matcher: { id: 'byRegexp', options },
    properties,
  });
  const overrides: Json[] = [];
  if (o.below !== undefined) overrides.push(byRegexp(o.below, [{ id: 'custom.transform', value: 'negative-Y' }]));
  if (o.limit !== undefined)
    overrides.push(
      byRegexp(o.limit, [
        { id: 'custom.lineStyle', value: { fill: 'dash', dash: [6, 6] } },
        { id: 'custom.fillOpacity', value: 0 },
        { id: 'color', value: { mode: 'fixed', fixedColor: 'text' } },
      ]),
    );
  for (const [name, color] of Object.entries(o.colors ?? {}))
    overrides.push({
      matcher: { id: 'byName', options: name },
      properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }],
    });
  return panel(
    { ...(o.below === undefined ? { min: 0 } : {}), ...o },
    {
      type: 'timeseries',
      colorMode: 'palette-classic',
      width: 12,
      height: 8,
      overrides,
      custom: {
        drawStyle: o.isBars ? 'bars' : 'line',
        lineWidth: 1,
        fillOpacity: o.isBars ? 70 : o.isStacked ? 25 : 8,
        gradientMode: 'none',
        showPoints: 'never',
        spanNulls: false,
        stacking: { mode: o.isStacked ? 'normal' : 'none', group: 'A' },
        axisPlacement: 'auto',
        axisCenteredZero: o.below !== undefined,
        thresholdsStyle: { mode: o.hasThresholdLines ? 'line' : 'off' },
      },
      options: {
        legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
        tooltip: { mode: 'multi', sort: 'desc' },
      },
    },
  );
}

/** Horizontal bars, the longest first: shares and rankings. */
export const bars = (o: PanelOptions): Panel =>
  panel(
    { ...o, queries: o.queries.map((q) => ({ ...q, isInstant: true })) },
    {
      type: 'bargauge',
      colorMode: 'thresholds',
      width: 12,
      height: 8,
      options: {
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        orientation: 'horizontal',
        displayMode: 'basic',
        valueMode: 'text',
        namePlacement: 'left',
        showUnfilled: true,
        sizing: 'auto',
        minVizHeight: 16,
        maxVizHeight: 28,
      },
    },
  );

/** A column that one query gives; the columns of labels come first. */
export interface Column {
  readonly title: string;
  readonly query: Query;
  readonly unit?: string;
  readonly decimals?: number;
  readonly thresholds?: readonly Threshold[];
  /** A bar in the cell, up to this value. */
  readonly barTo?: number;
  /** What numbers are called: `{1: 'Ready'}`. */
  readonly words?: Readonly<Record<number, { readonly text: string; readonly color: Color }>>;
}

export interface TableOptions {
  readonly title: string;
  readonly about?: string;
  /** Labels that all queries have, with titles; each row is one combination of them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly columns: readonly Column[];
  /** Title of the column that rows are sorted by, highest first. */
  readonly sortBy?: string;
  /** Where a click on a label leads: path by label. */
  readonly links?: Readonly<Record<string, { readonly title: string; readonly url: string }>>;
  readonly width?: number;
  readonly height?: number;
}

const byName = (options: string, properties: Json[]): Fields => ({ matcher: { id: 'byName', options }, properties });

function columnProperties(c: Column): Json[] {
  const properties: Json[] = [];
  if (c.unit !== undefined) properties.push({ id: 'unit', value: c.unit });
  if (c.decimals !== undefined) properties.push({ id: 'decimals', value: c.decimals });
  if (c.thresholds) properties.push({ id: 'thresholds', value: stepsOf(c.thresholds) });
  if (c.barTo !== undefined)
    properties.push(
      { id: 'min', value: 0 },
      { id: 'max', value: c.barTo },
      { id: 'custom.cellOptions', value: { type: 'gauge', mode: 'basic', valueDisplayMode: 'text' } },
    );
  else if (c.thresholds || c.words) properties.push({ id: 'custom.cellOptions', value: { type: 'color-text' } });
  if (c.words)
    properties.push({
      id: 'mappings',
      value: [
        {
          type: 'value',
          options: Object.fromEntries(
            Object.entries(c.words).map(([value, { text, color }], index) => [value, { text, color, index }]),
          ),
        },
      ],
    });
  return properties;
}

/** One row per combination of labels, one column per query. */
export function table(o: TableOptions): Panel {
  const labels = Object.keys(o.labels);
  const valueName = (i: number): string => (o.columns.length === 1 ? 'Value' : `Value #${String.fromCharCode(65 + i)}`);
  const transformations: Json[] = [
    ...(o.columns.length > 1 ? [{ id: 'merge', options: {} }] : []),
    {
      id: 'filterFieldsByName',
      options: { include: { names: [...labels, ...o.columns.map((_, i) => valueName(i))] } },
    },
    {
      id: 'organize',
      options: {
        excludeByName: {},
        indexByName: Object.fromEntries([...labels, ...o.columns.map((_, i) => valueName(i))].map((n, i) => [n, i])),
        renameByName: { ...o.labels, ...Object.fromEntries(o.columns.map((c, i) => [valueName(i), c.title])) },
      },
    },
  ];
  const overrides = [
    ...Object.entries(o.links ?? {}).map(([label, link]) =>
      byName(o.labels[label] ?? label, [{ id: 'links', value: [{ ...link }] }]),
    ),
    ...o.columns.map((c) => byName(c.title, columnProperties(c))),
  ];
  const made = panel(
    {
      title: o.title,
      ...(o.about === undefined ? {} : { about: o.about }),
      queries: o.columns.map((c) => ({ ...c.query, isInstant: true })),
      ...(o.width === undefined ? {} : { width: o.width }),
      ...(o.height === undefined ? {} : { height: o.height }),
    },
    {
      type: 'table',
      colorMode: 'thresholds',
      format: 'table',
      width: COLUMNS,
      height: 9,
      custom: { align: 'auto', cellOptions: { type: 'auto' }, filterable: false, inspect: false },
      overrides,
      transformations,
      options: {
        showHeader: true,
        cellHeight: 'sm',
        footer: { show: false, countRows: false, fields: '', reducer: ['sum'] },
        ...(o.sortBy === undefined ? {} : { sortBy: [{ displayName: o.sortBy, desc: true }] }),
      },
    },
  );
  return {
    ...made,
    only({ hasData, hasDashboard }) {
      const columns = o.columns.filter((c) => hasData(c.query));
      if (columns.length === 0) return undefined;
      const links = Object.entries(o.links ?? {}).filter(([, { url }]) =>
        hasDashboard(/^\/d\/([\w-]+)/.exec(url)![1]!),
      );
      const { sortBy, ...rest } = o;
      return table({
        ...rest,
        columns,
        links: Object.fromEntries(links),
        ...(columns.some((c) => c.title === sortBy) ? { sortBy: sortBy! } : {}),
      });
    },
  };
}

/** Log lines. */
export const logLines = (o: { title: string; about?: string; expr: string; height?: number }): Panel =>
  panel(
    { ...o, queries: [{ expr: o.expr, logs: 'lines' }], height: o.height ?? 12 },
    {
      type: 'logs',
      colorMode: 'thresholds',
      width: COLUMNS,
      height: 12,
      options: {
        dedupStrategy: 'none',
        enableLogDetails: true,
        prettifyLogMessage: false,
        showCommonLabels: false,
        showLabels: false,
        showTime: true,
        sortOrder: 'Descending',
        wrapLogMessage: true,
      },
    },
  );
