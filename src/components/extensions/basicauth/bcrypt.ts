/**
 * bcrypt: Blowfish with an expensive key schedule. Works in slices, so that others get their turn while a password is
 * checked. Blowfish's tables are the digits of pi, which are computed when the first hash is met.
 */
import { timingSafeEqual } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';

const ALPHABET = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** Above this a single check would take seconds of one core, which any sender could ask for. */
const MAX_COST = 14;
const P_WORDS = 18;
const S_WORDS = 1024;
/** Rounds of the key schedule between two turns of the event loop: a few milliseconds. */
const SLICE = 16;
const MAGIC = Buffer.from('OrpheanBeholderScryDoubt');
const DIGEST_BYTES = 23;

/** The first bits of pi's fraction as 32-bit words, by Machin's formula. */
function piWords(count: number): Int32Array {
  const guard = 64n;
  const bits = BigInt(count * 32);
  const one = 1n << (bits + guard);
  const arctan = (inverse: bigint): bigint => {
    const square = inverse * inverse;
    let power = one / inverse;
    let sum = power;
    for (let n = 3n, sign = -1n; power !== 0n; n += 2n, sign = -sign) {
      power /= square;
      sum += (sign * power) / n;
    }
    return sum;
  };
  const pi = 16n * arctan(5n) - 4n * arctan(239n);
  const fraction = (pi & (one - 1n)) >> guard;
  const hex = fraction.toString(16).padStart(count * 8, '0');
  return Int32Array.from({ length: count }, (_, i) => Number.parseInt(hex.slice(i * 8, i * 8 + 8), 16) | 0);
}

let digits: Int32Array | undefined;

class Blowfish {
  readonly p: Int32Array;
  readonly s: Int32Array;
  left = 0;
  right = 0;

  constructor() {
    digits ??= piWords(P_WORDS + S_WORDS);
    this.p = digits.slice(0, P_WORDS);
    this.s = digits.slice(P_WORDS);
  }

  /** Encrypts (left, right) in place. */
  encrypt(): void {
    const { p, s } = this;
    let l = this.left;
    let r = this.right;
    for (let i = 0; i < 16; i += 2) {
      l ^= p[i]!;
      r ^= (((s[l >>> 24]! + s[256 + ((l >>> 16) & 255)]!) ^ s[512 + ((l >>> 8) & 255)]!) + s[768 + (l & 255)]!) | 0;
      r ^= p[i + 1]!;
      l ^= (((s[r >>> 24]! + s[256 + ((r >>> 16) & 255)]!) ^ s[512 + ((r >>> 8) & 255)]!) + s[768 + (r & 255)]!) | 0;
    }
    this.left = r ^ p[17]!;
    this.right = l ^ p[16]!;
  }

  /** Mixes a key (as words, repeated), and a salt of four words where there is one, into the tables. */
  expand(key: Int32Array, salt?: Int32Array): void {
    const { p, s } = this;
    for (let i = 0; i < P_WORDS; i++) p[i]! ^= key[i]!;
    this.left = 0;
    this.right = 0;
    let at = 0;
    const fill = (table: Int32Array) => {
      for (let i = 0; i < table.length; i += 2) {
        if (salt) {
          this.left ^= salt[at]!;
          this.right ^= salt[at + 1]!;
          at ^= 2;
        }
        this.encrypt();
        table[i] = this.left;
        table[i + 1] = this.right;
      }
    };
    fill(p);
    fill(s);
  }
}

/** Bytes as the 18 words that go into P, from the beginning again and again. */
function keyWords(key: Uint8Array): Int32Array {
  return Int32Array.from({ length: P_WORDS }, (_, i) => {
    let word = 0;
    for (let j = 0; j < 4; j++) word = (word << 8) | key[(i * 4 + j) % key.length]!;
    return word;
  });
}

async function bcrypt(password: string, salt: Buffer, cost: number): Promise<Buffer> {
  // Only so many bytes count, the zero at the end among them.
  const key = keyWords(Buffer.from(`${password}\0`, 'utf8').subarray(0, 72));
  const saltWords = keyWords(salt);
  const cipher = new Blowfish();
  cipher.expand(key, saltWords);
  for (let round = 0; round < 2 ** cost; round++) {
    cipher.expand(key);
    cipher.expand(saltWords);
    if (round % SLICE === SLICE - 1) await nextTurn();
  }
  const out = Buffer.from(MAGIC);
  for (let at = 0; at < out.length; at += 8) {
    cipher.left = out.readInt32BE(at);
    cipher.right = out.readInt32BE(at + 4);
    for (let i = 0; i < 64; i++) cipher.encrypt();
    out.writeInt32BE(cipher.left, at);
    out.writeInt32BE(cipher.right, at + 4);
  }
  return out.subarray(0, DIGEST_BYTES);
}

function decode(text: string, size: number): Buffer {
  const out = Buffer.alloc(size);
  let bits = 0;
  let count = 0;
  let at = 0;
  for (const c of text) {
    bits = ((bits << 6) | ALPHABET.indexOf(c)) & 0xffff;
    count += 6;
    if (count >= 8 && at < size) {
      count -= 8;
      out[at++] = (bits >>> count) & 255;
    }
  }
  return out;
}

/** Checks passwords against a hash; a text says what is wrong with the hash. */
export function bcryptVerifier(hash: string): ((password: string) => Promise<boolean>) | string {
  const m = /^\$2[aby]\$(\d\d)\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/.exec(hash);
  if (!m) return 'this bcrypt hash is not whole';
  const cost = Number(m[1]);
  if (cost < 4 || cost > 31) return `bcrypt cost ${cost} is not between 4 and 31`;
  if (cost > MAX_COST)
    return `bcrypt cost ${cost} is too expensive for a server; at most ${MAX_COST} (htpasswd -B -C 10)`;
  const salt = decode(m[2]!, 16);
  const digest = decode(m[3]!, DIGEST_BYTES);
  return async (password) => timingSafeEqual(await bcrypt(password, salt, cost), digest);
}
