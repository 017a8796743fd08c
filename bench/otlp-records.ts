/**
 * Walks the log records of OTLP requests without making objects. On purpose it shares nothing with src/wire: what the
 * harnesses count must not depend on the codec they judge.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

/** Undoes the Content-Encoding of a request body. */
export function decompress(body: Buffer, encoding: string | undefined): Buffer {
  switch (encoding ?? 'identity') {
    case 'gzip':
      return gunzipSync(body);
    case 'zstd':
      return zstdDecompressSync(body);
    case 'identity':
    case '':
      return body;
    default:
      throw new Error(`content-encoding ${encoding}`);
  }
}

/**
 * Calls `visit` with the bounds of the text of each record's string body in `request` (an encoded
 * ExportLogsServiceRequest); both are -1 for a record without one. Returns the number of records.
 */
export function walkLogBodies(request: Uint8Array, visit?: (start: number, end: number) => void): number {
  let records = 0;
  let valueEnd = 0;
  const varint = (at: number): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const b = request[at++];
      if (b === undefined) throw new Error('truncated varint');
      value += (b & 127) * scale;
      if (b < 128) break;
      scale *= 128;
    }
    valueEnd = at;
    return value;
  };
  /** Finds each length-delimited field `wanted` of the message [at, end). */
  const fields = (at: number, end: number, wanted: number, found: (start: number, end: number) => void): void => {
    while (at < end) {
      const tag = varint(at);
      at = valueEnd;
      switch (tag & 7) {
        case 0:
          varint(at);
          at = valueEnd;
          break;
        case 1:
          at += 8;
          break;
        case 5:
          at += 4;
          break;
        case 2: {
          const size = varint(at);
          const start = valueEnd;
          at = start + size;
          if (at > end) throw new Error('truncated field');
          if (tag >>> 3 === wanted) found(start, at);
          break;
        }
        default:
          throw new Error(`wire type ${tag & 7}`);
      }
    }
  };
  let bodyStart = -1;
  let bodyEnd = -1;
  const onText = (start: number, end: number): void => {
    bodyStart = start;
    bodyEnd = end;
  };
  const onBody = (start: number, end: number): void => fields(start, end, 1, onText);
  const onRecord = (start: number, end: number): void => {
    records++;
    if (!visit) return;
    bodyStart = bodyEnd = -1;
    fields(start, end, 5, onBody);
    visit(bodyStart, bodyEnd);
  };
  const onScope = (start: number, end: number): void => fields(start, end, 2, onRecord);
  const onResource = (start: number, end: number): void => fields(start, end, 2, onScope);
  fields(0, request.length, 1, onResource);
  return records;
}
