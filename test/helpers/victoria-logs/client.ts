/** Asks VictoriaLogs, the real one or the model, as Grafana's data source does. */
import type { Fields } from '../logsql.ts';

export interface Client {
  /** Records, or rows of what the pipes make of them. */
  query(query: string): Promise<Fields[]>;
  /** Numbers as a panel gets them: labels and a value. */
  stats(query: string): Promise<StatsSeries[]>;
  statsRange(query: string): Promise<StatsSeries[]>;
  /** `{k8s.namespace.name="ns-0",…}` */
  streams(query?: string): Promise<string[]>;
  fieldValues(query: string, field: string): Promise<string[]>;
}

export interface StatsSeries {
  readonly labels: Fields;
  readonly value: number;
}

interface Answer {
  readonly data: {
    readonly result: readonly {
      readonly metric: Fields;
      readonly value?: readonly [number, string];
      readonly values?: readonly (readonly [number, string])[];
    }[];
  };
}

const seriesOf = (text: string): StatsSeries[] =>
  (JSON.parse(text) as Answer).data.result.map(({ metric, value, values }) => ({
    labels: metric,
    value: Number(value?.[1] ?? values?.reduce((sum, [, v]) => sum + Number(v), 0)),
  }));

const valuesOf = (text: string): string[] =>
  (JSON.parse(text) as { values: { value: string }[] }).values.map((v) => v.value);

/** Of one day; `headers` are for the tenant. */
export function clientOf(url: () => string, headers: Readonly<Record<string, string>> = {}): Client {
  const ask = async (path: string, parameters: Record<string, string>): Promise<string> => {
    const time = { start: String(Date.now() / 1000 - 86_400), end: String(Date.now() / 1000 + 60) };
    const parametersAndTime = new URLSearchParams({ ...time, ...parameters });
    const r = await fetch(`${url()}/select/logsql/${path}?${parametersAndTime}`, { headers });
    const answer = await r.text();
    if (r.status !== 200) throw new Error(`${path} ${parameters['query']}: ${answer}`);
    return answer;
  };
  return {
    query: async (query) =>
      (await ask('query', { query }))
        .split('\n')
        .filter((l) => l !== '')
        .map((l) => JSON.parse(l) as Fields),
    stats: async (query) => seriesOf(await ask('stats_query', { query })),
    statsRange: async (query) => seriesOf(await ask('stats_query_range', { query, step: '1h' })),
    streams: async (query = '*') => valuesOf(await ask('streams', { query })),
    fieldValues: async (query, field) => valuesOf(await ask('field_values', { query, field })),
  };
}
