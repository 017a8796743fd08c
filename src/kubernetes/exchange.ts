/**
 * One exchange over HTTP with a server of Kubernetes: the request, the end of the time for it, the body of the answer.
 * What the answer means is the business of client.ts.
 */
import http, { type Agent, type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import type { SecureContext } from 'node:tls';
import { systemCas } from '../core/tls.ts';
import type { Access, TlsMaterial } from './access.ts';

/** An answer that was larger is not waited for again. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024;

/** Memory for one answer after the other; what was read stands in it until the next one is read. */
export class BodyBuffer {
  #memory = Buffer.alloc(0);
  #size = 0;

  clear(): void {
    this.#size = 0;
    if (this.#memory.length > MAX_KEPT_BYTES) this.#memory = Buffer.alloc(0);
  }

  append(chunk: Buffer): void {
    const size = this.#size + chunk.length;
    if (size > this.#memory.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#memory.length, size, 64 * 1024));
      this.#memory.copy(larger, 0, 0, this.#size);
      this.#memory = larger;
    }
    chunk.copy(this.#memory, this.#size);
    this.#size = size;
  }

  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#size);
  }
}

/** Aborts for the caller's signal or after a time, whichever is first; the reason is what describeHttpError knows. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #outer: AbortSignal | undefined;
  readonly #onAbort = () =>
    this.#controller.abort(
      (this.#outer?.reason as Error | undefined)?.name === 'TimeoutError' ? 'timeout' : 'canceled',
    );

  constructor(timeoutMs: number, outer: AbortSignal | undefined) {
    this.#outer = outer;
    this.#timer = timeoutMs > 0 ? setTimeout(() => this.#controller.abort('timeout'), timeoutMs) : undefined;
    if (outer?.aborted) this.#onAbort();
    outer?.addEventListener('abort', this.#onAbort, { once: true });
  }
  get signal(): AbortSignal {
    return this.#controller.signal;
  }
  /** From now on only the caller's signal counts. */
  stopTimer(): void {
    clearTimeout(this.#timer);
  }
  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#onAbort);
  }
}

/** Its message is complete. */
export class AnswerError extends Error {}

/** Connections in use go on; free ones are closed, and none becomes free again. */
export function retire(agent: Agent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets)) for (const s of sockets ?? []) s.destroy();
}

export function secureContextOf(access: Access, material: TlsMaterial, withSystemCas: boolean): SecureContext {
  const tls = process.getBuiltinModule('node:tls');
  const own = material.ca === undefined ? [] : [material.ca];
  return tls.createSecureContext({
    minVersion: 'TLSv1.2',
    ...access.parameters,
    // Who is not checked needs no CA, and loading those of the system costs 10 MB.
    ...(access.isVerified ? { ca: own.length === 0 || withSystemCas ? [...own, ...systemCas()] : own } : {}),
    ...(material.cert === undefined ? {} : { cert: material.cert }),
    ...(material.key === undefined ? {} : { key: material.key }),
  });
}

export function exchange(
  agent: Agent,
  access: Access,
  url: URL,
  sent: { readonly method: string; readonly headers: OutgoingHttpHeaders; readonly content: Buffer | undefined },
  signal: AbortSignal,
  progress: { request?: ClientRequest },
): Promise<IncomingMessage> {
  const { method, headers, content } = sent;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new Error(String(signal.reason)));
      return;
    }
    const isSecure = url.protocol === 'https:';
    const request = isSecure
      ? process.getBuiltinModule('node:https').request(url, {
          agent,
          method,
          headers,
          rejectUnauthorized: access.isVerified,
          ...identityOptions(access.serverName),
        })
      : http.request(url, { agent, method, headers });
    progress.request = request;
    const abort = () => request.destroy(new Error(String(signal.reason)));
    signal.addEventListener('abort', abort, { once: true });
    request.on('error', (e) => {
      signal.removeEventListener('abort', abort);
      reject(e);
    });
    request.on('response', (answer) => {
      signal.removeEventListener('abort', abort);
      resolve(answer);
    });
    request.end(content);
  });
}

/** An address cannot be asked for in the handshake, but it can be expected in the certificate. */
export function identityOptions(serverName: string | undefined) {
  if (serverName === undefined) return {};
  const isAddress = process.getBuiltinModule('node:net').isIP(serverName) !== 0;
  const { checkServerIdentity } = process.getBuiltinModule('node:tls');
  return {
    ...(isAddress ? {} : { servername: serverName }),
    checkServerIdentity: (_host: string, cert: import('node:tls').PeerCertificate) =>
      checkServerIdentity(serverName, cert),
  };
}

/** Rejects when there is more than `maxBytes`; with `isCut` the beginning is enough. */
export function readBody(
  answer: IncomingMessage,
  url: URL,
  maxBytes: number,
  signal: AbortSignal,
  buffer = new BodyBuffer(),
  isCut = false,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    buffer.clear();
    let size = 0;
    const abort = () => answer.destroy(new Error(String(signal.reason)));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    const settle = (error: Error | undefined) => {
      signal.removeEventListener('abort', abort);
      if (error) reject(error);
      else resolve(buffer.bytes);
    };
    answer.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) {
        buffer.append(chunk);
        return;
      }
      settle(
        isCut
          ? undefined
          : new AnswerError(`Get ${JSON.stringify(url.href)}: the answer is longer than ${maxBytes} bytes`),
      );
      answer.destroy();
    });
    answer.on('end', () => settle(undefined));
    answer.on('error', (e: Error) => settle(e.message === 'aborted' ? new Error('unexpected EOF', { cause: e }) : e));
    answer.on('close', () => settle(new Error('unexpected EOF')));
  });
}
