/** Converters of bytes: hashes, encodings, ids. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { converter, type FunctionDefinition } from '../function.ts';
import { fail, goName, type OttlValue } from '../values.ts';

const hash = (summary: string, algorithm: string): FunctionDefinition =>
  converter(
    summary,
    { target: 'string' },
    'string',
    ({ target }) =>
      (env) =>
        createHash(algorithm).update(target(env)).digest('hex'),
  );

/** FNV-1a, 64 bits, as a signed integer. */
function fnv(text: string): bigint {
  let h = 0xcbf29ce484222325n;
  for (const b of Buffer.from(text)) h = BigInt.asUintN(64, (h ^ BigInt(b)) * 0x100000001b3n);
  return BigInt.asIntN(64, h);
}

/** Murmur3, 32 bits, little-endian hexadecimal. */
function murmur3(text: string): string {
  const data = Buffer.from(text);
  const scramble = (k: number): number => {
    const x = Math.imul(k, 0xcc9e2d51);
    return Math.imul((x << 15) | (x >>> 17), 0x1b873593);
  };
  let h = 0;
  const whole = data.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    h ^= scramble(data.readInt32LE(i));
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let i = data.length - 1; i >= whole; i--) tail = (tail << 8) | data[i]!;
  h ^= scramble(tail) ^ data.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h ^= h >>> 16;
  const out = Buffer.alloc(4);
  out.writeInt32LE(h);
  return out.toString('hex');
}

const BASE64: Readonly<Record<string, readonly [isUrl: boolean, isPadded: boolean]>> = {
  base64: [false, true],
  'base64-raw': [false, false],
  'base64-url': [true, true],
  'base64-raw-url': [true, false],
};

function toBase64(text: string, variant: string): string {
  const [isUrl, isPadded] = BASE64[variant]!;
  const out = Buffer.from(text)
    .toString(isUrl ? 'base64url' : 'base64')
    .replace(/=+$/, '');
  return isPadded ? out.padEnd(Math.ceil(out.length / 4) * 4, '=') : out;
}

function fromBase64(text: string, variant: string): string {
  const [isUrl, isPadded] = BASE64[variant]!;
  const body = isPadded ? text.replace(/={0,2}$/, '') : text;
  const alphabet = isUrl ? /^[\w-]*$/ : /^[A-Za-z\d+/]*$/;
  if (!alphabet.test(body) || body.length % 4 === 1 || (isPadded && text.length % 4 !== 0))
    return fail('illegal base64 data');
  return Buffer.from(body, isUrl ? 'base64url' : 'base64').toString();
}

const bytesOf = (v: OttlValue): Buffer => {
  if (typeof v === 'string') return Buffer.from(v);
  return v instanceof Uint8Array ? Buffer.from(v) : fail(`unsupported type ${goName(v)}`);
};

const id = (summary: string, length: number): FunctionDefinition =>
  converter(summary, { value: 'any' }, 'bytes', ({ value }) => (env) => {
    const v = value(env);
    if (v instanceof Uint8Array && v.length === length) return v;
    if (typeof v === 'string' && v.length === length * 2 && /^[\da-fA-F]*$/.test(v))
      return new Uint8Array(Buffer.from(v, 'hex'));
    return fail(`ids must be ${length} bytes or ${length * 2} hexadecimal digits`);
  });

function uuid7(nowMs: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

export const HASH_CONVERTERS: readonly (readonly [string, FunctionDefinition])[] = [
  ['MD5', hash('MD5 in hexadecimal', 'md5')],
  ['SHA1', hash('SHA-1 in hexadecimal', 'sha1')],
  ['SHA256', hash('SHA-256 in hexadecimal', 'sha256')],
  ['SHA512', hash('SHA-512 in hexadecimal', 'sha512')],
  [
    'FNV',
    converter(
      'FNV-1a, 64 bits',
      { target: 'string' },
      'int',
      ({ target }) =>
        (env) =>
          fnv(target(env)),
    ),
  ],
  [
    'Murmur3Hash',
    converter(
      'Murmur3, 32 bits, in hexadecimal',
      { target: 'string' },
      'string',
      ({ target }) =>
        (env) =>
          murmur3(target(env)),
    ),
  ],
  [
    'Base64Encode',
    converter(
      'Text as base64',
      { value: 'string', variant: 'literal:string?' },
      'string',
      ({ value, variant = 'base64' }) => {
        if (!Object.hasOwn(BASE64, variant)) throw new Error(`unsupported base64 variant: ${variant}`);
        return (env) => toBase64(value(env), variant);
      },
    ),
  ],
  [
    'Base64Decode',
    converter(
      'Text of base64 (deprecated: Decode)',
      { value: 'string' },
      'string',
      ({ value }) =>
        (env) =>
          fromBase64(value(env), 'base64'),
    ),
  ],
  [
    'Decode',
    converter(
      'Text of encoded bytes: base64 and its variants, or a character set',
      { value: 'any', encoding: 'literal:string' },
      'string',
      ({ value, encoding }) => {
        if (Object.hasOwn(BASE64, encoding))
          return (env) => fromBase64(bytesOf(value(env)).toString('latin1'), encoding);
        // Throws for unknown labels.
        const decoder = new TextDecoder(encoding);
        return (env) => decoder.decode(bytesOf(value(env)));
      },
    ),
  ],
  ['TraceID', id('A trace id of bytes or hexadecimal text', 16)],
  ['SpanID', id('A span id of bytes or hexadecimal text', 8)],
  ['UUID', converter('A random UUID', {}, 'string', () => () => randomUUID(), { isImpure: true })],
  [
    'UUIDv7',
    converter('A UUID that begins with the time', {}, 'string', () => (env) => uuid7(env.clock.nowMs()), {
      isImpure: true,
    }),
  ],
];
