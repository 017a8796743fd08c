/**
 * VictoriaLogs for tests: the real one when SLUICE_VICTORIA_LOGS=path or PATH has it, else a model of it that takes OTLP as it
 * documents (stream fields and message field by header, nested fields joined with dots) and answers the LogsQL of dashboards.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { asText } from '../../src/local/store/decode.ts';
import { decodeResource, type ValueMap } from '../../src/wire/otlp.ts';
import { type LogRecord, logRecords } from '../../src/wire/otlp-logs.ts';
import { ProtoReader, ProtoWriter } from '../../src/wire/proto.ts';
import { defer, tempDir, until } from './agent.ts';
import { type Fields, parseLogsQl } from './logsql.ts';
import { portForLong } from './victoria-metrics.ts';

export interface VictoriaLogs {
  readonly url: string;
  readonly isReal: boolean;
  /** Content encodings of requests; only the model sees them. */
  readonly encodings: ReadonlySet<string>;
  /** Records, or rows of what the pipes make of them. */
  query(query: string): Promise<Fields[]>;
  /** Numbers as a panel gets them: labels and a value. */
  stats(query: string): Promise<{ labels: Fields; value: number }[]>;
  statsRange(query: string): Promise<{ labels: Fields; value: number }[]>;
  /** `{k8s.namespace.name="ns-0",…}` */
  streams(): Promise<string[]>;
  fieldValues(query: string, field: string): Promise<string[]>;
}

/** Lists stay one field, as JSON. Empty values are no fields. */
function flatten(map: ValueMap, into: Record<string, string>, prefix = ''): void {
  for (const [k, v] of map)
    if (v instanceof Map) flatten(v, into, `${prefix}${k}.`);
    else if (asText(v) !== '') into[prefix + k] = asText(v);
}

export interface StoredRecord {
  readonly fields: Fields;
  readonly stream: string;
}

interface Headers {
  readonly streamFields: readonly string[] | undefined;
  readonly messageFields: readonly string[];
}

function storedRecord(resource: ValueMap, r: LogRecord, headers: Headers): StoredRecord {
  const own: Record<string, string> = {};
  flatten(resource, own);
  const names = headers.streamFields ?? Object.keys(own);
  const fields: Record<string, string> = { ...own };
  flatten(r.attributes, fields);
  if (r.body instanceof Map) flatten(r.body, fields);
  else if (asText(r.body) !== '') fields['_msg'] = asText(r.body);
  if (r.severityText !== '') fields['severity'] = r.severityText;
  const from = headers.messageFields.find((f) => fields[f] !== undefined);
  if (from !== undefined && from !== '_msg') {
    fields['_msg'] = fields[from]!;
    delete fields[from];
  }
  fields['_time'] = new Date(Number((r.time || r.observedTime) / 1_000_000n)).toISOString();
  const stream = names
    .filter((n) => fields[n] !== undefined)
    .sort()
    .map((n) => `${JSON.stringify(n)}=${JSON.stringify(fields[n])}`)
    .join(',');
  return { fields, stream: `{${stream}}` };
}

function recordsOf(body: Uint8Array, headers: Headers): StoredRecord[] {
  const found: StoredRecord[] = [];
  const request = new ProtoReader(body);
  while (request.next()) {
    let resource: ValueMap = new Map();
    const records: LogRecord[] = [];
    const r = request.message();
    while (r.next()) {
      if (r.field === 1) resource = decodeResource(r.bytes());
      else if (r.field === 2) {
        const scope = r.message();
        while (scope.next()) {
          if (scope.field !== 2) {
            scope.skip();
            continue;
          }
          const w = new ProtoWriter();
          w.bytes(2, scope.bytes());
          records.push(...logRecords(w.finish()));
        }
      } else r.skip();
    }
    found.push(...records.map((record) => storedRecord(resource, record, headers)));
  }
  return found;
}

const list = (header: string | string[] | undefined): string[] | undefined =>
  header === undefined || header === '' ? undefined : String(header).split(',');

async function bodyOf(req: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of req) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

const UNPACK: Readonly<Record<string, (b: Buffer) => Buffer>> = {
  gzip: (b) => gunzipSync(b),
  zstd: (b) => zstdDecompressSync(b),
  identity: (b) => b,
};

interface Model {
  readonly url: string;
  readonly encodings: ReadonlySet<string>;
}

async function startModel(t: TestContext): Promise<Model> {
  const stored: StoredRecord[] = [];
  const encodings = new Set<string>();
  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const body = await bodyOf(req);
    const { pathname, searchParams: p } = new URL(req.url ?? '/', 'http://x');
    if (pathname === '/insert/opentelemetry/v1/logs') {
      const encoding = req.headers['content-encoding'] ?? 'identity';
      encodings.add(encoding);
      const headers = {
        streamFields: list(req.headers['vl-stream-fields']),
        messageFields: list(req.headers['vl-msg-field']) ?? [],
      };
      stored.push(...recordsOf(UNPACK[encoding]!(body), headers));
      res.writeHead(200).end();
      return;
    }
    const query = parseLogsQl(p.get('query') ?? '*');
    const rows = query.run(stored);
    const series = (value: (v: string) => unknown) =>
      rows.flatMap((row) =>
        query
          .statsOf(row)
          .map(({ name, labels, number }) => ({ metric: { __name__: name, ...labels }, ...(value(number) as object) })),
      );
    const now = Date.now() / 1000;
    switch (pathname) {
      case '/health':
        return void res.end('OK');
      case '/select/logsql/query':
        return void res.end(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
      case '/select/logsql/stats_query':
        return void res.end(
          JSON.stringify({
            status: 'success',
            data: { resultType: 'vector', result: series((v) => ({ value: [now, v] })) },
          }),
        );
      case '/select/logsql/stats_query_range':
        return void res.end(
          JSON.stringify({
            status: 'success',
            data: { resultType: 'matrix', result: series((v) => ({ values: [[now, v]] })) },
          }),
        );
      case '/select/logsql/streams':
        return void res.end(
          JSON.stringify({ values: [...new Set(stored.map((r) => r.stream))].map((value) => ({ value })) }),
        );
      case '/select/logsql/field_values': {
        const values = new Set(rows.map((r) => r[p.get('field')!]).filter((v) => v !== undefined));
        return void res.end(JSON.stringify({ values: [...values].map((value) => ({ value })) }));
      }
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

function realProgram(): string | undefined {
  const chosen = process.env['SLUICE_VICTORIA_LOGS'];
  if (chosen) return chosen;
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((f) => join(f, 'victoria-logs')).find((p) => existsSync(p));
}

async function startReal(t: TestContext, path: string): Promise<string> {
  const port = await portForLong();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    path,
    [`-storageDataPath=${tempDir(t)}`, `-httpListenAddr=127.0.0.1:${port}`, '-retentionPeriod=100y'],
    {
      stdio: 'ignore',
    },
  );
  defer(t, () => child.kill('SIGKILL'));
  await until(
    () =>
      fetch(`${url}/health`).then(
        (r) => r.ok,
        () => false,
      ),
    'VictoriaLogs to answer',
  );
  return url;
}

export async function startVictoriaLogs(t: TestContext): Promise<VictoriaLogs> {
  const program = realProgram();
  const { url, encodings } = program
    ? { url: await startReal(t, program), encodings: new Set<string>() }
    : await startModel(t);
  const ask = async (path: string, parameters: Record<string, string>): Promise<string> => {
    const time = { start: String(Date.now() / 1000 - 86_400), end: String(Date.now() / 1000 + 60) };
    const r = await fetch(`${url}/select/logsql/${path}?${new URLSearchParams({ ...time, ...parameters })}`);
    const answer = await r.text();
    if (r.status !== 200) throw new Error(`${path} ${parameters['query']}: ${answer}`);
    return answer;
  };
  interface Series {
    readonly metric: Fields;
    readonly value?: readonly [number, string];
    readonly values?: readonly (readonly [number, string])[];
  }
  const series = (answer: string): { labels: Fields; value: number }[] =>
    (JSON.parse(answer) as { data: { result: Series[] } }).data.result.map(({ metric, value, values }) => ({
      labels: metric,
      value: Number(value?.[1] ?? values?.reduce((sum, [, v]) => sum + Number(v), 0)),
    }));
  const values = (answer: string): string[] =>
    (JSON.parse(answer) as { values: { value: string }[] }).values.map((v) => v.value);
  return {
    url,
    isReal: program !== undefined,
    encodings,
    query: async (query) =>
      (await ask('query', { query }))
        .split('\n')
        .filter((l) => l !== '')
        .map((l) => JSON.parse(l) as Fields),
    stats: async (query) => series(await ask('stats_query', { query })),
    statsRange: async (query) => series(await ask('stats_query_range', { query, step: '1h' })),
    streams: async () => values(await ask('streams', { query: '*' })),
    fieldValues: async (query, field) => values(await ask('field_values', { query, field })),
  };
}
