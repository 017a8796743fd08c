import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cpuMs } from '../../../../test/helpers/cpu.ts';
import fc from '../../../../test/helpers/property.ts';
import { DETECTORS } from './detectors.ts';
import { DETECTOR_NAMES, type DetectorName } from './index.ts';

function findings(name: DetectorName, text: string): string[] {
  const out: string[] = [];
  DETECTORS[name](text, (start, end) => out.push(text.slice(start, end)));
  return out;
}

/** In pieces, so that no scanner takes this file for a leak. All of them are made up. */
const join = (...parts: string[]): string => parts.join('');
const b64 = (o: object): string => Buffer.from(JSON.stringify(o)).toString('base64url');
const JWT = join(b64({ alg: 'HS256', typ: 'JWT' }), '.', b64({ sub: '1234567890' }), '.', 'abcdefghijk-lmnop_qrstuvwx');
const JWE = join(b64({ alg: 'RSA-OAEP', enc: 'A256GCM' }), '.abcdefgh.ijklmnopqrst.uvwxyz.0123456789abcdefghijkl');
const AKIA = join('AK', 'IA', 'IOSFODNN7EXAMPLE');
const AWS_SECRET = join('wJalrXUtnFEMI/K7MDENG/', 'bPxRfiCYEXAMPLEKEY');
const GCP = join('AI', 'za', 'SyA1234567890abcdefghijklmnopqrstuv');
const AZURE = `${'A1b2'.repeat(21)}C3==`;
const GITHUB = join('gh', 'p_', '0123456789abcdefghijABCDEFGHIJ012345');
const GITHUB_PAT = join('github', '_pat_', '11ABCDEFG0123456789_abcdefghijklmnop');

const cases: readonly [name: DetectorName, text: string, found: readonly string[]][] = [
  ['card', 'paid with 4111111111111111.', ['4111111111111111']],
  ['card', 'paid with 4111 1111 1111 1111 and 5500-0000-0000-0004', ['4111 1111 1111 1111', '5500-0000-0000-0004']],
  ['card', 'a,378282246310005,b 3782 822463 10005', ['378282246310005', '3782 822463 10005']],
  ['card', '{"pan":"6011111111111117"}', ['6011111111111117']],
  [
    'card',
    '2223003122003222 30569309025904 3530111333300000',
    ['2223003122003222', '30569309025904', '3530111333300000'],
  ],
  ['card', '4111111111111112 is no number of a card', []],
  ['card', 'x4111111111111111 4111111111111111-7 0.4111111111111111 4111111111111111.5 +4111111111111111', []],
  ['card', '4444444444444448 5555555555555557', []],
  ['card', '1763806272123456789 1763806272123', []],
  ['jwt', `Cookie: session=${JWT}; path=/`, [JWT]],
  ['jwt', `token ${JWE}`, [JWE]],
  ['jwt', 'eyJhbGciOi.eyJzdWIiOiI.abcdefghijklmnop', []],
  ['jwt', `x${JWT}`, []],
  ['aws_key', `aws ${AKIA} used`, [AKIA]],
  ['aws_key', `{"SecretAccessKey": "${AWS_SECRET}"}`, [AWS_SECRET]],
  ['aws_key', `aws_secret_access_key=${AWS_SECRET}`, [AWS_SECRET]],
  ['aws_key', String.raw`{\"secret_access_key\":\"${AWS_SECRET}\"}`, [AWS_SECRET]],
  ['aws_key', `sha1 ${'0123456789'.repeat(4)} x${AKIA} ${AKIA}A`, []],
  ['gcp_key', `key=${GCP}&x=1`, [GCP]],
  ['gcp_key', `x${GCP} ${GCP}a`, []],
  [
    'gcp_key',
    String.raw`{"private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"}`,
    [String.raw`\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n`],
  ],
  ['azure_key', `AccountName=a;AccountKey=${AZURE};EndpointSuffix=x`, [AZURE]],
  ['azure_key', `https://a.example.net/b?sv=1&sig=${'aB3%2F'.repeat(12)}%3D&se=2`, [`${'aB3%2F'.repeat(12)}%3D`]],
  ['azure_key', 'AccountKey=short; sig=abc', []],
  ['github_token', `clone with ${GITHUB}@github.com`, [GITHUB]],
  ['github_token', GITHUB_PAT, [GITHUB_PAT]],
  ['github_token', `x${GITHUB} ghp_short`, []],
  ['bearer', 'Authorization: Bearer abc123.DEF456~ghi789+/==', ['abc123.DEF456~ghi789+/==']],
  ['bearer', '"authorization":"bearer 0123456789abcdef"', ['0123456789abcdef']],
  ['bearer', 'Bearer authentication-required-for-this', []],
  ['bearer', 'bearer 1234567890123456789', []],
  [
    'email',
    'from amy.smith+x@mail.example.com, to <bob@example.org>.',
    ['amy.smith+x@mail.example.com', 'bob@example.org'],
  ],
  ['email', 'a@b@c.de', ['b@c.de']],
  [
    'email',
    'user@1000.service pkg@1.2.3 pkg@1.2.3-rc.x git@github.com:a/b @app.route foo@bar x@y.internal a..b@c.de',
    [],
  ],
  ['iban', 'to DE89370400440532013000 today', ['DE89370400440532013000']],
  ['iban', 'to DE89 3704 0044 0532 0130 00 BIC', ['DE89 3704 0044 0532 0130 00']],
  [
    'iban',
    'AT61 1904 3002 3457 3201 REF GB82WEST12345698765432',
    ['AT61 1904 3002 3457 3201', 'GB82WEST12345698765432'],
  ],
  ['iban', 'DE89370400440532013001 XX89370400440532013000 DE8937040044053201300', []],
];
for (const [name, text, found] of cases)
  test(`${name} in ${JSON.stringify(text.slice(0, 70))}`, () =>
    assert.deepEqual(findings(name, text).sort(), [...found].sort()));

const corpus = readFileSync(new URL('testdata/no-secrets.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');
/** Of the whole corpus. Numbers of 16 to 19 digits pass as cards with a chance of one in ten when brand and length fit. */
const FALSE_POSITIVES: Readonly<Record<DetectorName, number>> = {
  card: 0,
  jwt: 0,
  aws_key: 0,
  gcp_key: 0,
  azure_key: 0,
  github_token: 0,
  bearer: 0,
  email: 0,
  iban: 0,
};
for (const name of DETECTOR_NAMES)
  test(`${name} in ${corpus.length} lines without secrets`, () => {
    const wrong = corpus.flatMap((line) => findings(name, line));
    assert.equal(wrong.length, FALSE_POSITIVES[name], wrong.join('\n'));
  });

test('findings lie inside of the text, whatever the text is', () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '4111',
      ' ',
      '-',
      '@',
      '.',
      'eyJ',
      'bearer ',
      'DE89',
      'AKIA',
      'sig=',
      '-----BEGIN PRIVATE KEY-----',
    ),
  );
  fc.assert(
    fc.property(fc.array(piece), fc.constantFrom(...DETECTOR_NAMES), (pieces, name) => {
      const text = pieces.join('');
      DETECTORS[name](text, (start, end) => assert.ok(0 <= start && start < end && end <= text.length));
    }),
  );
});

/** Ten times the text must not take much more than ten times as long. */
const hostile: readonly [name: DetectorName, unit: string][] = [
  ['card', '4111 '],
  ['card', '4'],
  ['jwt', 'eyJaaaaaaaa.'],
  ['aws_key', 'secret_access_key='],
  ['gcp_key', '-----BEGIN PRIVATE KEY-----\\n'],
  ['azure_key', '&sig=%aa'],
  ['github_token', 'ghp_'],
  ['bearer', 'bearer '],
  ['email', 'a@'],
  ['email', 'a.'],
  ['iban', 'AA00 AAAA '],
];
for (const [name, unit] of hostile)
  test(`${name} reads a megabyte of ${JSON.stringify(unit)} without getting lost`, () => {
    const text = unit.repeat(Math.ceil(1e6 / unit.length));
    const startMs = cpuMs();
    findings(name, text);
    // Quadratic time would be hours; this takes some 50 ms.
    assert.ok(cpuMs() - startMs < 20_000);
  });
