/** Editors and converters, each in rows of what it is given and what comes out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Value } from '../../../wire/otlp.ts';
import { evaluate, runStatements } from '../testing.ts';
import { sprintf } from './format.ts';
import { STANDARD_FUNCTIONS } from './index.ts';
import { TRANSFORM_FUNCTIONS } from './metrics.ts';
import { durationText } from './time-text.ts';

const map = (o: Record<string, Value>): Value => new Map(Object.entries(o));

const converters: [string, Value | undefined | RegExp][] = [
  ['ExtractGrokPatterns("GET 200", "%{WORD:method} %{INT:code:int}")', map({ method: 'GET', code: 200n })],
  ['ParseXML("<a>b</a>")', map({ tag: 'a', content: 'b' })],
  ['ParseSimplifiedXML("<a>b</a>")', map({ a: 'b' })],
  ['Bool("t")', true],
  ['Bool("0")', false],
  ['Bool("x")', undefined],
  ['Bool(2)', true],
  ['Bool(0.0)', false],
  ['Int("12")', 12n],
  ['Int("1.5")', undefined],
  ['Int(-2.9)', -2n],
  ['Int(true)', 1n],
  ['Int(attributes["map"])', undefined],
  ['Double("1.5")', 1.5],
  ['Double(2)', 2],
  ['Double("x")', undefined],
  ['String(5)', '5'],
  ['String(attributes["bytes"])', '01ff'],
  ['String(attributes["map"])', '{"k":"v","n":1}'],
  ['String([1, "a"])', '[1,"a"]'],
  ['String(nil)', undefined],
  ['Hex(12)', '000000000000000c'],
  ['Hex(1.1)', '3ff199999999999a'],
  ['Hex("1")', '31'],
  ['Hex(true)', '01'],
  ['IsBool(true)', true],
  ['IsInt(1.0)', false],
  ['IsDouble(1.0)', true],
  ['IsString(body)', true],
  ['IsMap(attributes)', true],
  ['IsMap(attributes["map"])', true],
  ['IsList(attributes["list"])', true],
  ['IsEmpty("")', true],
  ['IsEmpty(span_id)', true],
  ['IsEmpty(attributes["missing"])', true],
  ['IsEmpty(attributes["s"])', false],
  ['IsValidLuhn("17893729974")', true],
  ['IsValidLuhn("17893729975")', false],
  ['IsValidLuhn("x")', /digits/],
  ['IsInCIDR("192.168.7.1", ["10.0.0.0/8", "192.168.0.0/16"])', true],
  ['IsInCIDR("2001:db8::1", ["2001:db8::/32"])', true],
  ['IsInCIDR("11.0.0.1", ["10.0.0.0/8"])', false],
  ['IsInCIDR("x", ["10.0.0.0/8"])', /not a valid IP/],
  ['IsInCIDR("1.1.1.1", ["10.0.0.0/33"])', /invalid CIDR/],
  ['Len("ä")', 2n],
  ['Len(attributes["list"])', 3n],
  ['Len(attributes["map"])', 2n],
  ['Len(5)', /must be of type/],
  ['Keys(attributes["map"])', ['k', 'n']],
  ['Values(attributes["map"])', ['v', 1n]],
  ['Coalesce([attributes["missing"], nil, "x"])', 'x'],
  ['Coalesce([nil])', undefined],
  ['ContainsValue(attributes["list"], "y")', true],
  ['ContainsValue([1.0, 2.0], 2)', true],
  ['ContainsValue(["a"], "b")', false],
  ['Index("hällo", "l")', 3n],
  ['Index(attributes["list"], "z")', 2n],
  ['Index("a", "b")', -1n],
  ['Sort([3, 1, 2])', [1n, 2n, 3n]],
  ['Sort([3, 1.5], "desc")', [3n, 1.5]],
  ['Sort(["b", "a", true, 1])', [1n, 'a', 'b', true]],
  ['Sort([{"a": 1}])', /unsupported type/],
  ['SliceToMap([{"n": "a", "v": 1}, {"n": "b", "v": 2}], ["n"], ["v"])', map({ a: 1n, b: 2n })],
  ['SliceToMap([{"n": 1}])', map({ 0: map({ n: 1n }) })],
  ['SliceToMap([{"n": 1}], ["n"])', /does not resolve to a string/],
  ['Log(1)', 0],
  ['Log(0)', /logarithm/],
  ['Concat(["a", 1, 1.5, true, nil, attributes["bytes"], attributes["map"]], "-")', 'a-1-1.5-true-<nil>-01ff-'],
  ['ConvertCase("MyMetric", "snake")', 'my_metric'],
  ['ConvertCase("my_metric", "camel")', 'MyMetric'],
  ['ToUpperCase("ab")', 'AB'],
  ['ToLowerCase("AB")', 'ab'],
  ['ToSnakeCase("HTTPServer")', 'http_server'],
  ['ToCamelCase("a-b c")', 'ABC'],
  ['Format("%02d|%s|%5.1f|%v|%x|%q|%%", [7, "a", 2.26, true, 255, "x"])', '07|a|  2.3|true|ff|"x"|%'],
  ['Format("%d", ["a"])', '%!d(string=a)'],
  ['Format("%s %s", ["a"])', 'a %!s(MISSING)'],
  ['HasPrefix("ab", "a")', true],
  ['HasSuffix("ab", "a")', false],
  ['TrimPrefix("ab", "a")', 'b'],
  ['TrimSuffix("ab", "b")', 'a'],
  ['TrimSuffix("ab", "")', 'ab'],
  ['Trim("  a ")', 'a'],
  ['Trim("!!a!", "!")', 'a'],
  ['IsMatch("string", ".*ring")', true],
  ['IsMatch(5, "^5$")', true],
  ['IsMatch(attributes["map"], "\\"k\\"")', true],
  ['IsMatch(attributes["missing"], ".*")', false],
  ['IsMatch("a", attributes["s"])', false],
  ['Split("a,b", ",")', ['a', 'b']],
  ['Split("a,b", ",")[1]', 'b'],
  ['Substring("123456789", 0, 3)', '123'],
  ['Substring("一二三", 0, 4, true)', '一'],
  ['Substring("abc", 1, 3)', /cannot be greater than the length/],
  ['ExtractPatterns("GIT_SHA=abc", "GIT_SHA=(?P<sha>\\\\w+)")', map({ sha: 'abc' })],
  ['ExtractPatterns("x", "(?P<a>y)")', map({})],
  ['UnixNano(Time("2023-05-26 12:34:56 +0000", "%Y-%m-%d %H:%M:%S %z"))', 1_685_104_496_000_000_000n],
  ['UnixSeconds(Time("02/04/2023", "%m/%d/%Y", "Europe/Berlin"))', 1_675_465_200n],
  ['Time("x", "%Y")', /cannot parse/],
  ['FormatTime(time, "%Y-%m-%dT%H:%M:%S.%f %a %b %e %p %j %%")', '2026-01-02T03:04:05.123456 Fri Jan  2 AM +00:00 %'],
  ['UnixMilli(TruncateTime(time, Duration("1h")))', 1_767_322_800_000n],
  ['UnixMicro(Unix(1, 5000))', 1_000_005n],
  ['Year(time)', 2026n],
  ['Month(time)', 1n],
  ['Day(time)', 2n],
  ['Weekday(time)', 5n],
  ['Hour(time)', 3n],
  ['Minute(time)', 4n],
  ['Second(time)', 5n],
  ['Nanosecond(time)', 123_456_789n],
  ['Hours(Duration("90m"))', 1.5],
  ['Minutes(Duration("90s"))', 1.5],
  ['Seconds(Duration("1500ms"))', 1.5],
  ['Milliseconds(Duration("1.5s"))', 1500n],
  ['Microseconds(Duration("1ms"))', 1000n],
  ['Nanoseconds(Duration("333ms"))', 333_000_000n],
  ['Duration("x")', /invalid duration/],
  ['Hours(5)', /./],
  ['ParseJSON(attributes["json"])', map({ a: map({ b: [1, 'x', null] }), c: true })],
  ['ParseJSON(attributes["json"])["a"]["b"][1]', 'x'],
  ['ParseJSON("[1]")', [1]],
  ['ParseJSON("{\\"__proto__\\": 1}")', new Map<string, Value>([['__proto__', 1]])],
  ['ParseJSON("nope")', /could not parse as JSON/],
  ['ParseJSON("1")', /only objects and arrays/],
  ['ParseKeyValue("k1=v1 k2=\\"v 2\\"")', map({ k1: 'v1', k2: 'v 2' })],
  ['ParseKeyValue("k1!v1_k2!v2", "!", "_")', map({ k1: 'v1', k2: 'v2' })],
  ['ParseKeyValue("a")', /cannot split/],
  ['ParseKeyValue("")', /empty/],
  ['ToKeyValueString({"b": "x y", "a": 1}, "=", " ", true)', 'a=1 b="x y"'],
  ['ToKeyValueString({"a": {"b": [1]}})', 'a={"b":[1]}'],
  ['ParseCSV("1,\\"a, b\\"", "x,y")', map({ x: '1', y: 'a, b' })],
  ['ParseCSV("1|a", "x,y", delimiter="|", headerDelimiter=",", mode="lazyQuotes")', map({ x: '1', y: 'a' })],
  ['ParseCSV("\\"1,a\\"", "x,y", mode="ignoreQuotes")', map({ x: '"1', y: 'a"' })],
  ['ParseCSV("1", "x,y")', /wrong number of fields/],
  ['ParseCSV("1", "x", mode="odd")', /unknown CSV mode/],
  ['ParseInt("0xFF", 0)', 255n],
  ['ParseInt("-0o123", 0)', -83n],
  ['ParseInt("0b1111_0000", 0)', 240n],
  ['ParseInt("AA", 16)', 170n],
  ['ParseInt("-20", 8)', -16n],
  ['ParseInt("9", 8)', /could not parse/],
  ['ParseInt("9223372036854775808", 10)', /could not parse/],
  [
    'URL("http://myusername:mypassword@www.example.com:80/foo.gif?key1=val1&key2=val2#fragment")',
    map({
      'url.original': 'http://myusername:mypassword@www.example.com:80/foo.gif?key1=val1&key2=val2#fragment',
      'url.domain': 'www.example.com',
      'url.scheme': 'http',
      'url.path': '/foo.gif',
      'url.fragment': 'fragment',
      'url.query': 'key1=val1&key2=val2',
      'url.user_info': 'myusername:mypassword',
      'url.username': 'myusername',
      'url.password': 'mypassword',
      'url.extension': 'gif',
      'url.port': 80n,
    }),
  ],
  ['ParseSeverity(250, {"info": [{"equals": ["inf"]}, {"range": {"min": 200, "max": 299}}]})', 'info'],
  ['ParseSeverity("inf", {"info": [{"equals": ["inf"]}]})', 'info'],
  ['ParseSeverity(404, {"error": [{"range": "4xx"}]})', 'error'],
  ['ParseSeverity(1, {"error": [{"range": "4xx"}]})', /could not map log level/],
  ['MD5("name")', 'b068931cc450442b63f5b3d276ea4297'],
  ['SHA1("name")', '6ae999552a0d2dca14d62e2bc8b764d377b1dd6c'],
  ['SHA256("name")', '82a3537ff0dbce7eec35d69edc3a189ee6f17d82f353a553f9aa96cb0be3ce89'],
  ['Len(SHA512("name"))', 128n],
  ['FNV("")', -3750763034362895579n],
  ['FNV("a")', -5808556873153909620n],
  ['Murmur3Hash("")', '00000000'],
  ['Murmur3Hash("hello")', '47fa8b24'],
  ['Base64Encode("test string")', 'dGVzdCBzdHJpbmc='],
  ['Base64Encode("a?>", "base64-raw-url")', 'YT8-'],
  ['Base64Decode("aGVsbG8gd29ybGQ=")', 'hello world'],
  ['Base64Decode("!")', /illegal base64/],
  ['Decode("aGVsbG8", "base64-raw")', 'hello'],
  ['Decode(0x68656c6c6f, "us-ascii")', 'hello'],
  ['TraceID("zz")', /ids must be/],
];
for (const [expression, expected] of converters)
  test(expression, () => {
    let got: ReturnType<typeof evaluate>;
    try {
      got = evaluate(expression);
    } catch (error) {
      got = error as Error;
    }
    if (expected instanceof RegExp)
      assert.match(got instanceof Error ? got.message : JSON.stringify(String(got)), expected);
    else assert.deepEqual(got, expected);
  });

test('ids made of nothing differ each time and have the right form', () => {
  assert.match(String(evaluate('UUID()')), /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  assert.match(String(evaluate('UUIDv7()')), /^019b7ca9-8c88-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
});

const get = (statement: string, key: string): Value | undefined | string => {
  const { record, errors } = runStatements([statement]);
  return errors[0] ?? record.attributes.get(key);
};
const keysAfter = (statement: string): string => [...runStatements([statement]).record.attributes.keys()].join();

const editors: [string, string, Value | undefined][] = [
  ['append(attributes["list"], "w")', 'list', ['x', 'y', 'z', 'w']],
  ['append(attributes["s"], values = ["a", 1])', 's', ['text', 'a', 1n]],
  ['append(attributes["new"], "a")', 'new', ['a']],
  ['append(attributes["new"], attributes["list"])', 'new', ['x', 'y', 'z']],
  ['delete_index(attributes["list"], 0)', 'list', ['y', 'z']],
  ['delete_index(attributes["list"], 0, 2)', 'list', ['z']],
  ['delete_index(attributes["list"], 1, 1)', 'list', ['x', 'y', 'z']],
  ['delete_index(attributes["list"], 5)', 'list', 'index out of range: 5 to 6'],
  ['delete_key(attributes["map"], "k")', 'map', map({ n: 1n })],
  ['merge_maps(attributes["map"], {"k": 2, "x": 3}, "insert")', 'map', map({ k: 'v', n: 1n, x: 3n })],
  ['merge_maps(attributes["map"], {"k": 2, "x": 3}, "update")', 'map', map({ k: 2n, n: 1n })],
  ['merge_maps(attributes["map"], {"k": 2, "x": 3}, "upsert")', 'map', map({ k: 2n, n: 1n, x: 3n })],
  ['merge_maps(attributes, ParseJSON(attributes["json"]), "upsert")', 'c', true],
  ['merge_maps(attributes, attributes["s"], "upsert")', 's', 'expected pcommon.Map but got string'],
  ['replace_pattern(attributes["s"], "t", "T")', 's', 'TexT'],
  ['replace_pattern(attributes["s"], "^(.)(.)", "$2$1")', 's', 'etxt'],
  [
    'replace_pattern(attributes["s"], "e(x)", "$1", SHA256, "<%s>")',
    's',
    `t<2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881>t`,
  ],
  ['replace_pattern(attributes["i"], "5", "6")', 'i', 5n],
  ['replace_match(attributes["s"], "t*t", "m")', 's', 'm'],
  ['replace_match(attributes["s"], "t*x", "m")', 's', 'text'],
  ['replace_all_matches(attributes, "t?xt", "m")', 's', 'm'],
  ['replace_all_patterns(attributes, "value", "x", "_")', 's', 'te_t'],
  ['replace_all_patterns(attributes, "key", "^s$", "renamed")', 'renamed', 'text'],
  ['stringify_all(attributes)', 'd', '2.5'],
  ['stringify_all(attributes)', 'map', '{"k":"v","n":1}'],
  ['truncate_all(attributes, 2)', 's', 'te'],
  ['truncate_all(attributes, 3, truncation_marker = "…")', 's', '…'],
  ['truncate_all(attributes, 2)', 'i', 5n],
  ['flatten(attributes["map"])', 'map', map({ k: 'v', n: 1n })],
];
for (const [statement, key, expected] of editors)
  test(`${statement} → ${key}`, () => assert.deepEqual(get(statement, key), expected));

const keys: [string, string][] = [
  ['delete_key(attributes, "s")', 'i,d,b,list,map,nil,bytes,json'],
  ['delete_matching_keys(attributes, "^.$")', 'list,map,nil,bytes,json'],
  ['keep_matching_keys(attributes, "^.$")', 's,i,d,b'],
  ['keep_keys(attributes, ["i", "s", "x"])', 's,i'],
  ['limit(attributes, 2, ["json"])', 's,json'],
  ['limit(attributes, 100, [])', 's,i,d,b,list,map,nil,bytes,json'],
  ['flatten(attributes)', 's,i,d,b,list.0,list.1,list.2,map.k,map.n,nil,bytes,json'],
  ['flatten(attributes, "p", 0)', 'p.s,p.i,p.d,p.b,p.list,p.map,p.nil,p.bytes,p.json'],
];
for (const [statement, expected] of keys)
  test(`${statement} leaves ${expected}`, () => assert.equal(keysAfter(statement), expected));

test('flatten resolves conflicts as upstream documents it', () => {
  const { record } = runStatements([
    'set(body, {"address": {"street": {"number": "first"}, "house": "1234"}, "address.street": {"number": ["second", "third"]}, "address.street.number": "fourth", "occupants": ["user 1", "user 2"]})',
    'flatten(body, resolveConflicts=true)',
  ]);
  assert.deepEqual(
    record.body,
    map({
      'address.street.number': 'first',
      'address.house': '1234',
      'address.street.number.0': 'second',
      'address.street.number.1': 'third',
      'address.street.number.2': 'fourth',
      occupants: 'user 1',
      'occupants.0': 'user 2',
    }),
  );
});

const bad: [string, RegExp][] = [
  ['limit(attributes, 1, ["a", "b"])', /cannot be less than number of priority attributes/],
  ['limit(attributes, -1, [])', /cannot be negative/],
  ['merge_maps(attributes, body, "x")', /must be 'insert', 'update' or 'upsert'/],
  ['append(attributes["a"])', /at least one of the optional arguments/],
  ['replace_all_patterns(attributes, "x", "a", "b")', /must be either 'key' or 'value'/],
  ['replace_pattern(body, "(", "x")', /missing closing \)/],
  ['replace_pattern(body, "a", "x", SHA256, "%d")', /single %s/],
  ['replace_pattern(body, "a", "x", Nope)', /undefined function "Nope"/],
  ['truncate_all(attributes, 1, truncation_marker = "long")', /longer than the limit/],
  ['set(body, ConvertCase("a", "x"))', /invalid case: x/],
  ['set(body, ExtractPatterns("a", "x"))', /at least 1 named capture group/],
  ['set(body, FormatTime(time, "%Q"))', /unsupported directive %Q/],
  ['set(body, Time("x", "%Y", "Nowhere/City"))', /unknown time zone/],
  ['keep_keys(attributes, "a")', /must be a list/],
  ['truncate_all(attributes, "a")', /must be a literal int64/],
];
for (const [statement, message] of bad)
  test(`refused: ${statement}`, () => assert.throws(() => runStatements([statement]), message));

test('every function has a row here', () => {
  const text = [...converters, ...editors, ...keys, ...bad].map(([t]) => t).join('\n');
  const elsewhere = ['set', 'Now', 'UUID', 'UUIDv7', 'SpanID', 'IsRootSpan'];
  const missing = [...STANDARD_FUNCTIONS.keys()].filter(
    (name) => !elsewhere.includes(name) && !text.includes(`${name}(`),
  );
  assert.deepEqual(missing, []);
});

test('every function says what it does', () => {
  for (const [name, f] of TRANSFORM_FUNCTIONS) assert.match(f.summary, /^[A-Z]/, name);
});

test('durations as text', () => {
  for (const [ns, text] of [
    [0n, '0s'],
    [1500n, '1.5µs'],
    [250_000_000n, '250ms'],
    [3_723_500_000_000n, '1h2m3.5s'],
    [-60_000_000_000n, '-1m0s'],
  ] as const)
    assert.equal(durationText(ns), text);
  assert.equal(sprintf('%5d|%-5d|%+d', [1n, 2n, 3n]), '    1|2    |+3');
});
