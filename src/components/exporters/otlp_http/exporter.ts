/** Requests of otlp_http: body, headers, and what the answers mean. */

import type { Batch, Signal } from '../../../core/batch.ts';
import type { Exporter, ExporterContext } from '../../../core/component.ts';
import { type Compressor, compressor } from '../../../core/compress.ts';
import { ConfigError, messageOf, retryable } from '../../../core/errors.ts';
import { createHttpClient, type HttpResponse, userAgent } from '../../../core/http-client.ts';
import { createDelivery } from '../../../core/queue.ts';
import { requestToJson } from '../../../wire/otlp-json.ts';
import { planRequest, type RequestPlan, writeRequest } from '../../../wire/otlp-request.ts';
import type { OtlpHttpConfig } from './index.ts';
import { partialSuccess, responseError } from './response.ts';

const DROPPED: Readonly<Record<Signal, string>> = {
  logs: 'dropped_log_records',
  metrics: 'dropped_data_points',
  traces: 'dropped_spans',
};

/** The URL for one signal: its own as it is, else the base with the standard path. */
export function signalUrl(config: OtlpHttpConfig, signal: Signal): URL {
  const own = config[`${signal}_endpoint`];
  if (own) return new URL(own);
  if (!config.endpoint) throw new ConfigError(`either endpoint or ${signal}_endpoint must be specified`);
  return new URL(`${config.endpoint}${config.endpoint.endsWith('/') ? '' : '/'}v1/${signal}`);
}

/** A buffer that is not used for so long is let go. */
const SCRATCH_IDLE_MS = 5_000;
/** Above this a buffer is not kept for the next body. */
const MAX_SCRATCH_BYTES = 16 * 1024 * 1024;

/**
 * Makes bodies. Packed ones are built in one buffer that is used again and again: it is free once the compressor is
 * through with it.
 */
function bodyMaker(signal: Signal, encoding: OtlpHttpConfig['encoding'], compress: Compressor | undefined) {
  let scratch: Buffer | undefined;
  let idle: NodeJS.Timeout | undefined;
  const proto = async (plan: RequestPlan): Promise<Buffer> => {
    if (!compress) {
      const body = Buffer.allocUnsafeSlow(plan.sizeBytes);
      writeRequest(plan, body);
      return body;
    }
    let buffer = scratch;
    scratch = undefined;
    if (!buffer || buffer.length < plan.sizeBytes) buffer = Buffer.allocUnsafeSlow(Math.ceil(plan.sizeBytes * 1.25));
    writeRequest(plan, buffer);
    try {
      const packed = compress(buffer.subarray(0, plan.sizeBytes));
      return packed instanceof Promise ? await packed : packed;
    } finally {
      if (buffer.length <= MAX_SCRATCH_BYTES) {
        scratch = buffer;
        idle ??= setTimeout(() => (scratch = undefined), SCRATCH_IDLE_MS).unref();
        idle.refresh();
      }
    }
  };
  return async (batch: Batch): Promise<Buffer> => {
    const plan = planRequest(batch.groups);
    if (encoding === 'proto') return proto(plan);
    const request = Buffer.allocUnsafeSlow(plan.sizeBytes);
    writeRequest(plan, request);
    const text = Buffer.from(requestToJson(signal, request));
    return compress ? compress(text) : text;
  };
}

export function createOtlpHttpExporter(config: OtlpHttpConfig, ctx: ExporterContext): Exporter {
  const { signal, log } = ctx;
  const url = signalUrl(config, signal);
  const client = createHttpClient(config, { clock: ctx.clock });
  const compress = compressor(config.compression, config.compression_params.level);
  const makeBody = bodyMaker(signal, config.encoding, compress);
  const headers: Record<string, string> = {
    'content-type': config.encoding === 'json' ? 'application/json' : 'application/x-protobuf',
    'user-agent': userAgent(ctx.build),
    ...(compress ? { 'content-encoding': config.compression } : {}),
  };
  const settle = (answer: HttpResponse): { rejected: number } => {
    if (answer.status < 200 || answer.status > 299) throw responseError(url, answer, ctx.clock.nowMs());
    const partial = partialSuccess(signal, answer);
    if (!partial || (partial.rejected === 0 && partial.message === '')) return { rejected: 0 };
    log.warn('Partial success response', { message: partial.message, [DROPPED[signal]]: partial.rejected });
    return { rejected: partial.rejected };
  };
  return createDelivery({
    ctx,
    queue: config.sending_queue,
    retry: config.retry_on_failure,
    labels: {
      'server.address': url.hostname.replace(/^\[|\]$/g, ''),
      'server.port': url.port || (url.protocol === 'https:' ? '443' : '80'),
      'url.path': url.pathname,
    },
    onStart: () => client.start(ctx.host),
    onStop: () => client.close(),
    prepare: async (batch) => {
      const body = await makeBody(batch);
      return async (stop) => {
        let answer: HttpResponse;
        try {
          answer = await client.post(url, headers, body, stop);
        } catch (e) {
          throw retryable(`failed to make an HTTP request: ${messageOf(e)}`, { cause: e });
        }
        return settle(answer);
      };
    },
  });
}
