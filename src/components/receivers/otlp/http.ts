/**
 * The OTLP/HTTP server: a request's body is checked and walked to groups whose items stay views of that body, and is
 * answered when the pipeline has accepted it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ArrivingBodies } from '../../../core/arriving.ts';
import { type ServerAuth, serverAuth } from '../../../core/auth.ts';
import type { Batch, Consumer, Signal } from '../../../core/batch.ts';
import type { Receiver, ReceiverContext } from '../../../core/component.ts';
import { DECODABLE, DecompressError, decompress, UnpackBusyError } from '../../../core/compress.ts';
import { messageOf } from '../../../core/errors.ts';
import {
  BodyCutError,
  BodyTooLargeError,
  type HttpServer,
  readBody,
  startHttpServer,
} from '../../../core/http-server.ts';
import { type ReceiverCounters, receiverCounters } from '../../../core/receiver-telemetry.ts';
import { type Lease, Slabs } from '../../../core/slabs.ts';
import { OtlpJsonError, requestFromJson } from '../../../wire/otlp-json.ts';
import { ProtoError } from '../../../wire/proto.ts';
import { batchFromRequest } from './decode.ts';
import type { OtlpHttpServerConfig } from './index.ts';
import {
  answerPipelineError,
  answerStatus,
  answerSuccess,
  answerText,
  type ContentType,
  INVALID_ARGUMENT,
  UNAUTHENTICATED,
  UNAVAILABLE,
} from './status.ts';

interface Route {
  readonly signal: Signal;
  readonly next: Consumer;
  readonly counters: ReceiverCounters;
}

export class OtlpHttpReceiver implements Receiver {
  readonly #config: OtlpHttpServerConfig;
  readonly #ctx: ReceiverContext;
  readonly #routes = new Map<string, Route>();
  readonly #arriving: ArrivingBodies;
  #auth: ServerAuth | undefined;
  readonly #slabs = new Slabs();
  #server: HttpServer | undefined;

  constructor(config: OtlpHttpServerConfig, ctx: ReceiverContext, arriving: ArrivingBodies) {
    this.#config = config;
    this.#arriving = arriving;
    this.#ctx = ctx;
    for (const signal of ['traces', 'metrics', 'logs'] as const) {
      const next = ctx.outputs[signal];
      if (!next) continue;
      const counters = receiverCounters(ctx.telemetry, ctx.id, 'http', signal);
      this.#routes.set(config[`${signal}_url_path`], { signal, next, counters });
    }
  }

  async start(): Promise<void> {
    const id = this.#config.auth?.authenticator;
    if (id !== undefined) this.#auth = serverAuth(this.#ctx.host, id);
    this.#server = await startHttpServer(this.#config, (req, res) => this.#handle(req, res));
    this.#ctx.log.info('Starting HTTP server', { endpoint: this.#server.address });
  }

  async stop(deadline: AbortSignal): Promise<void> {
    await this.#server?.close(deadline);
  }

  async #handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = req.url!.split('?', 1)[0]!;
    const route = this.#routes.get(path);
    if (!route) {
      answerText(res, 404, '404 page not found\n', 'text/plain; charset=utf-8');
      return;
    }
    const type = contentType(req.headers['content-type']);
    if (this.#auth) {
      try {
        await this.#auth.authenticate(headerMap(req));
      } catch (e) {
        answerStatus(res, type ?? 'application/json', 401, UNAUTHENTICATED, messageOf(e));
        return;
      }
    }
    if (req.method !== 'POST') {
      answerText(res, 405, '405 method not allowed, supported: [POST]');
      return;
    }
    if (!type) {
      answerText(res, 415, '415 unsupported media type, supported: [application/json, application/x-protobuf]');
      return;
    }
    const batch = await this.#read(req, res, type, route.signal);
    if (!batch) return;
    if (batch.count === 0) {
      answerSuccess(res, type);
      return;
    }
    try {
      await route.next.consume(batch);
    } catch (e) {
      route.counters.refused(batch.count);
      answerPipelineError(res, type, e);
      return;
    }
    route.counters.accepted(batch.count);
    answerSuccess(res, type);
  }

  /** undefined: the request was bad and is answered. */
  async #read(
    req: IncomingMessage,
    res: ServerResponse,
    type: ContentType,
    signal: Signal,
  ): Promise<Batch | undefined> {
    const encoding = req.headers['content-encoding']?.trim() ?? '';
    const { max_request_body_size: maxBytes, compression_algorithms } = this.#config;
    const known =
      encoding === 'identity' || (compression_algorithms.includes(encoding) && DECODABLE.includes(encoding));
    if (!known) {
      answerStatus(res, type, 400, INVALID_ARGUMENT, `unsupported Content-Encoding: ${encoding}`);
      return undefined;
    }
    // A refused batch may still be on its way in some branch of the pipeline, so its memory is not used again.
    let lease: Lease | undefined;
    const isPlain = type === 'application/x-protobuf' && (encoding === '' || encoding === 'identity');
    const allocate = (size: number): Buffer | undefined => (lease = this.#slabs.take(size))?.bytes;
    try {
      const packed = await readBody(req, maxBytes, this.#arriving, isPlain ? allocate : undefined);
      const body = await decompress(encoding, packed, maxBytes);
      const request = type === 'application/json' ? requestFromJson(signal, body) : body;
      const metadata = this.#config.include_metadata ? headerMap(req) : undefined;
      const batch = batchFromRequest(
        signal,
        request,
        metadata,
        lease && (() => lease?.release()),
        req.socket.remoteAddress,
      );
      if (batch.count === 0) lease?.release();
      return batch;
    } catch (e) {
      lease?.release();
      if (e instanceof BodyCutError || e instanceof UnpackBusyError) {
        res.setHeader('Connection', 'close');
        answerStatus(res, type, 503, UNAVAILABLE, e.message);
        return undefined;
      }
      const bad =
        e instanceof BodyTooLargeError ||
        e instanceof DecompressError ||
        e instanceof OtlpJsonError ||
        e instanceof ProtoError ||
        req.destroyed;
      if (!bad) throw e;
      // What is left of the body is not worth reading.
      if (e instanceof BodyTooLargeError) res.setHeader('Connection', 'close');
      answerStatus(res, type, 400, INVALID_ARGUMENT, messageOf(e));
      return undefined;
    }
  }
}

function contentType(header: string | undefined): ContentType | undefined {
  const type = (header ?? '').split(';', 1)[0]!.trim().toLowerCase();
  return type === 'application/json' || type === 'application/x-protobuf' ? type : undefined;
}

function headerMap(req: IncomingMessage): ReadonlyMap<string, readonly string[]> {
  return new Map(Object.entries(req.headersDistinct).map(([k, v]) => [k, v ?? []]));
}
