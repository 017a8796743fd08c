/** Calls of otlp_grpc: the message, and what the answers mean. */
import type { Signal } from '../../../core/batch.ts';
import type { Exporter, ExporterContext } from '../../../core/component.ts';
import { DeliveryError, messageOf, permanent } from '../../../core/errors.ts';
import {
  ABORTED,
  CANCELLED,
  DATA_LOSS,
  DEADLINE_EXCEEDED,
  GrpcError,
  grpcCompressor,
  OUT_OF_RANGE,
  RESOURCE_EXHAUSTED,
  UNAVAILABLE,
} from '../../../core/grpc.ts';
import { createGrpcClient } from '../../../core/grpc-client.ts';
import { parseTarget } from '../../../core/grpc-schema.ts';
import { userAgent } from '../../../core/http-client.ts';
import { createDelivery } from '../../../core/queue.ts';
import { planRequest, writeRequest } from '../../../wire/otlp-request.ts';
import { type PartialSuccess, readPartialSuccess } from '../../../wire/otlp-response.ts';
import type { OtlpGrpcConfig } from './index.ts';

const PATHS: Readonly<Record<Signal, string>> = {
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
};

const DROPPED: Readonly<Record<Signal, string>> = {
  logs: 'dropped_log_records',
  metrics: 'dropped_data_points',
  traces: 'dropped_spans',
};

const RETRYABLE: readonly number[] = [CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS];

/** Which statuses are worth another attempt, as the OTLP specification has it. */
export function deliveryError(error: unknown): DeliveryError {
  if (!(error instanceof GrpcError)) return new DeliveryError(messageOf(error), false, { cause: error });
  const { code, retryAfterMs } = error;
  const retryable = RETRYABLE.includes(code) || (code === RESOURCE_EXHAUSTED && retryAfterMs !== undefined);
  return new DeliveryError(error.message, !retryable, {
    cause: error,
    grpcCode: code,
    ...(retryable && retryAfterMs !== undefined ? { retryAfterMs } : {}),
  });
}

function partialSuccess(response: Uint8Array): PartialSuccess {
  try {
    return readPartialSuccess(response);
  } catch (e) {
    throw permanent(`failed to read the answer of the destination: ${messageOf(e)}`, { cause: e });
  }
}

export function createOtlpGrpcExporter(config: OtlpGrpcConfig, ctx: ExporterContext): Exporter {
  const { signal, log } = ctx;
  const client = createGrpcClient(config, { clock: ctx.clock, userAgent: userAgent(ctx.build) });
  const compress = grpcCompressor(config.compression);
  const encoding = compress ? config.compression : '';
  const target = parseTarget(config.endpoint);
  return createDelivery({
    ctx,
    queue: config.sending_queue,
    retry: config.retry_on_failure,
    labels:
      'error' in target || target.path !== undefined
        ? {}
        : { 'server.address': target.host, 'server.port': String(target.port) },
    onStart: () => client.start(ctx.host),
    onStop: () => client.close(),
    prepare: async (batch) => {
      const plan = planRequest(batch.groups);
      const request = Buffer.allocUnsafeSlow(plan.sizeBytes);
      writeRequest(plan, request);
      const message = compress ? await compress(request) : request;
      return async (stop) => {
        let response: Buffer;
        try {
          response = await client.unary({
            path: PATHS[signal],
            message,
            encoding,
            timeoutMs: config.timeout,
            signal: stop,
          });
        } catch (e) {
          throw deliveryError(e);
        }
        const { rejected, message: reason } = partialSuccess(response);
        if (rejected === 0 && reason === '') return { rejected: 0 };
        log.warn('Partial success response', { message: reason, [DROPPED[signal]]: rejected });
        return { rejected };
      };
    },
  });
}
