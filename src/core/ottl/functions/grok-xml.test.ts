/** ExtractGrokPatterns and the converters of XML: what comes out, and what is refused at the start or at run time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../../test/helpers/property.ts';
import type { Value } from '../../../wire/otlp.ts';
import { compileRegex } from '../../regex.ts';
import { evaluate, runStatements } from '../testing.ts';
import { GROK_PATTERNS } from './grok-patterns.ts';

const plain = (v: unknown): unknown =>
  v instanceof Map ? Object.fromEntries([...v].map(([k, x]) => [k, plain(x)])) : Array.isArray(v) ? v.map(plain) : v;

/** Runs a converter over the body. */
function over(body: Value, expression: string): unknown {
  const { record, errors } = runStatements([`set(attributes["out"], ${expression})`], { body });
  return errors.length > 0 ? new Error(errors[0]) : plain(record.attributes.get('out'));
}

const groks: readonly [pattern: string, body: string, expected: unknown][] = [
  [
    '%{WORD:method} %{URIPATH:path} %{INT:code:int}',
    'GET /a/b.html 200',
    { method: 'GET', path: '/a/b.html', code: 200n },
  ],
  ['%{WORD} %{NUMBER:n:float}', 'GET 2.50', { WORD: 'GET', n: 2.5, BASE10NUM: '2.50' }],
  ['%{WORD:a.b.c}=%{BOOL:ok:boolean}', 'x=true', { 'a.b.c': 'x', ok: true }],
  ['(?P<first>\\w)%{GREEDYDATA:rest}', 'abc', { first: 'a', rest: 'bc' }],
  ['^%{INT:a}?-%{INT:b}$', '-5', { b: '5', INT: undefined }],
  ['%{INT:n}|%{WORD:n}', 'word', { n: 'word' }],
  ['^%{IP:ip}$', '2001:db8::1', { ip: '2001:db8::1', IPV6: '2001:db8::1' }],
  ['^%{IP:ip}$', '10.0.0.1', { ip: '10.0.0.1', IPV4: '10.0.0.1' }],
  ['^%{WORD:a}$', 'two words', {}],
];
for (const [pattern, body, expected] of groks)
  test(`grok ${pattern} over ${body}`, () => {
    const found = over(body, `ExtractGrokPatterns(body, ${JSON.stringify(pattern)})`) as Record<string, unknown>;
    assert.deepEqual(found, plain(new Map(Object.entries(expected as object).filter(([, v]) => v !== undefined))));
  });

test('grok: fields alone, and definitions of their own that use others', () => {
  assert.deepEqual(over('GET 2.5', 'ExtractGrokPatterns(body, "%{WORD} %{NUMBER:n:double}", true)'), { n: 2.5 });
  assert.deepEqual(
    over(
      'id=AB-12 x',
      'ExtractGrokPatterns(body, "id=%{TICKET:ticket}", named_captures_only=true, pattern_definitions=["TICKET=%{LETTERS}-%{INT:number:int}", "LETTERS=[A-Z]+"])',
    ),
    { ticket: 'AB-12', number: 12n },
  );
});

test('grok: lines of web servers and syslog', () => {
  const line =
    '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"';
  assert.deepEqual(over(line, 'ExtractGrokPatterns(body, "%{COMBINEDAPACHELOG}", true)'), {
    'source.address': '127.0.0.1',
    'user.name': 'frank',
    timestamp: '10/Oct/2000:13:55:36 -0700',
    'http.request.method': 'GET',
    'url.original': '/apache_pb.gif',
    'http.version': '1.0',
    'http.response.status_code': 200n,
    'http.response.body.bytes': 2326n,
    'http.request.referrer': 'http://www.example.com/start.html',
    'user_agent.original': 'Mozilla/4.08 [en] (Win98; I ;Nav)',
  });
  assert.deepEqual(
    over(
      'Oct 11 22:14:15 mymachine su[230]: failed',
      'ExtractGrokPatterns(body, "%{SYSLOGBASE} %{GREEDYDATA:message}", true)',
    ),
    {
      timestamp: 'Oct 11 22:14:15',
      'host.hostname': 'mymachine',
      'process.name': 'su',
      'process.pid': 230n,
      message: 'failed',
    },
  );
});

const samples: Readonly<Record<string, readonly [good: readonly string[], bad: readonly string[]]>> = {
  TIMESTAMP_ISO8601: [
    ['2026-01-02T03:04:05.678Z', '2026-01-02 03:04:05,678', '2026-01-02T03:04:05+02:00'],
    ['2026-13-02T03:04:05Z'],
  ],
  UUID: [['0af76519-16cd-43dd-8448-eb211c80319c'], ['0af76519']],
  HTTPDATE: [['10/Oct/2000:13:55:36 -0700'], ['10/Foo/2000:13:55:36 -0700']],
  EMAILADDRESS: [['a.b+c@example.com'], ['a.b.example.com']],
  IPV6: [
    ['::', '::1', 'fe80::1%eth0', '1:2:3:4:5:6:7:8', '::ffff:1.2.3.4', '1::'],
    ['1:2:3', '12345::'],
  ],
  HOSTPORT: [['example.com:8080', '10.0.0.1:80'], ['example.com']],
  URI: [['https://user@example.com:8443/a/b?c=d', 'http://example.com'], ['example.com/a']],
  MAC: [['00:1b:63:84:45:e6', '00-1B-63-84-45-E6', '001b.6384.45e6'], ['00:1b:63']],
  QUOTEDSTRING: [['"a \\" b"', "'x'"], ['"a']],
  PATH: [['/var/log/a.log', 'C:\\Windows\\x.log'], ['a']],
  LOGLEVEL: [['INFO', 'warn', 'Error', 'CRITICAL'], ['noise']],
  NUMBER: [['1', '-1.5', '.5'], ['x']],
};
for (const [name, [good, bad]] of Object.entries(samples))
  test(`grok ${name} takes what it means`, () => {
    const match = (text: string): unknown => over(text, `ExtractGrokPatterns(body, "^%{${name}:x}$", true)`);
    for (const text of good) assert.deepEqual(match(text), { x: text });
    for (const text of bad) assert.deepEqual(match(text), {});
  });

test('every name can be used, and its expression is one that Go knows', () => {
  for (const name of Object.keys(GROK_PATTERNS)) {
    const found = over('x', `ExtractGrokPatterns(body, "%{${name}:x}", true)`);
    assert.ok(!(found instanceof Error), `${name}: ${found}`);
  }
  for (const own of Object.values(GROK_PATTERNS)) compileRegex(own.replace(/%\{[^}]*\}/g, 'x'));
});

const refused: readonly [expression: string, message: RegExp][] = [
  ['ExtractGrokPatterns(body, "%{NOPE:x}")', /pattern definition "NOPE" unknown/],
  ['ExtractGrokPatterns(body, "no group")', /at least 1 named capture group/],
  ['ExtractGrokPatterns(body, "%{INT:x:date}")', /invalid type "date"/],
  ['ExtractGrokPatterns(body, "%{A:x}", false, ["A=%{B}", "B=%{A}"])', /without end|too large/],
  ['ExtractGrokPatterns(body, "%{INT:x}", false, ["A"])', /not a definition/],
  ['ExtractGrokPatterns(body, "%{INT:x}(")', /missing closing|error parsing/],
];
for (const [expression, message] of refused)
  test(`refused at the start: ${expression}`, () => {
    assert.throws(() => evaluate(expression), message);
  });

test('grok: a value that is not of its type is an error of the statement', () => {
  const out = over('99999999999999999999', 'ExtractGrokPatterns(body, "%{INT:x:int}")');
  assert.match(String(out), /invalid syntax/);
});

const EVENT = `<?xml version="1.0"?><!-- c --><Log level='a &amp; "b"'>
  <User><ID>00001</ID><Name type="first">Joe</Name><Email/></User>
  <Text>User did a thing<![CDATA[ <with> ]]>&#33;</Text>
  <x:Tag xmlns:x="urn:y">1</x:Tag><Tag>2</Tag>
</Log>`;

test('ParseXML keeps everything', () => {
  assert.deepEqual(over(EVENT, 'ParseXML(body)'), {
    tag: 'Log',
    attributes: { level: 'a & "b"' },
    children: [
      {
        tag: 'User',
        children: [
          { tag: 'ID', content: '00001' },
          { tag: 'Name', attributes: { type: 'first' }, content: 'Joe' },
          { tag: 'Email' },
        ],
      },
      { tag: 'Text', content: 'User did a thing<with>!' },
      { tag: 'Tag', attributes: { x: 'urn:y' }, content: '1' },
      { tag: 'Tag', content: '2' },
    ],
  });
});

test('ParseSimplifiedXML keeps elements; several of one tag are a list', () => {
  assert.deepEqual(over(EVENT, 'ParseSimplifiedXML(body)'), {
    Log: { User: { ID: '00001', Name: 'Joe' }, Text: 'User did a thing', Tag: ['1', '2'] },
  });
  assert.deepEqual(over('<a><b><c>1</c></b><b><c>2</c></b><b/>text</a>', 'ParseSimplifiedXML(body)'), {
    a: { b: [{ c: '1' }, { c: '2' }] },
  });
});

for (const text of [
  '',
  'text',
  '<a>',
  '<a></b>',
  '<a b></a>',
  '<a b=c></a>',
  '<a>&nbsp;</a>',
  '<a>&#x110000;</a>',
  '<a',
  '<a><!-- </a>',
  '</a>',
  '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
  '<a>'.repeat(100_000),
])
  test(`no XML: ${text.slice(0, 40)}`, () => {
    assert.match(String(over(text, 'ParseXML(body)')), /unmarshal xml/);
  });

test('any text is XML or an error', () => {
  const piece = fc.constantFrom(
    '<',
    '>',
    '/',
    'a',
    'b',
    '=',
    '"',
    "'",
    '&',
    ';',
    '&amp;',
    '<a>',
    '</a>',
    '<!--',
    '-->',
    ']]>',
    '<![CDATA[',
    '<?',
    ' ',
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }).map((p) => p.join('')),
      (text) => {
        for (const f of ['ParseXML', 'ParseSimplifiedXML']) {
          const out = over(text, `${f}(body)`);
          assert.ok(!(out instanceof Error) || /unmarshal xml/.test(out.message), String(out));
        }
      },
    ),
    { numRuns: 1000 },
  );
});
