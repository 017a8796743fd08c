/** The MD5 crypt of Apache ($apr1$) and of old systems ($1$): a thousand rounds of MD5. */
import { createHash } from 'node:crypto';

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Bytes of the digest that each group of four characters is made of, highest first. */
const GROUPS: readonly (readonly [number, number, number])[] = [
  [0, 6, 12],
  [1, 7, 13],
  [2, 8, 14],
  [3, 9, 15],
  [4, 10, 5],
];

const md5 = (...parts: (string | Uint8Array)[]): Buffer => {
  const h = createHash('md5');
  for (const p of parts) h.update(p);
  return h.digest();
};

function letters(value: number, count: number): string {
  let text = '';
  for (let i = 0, v = value; i < count; i++, v >>>= 6) text += ALPHABET[v & 63];
  return text;
}

export function md5Crypt(password: string, kind: 'apr1' | '1', salt: string): string {
  const key = Buffer.from(password, 'utf8');
  const prefix = `$${kind}$`;
  const inner = md5(key, salt, key);
  const first: Uint8Array[] = [key, Buffer.from(prefix), Buffer.from(salt)];
  for (let left = key.length; left > 0; left -= 16) first.push(inner.subarray(0, Math.min(16, left)));
  for (let n = key.length; n > 0; n >>>= 1) first.push(n & 1 ? Buffer.alloc(1) : key.subarray(0, 1));
  let digest = md5(...first);
  for (let round = 0; round < 1000; round++) {
    const odd = (round & 1) === 1;
    const parts: (string | Uint8Array)[] = [odd ? key : digest];
    if (round % 3 !== 0) parts.push(salt);
    if (round % 7 !== 0) parts.push(key);
    parts.push(odd ? digest : key);
    digest = md5(...parts);
  }
  const text = GROUPS.map(([a, b, c]) => letters((digest[a]! << 16) | (digest[b]! << 8) | digest[c]!, 4)).join('');
  return `${prefix}${salt}$${text}${letters(digest[11]!, 2)}`;
}
