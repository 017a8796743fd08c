/** otlp_grpc: sends OTLP over gRPC. */
import * as z from 'zod';
import { defineExporter } from '../../../core/component.ts';
import { checkGrpcClient, grpcClientShape } from '../../../core/grpc-schema.ts';
import { EXPORTER_INSTRUMENTS } from '../../../core/queue-telemetry.ts';
import { duration, retryOnFailure, sendingQueue } from '../../../core/schema.ts';

const schema = z
  .strictObject({
    ...grpcClientShape(),
    timeout: duration().prefault('5s').describe('Longest time for one attempt; 0: none'),
    retry_on_failure: retryOnFailure().describe('What happens after errors that may pass'),
    sending_queue: sendingQueue().describe('Holds data until it is sent'),
  })
  .superRefine(checkGrpcClient);
export type OtlpGrpcConfig = z.output<typeof schema>;

export default defineExporter({
  id: 'otlp_grpc',
  aliases: ['otlp'],
  summary: 'Sends logs, metrics and traces as OTLP over gRPC.',
  stability: 'stable',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  telemetry: EXPORTER_INSTRUMENTS,
  create: async (config, ctx) => (await import('./exporter.ts')).createOtlpGrpcExporter(config, ctx),
});
