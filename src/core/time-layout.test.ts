import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../test/helpers/property.ts';
import { compileEpoch, compileTimeLayout, type EpochLayout, type LayoutType } from './time-layout.ts';
import { fromWall, zoneOffset } from './time-zone.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
/** Nanoseconds since 1970 of an ISO time, with further digits of the fraction. */
const at = (iso: string, nano = 0): bigint => BigInt(Date.parse(iso)) * 1_000_000n + BigInt(nano);

function parse(type: LayoutType, layout: string, text: string, location?: string): bigint | undefined {
  const parser = compileTimeLayout(type, layout, { location, nowMs: () => NOW });
  assert.ok(typeof parser === 'function', JSON.stringify(parser));
  return parser(text);
}

const STRPTIME: [layout: string, text: string, location: string | undefined, expected: bigint | undefined][] = [
  ['%Y-%m-%d %H:%M:%S.%f %z', '2026-01-02 03:04:05.123456 +0200', undefined, at('2026-01-02T01:04:05Z', 123_456_000)],
  ['%Y-%m-%d %H:%M:%S.%f %z', '2026-01-02 03:04:05.5 -0330', undefined, at('2026-01-02T06:34:05.5Z')],
  ['%Y-%m-%d %H:%M:%S.%f %z', '2026-01-02 03:04:05.123456789 Z', undefined, at('2026-01-02T03:04:05Z', 123_456_789)],
  ['%Y-%m-%d %H:%M:%S.%f %z', '2026-01-02 03:04:05.5 +02:00', undefined, at('2026-01-02T01:04:05.5Z')],
  ['%Y-%m-%d %H:%M:%S.%f %z', '2026-1-2 3:4:5.1 +0000', undefined, undefined],
  ['%Y-%m-%d %H:%M:%S.%f %z', '2026-02-30 00:00:00.0 +0000', undefined, undefined],
  ['%Y-%m-%dT%H:%M:%SZ', '2026-01-02T03:04:05Z', undefined, at('2026-01-02T03:04:05Z')],
  ['%Y-%m-%dT%H:%M:%SZ', '2026-01-02T03:04:05.25Z', undefined, at('2026-01-02T03:04:05.25Z')],
  ['%d/%b/%Y:%H:%M:%S', '02/Jan/2026:03:04:05', 'Europe/Berlin', at('2026-01-02T02:04:05Z')],
  ['%d/%b/%Y:%H:%M:%S', '02/jul/2026:03:04:05', 'Europe/Berlin', at('2026-07-02T01:04:05Z')],
  ['%d/%b/%Y:%H:%M:%S', '29/Mar/2026:02:30:00', 'Europe/Berlin', at('2026-03-29T01:30:00Z')],
  ['%d/%b/%Y:%H:%M:%S', '25/Oct/2026:02:30:00', 'Europe/Berlin', at('2026-10-25T01:30:00Z')],
  ['%b %e %H:%M:%S', 'Jan  2 03:04:05', 'UTC', at('2026-01-02T03:04:05Z')],
  ['%b %e %H:%M:%S', 'Dec 31 03:04:05', 'UTC', at('2025-12-31T03:04:05Z')],
  ['%b %e %H:%M:%S', 'Jan  9 03:04:04', 'UTC', at('2026-01-09T03:04:04Z')],
  ['%b %e %H:%M:%S', 'Jan 10 03:04:06', 'UTC', at('2025-01-10T03:04:06Z')],
  ['%A, %B %d %Y %I:%M %p', 'Friday, January 02 2026 12:04 AM', 'UTC', at('2026-01-02T00:04:00Z')],
  ['%A, %B %d %Y %I:%M %p', 'Friday, January 02 2026 03:04 PM', 'UTC', at('2026-01-02T15:04:00Z')],
  ['%y%m%d', '260102', 'UTC', at('2026-01-02T00:00:00Z')],
  ['%y%m%d', '990102', 'UTC', at('1999-01-02T00:00:00Z')],
  ['%F %T', '2026-01-02 03:04:05', 'UTC', at('2026-01-02T03:04:05Z')],
  ['%D %R', '01/02/2026 03:04', 'UTC', at('2026-01-02T03:04:00Z')],
  ['%c', 'Fri Jan 02 03:04:05 2026', 'UTC', at('2026-01-02T03:04:05Z')],
  ['%Y-%m-%d %H:%M:%S %Z', '2026-01-02 03:04:05 UTC', 'Europe/Berlin', at('2026-01-02T03:04:05Z')],
  ['%Y-%m-%d %H:%M:%S %Z', '2026-07-02 03:04:05 CEST', 'Europe/Berlin', at('2026-07-02T01:04:05Z')],
  ['%Y-%m-%d %H:%M:%S %Z', '2026-01-02 03:04:05 EST', 'UTC', at('2026-01-02T08:04:05Z')],
  ['%Y-%m-%d %H:%M:%S %Z', '2026-01-02 03:04:05 XYZ', 'UTC', undefined],
  ['%Y-%m-%d %H:%M:%S %j', '2026-01-02 03:04:05 +01:00', 'UTC', at('2026-01-02T02:04:05Z')],
  ['%Y-%m-%d %H:%M:%S', '2026-01-02 24:04:05', 'UTC', undefined],
  ['%Y-%m-%d %H:%M:%S', '2026-01-02 03:04:05 more', 'UTC', undefined],
];

test('strptime layouts', () => {
  for (const [layout, text, location, expected] of STRPTIME)
    assert.equal(parse('strptime', layout, text, location), expected, `${layout} ${text}`);
});

const GOTIME: typeof STRPTIME = [
  ['2006-01-02T15:04:05.999999999Z07:00', '2026-01-02T03:04:05Z', undefined, at('2026-01-02T03:04:05Z')],
  [
    '2006-01-02T15:04:05.999999999Z07:00',
    '2026-01-02T03:04:05.123456789+05:30',
    undefined,
    at('2026-01-01T21:34:05Z', 123_456_789),
  ],
  ['2006-01-02T15:04:05.999999999Z07:00', '2026-01-02T03:04:05+0100', undefined, undefined],
  ['2006-01-02T15:04:05.000Z', '2026-01-02T03:04:05.123Z', undefined, at('2026-01-02T03:04:05.123Z')],
  ['2006-01-02T15:04:05.000Z', '2026-01-02T03:04:05.12Z', undefined, undefined],
  ['2006-01-02 15:04:05', '2026-01-02 3:04:05', 'UTC', at('2026-01-02T03:04:05Z')],
  ['Jan _2 2006', 'Feb 29 2024', 'UTC', at('2024-02-29T00:00:00Z')],
  ['Jan _2 2006', 'Feb 29 2026', 'UTC', undefined],
  ['January 2, 2006 at 3:04pm (MST)', 'July 3, 2026 at 3:04pm (EDT)', 'America/New_York', at('2026-07-03T19:04:00Z')],
  ['2006 002', '2026 032', 'UTC', at('2026-02-01T00:00:00Z')],
  ['02-01-06 15h', '02-01-26 7h', 'UTC', at('2026-01-02T07:00:00Z')],
  ['Monday 2006-01-02 -07', 'friday 2026-01-02 +03', 'UTC', at('2026-01-01T21:00:00Z')],
  ['05,999', '07,5', 'UTC', at('2026-01-01T00:00:07.5Z')],
];

test('Go layouts', () => {
  for (const [layout, text, location, expected] of GOTIME)
    assert.equal(parse('gotime', layout, text, location), expected, `${layout} ${text}`);
});

test('epoch layouts', () => {
  const table: [EpochLayout, string | number | bigint, bigint | undefined][] = [
    ['s', '1767323045', 1_767_323_045_000_000_000n],
    ['s', 1767323045.25, 1_767_323_045_000_000_000n],
    ['s', 7n, 7_000_000_000n],
    ['s', '-5', -5_000_000_000n],
    ['s', '1767323045.5', undefined],
    ['s', 'x', undefined],
    ['s', Number.NaN, undefined],
    ['ms', '1767323045123', 1_767_323_045_123_000_000n],
    ['us', 5, 5000n],
    ['ns', '7', 7n],
    ['s.ms', '1.5', 1_005_000_000n],
    ['s.us', '1.5', 1_000_005_000n],
    ['s.ns', '1767323045.123456789', 1_767_323_045_123_456_789n],
    ['s.us', 1.5, 1_500_000_000n],
    ['s.us', '1767323045', undefined],
  ];
  for (const [layout, value, expected] of table)
    assert.equal(compileEpoch(layout)(value), expected, `${layout} ${value}`);
});

test('layouts and locations that cannot be are refused', () => {
  const table: [LayoutType, string, string | undefined, RegExp][] = [
    ['strptime', '%Y9', undefined, /digits are not allowed/],
    ['strptime', '%S%f', undefined, /must be preceded with '.' or ','/],
    ['strptime', '%E', undefined, /unsupported directive .*%E/],
    ['strptime', 'x%', undefined, /unsupported directive/],
    ['gotime', '15:04:05999', undefined, /must be preceded with '.' or ','/],
    ['gotime', '2006', 'Mars/Phobos', /unknown time zone Mars\/Phobos/],
  ];
  for (const [type, layout, location, message] of table) {
    const parser = compileTimeLayout(type, layout, { location, nowMs: () => NOW });
    assert.ok(typeof parser !== 'function', layout);
    assert.match(parser.error, message);
  }
});

test('offsets follow the zone, also in years that Date cannot hold', () => {
  const berlin = zoneOffset('Europe/Berlin')!;
  assert.equal(berlin(Date.UTC(2026, 0, 1) / 1000), 3600);
  assert.equal(berlin(Date.UTC(2026, 6, 1) / 1000), 7200);
  assert.equal(fromWall(Date.UTC(2026, 6, 1, 12) / 1000, berlin), Date.UTC(2026, 6, 1, 10) / 1000);
  assert.equal(typeof berlin(1e13), 'number');
  assert.equal(zoneOffset('Nowhere'), undefined);
});

test('any layout compiles or is refused, and any text parses or not', () => {
  const piece = fc.constantFrom(
    '%Y',
    '%m',
    '%z',
    '%Z',
    '%',
    '.%f',
    ' ',
    '-',
    '2006',
    '01',
    '02',
    '15',
    '.999',
    'MST',
    'Z07:00',
    '-0700',
    'Jan',
    '__2',
    '_2',
    'PM',
    ':',
  );
  const layouts = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 8 }).map((p) => p.join('')),
  );
  fc.assert(
    fc.property(fc.constantFrom<LayoutType>('strptime', 'gotime'), layouts, fc.string(), (type, layout, text) => {
      const parser = compileTimeLayout(type, layout, { location: 'UTC', nowMs: () => NOW });
      if (typeof parser !== 'function') return;
      for (const t of [text, layout, '2026-01-02 03:04:05']) {
        const time = parser(t);
        assert.ok(time === undefined || typeof time === 'bigint');
      }
    }),
    { numRuns: 2000 },
  );
});
