/** The OTLP/gRPC server: the Export methods of the signals that pipelines take. */
import type { ArrivingBodies } from '../../../core/arriving.ts';
import { serverAuth } from '../../../core/auth.ts';
import type { Signal } from '../../../core/batch.ts';
import type { Receiver, ReceiverContext } from '../../../core/component.ts';
import { DeliveryError, messageOf } from '../../../core/errors.ts';
import { GrpcError, INTERNAL, UNAVAILABLE } from '../../../core/grpc.ts';
import { type GrpcServer, startGrpcServer, type UnaryHandler } from '../../../core/grpc-server.ts';
import { receiverCounters } from '../../../core/receiver-telemetry.ts';
import { ProtoError } from '../../../wire/proto.ts';
import { batchFromRequest } from './decode.ts';
import type { OtlpGrpcServerConfig } from './index.ts';
import { EMPTY_PROTO } from './status.ts';

const PATHS: Readonly<Record<Signal, string>> = {
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
};

export class OtlpGrpcReceiver implements Receiver {
  readonly #config: OtlpGrpcServerConfig;
  readonly #ctx: ReceiverContext;
  readonly #methods = new Map<string, UnaryHandler>();
  readonly #arriving: ArrivingBodies;
  #server: GrpcServer | undefined;

  constructor(config: OtlpGrpcServerConfig, ctx: ReceiverContext, arriving: ArrivingBodies) {
    this.#config = config;
    this.#arriving = arriving;
    this.#ctx = ctx;
    for (const signal of ['traces', 'metrics', 'logs'] as const)
      if (ctx.outputs[signal]) this.#methods.set(PATHS[signal], this.#handler(signal));
  }

  async start(): Promise<void> {
    const id = this.#config.auth?.authenticator;
    const auth = id === undefined ? undefined : serverAuth(this.#ctx.host, id);
    this.#server = await startGrpcServer({
      config: this.#config,
      methods: this.#methods,
      auth,
      arriving: this.#arriving,
    });
    this.#ctx.log.info('Starting GRPC server', { endpoint: this.#server.address });
  }

  async stop(deadline: AbortSignal): Promise<void> {
    await this.#server?.close(deadline);
  }

  #handler(signal: Signal): UnaryHandler {
    const next = this.#ctx.outputs[signal]!;
    const counters = receiverCounters(this.#ctx.telemetry, this.#ctx.id, 'grpc', signal);
    return async (message, metadata, peer) => {
      const batch = decoded(() =>
        batchFromRequest(signal, message, this.#config.include_metadata ? metadata : undefined, undefined, peer),
      );
      if (batch.count === 0) return EMPTY_PROTO;
      try {
        await next.consume(batch);
      } catch (e) {
        counters.refused(batch.count);
        throw pipelineError(e);
      }
      counters.accepted(batch.count);
      return EMPTY_PROTO;
    };
  }
}

/** Bytes that are no request are INTERNAL in gRPC, whose servers fail before the method is called. */
function decoded<T>(decode: () => T): T {
  try {
    return decode();
  } catch (e) {
    if (!(e instanceof ProtoError)) throw e;
    throw new GrpcError(INTERNAL, `grpc: error unmarshalling request: ${e.message}`);
  }
}

/** What a sender is told about an error of the pipeline. */
function pipelineError(error: unknown): GrpcError {
  const e = error instanceof DeliveryError ? error : undefined;
  const code = e?.grpcCode ?? (e?.permanent ? INTERNAL : UNAVAILABLE);
  return new GrpcError(code, messageOf(error), e?.retryAfterMs === undefined ? {} : { retryAfterMs: e.retryAfterMs });
}
