/** VictoriaLogs is asked what it has stored: whether streams explode and by which field, records without a message, dropped ones. */
import { createHttpClient } from '../../core/http-client.ts';
import type { HttpClientConfig } from '../../core/schema.ts';
import type { Check, DoctorContext, Tier } from '../context.ts';
import { count, type Finding, ok, unknown, warning } from '../finding.ts';
import type { Fields } from '../objects.ts';
import { headersOf, logsExporters, MESSAGE, STREAM } from './victoria-logs.ts';

const TIMEOUT_MS = 8000;
/** Streams of one container; a second one is that of its last version, say. */
const MOST_PER_SOURCE = 2;
/** Few are no trouble, whatever their number is divided by. */
const FEW = 20;
/** What tells one source of records from another. */
const SOURCE = [
  'k8s.cluster.name',
  'k8s.namespace.name',
  'k8s.pod.name',
  'k8s.container.name',
  'k8s.node.name',
  'host.name',
  'service.name',
];
/** So many fields are asked about at once. */
const MOST_FIELDS = 50;
const DAY = '_time:1d';

export const storedLogs: Check = {
  id: 'stored-logs',
  title: 'VictoriaLogs: what it has stored',
  async run(ctx) {
    const out: Finding[] = [];
    const seen = new Set<string>();
    for (const tier of ctx.tiers)
      for (const { id, value, endpoint } of logsExporters(tier)) {
        const base = baseOf(endpoint);
        const key = `${base} ${JSON.stringify(tenantOf(value))}`;
        // Its name is known only in the cluster.
        const isOutOfReach = !ctx.isInside && /^[^/]+:\/\/[^/:]+\.svc(?:[.:/]|$)/.test(`${base}/`);
        if (base === undefined || isOutOfReach || seen.has(key)) continue;
        seen.add(key);
        out.push(...(await ofServer(ctx, tier, id, base, value)));
      }
    return out;
  },
};

const baseOf = (endpoint: string): string | undefined =>
  URL.canParse(endpoint) ? endpoint.slice(0, endpoint.indexOf('/insert/opentelemetry')) : undefined;

const tenantOf = (value: Fields): unknown[] =>
  headersOf(value).filter(([name]) => /^(?:accountid|projectid)$/i.test(name));

class NoAnswer extends Error {}

type Ask = (path: string, parameters?: Readonly<Record<string, string>>) => Promise<string>;

async function ofServer(ctx: DoctorContext, tier: Tier, id: string, base: string, value: Fields): Promise<Finding[]> {
  const { origin, pathname } = new URL(base);
  const shown = origin + (pathname === '/' ? '' : pathname);
  let client: ReturnType<typeof createHttpClient>;
  try {
    client = createHttpClient({ ...(value as unknown as HttpClientConfig), timeout: TIMEOUT_MS }, { clock: ctx.clock });
  } catch {
    // Certificates that only the pod has: that is told with the destinations.
    return [];
  }
  const ask: Ask = async (path, parameters = {}) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const body = Buffer.from(new URLSearchParams(parameters).toString());
    const answer = await client.post(new URL(base + path), headers, body, ctx.signal);
    const text = answer.body.toString('utf8');
    if (answer.status !== 200) throw new NoAnswer(`${path}: status ${answer.status} ${text.slice(0, 200).trim()}`);
    return text;
  };
  try {
    return [
      await streamsOf(ask, shown, `${id} of ${tier.name}`, value),
      ...(await withoutMessage(ask, shown)),
      ...(await droppedBy(ask, shown)),
    ];
  } catch (e) {
    // That it cannot be reached at all is told with the destinations.
    if (!(e instanceof NoAnswer)) return [];
    return [
      unknown(
        `${shown} does not tell how many streams it has`,
        e.message,
        'ask where VictoriaLogs answers queries: `curl -d query=_time:1d URL/select/logsql/streams`',
      ),
    ];
  } finally {
    client.close();
  }
}

/** One row of numbers. */
async function numbers(ask: Ask, query: string): Promise<Record<string, number>> {
  const line = (await ask('/select/logsql/query', { query })).split('\n')[0] || '{}';
  return Object.fromEntries(Object.entries(JSON.parse(line) as object).map(([k, v]) => [k, Number(v)]));
}

const quoted = (names: readonly string[]): string => names.map((n) => JSON.stringify(n)).join(', ');

async function streamsOf(ask: Ask, shown: string, exporter: string, value: Fields): Promise<Finding> {
  const all = `${DAY} | stats count_uniq(_stream_id) as streams, count_uniq(${quoted(SOURCE)}) as sources`;
  const { streams, sources } = await numbers(ask, all);
  if (streams === undefined || sources === undefined)
    throw new Error('this is something else on the path of VictoriaLogs');
  const what = `${shown} made ${count(streams, 'stream')} for ${count(sources, 'container or service', 'containers and services')} in the last day`;
  const how = `LogsQL: ${all}`;
  if (streams <= MOST_PER_SOURCE * sources || streams <= FEW) return ok(what, how);
  const { values } = JSON.parse(await ask('/select/logsql/stream_field_names', { query: DAY })) as {
    values: { value: string }[];
  };
  const names = values
    .map((v) => v.value)
    .filter((n) => !SOURCE.includes(n))
    .slice(0, MOST_FIELDS);
  const most = names.length === 0 ? {} : await numbers(ask, mostPerSource(names));
  const guilty = names
    .map((name, i) => ({ name, values: most[`v${i}`] ?? 0 }))
    .filter((f) => f.values > 1)
    .sort((a, b) => b.values - a.values || (a.name < b.name ? -1 : 1));
  const worst = guilty.slice(0, 5).map((f) => `${f.name} (${f.values} values)`);
  return warning(
    `${what}: ${worst.length > 0 ? `they are multiplied by ${worst.join(', ')}` : 'their fields change'}`,
    `${how}; values are those in one of them`,
    fixOf(exporter, value, new Set(guilty.map((f) => f.name))),
  );
}

const mostPerSource = (names: readonly string[]): string =>
  `${DAY} | stats by (${quoted(SOURCE)}) ${names.map((n, i) => `count_uniq(${quoted([n])}) as v${i}`).join(', ')}` +
  ` | stats ${names.map((_, i) => `max(v${i}) as v${i}`).join(', ')}`;

function fixOf(exporter: string, value: Fields, guilty: ReadonlySet<string>): string {
  const header = headersOf(value).find(([name]) => name.toLowerCase() === 'vl-stream-fields');
  const fields = (header?.[1] ?? '')
    .split(',')
    .map((f) => f.trim())
    .filter((f) => f !== '');
  if (fields.length === 0) return `headers of ${exporter}: {${STREAM.replace(': ', ': "')}"}`;
  const left = fields.filter((f) => !guilty.has(f));
  // Streams are what they were when they were made, and others may send there.
  return left.length < fields.length
    ? `headers of ${exporter}: {VL-Stream-Fields: "${left.join(',')}"}`
    : `${exporter} sends none of these fields as stream fields: give whatever else sends there the header ${STREAM}`;
}

/** Lines of containers may be empty; that is no mistake. */
async function withoutMessage(ask: Ask, shown: string): Promise<Finding[]> {
  const query = '_time:1h "missing _msg field" NOT log.iostream:* | stats count() as records';
  const { records = 0 } = await numbers(ask, query);
  if (records === 0) return [];
  return [
    warning(
      `${shown} has ${count(records, 'record')} of the last hour without a message`,
      `LogsQL: ${query}`,
      `name the field of the body that is the message: headers of the exporter: {${MESSAGE.replace(': ', ': "')}"}`,
    ),
  ];
}

const DROPPED: Readonly<Record<string, readonly [what: string, fix: string]>> = {
  too_small_timestamp: ['older than it keeps', 'start VictoriaLogs with a longer -retentionPeriod (7d by default)'],
  too_big_timestamp: [
    'of the future',
    'set the clocks of the nodes right, or start VictoriaLogs with -futureRetention',
  ],
  too_many_fields: ['with more fields than it takes', 'leave fields out: header VL-Ignore-Fields of the exporter'],
};

/** They were answered with 200, so no sender knows. Not everybody may see these numbers. */
async function droppedBy(ask: Ask, shown: string): Promise<Finding[]> {
  const text = await ask('/metrics').catch((e: unknown) => {
    if (e instanceof NoAnswer) return '';
    throw e;
  });
  return Object.entries(DROPPED).flatMap(([reason, [what, fix]]) => {
    const series = `vl_rows_dropped_total{reason="${reason}"}`;
    const line = text.split('\n').find((l) => l.startsWith(`${series} `));
    const n = Number(line?.slice(series.length) ?? 0);
    return n > 0
      ? [warning(`${shown} took ${count(n, 'record')} ${what} and dropped them`, `its metrics: ${line}`, fix)]
      : [];
  });
}
