/** otlp: takes logs, metrics and traces over OTLP/gRPC and OTLP/HTTP. */
import * as z from 'zod';
import { defineReceiver } from '../../../core/component.ts';
import { grpcServerShape } from '../../../core/grpc-schema.ts';
import { RECEIVER_INSTRUMENTS } from '../../../core/receiver-telemetry.ts';
import { httpServerShape, section } from '../../../core/schema.ts';

const urlPath = (path: string) =>
  z
    .string()
    .default(path)
    .transform((p) => (p.startsWith('/') ? p : `/${p}`));

const httpSchema = z.strictObject({
  ...httpServerShape('localhost:4318'),
  traces_url_path: urlPath('/v1/traces').describe('Path for traces'),
  metrics_url_path: urlPath('/v1/metrics').describe('Path for metrics'),
  logs_url_path: urlPath('/v1/logs').describe('Path for logs'),
});
export type OtlpHttpServerConfig = z.output<typeof httpSchema>;

const grpcSchema = z.strictObject(grpcServerShape('localhost:4317'));
export type OtlpGrpcServerConfig = z.output<typeof grpcSchema>;

const schema = z.strictObject({
  protocols: section(
    z
      .strictObject({
        http: section(httpSchema).optional().describe('OTLP over HTTP; present, even empty: on'),
        grpc: section(grpcSchema).optional().describe('OTLP over gRPC; present, even empty: on'),
      })
      .superRefine((p, ctx) => {
        if (!p.http && !p.grpc)
          ctx.addIssue({ code: 'custom', message: 'must specify at least one protocol when using the OTLP receiver' });
      }),
  )
    .prefault({})
    .describe('Which protocols are served'),
});
export type OtlpReceiverConfig = z.output<typeof schema>;

export default defineReceiver({
  id: 'otlp',
  summary: 'Takes logs, metrics and traces over OTLP/gRPC and OTLP/HTTP, in protobuf or JSON.',
  stability: 'stable',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  telemetry: RECEIVER_INSTRUMENTS,
  create: async (config, ctx) => (await import('./receiver.ts')).createOtlpReceiver(config, ctx),
});
