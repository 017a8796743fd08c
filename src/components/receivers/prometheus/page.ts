/** Fetches a page: one deadline, bounded before and after unpacking. */
import http from 'node:http';
import https from 'node:https';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

const MAX_BYTES = 64 * 1024 * 1024;
const unpack = promisify(gunzip);
const ACCEPT = 'text/plain;version=0.0.4;q=0.9,*/*;q=0.1';

export interface PageRequest {
  readonly url: string;
  readonly userAgent: string;
  readonly timeoutMs: number;
  readonly agent: http.Agent;
}

export async function fetchPage(
  { url, userAgent, timeoutMs, agent }: PageRequest,
  signal: AbortSignal,
): Promise<string> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const get = url.startsWith('https:') ? https.get : http.get;
  const body = await new Promise<{ bytes: Buffer; encoding: string | undefined }>((resolve, reject) => {
    const headers = {
      accept: ACCEPT,
      'accept-encoding': 'gzip',
      'user-agent': userAgent,
      'x-prometheus-scrape-timeout-seconds': String(timeoutMs / 1000),
    };
    const request = get(url, { headers, signal: limit, agent }, (res) => {
      if (res.statusCode !== 200) {
        res.destroy();
        reject(new Error(`server returned HTTP status ${res.statusCode} ${res.statusMessage ?? ''}`.trim()));
        return;
      }
      const parts: Buffer[] = [];
      let size = 0;
      res.on('data', (part: Buffer) => {
        size += part.length;
        if (size > MAX_BYTES) res.destroy(new Error(`page is larger than ${MAX_BYTES} bytes`));
        else parts.push(part);
      });
      res.on('error', reject);
      res.on('end', () => resolve({ bytes: Buffer.concat(parts), encoding: res.headers['content-encoding'] }));
    });
    request.on('error', (e) => {
      const isLate = limit.aborted && !signal.aborted;
      reject(isLate ? new Error(`no answer within ${timeoutMs / 1000} s`, { cause: e }) : e);
    });
  });
  const text = body.encoding === 'gzip' ? await unpack(body.bytes, { maxOutputLength: MAX_BYTES }) : body.bytes;
  return text.toString();
}
