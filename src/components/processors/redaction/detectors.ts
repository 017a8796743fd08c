/**
 * Named detectors. Each finds its kind of secret in a text; what looks like one is checked further wherever there is
 * something to check (check digits, lengths, structure), because a mask over harmless data is a loss too. All
 * expressions need time linear in the text: their repetitions are bounded or cannot overlap with what follows.
 */
import { ibanLength, isCard, isJwt } from './checks.ts';
import type { DetectorName } from './index.ts';

/** Calls back for each finding, in any order. */
export type Find = (text: string, found: (start: number, end: number) => void) => void;

interface Pattern {
  /** With the flags g and d. */
  readonly regex: RegExp;
  /** Group that is masked; 0, the whole match, when left out. */
  readonly group?: number;
  /** How much of it really is what is looked for; 0: nothing. */
  readonly check?: (match: string) => number;
}

const finder =
  (hint: (text: string) => boolean, ...patterns: readonly Pattern[]): Find =>
  (text, found) => {
    if (!hint(text)) return;
    for (const { regex, group = 0, check } of patterns)
      for (const m of text.matchAll(regex)) {
        const [start, end] = m.indices![group]!;
        const length = check ? check(text.slice(start, end)) : end - start;
        if (length > 0) found(start, start + length);
      }
  };

const whole =
  (check: (text: string) => boolean) =>
  (text: string): number =>
    check(text) ? text.length : 0;

const has =
  (...words: readonly string[]) =>
  (text: string): boolean =>
    words.some((w) => text.includes(w));
const DIGIT = /[0-9]/;

/** 13 to 19 digits, bare or in groups; not a part of a longer number, word or id. */
const CARD = /(?<![\w+-]|\d\.)[2-6]\d{3}(?:\d{9,15}|([ -])\d{4}\1\d{4}\1\d{1,7}|([ -])\d{6}\2\d{4,5})(?![\w-]|\.\d)/dg;

const JWT =
  /(?<![\w-])eyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{2,16384}\.[A-Za-z0-9_-]{10,4096}(?:\.[A-Za-z0-9_-]{1,65536}\.[A-Za-z0-9_-]{10,100})?(?![\w-])/dg;

/** Text between a name and its value: `: "`, `=`, `" => "`. */
const TO_VALUE = String.raw`\\?["']?\s{0,3}(?:=>|[:=])\s{0,3}\\?["']?`;

export const DETECTORS: Readonly<Record<DetectorName, Find>> = {
  card: finder((t) => DIGIT.test(t), { regex: CARD, check: whole(isCard) }),
  jwt: finder(has('eyJ'), { regex: JWT, check: whole(isJwt) }),
  aws_key: finder(
    (t) => /A[KSBC][IC]A|secret/i.test(t),
    { regex: /(?<![A-Za-z0-9/+])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9/+])/dg },
    {
      regex: new RegExp(
        `(?:secret_?access_?key|aws_?secret_?key|aws_?secret)${TO_VALUE}([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])`,
        'dgi',
      ),
      group: 1,
    },
  ),
  gcp_key: finder(
    has('AIza', 'GOCSPX-', 'ya29.', 'PRIVATE KEY'),
    { regex: /(?<![\w-])AIza[A-Za-z0-9_-]{35}(?![\w-])/dg },
    { regex: /(?<![\w-])GOCSPX-[A-Za-z0-9_-]{28}(?![\w-])/dg },
    { regex: /(?<![\w-])ya29\.[A-Za-z0-9_-]{20,2048}/dg },
    { regex: /-----BEGIN (?:RSA |EC )?PRIVATE KEY-----((?:\\[nr]|[A-Za-z0-9+/=\s]){16,16384})/dg, group: 1 },
  ),
  azure_key: finder(
    has('Key=', 'sig=', 'Q~'),
    { regex: /(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{43,86}={1,2})/dg, group: 1 },
    { regex: /[?&;]sig=((?:[A-Za-z0-9+/_-]|%[0-9A-Fa-f]{2}){43,129}(?:=|%3[Dd])?)/dg, group: 1 },
    { regex: /(?<![\w~.-])[\w~.-]{3}[0-9]Q~[\w~.-]{31,34}(?![\w~.-])/dg },
  ),
  github_token: finder(
    has('ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'github_pat_'),
    { regex: /(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,255}(?![A-Za-z0-9])/dg },
    { regex: /(?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{22,255}(?![A-Za-z0-9_])/dg },
  ),
  bearer: finder((t) => /bearer/i.test(t), {
    regex: /(?<![A-Za-z0-9])bearer[ \t]{1,4}\\?["']?([A-Za-z0-9._~+/-]{16,16384}={0,2})/dgi,
    group: 1,
    // Words of prose have no digits.
    check: whole((v) => DIGIT.test(v) && /[A-Za-z]/.test(v)),
  }),
  email: findEmails,
  iban: finder((t) => DIGIT.test(t), {
    regex: /(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)(?![A-Za-z0-9])/dg,
    check: ibanLength,
  }),
};

const LOCAL = /[A-Za-z0-9._%+-]/;
const DOMAIN = /[A-Za-z0-9.-]/;
const MAX_LOCAL = 64;
const MAX_DOMAIN = 253;
/** Last parts of names that are no mail domains: units of systemd, hosts of clusters and clouds, files, versions. */
const NO_MAIL = new Set(
  'service socket timer mount automount target slice scope path device swap internal local localdomain localhost lan svc cluster js ts mjs cjs jar json yaml yml log conf sock rc alpha beta next canary snapshot'.split(
    ' ',
  ),
);

function findEmails(text: string, found: (start: number, end: number) => void): void {
  let after = 0;
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    let start = at;
    while (start > after && at - start < MAX_LOCAL && LOCAL.test(text[start - 1]!)) start--;
    let end = at + 1;
    while (end < text.length && end - at <= MAX_DOMAIN && DOMAIN.test(text[end]!)) end++;
    // A sentence may end behind an address.
    while (end > at + 1 && /[.-]/.test(text[end - 1]!)) end--;
    while (start < at && /[.-]/.test(text[start]!)) start++;
    if (isEmail(text.slice(start, at), text.slice(at + 1, end), text[end])) {
      found(start, end);
      after = end;
    }
  }
}

function isEmail(local: string, domain: string, next: string | undefined): boolean {
  if (local === '' || local.endsWith('.') || local.includes('..')) return false;
  // git@example.com:path is an address of SSH.
  if (local === 'git' && (next === ':' || next === '/')) return false;
  const labels = domain.split('.');
  const top = labels.at(-1)!;
  if (labels.length < 2 || !/^[A-Za-z]{2,24}$/.test(top) || NO_MAIL.has(top.toLowerCase())) return false;
  // com.example.Cart@1b2c3d4e.lookup: an object of Java
  if (/^[0-9a-f]{6,8}$/.test(labels[0]!) && /(?:^|\.)[A-Z]\w*$/.test(local)) return false;
  // package@1.2.3-beta.x
  if (/^\d+$/.test(labels[0]!)) return false;
  return labels.every((l) => l !== '' && l.length <= 63 && !l.startsWith('-') && !l.endsWith('-'));
}
