/**
 * A model of VictoriaLogs for machines without the real one: takes OTLP and answers the LogsQL of dashboards. What it
 * stores and answers is held against the real one in victoria-logs-model.test.ts.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { defer } from '../agent.ts';
import { parseLogsQl } from '../logsql.ts';
import { encodingOf, type StoredRecord, storedOf } from './records.ts';

export interface ModelServer {
  readonly url: string;
  /** Content encodings of requests. */
  readonly encodings: ReadonlySet<string>;
}

async function bodyOf(req: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of req) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

const tenantOf = ({ headers }: IncomingMessage): string =>
  [headers['accountid'], headers['projectid']].map((n) => Number(n ?? 0)).join(':');

export async function startModel(t: TestContext): Promise<ModelServer> {
  const tenants = new Map<string, StoredRecord[]>();
  const encodings = new Set<string>();
  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const body = await bodyOf(req);
    const { pathname, searchParams: p } = new URL(req.url ?? '/', 'http://x');
    const tenant = tenantOf(req);
    const stored = tenants.get(tenant) ?? [];
    if (pathname === '/insert/opentelemetry/v1/logs') {
      if (req.headers['content-type'] === 'application/json') return void res.writeHead(400).end('json is not taken');
      encodings.add(encodingOf(req));
      stored.push(...storedOf(req, body, Date.now()));
      tenants.set(tenant, stored);
      return void res.writeHead(200).end();
    }
    if (pathname === '/health') return void res.end('OK');
    const query = parseLogsQl(p.get('query') ?? '*');
    const rows = query.run(stored);
    const series = (value: (v: string) => object) =>
      rows.flatMap((row) =>
        query
          .statsOf(row)
          .map(({ name, labels, number }) => ({ metric: { __name__: name, ...labels }, ...value(number) })),
      );
    const now = Date.now() / 1000;
    const send = (resultType: string, result: unknown): void =>
      void res.end(JSON.stringify({ status: 'success', data: { resultType, result } }));
    const sendValues = (values: Iterable<string>): void =>
      void res.end(JSON.stringify({ values: [...new Set(values)].map((value) => ({ value })) }));
    switch (pathname) {
      case '/select/logsql/query':
        return void res.end(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
      case '/select/logsql/stats_query':
        return send(
          'vector',
          series((v) => ({ value: [now, v] })),
        );
      case '/select/logsql/stats_query_range':
        return send(
          'matrix',
          series((v) => ({ values: [[now, v]] })),
        );
      case '/select/logsql/streams':
        return sendValues(rows.map((r) => r['_stream']!));
      case '/select/logsql/field_values':
        return sendValues(rows.map((r) => r[p.get('field')!] ?? ''));
      default:
        res.writeHead(404).end();
    }
  };
  const server = createServer((req, res) => {
    answer(req, res).catch((e: Error) => res.writeHead(400).end(e.stack));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  defer(t, async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, encodings };
}
