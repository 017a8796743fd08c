/**
 * Pieces of configuration schemas: durations, sizes and the blocks that many components share (TLS, HTTP client and
 * server, retry, queue). Everything parses what YAML gave and yields what code uses: durations become milliseconds
 * (fractions kept: 1 ns is 1e-6), sizes become bytes. Messages carry the words that otelcol's users grep for.
 */
import * as z from 'zod';

// No code is made from text anywhere; compiling parsers would also cost memory for a configuration that is read once.
z.config({ jitless: true });

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a Go duration (`1h30m`, `-1.5s`, `0`), or the error that Go's time package gives. */
export function parseDuration(text: string): number | { error: string } {
  const quoted = JSON.stringify(text);
  const sign = text.startsWith('-') ? -1 : 1;
  let rest = text.replace(/^[+-]/, '');
  if (rest === '0') return 0;
  if (rest === '') return { error: `time: invalid duration ${quoted}` };
  let ms = 0;
  while (rest !== '') {
    const number = /^(?:\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) return { error: `time: invalid duration ${quoted}` };
    rest = rest.slice(number.length);
    const unit = /^[^\d.]+/.exec(rest)?.[0];
    if (unit === undefined) return { error: `time: missing unit in duration ${quoted}` };
    const scale = UNIT_MS[unit];
    if (scale === undefined) return { error: `time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}` };
    rest = rest.slice(unit.length);
    ms += Number(number) * scale;
  }
  return sign * ms;
}

/** Go prints durations like this in logs and print-config: `1m30s`, `200ms`, `0s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms < 1e-3) return `${Math.round(ms * 1e6)}ns`;
  if (ms < 1) return `${Number((ms * 1e3).toFixed(3))}µs`;
  if (ms < 1000) return `${Number(ms.toFixed(6))}ms`;
  const h = Math.floor(ms / 3_600_000);
  const m = Math.floor((ms % 3_600_000) / 60_000);
  const s = Number(((ms % 60_000) / 1000).toFixed(9));
  return `${h ? `${h}h` : ''}${h || m ? `${m}m` : ''}${s}s`;
}

/** A Go duration or an integer of nanoseconds → milliseconds. Give defaults with `.prefault('200ms')`. */
export const duration = () =>
  z
    .union([z.string(), z.int()], {
      error: (issue) => `expected a duration such as "10s", got ${describe(issue.input)}`,
    })
    .transform((v, ctx): number => {
      if (typeof v === 'number') return v / 1e6;
      const ms = parseDuration(v);
      if (typeof ms === 'number') return ms;
      ctx.addIssue({ code: 'custom', message: ms.error });
      return z.NEVER;
    })
    .meta({ format: 'duration', examples: ['10s'] });

const SIZE = /^(\d+\.?\d*)\s*(?:([kmgtp])(i?)b)?$/i;

/** Bytes of `1MiB`, `16kib`, `10000`. */
export function parseSize(text: string): number | undefined {
  const m = SIZE.exec(text.trim());
  if (!m) return undefined;
  const power = m[2] ? 'kmgtp'.indexOf(m[2].toLowerCase()) + 1 : 0;
  return Math.floor(Number(m[1]) * (m[3] ? 1024 : 1000) ** power);
}

/** A byte size: a number or text such as `1MiB` → bytes. Give defaults with `.prefault('1MiB')`. */
export const byteSize = () =>
  z
    .union([z.number(), z.string()])
    .transform((v, ctx): number => {
      const n = typeof v === 'number' ? Math.floor(v) : parseSize(v);
      if (n !== undefined) return n;
      ctx.addIssue({ code: 'custom', message: `invalid byte size ${JSON.stringify(v)}; write a number or e.g. 1MiB` });
      return z.NEVER;
    })
    .meta({ format: 'size', examples: ['1MiB'] });

/** One text where a list is wanted is a list: split at commas, as upstream's decoder does. */
export const stringList = () =>
  z.preprocess((v) => (typeof v === 'string' ? (v === '' ? [] : v.split(',')) : v), z.array(z.string()));

/** null means "all defaults" in YAML: `batch:` with nothing behind it. */
export const section = <S extends z.ZodType>(schema: S) => z.preprocess((v) => (v === null ? {} : v), schema);

export const describe = (v: unknown): string =>
  v === null
    ? 'null'
    : Array.isArray(v)
      ? 'a list'
      : typeof v === 'object'
        ? 'a map'
        : `${typeof v} ${JSON.stringify(v)}`;

const tlsCommon = {
  ca_file: z.string().default('').describe('Path of the CA certificate (PEM); empty: the system pool'),
  ca_pem: z.string().default('').describe('The CA certificate itself, PEM'),
  include_system_ca_certs_pool: z.boolean().default(false).describe('Trust the system CAs besides ca_file'),
  cert_file: z.string().default('').describe('Path of our own certificate (PEM)'),
  cert_pem: z.string().default('').describe('Our own certificate itself, PEM'),
  key_file: z.string().default('').describe('Path of our private key (PEM)'),
  key_pem: z.string().default('').describe('Our private key itself, PEM').meta({ secret: true }),
  min_version: z.string().default('').describe('Lowest TLS version, 1.2 when empty'),
  max_version: z.string().default('').describe('Highest TLS version, newest when empty'),
  cipher_suites: z.array(z.string()).default([]).describe('Allowed cipher suites; empty: safe defaults'),
  curve_preferences: z.array(z.string()).default([]).describe('Allowed curves'),
  reload_interval: duration().prefault(0).describe('Read certificate files again after this long; 0: never'),
};

export const tlsClient = () =>
  z.strictObject({
    ...tlsCommon,
    insecure: z.boolean().default(false).describe('Plain text for gRPC; for HTTP the scheme of the URL decides'),
    insecure_skip_verify: z.boolean().default(false).describe('Do not check the certificate of the other side'),
    server_name_override: z.string().default('').describe('Name to expect in the certificate'),
  });
export type TlsClientConfig = z.output<ReturnType<typeof tlsClient>>;

export const tlsServer = () =>
  z.strictObject({
    ...tlsCommon,
    client_ca_file: z.string().default('').describe('CA that client certificates must come from; makes them required'),
    client_ca_file_reload: z.boolean().default(false).describe('Watch client_ca_file'),
  });
export type TlsServerConfig = z.output<ReturnType<typeof tlsServer>>;

/** Headers as a map, or as a list of {name, value}. Values are secret. */
export const headers = () =>
  z
    .union([
      z.record(z.string(), z.string()),
      z
        .array(
          z.strictObject({
            name: z.string().describe('Name of the header'),
            value: z.string().describe('Value of the header'),
          }),
        )
        .transform((list) => Object.fromEntries(list.map((h) => [h.name, h.value]))),
    ])
    .default({})
    .describe('Extra request headers')
    .meta({ secret: true });

export const auth = () =>
  z
    .strictObject({ authenticator: z.string().describe('Id of an authenticator extension') })
    .optional()
    .describe('Credentials of requests');

export const retryOnFailure = (initialInterval = '5s', enabled = true) =>
  section(
    z
      .strictObject({
        enabled: z.boolean().default(enabled).describe('Try again after retryable errors'),
        initial_interval: duration().prefault(initialInterval).describe('First wait'),
        randomization_factor: z.number().min(0).max(1).default(0.5).describe('Jitter: 0.5 is ±50 %'),
        multiplier: z.number().default(1.5).describe('Growth of the wait'),
        max_interval: duration().prefault('30s').describe('Longest wait (before jitter)'),
        max_elapsed_time: duration()
          .prefault('5m')
          .describe('Give up after this long; 0: never. Data of sources that can wait (files) is never given up'),
      })
      .superRefine((c, ctx) => {
        if (c.max_elapsed_time > 0 && c.max_elapsed_time < c.initial_interval)
          ctx.addIssue({
            code: 'custom',
            path: ['max_elapsed_time'],
            message: `'max_elapsed_time' must not be less than 'initial_interval'`,
          });
        if (c.max_elapsed_time > 0 && c.max_elapsed_time < c.max_interval)
          ctx.addIssue({
            code: 'custom',
            path: ['max_elapsed_time'],
            message: `'max_elapsed_time' must not be less than 'max_interval'`,
          });
      }),
  ).prefault({});
export type RetryConfig = z.output<ReturnType<typeof retryOnFailure>>;

/** The keys of every HTTP server (confighttp); spread into a component's strictObject. */
export const httpServerShape = (endpoint: string) => ({
  endpoint: z.string().default(endpoint).describe('Address and port to listen on'),
  transport: z
    .enum(['tcp', 'tcp4', 'tcp6', 'unix'])
    .default('tcp')
    .describe('Kind of socket; unix takes a path as endpoint'),
  tls: section(tlsServer()).optional().describe('Serve HTTPS'),
  auth: z
    .strictObject({
      authenticator: z.string().describe('Id of an authenticator extension'),
      request_params: z.array(z.string()).default([]).describe('Accepted without effect: authenticators get headers'),
    })
    .optional()
    .describe('Who may send'),
  cors: section(
    z.strictObject({
      allowed_origins: z
        .array(z.string())
        .default([])
        .describe('Origins that may call, `*` as wildcard; CORS is off without any'),
      allowed_headers: z.array(z.string()).default([]).describe('Request headers allowed besides the simple ones'),
      exposed_headers: z.array(z.string()).default([]).describe('Answer headers that scripts may read'),
      max_age: z.int().min(0).default(0).describe('Seconds for which browsers may remember a preflight'),
    }),
  )
    .optional()
    .describe('Cross-origin requests of browsers'),
  max_request_body_size: z
    .int()
    .default(20 * 1024 * 1024)
    .transform((n) => (n <= 0 ? 20 * 1024 * 1024 : n))
    .describe('Bytes; applied to the compressed and to the decompressed body'),
  include_metadata: z.boolean().default(false).describe('Hand request headers to processors as client metadata'),
  response_headers: headers().describe('Headers added to every answer'),
  compression_algorithms: z
    .array(z.string())
    .default(['', 'gzip', 'zstd', 'zlib', 'snappy', 'deflate', 'lz4', 'x-snappy-framed'])
    .describe('Content encodings that are accepted'),
  read_timeout: duration().prefault(0).describe('Longest time for one request to arrive; 0: 5m'),
  read_header_timeout: duration().prefault(0).describe('Longest time for the headers to arrive; 0: 1m'),
  write_timeout: duration().prefault(0).describe('Longest silence while an answer is written; 0: none'),
  keepalive: section(
    z.strictObject({
      enabled: z.boolean().default(true).describe('Keep connections open between requests'),
      idle_timeout: duration().prefault('1m').describe('How long an idle connection is kept'),
    }),
  )
    .optional()
    .describe('Connections between requests'),
  idle_timeout: duration().optional().describe('Deprecated: keepalive.idle_timeout'),
  keep_alives_enabled: z.boolean().optional().describe('Deprecated: keepalive.enabled'),
  middlewares: z
    .array(z.unknown())
    .max(0, { error: 'middlewares are not supported' })
    .default([])
    .describe('Not supported: must be empty'),
});
export const httpServer = (endpoint: string) => z.strictObject(httpServerShape(endpoint));
export type HttpServerConfig = z.output<ReturnType<typeof httpServer>>;

/** For keys of otelcol that parse there and cannot work here: absent or at the value that changes nothing. */
const unsupported = (key: string) =>
  z
    .unknown()
    .refine((v) => v === undefined || v === null || v === false || (Array.isArray(v) && v.length === 0), {
      error: `'${key}' is not supported`,
    })
    .optional()
    .describe('Not supported: must be absent');

export const COMPRESSIONS = [
  'none',
  '',
  'gzip',
  'zstd',
  'zlib',
  'deflate',
  'snappy',
  'x-snappy-framed',
  'lz4',
] as const;

/** The keys of every HTTP client (confighttp); spread into a component's strictObject. */
export const httpClientShape = (timeout: string, compression: (typeof COMPRESSIONS)[number]) => ({
  endpoint: z.string().default('').describe('URL of the destination'),
  tls: section(tlsClient()).prefault({}).describe('Certificates; used when the URL is https'),
  headers: headers(),
  auth: auth(),
  compression: z
    .enum(COMPRESSIONS, { error: (issue) => `unsupported compression type ${JSON.stringify(issue.input)}` })
    .refine((c): boolean => c !== 'x-snappy-framed' && c !== 'lz4', {
      error: 'compression lz4 and x-snappy-framed are not supported; use gzip, zstd, zlib, deflate, snappy or none',
    })
    .default(compression)
    .describe('How bodies are packed'),
  compression_params: section(
    z.strictObject({ level: z.int().optional().describe('gzip, zlib, deflate: -2 to 9; zstd: any') }),
  )
    .prefault({})
    .describe('How hard bodies are packed'),
  timeout: duration().prefault(timeout).describe('Longest time for one attempt, the answer included; 0: none'),
  proxy_url: z
    .string()
    .default('')
    .describe('Proxy for all requests; else HTTP_PROXY, HTTPS_PROXY and NO_PROXY decide'),
  read_buffer_size: z.int().default(0).describe('Accepted for compatibility, no effect'),
  write_buffer_size: z.int().default(524_288).describe('Accepted for compatibility, no effect'),
  max_conns_per_host: z.int().min(0).default(0).describe('Most connections at a time; 0: no limit'),
  keepalive: section(
    z.strictObject({
      enabled: z.boolean().default(true).describe('Use connections for more than one request'),
      idle_conn_timeout: duration().prefault('90s').describe('How long an idle connection is kept'),
      max_idle_conns: z.int().min(0).default(100).describe('Most idle connections; 0: 100'),
      max_idle_conns_per_host: z.int().min(0).default(0).describe('Accepted without effect: an exporter has one host'),
    }),
  )
    .optional()
    .describe('Connections between requests'),
  idle_conn_timeout: duration().optional().describe('Deprecated: keepalive.idle_conn_timeout'),
  max_idle_conns: z.int().optional().describe('Deprecated: keepalive.max_idle_conns'),
  max_idle_conns_per_host: z.int().optional().describe('Deprecated: keepalive.max_idle_conns_per_host'),
  disable_keep_alives: z.boolean().optional().describe('Deprecated: keepalive.enabled'),
  http2_read_idle_timeout: duration().prefault(0).describe('Accepted for compatibility: requests go over HTTP/1.1'),
  http2_ping_timeout: duration().prefault(0).describe('Accepted for compatibility: requests go over HTTP/1.1'),
  force_attempt_http2: z.boolean().default(true).describe('Accepted for compatibility: requests go over HTTP/1.1'),
  cookies: unsupported('cookies'),
  middlewares: unsupported('middlewares'),
});
export const httpClient = (timeout = '30s', compression: (typeof COMPRESSIONS)[number] = '') =>
  z.strictObject(httpClientShape(timeout, compression)).superRefine(checkHttpClient);
export type HttpClientConfig = z.output<z.ZodObject<ReturnType<typeof httpClientShape>>>;

interface Issues {
  addIssue(issue: { code: 'custom'; path: (string | number)[]; message: string }): void;
}

/** What one key of an HTTP client cannot say alone; for components that spread httpClientShape. */
export function checkHttpClient(c: HttpClientConfig, ctx: Issues): void {
  const flat = ['idle_conn_timeout', 'max_idle_conns', 'max_idle_conns_per_host', 'disable_keep_alives'] as const;
  const mixed = c.keepalive && flat.find((k) => c[k] !== undefined);
  if (mixed)
    ctx.addIssue({
      code: 'custom',
      path: [mixed],
      message: `cannot use both 'keepalive' and the deprecated '${mixed}'`,
    });
  const level = c.compression_params.level;
  if (level !== undefined) {
    const ranged = c.compression === 'gzip' || c.compression === 'zlib' || c.compression === 'deflate';
    if ((ranged && (level < -2 || level > 9)) || (!ranged && c.compression !== 'zstd'))
      ctx.addIssue({
        code: 'custom',
        path: ['compression_params', 'level'],
        message: `unsupported parameters {Level:${level}} for compression type ${JSON.stringify(c.compression)}`,
      });
  }
  if (c.proxy_url !== '' && !/^https?:\/\/./.test(c.proxy_url))
    ctx.addIssue({ code: 'custom', path: ['proxy_url'], message: 'only http:// and https:// proxies are supported' });
}

const queueBatch = () =>
  section(
    z.strictObject({
      flush_timeout: duration().prefault('200ms').describe('Send what is there after this long'),
      sizer: z.enum(['items', 'bytes', 'requests']).optional().describe('Unit of min_size and max_size'),
      min_size: z.int().min(0).default(8192).describe('Send when so much is there'),
      max_size: z.int().min(0).default(0).describe('Never send more at once; 0: no limit'),
      partition: section(
        z.strictObject({
          metadata_keys: z.array(z.string()).default([]).describe('Separate batches per value of this client metadata'),
          cache_size: z
            .int()
            .min(1)
            .default(10_000)
            .describe('Accepted without effect: a partition lives as long as it holds data'),
          idle_timeout: duration()
            .prefault('90s')
            .describe('Accepted without effect: a partition lives as long as it holds data'),
        }),
      )
        .prefault({})
        .describe('Separate batches'),
    }),
  );

/** sending_queue of exporters. */
export const sendingQueue = (enabled = true) =>
  section(
    z
      .strictObject({
        enabled: z.boolean().default(enabled).describe('Take data at once and send it in the background'),
        num_consumers: z.int().default(10).describe('Requests in flight at a time'),
        queue_size: z.int().default(1000).describe('Capacity, in units of sizer'),
        sizer: z
          .enum(['requests', 'items', 'bytes'])
          .optional()
          .describe('Unit of queue_size: requests (default), items or bytes'),
        block_on_overflow: z
          .boolean()
          .default(false)
          .describe('Wait for space instead of refusing; sources that can wait always wait'),
        wait_for_result: z.boolean().default(false).describe('Hold the caller until the data is delivered'),
        storage: z.string().nullish().describe('Id of a storage extension: the queue then survives restarts'),
        batch: queueBatch().optional().describe('Merge requests before sending'),
      })
      .superRefine((c, ctx) => {
        if (!c.enabled) return;
        const issue = (path: string[], message: string) => ctx.addIssue({ code: 'custom', path, message });
        if (c.num_consumers <= 0) issue(['num_consumers'], '`num_consumers` must be positive');
        if (c.queue_size <= 0) issue(['queue_size'], '`queue_size` must be positive');
        if (c.storage && c.wait_for_result)
          issue(
            ['wait_for_result'],
            '`wait_for_result` is not supported with a persistent queue configured with `storage`',
          );
        if (!c.batch) return;
        const sizer = c.batch.sizer ?? c.sizer ?? 'items';
        if (sizer === 'requests')
          issue(['batch', 'sizer'], '`batch` supports only `items` or `bytes` sizer, found "requests"');
        if (c.batch.flush_timeout <= 0) issue(['batch', 'flush_timeout'], '`flush_timeout` must be positive');
        if (c.batch.max_size > 0 && c.batch.max_size < c.batch.min_size)
          issue(['batch', 'max_size'], '`max_size` must be greater or equal to `min_size`');
        if (sizer === c.sizer && c.batch.min_size > c.queue_size)
          issue(['batch', 'min_size'], '`min_size` must be less than or equal to `queue_size`');
      })
      .transform((c) => ({
        ...c,
        sizer: c.sizer ?? ('requests' as const),
        batch: c.batch && { ...c.batch, sizer: (c.batch.sizer ?? c.sizer ?? 'items') as 'items' | 'bytes' },
      })),
  ).prefault({});
export type QueueConfig = z.output<ReturnType<typeof sendingQueue>>;
