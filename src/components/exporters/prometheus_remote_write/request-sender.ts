/**
 * Sends single requests: what answers mean, how a rejected request is divided until the series at fault stands alone,
 * and the way back from zstd to snappy.
 */
import { zstdDecompressSync } from 'node:zlib';
import type { ExporterContext } from '../../../core/component.ts';
import { compressor } from '../../../core/compress.ts';
import { DeliveryError, isPermanent, messageOf, retryable } from '../../../core/errors.ts';
import { type HttpClient, type HttpResponse, userAgent } from '../../../core/http-client.ts';
import { RateLimit } from '../../../core/log.ts';
import { lossReason } from '../../../core/queue-sender.ts';
import { LOG_INTERVAL_MS, type Retry } from '../../../core/retry.ts';
import type { Labels } from '../../../core/telemetry.ts';
import {
  describeLabels,
  labelsOfSeries,
  type Protocol,
  type RequestParts,
  takeApart,
} from '../../../wire/remote-write.ts';
import { snappyDecode, snappyEncode, snappyMaxSize } from '../../../wire/snappy.ts';
import { ANSWER_EXCERPT, httpStatusText, retryAfterMs } from './answers.ts';
import { INSTRUMENTS } from './instruments.ts';
import type { EncodedRequest } from './request-writer.ts';

export type Encoding = 'snappy' | 'zstd';

export interface PackedRequest {
  readonly packed: Uint8Array;
  readonly encoding: Encoding;
  readonly points: Int32Array;
  /** Client metadata. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Points that the destination did not keep, although it took others of their request. */
export interface RequestLoss {
  readonly points: Int32Array;
  readonly reason: string;
}

export interface RequestSenderOptions {
  readonly ctx: ExporterContext;
  readonly url: URL;
  readonly client: HttpClient;
  readonly protocol: Protocol;
  readonly encoding: Encoding;
  readonly zstdLevel: number | undefined;
  readonly retryOn429: boolean;
  readonly maxRetryAfterMs: number;
  readonly retry: Retry;
  readonly labels: Labels;
}

/** Requests that one rejected request may lead to: enough for a dozen bad series among tens of thousands. */
const MAX_SPLIT_REQUESTS = 64;
/** After a request of which not one series was taken, the next ones are not divided for so long. */
const NO_SPLIT_MS = 60_000;
/** Statuses that say something about the content of a request. */
const SPLITTABLE: readonly number[] = [400, 413, 422];
const MAX_UNPACKED_BYTES = 1 << 30;
/** Memory to compress in that is not used for so long is let go. */
const SCRATCH_IDLE_MS = 2000;

export class RequestSender {
  readonly #o: RequestSenderOptions;
  readonly #url: string;
  readonly #limit: RateLimit;
  readonly #zstd: (body: Uint8Array) => Uint8Array;
  readonly #headers: Readonly<Record<string, string>>;
  #scratch = new Uint8Array(0);
  #scratchTimer: NodeJS.Timeout | undefined;
  #encoding: Encoding;
  /** The destination has taken a request in zstd. */
  #zstdWorks = false;
  #splitFromMs = 0;
  #told = false;

  constructor(options: RequestSenderOptions) {
    this.#o = options;
    this.#encoding = options.encoding;
    this.#limit = new RateLimit(LOG_INTERVAL_MS, () => options.ctx.clock.monotonicMs());
    this.#zstd = compressor('zstd', options.zstdLevel ?? 1) as (body: Uint8Array) => Uint8Array;
    this.#url = options.labels['endpoint'] ?? options.url.href;
    this.#headers = {
      'user-agent': userAgent(options.ctx.build),
      'content-type':
        options.protocol === 2
          ? 'application/x-protobuf;proto=io.prometheus.write.v2.Request'
          : 'application/x-protobuf',
    };
  }

  get encoding(): Encoding {
    return this.#encoding;
  }

  pack(request: EncodedRequest, headers: PackedRequest['headers']): PackedRequest {
    return { ...this.#packed(request.body), points: request.points, headers };
  }

  #packed(body: Uint8Array): { packed: Uint8Array; encoding: Encoding } {
    const encoding = this.#encoding;
    if (encoding === 'zstd') return { packed: this.#zstd(body), encoding };
    if (this.#scratch.length < snappyMaxSize(body.length))
      this.#scratch = Buffer.allocUnsafeSlow(snappyMaxSize(body.length + (body.length >> 3)));
    this.#scratchTimer ??= setTimeout(() => {
      // At once: while nothing happens nobody collects garbage.
      this.#scratch.buffer.transfer(0);
      this.#scratch = new Uint8Array(0);
    }, SCRATCH_IDLE_MS).unref();
    this.#scratchTimer.refresh();
    return { packed: Uint8Array.prototype.slice.call(snappyEncode(body, this.#scratch)), encoding };
  }

  /** Resolves when the destination has the request, with what it did not keep of it; throws when it has nothing. */
  async send(request: PackedRequest, patient: boolean): Promise<RequestLoss[]> {
    try {
      return await this.#deliver(request, patient);
    } catch (e) {
      const status = e instanceof DeliveryError ? e.status : undefined;
      if (!isPermanent(e) || status === undefined || !SPLITTABLE.includes(status)) throw e;
      // A bare 400 says nothing about single series: then the request is dropped, as upstream drops it.
      if (status === 400 && !isExplained(e)) throw e;
      const now = this.#o.ctx.clock.monotonicMs();
      if (now < this.#splitFromMs) throw e;
      const lost = await this.#divide(request, patient, e);
      if (lost) return lost;
      this.#splitFromMs = now + NO_SPLIT_MS;
      throw e;
    }
  }

  async #deliver(request: PackedRequest, patient: boolean): Promise<RequestLoss[]> {
    let lost: RequestLoss[] = [];
    let attempt = 0;
    let { packed, encoding } = request;
    await this.#o.retry(async (signal) => {
      // Another request may have found out meanwhile that zstd is not understood.
      if (encoding === 'zstd' && this.#encoding === 'snappy') {
        ({ packed, encoding } = this.#packed(zstdDecompressSync(packed)));
      }
      let answer: HttpResponse;
      try {
        answer = await this.#o.client.post(this.#o.url, this.#headersFor(request, encoding), packed, signal);
      } catch (e) {
        const error = retryable(`remote_write: failed to make an HTTP request: ${messageOf(e)}`, { cause: e });
        this.#tell(0, error.message, attempt++);
        throw error;
      }
      if (encoding === 'zstd' && !this.#zstdWorks && (answer.status === 400 || answer.status === 415)) {
        this.#toSnappy(answer);
        ({ packed, encoding } = this.#packed(zstdDecompressSync(packed)));
        answer = await this.#again(request, encoding, packed, signal);
      }
      lost = this.#judge(answer, request, attempt++);
      if (encoding === 'zstd') this.#zstdWorks = true;
      return { rejected: 0 };
    }, patient);
    return lost;
  }

  async #again(
    request: PackedRequest,
    encoding: Encoding,
    packed: Uint8Array,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    try {
      return await this.#o.client.post(this.#o.url, this.#headersFor(request, encoding), packed, signal);
    } catch (e) {
      throw retryable(`remote_write: failed to make an HTTP request: ${messageOf(e)}`, { cause: e });
    }
  }

  #toSnappy(answer: HttpResponse): void {
    if (this.#encoding === 'snappy') return;
    this.#encoding = 'snappy';
    this.#o.ctx.log.warn('remote_write: the destination refuses zstd, snappy is used from now on', {
      endpoint: this.#url,
      status_code: answer.status,
      error: excerpt(answer),
    });
  }

  #headersFor(request: PackedRequest, encoding: Encoding): Record<string, string> {
    const version: Record<string, string> =
      encoding === 'zstd'
        ? { 'x-victoriametrics-remote-write-version': '1' }
        : { 'x-prometheus-remote-write-version': this.#o.protocol === 2 ? '2.0.0' : '0.1.0' };
    return { ...request.headers, ...this.#headers, ...version, 'content-encoding': encoding };
  }

  /** What the answer means; throws when the request must be sent again or cannot be. */
  #judge(answer: HttpResponse, request: PackedRequest, attempt: number): RequestLoss[] {
    const { status } = answer;
    const { ctx, labels, protocol } = this.#o;
    const count = (name: keyof typeof INSTRUMENTS, n: number) =>
      ctx.telemetry.counter(INSTRUMENTS[name], labels).add(n);
    count('sentBatches', 1);
    const written = protocol === 2 ? this.#written(answer) : undefined;
    if (written) {
      count('writtenSamples', written.samples);
      count('writtenHistograms', written.histograms);
      count('writtenExemplars', written.exemplars);
    }
    if (status >= 200 && status <= 299) return [];
    const text = excerpt(answer);
    const message = `remote_write: returned HTTP status ${httpStatusText(status)}; err = ${text}`;
    this.#tell(status, text, attempt);
    if (status >= 500) throw new RejectedError(message, false, status, text !== '');
    if (status === 429 && this.#o.retryOn429) {
      const wait = retryAfterMs(answer.headers['retry-after'], ctx.clock.nowMs(), this.#o.maxRetryAfterMs);
      throw new DeliveryError(message, false, { status, ...(wait === undefined ? {} : { retryAfterMs: wait }) });
    }
    const kept = (written?.samples ?? 0) + (written?.histograms ?? 0);
    if (status === 400 && kept > 0) {
      // The destination took a part; nobody says which, so the last ones are taken for the rest.
      return [{ points: request.points.subarray(Math.min(kept, request.points.length)), reason: 'rejected: 400' }];
    }
    throw new RejectedError(message, true, status, text !== '');
  }

  #written(answer: HttpResponse): { samples: number; histograms: number; exemplars: number } | undefined {
    const number = (what: string): number | undefined => {
      const text = answer.headers[`x-prometheus-remote-write-${what}-written`];
      return typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : undefined;
    };
    const samples = number('samples');
    const histograms = number('histograms');
    if (samples === undefined && histograms === undefined) {
      if (answer.status < 300 && !this.#told) {
        this.#told = true;
        this.#o.ctx.log.warn(
          'remote_write: the destination does not say what it has written: it may not understand version 2',
          { endpoint: this.#url },
        );
      }
      return undefined;
    }
    return { samples: samples ?? 0, histograms: histograms ?? 0, exemplars: number('exemplars') ?? 0 };
  }

  #tell(status: number, error: string, attempt: number): void {
    const held = this.#limit.pass(`${status} ${error.slice(0, 200)}`);
    if (held === undefined) return;
    this.#o.ctx.log.error('remote_write: failed to send WriteRequest to remote endpoint', {
      ...(status > 0 ? { status_code: status, status: httpStatusText(status) } : {}),
      endpoint: this.#url,
      retry_attempt: attempt,
      error,
      ...(held > 0 ? { held_back: held } : {}),
    });
  }

  /** Sends a rejected request in ever smaller parts; undefined when not one was taken. */
  async #divide(request: PackedRequest, patient: boolean, cause: unknown): Promise<RequestLoss[] | undefined> {
    const body =
      request.encoding === 'zstd'
        ? zstdDecompressSync(request.packed)
        : snappyDecode(request.packed, MAX_UNPACKED_BYTES);
    const parts = takeApart(body, this.#o.protocol);
    if (parts.series.length < 2) return undefined;
    // Where the points of each series begin.
    const starts = [0];
    for (const s of parts.series) starts.push(starts.at(-1)! + s.samples);
    const pointsOf = (from: number, to: number) => request.points.subarray(starts[from]!, starts[to]!);
    const lost: RequestLoss[] = [];
    let budget = MAX_SPLIT_REQUESTS;
    let taken = 0;
    const give = (from: number, to: number, e: unknown) =>
      lost.push({ points: pointsOf(from, to), reason: lossReason(e) });
    const halves = async (from: number, to: number, e: unknown): Promise<void> => {
      const middle = (from + to) >> 1;
      await range(from, middle, e);
      await range(middle, to, e);
    };
    const range = async (from: number, to: number, before: unknown): Promise<void> => {
      if (budget-- <= 0) {
        give(from, to, before);
        return;
      }
      this.#o.ctx.telemetry.counter(INSTRUMENTS.splits, this.#o.labels).add(1);
      const part = this.#packed(joined(parts, from, to));
      try {
        const more = await this.#deliver({ ...part, points: pointsOf(from, to), headers: request.headers }, patient);
        lost.push(...more);
        taken++;
      } catch (e) {
        const status = e instanceof DeliveryError ? e.status : undefined;
        if (!isPermanent(e)) throw e;
        if (status === undefined || !SPLITTABLE.includes(status) || to - from === 1) {
          give(from, to, e);
          if (to - from === 1) this.#tellSeries(parts, from, e);
        } else await halves(from, to, e);
      }
    };
    await halves(0, parts.series.length, cause);
    return taken > 0 ? lost : undefined;
  }

  #tellSeries(parts: RequestParts, index: number, error: unknown): void {
    const held = this.#limit.pass('series');
    if (held === undefined) return;
    this.#o.ctx.log.error('remote_write: the destination rejects a series; the others of its request arrived', {
      series: this.#o.protocol === 1 ? describeLabels(labelsOfSeries(parts.series[index]!.bytes)) : `number ${index}`,
      error: messageOf(error),
      ...(held > 0 ? { held_back: held } : {}),
    });
  }
}

/** A status that is no success, and whether the destination said why. */
class RejectedError extends DeliveryError {
  readonly explained: boolean;
  constructor(message: string, isPermanentError: boolean, status: number, explained: boolean) {
    super(message, isPermanentError, { status });
    this.explained = explained;
  }
}

/** Retries put their own words around an error. */
const isExplained = (e: unknown): boolean =>
  e instanceof RejectedError ? e.explained : e instanceof Error && e.cause !== undefined && isExplained(e.cause);

const excerpt = (answer: HttpResponse): string => answer.body.subarray(0, ANSWER_EXCERPT).toString('utf8').trim();

function joined(parts: RequestParts, from: number, to: number): Buffer {
  return Buffer.concat([parts.common, ...parts.series.slice(from, to).map((s) => s.bytes)]);
}
