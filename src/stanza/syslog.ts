/** Syslog messages → attributes, time and severity. */
import type { TimeParser } from '../core/time-layout.ts';
import type { Value, ValueMap } from '../wire/otlp.ts';

export interface Syslog {
  readonly attributes: ValueMap;
  readonly time: bigint | undefined;
  /** 0 (emergency) to 7 (debug); undefined without priority. */
  readonly severity: number | undefined;
}

/** `<34>` at the start; a message when it is wrong. */
function priority(text: string, optional: boolean): { value: number | undefined; rest: string } | string {
  const m = /^<(\d{1,3})>/.exec(text);
  if (!m)
    return optional ? { value: undefined, rest: text } : 'expecting a priority value within angle brackets [col 0]';
  const value = Number(m[1]);
  if (value > 191) return 'expecting a priority value in the range 1-191 or equal to 0 [col 1]';
  return { value, rest: text.slice(m[0].length) };
}

function build(
  pri: number | undefined,
  time: bigint | undefined,
  parts: Readonly<Record<string, Value | undefined>>,
): Syslog {
  const attributes: ValueMap = new Map();
  if (pri !== undefined) attributes.set('priority', BigInt(pri)).set('facility', BigInt(pri >> 3));
  for (const [k, v] of Object.entries(parts)) if (v !== undefined) attributes.set(k, v);
  return { attributes, time, severity: pri === undefined ? undefined : pri & 7 };
}

export function parseRfc3164(text: string, local: TimeParser, iso: TimeParser, skipPriority: boolean): Syslog | string {
  const pri = priority(text, skipPriority);
  if (typeof pri === 'string') return pri;
  const stamp = /^(?:([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)|(\d{4}-\d\d-\d\dT\S+)) /.exec(pri.rest);
  const time = stamp ? (stamp[1] ? local(stamp[1]) : iso(stamp[2]!)) : undefined;
  if (!stamp || time === undefined) return 'expecting a Stamp timestamp';
  const rest = pri.rest.slice(stamp[0].length);
  const host = /^(\S+) ?/.exec(rest);
  if (!host) return 'expecting an hostname (from 1 to max 255 US-ASCII characters)';
  const tail = rest.slice(host[0].length);
  const tag = /^([A-Za-z0-9_./-]{1,48})(?:\[([^\]\s]*)\])?: ?/.exec(tail);
  return build(pri.value, time, {
    hostname: host[1],
    appname: tag?.[1],
    proc_id: tag?.[2],
    message: tag ? tail.slice(tag[0].length) : tail,
  });
}

export function parseRfc5424(text: string, iso: TimeParser, skipPriority: boolean): Syslog | string {
  const pri = priority(text, skipPriority);
  if (typeof pri === 'string') return pri;
  const m = /^([1-9]\d{0,2}) (\S+) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) /.exec(pri.rest);
  if (!m) return 'expecting a version value in the range 1-999 and the header of RFC 5424';
  const time = m[2] === '-' ? undefined : iso(m[2]!);
  if (m[2] !== '-' && time === undefined) return 'expecting a RFC3339MICRO timestamp or a nil value';
  const rest = pri.rest.slice(m[0].length);
  const data = structuredData(rest);
  if (typeof data === 'string') return data;
  const message = rest
    .slice(data.end)
    .replace(/^ /, '')
    .replace(/^\uFEFF/, '');
  const some = (v: string | undefined) => (v === '-' ? undefined : v);
  return build(pri.value, time, {
    version: BigInt(m[1]!),
    hostname: some(m[3]),
    appname: some(m[4]),
    proc_id: some(m[5]),
    msg_id: some(m[6]),
    structured_data: data.map,
    message: message === '' ? undefined : message,
  });
}

function structuredData(text: string): { map: ValueMap | undefined; end: number } | string {
  if (text.startsWith('-')) return { map: undefined, end: 1 };
  const bad =
    'expecting a structured data section containing one or more elements (`[id( key="value")*]+`) or a nil value';
  const map: ValueMap = new Map();
  let at = 0;
  while (text[at] === '[') {
    const id = /[^\s=\]"]{1,32}/y;
    id.lastIndex = at + 1;
    const name = id.exec(text)?.[0];
    if (!name) return bad;
    at = id.lastIndex;
    const element: ValueMap = new Map();
    while (text[at] === ' ') {
      const pair = /([^\s=\]"]{1,32})="((?:[^"\\\]]|\\.)*)"/sy;
      pair.lastIndex = at + 1;
      const p = pair.exec(text);
      if (!p) return bad;
      element.set(p[1]!, p[2]!.replace(/\\(["\\\]])/g, '$1'));
      at = pair.lastIndex;
    }
    if (text[at] !== ']') return bad;
    map.set(name, element);
    at++;
  }
  return at === 0 ? bad : { map, end: at };
}
