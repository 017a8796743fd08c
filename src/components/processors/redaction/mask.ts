/** What stands in the place of a masked text. */
import { createHash, createHmac } from 'node:crypto';
import type { RedactionConfig } from './index.ts';

export type Mask = (text: string) => string;

export function maskOf({
  hash_function: name,
  hmac_key: key,
}: Pick<RedactionConfig, 'hash_function' | 'hmac_key'>): Mask {
  switch (name) {
    case '':
      return () => '****';
    case 'hmac-sha256':
    case 'hmac-sha512':
      return (text) => createHmac(name.slice(5), key).update(text).digest('hex');
    case 'sha3':
      return (text) => createHash('sha3-256').update(text).digest('hex');
    default:
      return (text) => createHash(name).update(text).digest('hex');
  }
}

/** A whole value, line by line, as the expression `.*` would. */
export const maskAll = (mask: Mask, text: string): string => text.split('\n').map(mask).join('\n');
