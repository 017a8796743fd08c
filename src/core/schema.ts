/**
 * Pieces of configuration schemas: durations, sizes and the blocks that many components share (TLS, HTTP client and
 * server, retry, queue). Everything parses what YAML gave and yields what code uses: durations become milliseconds
 * (fractions kept: 1 ns is 1e-6), sizes become bytes. Messages carry the words that otelcol's users grep for.
 */
import * as z from 'zod';

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  'µs': 1e-3,
  'μs': 1e-3,
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
    .meta({ examples: ['1MiB'] });

/** One text where a list is wanted is a list: split at commas, as upstream's decoder does. */
export const stringList = () =>
  z.preprocess((v) => (typeof v === 'string' ? (v === '' ? [] : v.split(',')) : v), z.array(z.string()));

/** null means "all defaults" in YAML: `batch:` with nothing behind it. */
export const section = <S extends z.ZodType>(schema: S) => z.preprocess((v) => (v === null ? {} : v), schema);

export const describe = (v: unknown): string =>
  v === null ? 'null' : Array.isArray(v) ? 'a list' : typeof v === 'object' ? 'a map' : `${typeof v} ${JSON.stringify(v)}`;

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
      z.array(z.strictObject({ name: z.string(), value: z.string() })).transform((list) => Object.fromEntries(list.map((h) => [h.name, h.value]))),
    ])
    .default({})
    .describe('Extra request headers')
    .meta({ secret: true });

export const auth = () => z.strictObject({ authenticator: z.string().describe('Id of an authenticator extension') }).optional();

export const retryOnFailure = (initialInterval = '5s', enabled = true) =>
  section(
    z
      .strictObject({
        enabled: z.boolean().default(enabled).describe('Try again after retryable errors'),
        initial_interval: duration().prefault(initialInterval).describe('First wait'),
        randomization_factor: z.number().min(0).max(1).default(0.5).describe('Jitter: 0.5 is ±50 %'),
        multiplier: z.number().default(1.5).describe('Growth of the wait'),
        max_interval: duration().prefault('30s').describe('Longest wait (before jitter)'),
        max_elapsed_time: duration().prefault('5m').describe('Give up after this long; 0: never. Data of sources that can wait (files) is never given up'),
      })
      .superRefine((c, ctx) => {
        if (c.max_elapsed_time > 0 && c.max_elapsed_time < c.initial_interval)
          ctx.addIssue({ code: 'custom', path: ['max_elapsed_time'], message: `'max_elapsed_time' must not be less than 'initial_interval'` });
        if (c.max_elapsed_time > 0 && c.max_elapsed_time < c.max_interval)
          ctx.addIssue({ code: 'custom', path: ['max_elapsed_time'], message: `'max_elapsed_time' must not be less than 'max_interval'` });
      }),
  ).prefault({});
export type RetryConfig = z.output<ReturnType<typeof retryOnFailure>>;
