/** Requests as they stand in files: JSON lines, or messages after their length. */
import { type Group, makeBatch, type Signal } from '../../../core/batch.ts';
import { compressor } from '../../../core/compress.ts';
import { requestToJson } from '../../../wire/otlp-json.ts';
import { encodeRequest } from '../../../wire/otlp-request.ts';
import type { FileConfig } from './index.ts';

export type Encode = (groups: readonly Group[]) => Promise<Buffer>;

function withLength(message: Buffer): Buffer {
  const out = Buffer.allocUnsafeSlow(4 + message.length);
  out.writeUInt32BE(message.length, 0);
  message.copy(out, 4);
  return out;
}

export function encoder(signal: Signal, config: FileConfig): Encode {
  const compress = config.compression ? compressor(config.compression, config.compression_params.level) : undefined;
  return async (groups) => {
    const request = encodeRequest(makeBatch(signal, groups).groups);
    if (config.format === 'proto') return withLength(compress ? await compress(request) : request);
    const text = requestToJson(signal, request);
    return compress ? withLength(await compress(Buffer.from(text))) : Buffer.from(`${text}\n`);
  };
}
