/** VictoriaLogs: are streams few, and has every record a message? By the headers that the exporter sends. */
import { textsOf } from '../../deploy/used-components.ts';
import type { Check, ConfiguredPipeline, Tier } from '../context.ts';
import { type Finding, ok, some, warning } from '../finding.ts';
import { type Fields, fieldsOf, listOf, textOf } from '../objects.ts';

export const STREAM = 'VL-Stream-Fields: k8s.namespace.name,k8s.pod.name,k8s.container.name';
export const MESSAGE = 'VL-Msg-Field: object.note,object.message,message,msg,log';
/** New with every pod, restart or roll-out. */
const CHURNING = [
  'k8s.pod.uid',
  'k8s.pod.start_time',
  'service.instance.id',
  'container.id',
  'k8s.replicaset.uid',
  'k8s.pod.ip',
];

export const victoriaLogs: Check = {
  id: 'victoria-logs',
  title: 'VictoriaLogs: streams and messages',
  async run(ctx) {
    return ctx.tiers.flatMap((tier) => logsExporters(tier).flatMap((e) => ofExporter(tier, e)));
  },
};

interface LogsExporter {
  readonly id: string;
  readonly value: Fields;
  readonly endpoint: string;
  readonly pipelines: readonly ConfiguredPipeline[];
}

/** Those that send logs to VictoriaLogs. */
export function logsExporters({ config }: Tier): LogsExporter[] {
  return [...(config?.exporters.values() ?? [])]
    .filter((c) => c.entry.id === 'otlp_http')
    .map((c) => {
      const value = fieldsOf(c.value);
      const pipelines = config!.pipelines.filter((p) => p.signal === 'logs' && p.exporters.includes(c.id));
      return { id: c.id, value, endpoint: textOf(value['logs_endpoint']) || textOf(value['endpoint']), pipelines };
    })
    .filter(({ endpoint, pipelines }) => /\/insert\/opentelemetry\b/.test(endpoint) && pipelines.length > 0);
}

/** As written or as its schema made them. */
export function headersOf(exporter: Fields): (readonly [name: string, value: string])[] {
  const of = exporter['headers'];
  return Array.isArray(of)
    ? listOf(of).map((h) => [textOf(h['name']), textOf(h['value'])])
    : Object.entries(fieldsOf(of)).map(([k, v]) => [k, textOf(v)]);
}

function ofExporter(tier: Tier, { id, value, pipelines }: LogsExporter): Finding[] {
  const header = (name: string): string => headersOf(value).find(([k]) => k.toLowerCase() === name)?.[1] ?? '';
  const out: Finding[] = [];
  const name = `${id} of ${tier.name}`;
  const fields = textsOf(
    header('vl-stream-fields')
      .split(',')
      .map((f) => f.trim()),
  );
  const churning = fields.filter((f) => CHURNING.includes(f));
  if (fields.length === 0)
    out.push(
      warning(
        `${name}: every resource attribute becomes a stream field, so that there is a new stream with every pod and restart`,
        'the exporter sends no header VL-Stream-Fields, and VictoriaLogs then takes them all',
        `headers of the exporter: {${STREAM.replace(': ', ': "')}"}`,
      ),
    );
  else if (churning.length > 0)
    out.push(
      warning(
        `${name}: ${some(churning)} among the stream fields makes a new stream with every pod or restart`,
        `header VL-Stream-Fields: ${fields.join(',')}`,
        `take ${churning.join(', ')} out of VL-Stream-Fields`,
      ),
    );
  const isMap = pipelines.some((p) =>
    p.receivers.some((r) => tier.config!.receivers.get(r)?.entry.id === 'k8s_objects'),
  );
  const messages = header('vl-msg-field');
  if (isMap && !/\bobject\.(?:note|message)\b/.test(messages))
    out.push(
      warning(
        `${name}: events of Kubernetes arrive without a message`,
        `k8s_objects sends maps, and the header VL-Msg-Field ${messages === '' ? 'is not there' : `has only ${messages}`}`,
        `headers of the exporter: {${MESSAGE.replace(': ', ': "')}"}`,
      ),
    );
  if (out.length > 0) return out;
  return [ok(`${name} makes few streams`, `header VL-Stream-Fields: ${fields.join(',')}`)];
}
