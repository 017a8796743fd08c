/** htpasswd lines: `user:hash`, with plain text, bcrypt, MD5 crypt, SHA-1 and salted SHA-1. */
import { createHash } from 'node:crypto';
import { ConfigError } from '../../../core/errors.ts';
import { sameText } from '../../../core/same-text.ts';
import { bcryptVerifier } from './bcrypt.ts';
import { md5Crypt } from './md5-crypt.ts';

export type Verify = (password: string) => boolean | Promise<boolean>;
export type Users = ReadonlyMap<string, Verify>;

/** Throws a ConfigError for a line that is none, or whose hash is of an unknown kind. The last line of a user counts. */
export function parseHtpasswd(text: string): Users {
  const users = new Map<string, Verify>();
  for (const [i, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const colon = trimmed.indexOf(':');
    if (colon <= 0) throw new ConfigError(`read htpasswd content: line ${i + 1} is not user:hash`);
    users.set(trimmed.slice(0, colon), verifier(trimmed.slice(colon + 1), i + 1));
  }
  return users;
}

const sha1 = (...parts: (string | Buffer)[]): Buffer => {
  const h = createHash('sha1');
  for (const p of parts) h.update(p);
  return h.digest();
};

function verifier(hash: string, line: number): Verify {
  const md5 = /^\$(apr1|1)\$([^$]{0,8})\$([./0-9A-Za-z]{22})$/.exec(hash);
  if (md5) return (password) => sameText(md5Crypt(password, md5[1] as 'apr1' | '1', md5[2]!), hash);
  const sha = /^\{SHA\}([A-Za-z0-9+/]{27}=)$/.exec(hash);
  if (sha) return (password) => sameText(sha1(password).toString('base64'), sha[1]!);
  const salted = /^\{SSHA\}([A-Za-z0-9+/]+={0,2})$/.exec(hash);
  if (salted) {
    const bytes = Buffer.from(salted[1]!, 'base64');
    if (bytes.length > 20) {
      const digest = bytes.toString('hex', 0, 20);
      return (password) => sameText(sha1(password, bytes.subarray(20)).toString('hex'), digest);
    }
  }
  const bcrypt = /^\$2[aby]\$/.test(hash) ? bcryptVerifier(hash) : undefined;
  if (typeof bcrypt === 'function') return bcrypt;
  if (typeof bcrypt === 'string') throw new ConfigError(`read htpasswd content: line ${line}: ${bcrypt}`);
  if (/^[${]/.test(hash))
    throw new ConfigError(
      `read htpasswd content: line ${line}: this kind of hash is not supported; use bcrypt (htpasswd -B), MD5 ($apr1$), {SHA}, {SSHA} or plain text`,
    );
  return (password) => sameText(password, hash);
}
