/** Reads the queries out of dashboards and gives variables of Grafana values, so that a database can answer them. */
import type { Dashboard } from '../../src/deploy/dashboards/index.ts';

export interface DashboardQuery {
  /** `Kubernetes / Pods: CPU`, for messages. */
  readonly where: string;
  readonly language: 'promql' | 'logsql';
  readonly expr: string;
  /** Of logs: instant (lines), stats, statsRange. Of metrics: '' */
  readonly queryType: string;
}

export interface VariableQuery {
  readonly where: string;
  readonly language: 'promql' | 'logsql';
  readonly metric: string;
  readonly label: string;
}

interface Target {
  readonly expr: string;
  readonly queryType?: string;
  readonly datasource: { readonly type: string };
}
interface PanelJson {
  readonly title: string;
  readonly targets?: readonly Target[];
  readonly panels?: readonly PanelJson[];
}
interface VariableJson {
  readonly name: string;
  readonly type: string;
  readonly query: { readonly query: string; readonly field?: string };
}
interface DashboardJson {
  readonly panels: readonly PanelJson[];
  readonly templating: { readonly list: readonly VariableJson[] };
}

const VALUES: Readonly<Record<string, string>> = {
  __rate_interval: '1m',
  __range: '10m',
};

/** All is chosen everywhere; `chosen` overrides. */
export function filled(expr: string, chosen: Readonly<Record<string, string>> = {}): string {
  return expr.replace(/\$(?:\{(\w+)(?::\w+)?\}|(\w+))/g, (_, braced?: string, plain?: string) => {
    const name = (braced ?? plain)!;
    return chosen[name] ?? VALUES[name] ?? '.*';
  });
}

export function queriesOf(d: Dashboard): DashboardQuery[] {
  const json = d.json as unknown as DashboardJson;
  return json.panels
    .flatMap((p) => [p, ...(p.panels ?? [])])
    .flatMap((p) =>
      (p.targets ?? []).map((t) => ({
        where: `${d.title}: ${p.title}`,
        language: t.datasource.type === 'prometheus' ? ('promql' as const) : ('logsql' as const),
        expr: t.expr,
        queryType: t.queryType ?? '',
      })),
    );
}

/** `label_values(metric{…}, label)`, or a field of the logs that match. */
export function variablesOf(d: Dashboard): VariableQuery[] {
  const json = d.json as unknown as DashboardJson;
  return json.templating.list
    .filter((v) => v.type === 'query')
    .map((v): VariableQuery => {
      const where = `${d.title}: variable ${v.name}`;
      const { query, field } = v.query;
      if (field !== undefined) return { where, language: 'logsql', metric: query, label: field };
      const m = /^label_values\((?:(.*), )?(\w+)\)$/.exec(query);
      if (!m) throw new Error(`${where}: ${query}`);
      return { where, language: 'promql', metric: m[1] ?? '', label: m[2]! };
    });
}

const WORDS = new Set(
  (
    'sum max min avg count topk bottomk by on and or unless bool group_left group_right ignoring without rate increase ' +
    'deriv predict_linear abs vector'
  ).split(' '),
);

/** Names of metrics in an expression of PromQL. */
export function metricsIn(expr: string): string[] {
  const bare = expr
    .replace(/"(?:[^"\\]|\\.)*"/g, '')
    .replace(/\{[^}]*\}/g, '')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/\b(?:by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)/g, '');
  return [...new Set(bare.match(/[a-zA-Z_:][\w:]*/g) ?? [])].filter((w) => !WORDS.has(w));
}

/** Labels that an expression of PromQL chooses or groups by. */
export function labelsIn(expr: string): string[] {
  const chosen = [...expr.matchAll(/\{([^}]*)\}/g)].flatMap((m) =>
    [...m[1]!.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map((l) => l[1]!),
  );
  const grouped = [...expr.matchAll(/\b(?:by|on)\s*\(([^)]*)\)/g)].flatMap((m) => m[1]!.split(/\s*,\s*/));
  return [...new Set([...chosen, ...grouped])].filter((l) => l !== '');
}

/** Fields of records that an expression of LogsQL asks for, groups by or counts. */
export function fieldsIn(expr: string): string[] {
  const asked = [...expr.matchAll(/([\w.]+):(?:=|~|\*|in\()/g)].map((m) => m[1]!);
  const stream = [...expr.matchAll(/[{,]"([\w.]+)"=/g)].map((m) => m[1]!);
  const counted = [...expr.matchAll(/\b(?:by|count_uniq) ?\(([^)]+)\)/g)].flatMap((m) => m[1]!.split(', '));
  return [...new Set([...asked, ...stream, ...counted])].filter((f) => !f.endsWith(' desc'));
}
