/** Writes trace requests as services with an OpenTelemetry SDK send them. On purpose it shares nothing with src/wire. */
import { seededRandom } from './generate.ts';

type Bytes = readonly Buffer[];

const varint = (n: number): Buffer => {
  const out: number[] = [];
  let left = n;
  for (; left > 127; left = Math.floor(left / 128)) out.push((left % 128) | 128);
  out.push(left);
  return Buffer.from(out);
};

export const message = (field: number, content: Bytes): Buffer => {
  const body = Buffer.concat(content);
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
};
export const text = (field: number, value: string): Buffer => message(field, [Buffer.from(value)]);
const number = (field: number, value: number): Buffer => Buffer.concat([varint(field << 3), varint(value)]);
export const time = (field: number, nanos: bigint): Buffer => {
  const out = Buffer.alloc(9);
  out[0] = (field << 3) | 1;
  out.writeBigUInt64LE(nanos, 1);
  return out;
};
export const attribute = (field: number, key: string, value: string | number): Buffer =>
  message(field, [text(1, key), message(2, [typeof value === 'string' ? text(1, value) : number(3, value)])]);

const ROUTES = ['/api/v1/orders', '/api/v1/orders/{id}', '/api/v1/customers/{id}', '/healthz'];

/** An encoded ExportTraceServiceRequest of one service with `spans` spans; the same seed gives the same bytes. */
export function traceRequest(seed: number, spans: number): Buffer {
  const random = seededRandom(seed);
  const id = (bytes: number): Buffer => Buffer.from(Array.from({ length: bytes }, () => random(256)));
  const begin = 1_780_000_000_000_000_000n + BigInt(seed) * 1_000_000_000n;
  let trace = id(16);
  let parent = id(8);
  const items = Array.from({ length: spans }, (_, i): Buffer => {
    const isRoot = i % 5 === 0;
    if (isRoot) trace = id(16);
    const self = id(8);
    const from = begin + BigInt(i) * 2_000_000n;
    const route = ROUTES[random(ROUTES.length)]!;
    const span = message(2, [
      message(1, [trace]),
      message(2, [self]),
      ...(isRoot ? [] : [message(4, [parent])]),
      text(5, `GET ${route}`),
      number(6, isRoot ? 2 : 3),
      time(7, from),
      time(8, from + BigInt(random(50_000_000))),
      attribute(9, 'http.request.method', 'GET'),
      attribute(9, 'http.route', route),
      attribute(9, 'http.response.status_code', random(20) === 0 ? 500 : 200),
      attribute(9, 'url.path', route.replace('{id}', String(random(1e6)))),
      attribute(9, 'server.address', 'orders.shop.svc.cluster.local'),
      attribute(9, 'server.port', 8080),
      attribute(9, 'network.peer.address', `10.42.${random(255)}.${random(255)}`),
      attribute(9, 'user_agent.original', 'Apache-HttpClient/5.4.1 (Java/21.0.8)'),
      message(15, []),
    ]);
    parent = self;
    return span;
  });
  return message(1, [
    message(1, [
      attribute(1, 'service.name', `orders-${seed % 5}`),
      attribute(1, 'service.version', '1.14.2'),
      attribute(1, 'k8s.pod.name', `orders-${seed}-7d9c5b6f4-x0001`),
      attribute(1, 'k8s.namespace.name', 'shop'),
      attribute(1, 'telemetry.sdk.language', 'java'),
    ]),
    message(2, [message(1, [text(1, 'io.opentelemetry.tomcat-10.0'), text(2, '2.20.1')]), ...items]),
  ]);
}
