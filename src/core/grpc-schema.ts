/** The keys of every gRPC server and client (configgrpc); spread into a component's strictObject. */
import * as z from 'zod';
import { auth, duration, headers, section, tlsClient, tlsServer } from './schema.ts';

const middlewares = () =>
  z
    .array(z.unknown())
    .max(0, { error: 'middlewares are not supported' })
    .default([])
    .describe('Not supported: must be empty');

export const grpcServerShape = (endpoint: string) => ({
  endpoint: z.string().default(endpoint).describe('Address and port to listen on'),
  transport: z
    .enum(['tcp', 'tcp4', 'tcp6', 'unix'])
    .default('tcp')
    .describe('Kind of socket; unix takes a path as endpoint'),
  tls: section(tlsServer()).optional().describe('Serve TLS'),
  auth: z
    .strictObject({ authenticator: z.string().describe('Id of an authenticator extension') })
    .optional()
    .describe('Who may send'),
  max_recv_msg_size_mib: z
    .int()
    .min(0)
    .max(2047)
    .default(0)
    .describe('Largest message, MiB, packed and unpacked; 0: 4'),
  max_concurrent_streams: z.int().min(0).max(4_294_967_295).default(0).describe('Calls per connection; 0: no limit'),
  read_buffer_size: z.int().default(524_288).describe('Accepted for compatibility, no effect'),
  write_buffer_size: z.int().default(0).describe('Accepted for compatibility, no effect'),
  keepalive: section(
    z.strictObject({
      server_parameters: section(
        z.strictObject({
          max_connection_idle: duration().prefault(0).describe('Close connections without calls after this; 0: never'),
          max_connection_age: duration().prefault(0).describe('Close connections after this (±10 %); 0: never'),
          max_connection_age_grace: duration().prefault(0).describe('For calls to end after that; 0: no limit'),
          time: duration().prefault(0).describe('Ask silent connections for a sign of life after this; 0: 2h'),
          timeout: duration().prefault(0).describe('Close them without one after this; 0: 20s'),
        }),
      )
        .prefault({})
        .describe('Life of connections'),
      enforcement_policy: section(
        z.strictObject({
          min_time: duration().prefault(0).describe('Accepted without effect: pings of clients are answered'),
          permit_without_stream: z
            .boolean()
            .default(false)
            .describe('Accepted without effect: pings of clients are answered'),
        }),
      )
        .prefault({})
        .describe('Accepted without effect'),
    }),
  )
    .prefault({})
    .describe('Life of connections'),
  include_metadata: z.boolean().default(false).describe('Hand request metadata to processors as client metadata'),
  middlewares: middlewares(),
});
export type GrpcServerConfig = z.output<z.ZodObject<ReturnType<typeof grpcServerShape>>>;

const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;
/** The largest message that a server takes. */
export const maxMessageBytes = ({ max_recv_msg_size_mib: mib }: GrpcServerConfig): number =>
  mib > 0 ? mib * 1024 * 1024 : DEFAULT_MAX_BYTES;

/** Names that HTTP/2 or gRPC itself uses. */
const RESERVED = /^(?:grpc-.*|te|connection|keep-alive|transfer-encoding|upgrade|host|content-type|content-length)$/;

export const grpcClientShape = () => ({
  endpoint: z
    .string()
    .default('')
    .describe('host:port; https:// before it asks for TLS, unix:// for a socket, http:// and dns:// change nothing'),
  compression: z
    .enum(['gzip', 'zstd', 'snappy', 'none', ''], {
      error: (issue) => `unsupported compression type ${JSON.stringify(issue.input)}`,
    })
    .default('gzip')
    .describe('How messages are packed'),
  tls: section(tlsClient()).prefault({}).describe('Certificates; insecure: true is plain text'),
  headers: headers()
    .refine((h) => Object.keys(h).every((k) => /^[0-9a-z_.-]+$/i.test(k) && !RESERVED.test(k.toLowerCase())), {
      error: 'not a name for gRPC metadata: letters, digits, _ . - and not one that gRPC itself uses',
    })
    .refine((h) => Object.entries(h).every(([k, v]) => /-bin$/i.test(k) || /^[\x20-\x7e]*$/.test(v)), {
      error: 'a value of gRPC metadata must be printable ASCII; a name that ends in -bin takes any text',
    })
    .describe('Metadata of every call'),
  keepalive: section(
    z.strictObject({
      time: duration().prefault('10s').describe('Ask silent connections for a sign of life after this, at least 10s'),
      timeout: duration().prefault('10s').describe('Give them up without one after this'),
      permit_without_stream: z.boolean().default(false).describe('Also while no call is open'),
    }),
  )
    .optional()
    .describe('Signs of life; off without it'),
  read_buffer_size: z.int().default(0).describe('Accepted for compatibility, no effect'),
  write_buffer_size: z.int().default(524_288).describe('Accepted for compatibility, no effect'),
  wait_for_ready: z
    .boolean()
    .default(false)
    .describe('Calls wait for a connection until their timeout instead of failing at once'),
  balancer_name: z
    .enum(['round_robin', 'pick_first'], { error: (issue) => `invalid balancer_name: ${String(issue.input)}` })
    .default('round_robin')
    .describe('Of several addresses of a name: round_robin takes one at random, pick_first the first'),
  authority: z.string().default('').describe('Name to give as :authority, and to expect in the certificate'),
  user_agent: z.string().default('').describe('User agent; empty: that of Sluice'),
  auth: auth(),
  middlewares: middlewares(),
});
export type GrpcClientConfig = z.output<z.ZodObject<ReturnType<typeof grpcClientShape>>>;

export interface GrpcTarget {
  /** '' for a unix socket. */
  readonly host: string;
  readonly port: number;
  /** Path of a unix socket. */
  readonly path?: string;
  /** https:// asks for TLS whatever tls.insecure says. */
  readonly secure: boolean;
}

/** The endpoint of a client, or what is wrong with it in the words of Go's net package. */
export function parseTarget(endpoint: string): GrpcTarget | { readonly error: string } {
  const unix = /^unix:(?:\/\/)?(.*)$/.exec(endpoint);
  if (unix)
    return unix[1]
      ? { host: '', port: 0, path: unix[1], secure: false }
      : { error: 'unix socket path cannot be empty' };
  const secure = /^https:\/\//.test(endpoint);
  const address = endpoint
    .replace(/^(?:https?:\/\/|dns:(?:\/\/(?:[^/]*\/)?)?|passthrough:\/{2,3})/, '')
    .replace(/\/$/, '');
  if (address === '') return { error: 'requires a non-empty "endpoint"' };
  const m = /^(?:\[([^\]]+)\]|([^:[\]]*)):([^:]*)$/.exec(address);
  if (!m) {
    const colons = address.replace(/^\[.*\]/, '').split(':').length - 1;
    return { error: `address ${address}: ${colons > 1 ? 'too many colons in address' : 'missing port in address'}` };
  }
  if (!/^\d+$/.test(m[3]!) || Number(m[3]) > 65_535) return { error: `invalid port ${JSON.stringify(m[3])}` };
  return { host: m[1] ?? (m[2] || 'localhost'), port: Number(m[3]), secure };
}

interface Issues {
  addIssue(issue: { code: 'custom'; path: (string | number)[]; message: string }): void;
}

export function checkGrpcClient(c: GrpcClientConfig, ctx: Issues): void {
  const target = parseTarget(c.endpoint);
  if ('error' in target) ctx.addIssue({ code: 'custom', path: ['endpoint'], message: target.error });
}
