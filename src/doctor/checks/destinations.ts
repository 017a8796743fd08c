/** Do the destinations of the configuration answer from here? An empty request tells address, TLS, credentials and path, and stores nothing. */
import { connect, isIP } from 'node:net';
import { messageOf } from '../../core/errors.ts';
import { createHttpClient, type HttpClient } from '../../core/http-client.ts';
import type { HttpClientConfig } from '../../core/schema.ts';
import { type ClockReading, readingOf } from '../clocks.ts';
import { isProblem, RESOURCES } from '../cluster.ts';
import type { Check, ConfiguredComponent, DoctorContext, Tier } from '../context.ts';
import { type Finding, failure, ok, some, unknown, warning } from '../finding.ts';
import { NOT_READ } from '../gather.ts';
import { type Fields, fieldsOf, listOf, textOf } from '../objects.ts';
import { inPod } from './workload-reads.ts';

const TIMEOUT_MS = 8000;
const SLOW_MS = 1000;
/** An empty message, as snappy packs it. */
const EMPTY_SNAPPY = Buffer.from([0]);

interface Target {
  readonly id: string;
  readonly tier: Tier;
  readonly url: URL;
  readonly kind: 'otlp' | 'remote_write' | 'grpc';
  readonly client: HttpClientConfig;
}

export const destinations: Check = {
  id: 'destinations',
  title: 'Destinations',
  run: async (ctx) => (await probes(ctx)).map((p) => p.finding),
};

export interface Probe {
  readonly finding: Finding;
  /** `http://host:port` */
  readonly origin: string;
  /** Of the server that answered. */
  readonly clock: ClockReading | undefined;
}

/** Each destination is asked once for all checks. */
export const probes = (ctx: DoctorContext): Promise<Probe[]> => ctx.once('probes', () => probeAll(ctx));

async function probeAll(ctx: DoctorContext): Promise<Probe[]> {
  const out: Probe[] = [];
  const seen = new Set<string>();
  for (const tier of ctx.tiers)
    for (const target of targetsOf(tier)) {
      const key = `${target.id} ${target.url.href}`;
      if (seen.has(key)) continue;
      seen.add(key);
      let clock: ClockReading | undefined;
      const finding = await probe(ctx, target, (reading) => (clock = reading));
      out.push({ finding, origin: target.url.origin, clock });
    }
  return out;
}

/** Without user, password and query: they may be secrets. */
const shown = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`;

function targetsOf(tier: Tier): Target[] {
  const used = new Set(tier.config?.pipelines.flatMap((p) => p.exporters));
  return [...(tier.config?.exporters.values() ?? [])]
    .filter((c) => used.has(c.id))
    .flatMap((c) => targetsOfExporter(tier, c));
}

function targetsOfExporter(tier: Tier, c: ConfiguredComponent): Target[] {
  const value = fieldsOf(c.value);
  const at = (text: string, kind: Target['kind'], client: Fields): Target[] =>
    URL.canParse(text)
      ? [{ id: c.id, tier, url: new URL(text), kind, client: client as unknown as HttpClientConfig }]
      : [];
  switch (c.entry.id) {
    case 'otlp_http': {
      const signals = new Set(tier.config!.pipelines.filter((p) => p.exporters.includes(c.id)).map((p) => p.signal));
      return [...signals].flatMap((s) => {
        const base = textOf(value['endpoint']);
        return at(textOf(value[`${s}_endpoint`]) || `${base}${base.endsWith('/') ? '' : '/'}v1/${s}`, 'otlp', value);
      });
    }
    case 'prometheus_remote_write': {
      const http = fieldsOf(value['http']);
      const client = Object.keys(http).length > 0 ? http : value;
      return at(textOf(client['endpoint']) || textOf(value['endpoint']), 'remote_write', client);
    }
    case 'otlp_grpc': {
      const endpoint = textOf(value['endpoint']).replace(/^(?:dns|passthrough):\/{2,3}/, '');
      return at(
        /^https?:\/\//.test(endpoint)
          ? endpoint
          : `${fieldsOf(value['tls'])['insecure'] === true ? 'http' : 'https'}://${endpoint}`,
        'grpc',
        value,
      );
    }
    default:
      return [];
  }
}

async function probe(
  ctx: DoctorContext,
  target: Target,
  onClock: (reading: ClockReading | undefined) => void,
): Promise<Finding> {
  const { url, id, tier } = target;
  const name = `${id} of ${tier.name}`;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const service = /^([a-z0-9-]+)\.([a-z0-9-]+)(?:\.svc(?:\..+)?)?$/.exec(host);
  const isOfCluster = !isIP(host) && (/\.svc(?:\.|$)/.test(host) || !host.includes('.') || service !== null);
  if (!ctx.isInside && isOfCluster && host !== 'localhost' && /\.svc(?:\.|$)/.test(host))
    return fromOutside(ctx, target, service);
  if (target.kind === 'grpc') return connects(target, name);
  const from = ctx.clock.monotonicMs();
  let client: HttpClient;
  try {
    client = createHttpClient({ ...target.client, timeout: TIMEOUT_MS }, { clock: ctx.clock });
  } catch (e) {
    if (!ctx.isInside && tier.workload)
      return unknown(
        `${name} cannot be tried from here: its certificates are in the pod`,
        messageOf(e),
        inPod(ctx, tier.workload, url),
      );
    return failure(`${name} cannot be tried`, messageOf(e), 'correct the tls block of the exporter');
  }
  try {
    const isWrite = target.kind === 'remote_write';
    const headers = {
      'content-type': 'application/x-protobuf',
      ...(isWrite ? { 'content-encoding': 'snappy', 'x-prometheus-remote-write-version': '0.1.0' } : {}),
    };
    const fromMs = ctx.clock.nowMs();
    const answer = await client.post(url, headers, isWrite ? EMPTY_SNAPPY : Buffer.alloc(0), ctx.signal);
    onClock(readingOf(answer.headers.date, fromMs, ctx.clock));
    const ms = Math.round(ctx.clock.monotonicMs() - from);
    const text = answer.body.subarray(0, 200).toString('utf8').trim();
    return judged(name, target, answer.status, ms, text);
  } catch (e) {
    const message = messageOf(e).replaceAll(url.href, shown(url));
    return failure(
      `${name} cannot reach ${shown(url)}`,
      `${isWriteText(target)}: ${message}`,
      adviceFor(message, service, target),
    );
  } finally {
    client.close();
  }
}

const isWriteText = (t: Target): string =>
  t.kind === 'remote_write' ? 'an empty remote write' : 'an empty OTLP request';

function judged(name: string, t: Target, status: number, ms: number, text: string): Finding {
  const url = shown(t.url);
  const secure = t.url.protocol === 'https:' ? ', TLS verified' : '';
  const how = `${isWriteText(t)} was answered with status ${status} after ${ms} ms${t.client.tls?.insecure_skip_verify ? ', TLS not checked' : secure}${status >= 300 && text ? `: ${text}` : ''}`;
  if (status < 300)
    return ms > SLOW_MS
      ? warning(`${name} reaches ${url}, slowly`, how, 'look at the load of the destination and at the way to it')
      : ok(`${name} reaches ${url}`, how);
  if (status === 401 || status === 403)
    return t.client.auth || JSON.stringify(t.client.headers ?? {}).includes(NOT_READ)
      ? unknown(
          `${name} reaches ${url}; its credentials are not known here and were not tried`,
          how,
          t.tier.workload
            ? `kubectl logs -n ${t.tier.workload.namespace} ${t.tier.workload.kind.toLowerCase()}/${t.tier.workload.name} | sluice doctor --from-logs -`
            : 'look into the log of the collector: `sluice doctor --from-logs FILE`',
        )
      : failure(
          `${url} does not accept the credentials of ${name}`,
          how,
          'set headers.Authorization or auth.authenticator of the exporter',
        );
  // VictoriaMetrics answers 400 for paths that it does not have.
  if (status === 404 || status === 405 || (status === 400 && /(?:unsupported|unexpected|unknown) path/i.test(text)))
    return failure(
      `nothing takes data at ${url} (${name})`,
      how,
      t.kind === 'remote_write'
        ? 'paths: VictoriaMetrics single node /api/v1/write, vminsert /insert/0/prometheus/api/v1/write, Prometheus /api/v1/write with --web.enable-remote-write-receiver'
        : 'paths: VictoriaLogs /insert/opentelemetry/v1/logs (endpoint: …/insert/opentelemetry), others /v1/logs',
    );
  if (status === 429)
    return warning(`${url} says that it gets too much (${name})`, how, 'raise its limit, or send less');
  // An empty request is not to everybody's taste; that it is understood as bad means that the path is right.
  if (status === 400 || status === 415 || status === 422)
    return ok(`${name} reaches ${url}`, `${how}; it does not like an empty request, which is no trouble`);
  return failure(`${url} answers ${name} with status ${status}`, how, 'look at the log of the destination');
}

function adviceFor(message: string, service: RegExpExecArray | null, t: Target): string {
  if (/no such host/.test(message) && service)
    return `\`kubectl get service -n ${service[2]} ${service[1]}\` must show it; correct the endpoint or install it`;
  if (/no such host/.test(message)) return 'correct the name in the endpoint';
  if (/HTTP response to HTTPS/.test(message)) return 'write http:// in the endpoint';
  if (/unknown authority/.test(message)) return 'tls.ca_file: the certificate of the authority that signed it';
  if (/certificate is valid for/.test(message))
    return 'use a name of the certificate in the endpoint, or tls.server_name_override';
  if (/expired|not yet valid/.test(message)) return 'renew the certificate of the destination, or set the clock right';
  if (/refused/.test(message) && service)
    return `\`kubectl get endpointslices -n ${service[2]} -l kubernetes.io/service-name=${service[1]}\` must show ready pods; is ${t.url.port || 'the port'} right?`;
  if (/refused/.test(message)) return 'start the destination, or correct host and port of the endpoint';
  return 'is the address right? Is a NetworkPolicy in the way: `kubectl get networkpolicy -A`';
}

/** The name is known only in the cluster, but what stands behind it can be looked at. */
async function fromOutside(ctx: DoctorContext, t: Target, parts: RegExpExecArray | null): Promise<Finding> {
  const name = `${t.id} of ${t.tier.name}`;
  const inside = inPod(ctx, t.tier.workload, t.url);
  const cannot = (why: string): Finding =>
    unknown(`${shown(t.url)} has a name that is known only in the cluster (${name})`, why, inside);
  if (!ctx.cluster || !parts) return cannot(ctx.clusterProblem || 'this is not in the cluster');
  const [, service = '', namespace = ''] = parts;
  const found = await ctx.cluster.get(RESOURCES.services, namespace, service);
  if (isProblem(found)) {
    if (found.status !== 404) return cannot(found.problem);
    return failure(
      `there is no Service ${service} in namespace ${namespace}, where ${name} sends to`,
      `GET of the Service: not found; endpoint ${shown(t.url)}`,
      await elsewhere(ctx, t, service),
    );
  }
  const port = Number(t.url.port || (t.url.protocol === 'https:' ? 443 : 80));
  const ports = listOf(fieldsOf(found.value['spec'])['ports']).map((p) => Number(p['port']));
  const where = `Service ${namespace}/${service}`;
  if (!ports.includes(port))
    return failure(
      `${where} has no port ${port}, which ${name} sends to`,
      `its ports are ${ports.join(', ') || 'none'}`,
      `use one of them in the endpoint ${shown(t.url)}`,
    );
  if (fieldsOf(found.value['spec'])['type'] === 'ExternalName') return cannot(`${where} is an ExternalName`);
  const slices = await ctx.cluster.list(RESOURCES.endpointslices, {
    namespace,
    labelSelector: `kubernetes.io/service-name=${service}`,
  });
  if (isProblem(slices)) return cannot(slices.problem);
  const ready = slices.value
    .flatMap((s) => listOf(s['endpoints']))
    .filter((e) => fieldsOf(e['conditions'])['ready'] !== false).length;
  if (ready === 0)
    return failure(
      `${where}, where ${name} sends to, has no ready pod`,
      `EndpointSlices of ${service}: none is ready`,
      `kubectl get pods -n ${namespace}`,
    );
  return unknown(
    `${where} exists and has ${ready} ready endpoints; whether it answers ${name} only the pod can say`,
    `port ${port}; EndpointSlices`,
    inside,
  );
}

/** The Service that may be meant: of that name in another namespace, or one with that port. */
async function elsewhere(ctx: DoctorContext, { url }: Target, name: string): Promise<string> {
  const all = await ctx.cluster!.list(RESOURCES.services);
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  const others = (isProblem(all) ? [] : all.value).filter(
    (s) =>
      listOf(fieldsOf(s['spec'])['ports']).some((p) => Number(p['port']) === port) &&
      (s.metadata.name === name || ![80, 443].includes(port)),
  );
  // The same name says more than the same port.
  others.sort((a, b) => Number(b.metadata.name === name) - Number(a.metadata.name === name));
  if (others.length === 0) return 'correct the endpoint, or install the destination';
  const urls = others.map(
    (s) => `${url.protocol}//${s.metadata.name}.${s.metadata.namespace}.svc.cluster.local:${port}`,
  );
  return `is it ${some(urls, 2)}? Correct the endpoint, or install the destination`;
}

function connects(t: Target, name: string): Promise<Finding> {
  const port = Number(t.url.port || (t.url.protocol === 'https:' ? 443 : 80));
  const host = t.url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (f: Finding): void => {
      socket.destroy();
      resolve(f);
    };
    socket.setTimeout(TIMEOUT_MS, () =>
      done(
        failure(
          `${name} cannot reach ${host}:${port}`,
          'no connection in time',
          'is the address right? Is a NetworkPolicy in the way: `kubectl get networkpolicy -A`',
        ),
      ),
    );
    socket.on('connect', () =>
      done(ok(`${name} can connect to ${host}:${port}`, 'a TCP connection was opened; gRPC itself was not tried')),
    );
    socket.on('error', (e) =>
      done(
        failure(
          `${name} cannot reach ${host}:${port}`,
          messageOf(e),
          'start the destination, or correct host and port of the endpoint',
        ),
      ),
    );
  });
}
