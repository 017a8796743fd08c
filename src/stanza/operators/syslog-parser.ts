/** Parses syslog messages (RFC 3164 and RFC 5424). */
import * as z from 'zod';
import { compileTimeLayout, type TimeParser } from '../../core/time-layout.ts';
import type { Entry } from '../entry.ts';
import { BODY } from '../field.ts';
import { defineOperator } from '../operator.ts';
import { compileParse, notText, ParseFailure, parserConfig } from '../parser.ts';
import { parseRfc3164, parseRfc5424, type Syslog } from '../syslog.ts';

/** Emergency … debug as severity numbers and texts. */
const SEVERITIES: readonly (readonly [number, string])[] = [
  [21, 'emerg'],
  [20, 'alert'],
  [19, 'crit'],
  [17, 'err'],
  [13, 'warning'],
  [10, 'notice'],
  [9, 'info'],
  [5, 'debug'], // biome-ignore format: a table
];

export const syslogParser = defineOperator({
  type: 'syslog_parser',
  summary: 'Parses syslog messages.',
  schema: parserConfig({
    protocol: z
      .preprocess(
        (v) => (typeof v === 'string' ? v.toLowerCase() : v),
        z.enum(['rfc3164', 'rfc5424'], {
          error: (i) =>
            i.input === undefined
              ? "missing field 'protocol'"
              : `unsupported protocol version: ${JSON.stringify(i.input)}`,
        }),
      )
      .describe('rfc3164 or rfc5424'),
    location: z.string().default('UTC').describe('Time zone of rfc3164 times'),
    enable_octet_counting: z.boolean().default(false).describe('rfc5424: the length stands before the message'),
    non_transparent_framing_trailer: z.enum(['LF', 'NUL']).optional().describe('rfc5424: what ends a message'),
    allow_skip_pri_header: z.boolean().default(false).describe('The priority may be missing'),
    max_octets: z.int().min(0).default(8192).describe('rfc5424 with octet counting: longest message'),
  }).superRefine((c, ctx) => {
    const bad = (key: string, message: string) => ctx.addIssue({ code: 'custom', path: [key], message });
    const parser = compileTimeLayout('gotime', 'Jan _2 15:04:05', { location: c.location, nowMs: () => 0 });
    if (typeof parser !== 'function') bad('location', parser.error);
    if (c.protocol === 'rfc3164' && c.enable_octet_counting)
      bad(
        'enable_octet_counting',
        'octet_counting and non_transparent_framing are only compatible with protocol rfc5424',
      );
    if (c.protocol === 'rfc3164' && c.non_transparent_framing_trailer)
      bad(
        'non_transparent_framing_trailer',
        'octet_counting and non_transparent_framing are only compatible with protocol rfc5424',
      );
    if (c.enable_octet_counting && c.non_transparent_framing_trailer)
      bad('enable_octet_counting', 'only one of octet_counting or non_transparent_framing can be enabled');
  }),
  compile(config, ctx) {
    const { next, fail, clock } = ctx;
    const nowMs = () => clock.nowMs();
    const local = compileTimeLayout('gotime', 'Jan _2 15:04:05', { location: config.location, nowMs }) as TimeParser;
    const iso = compileTimeLayout('gotime', '2006-01-02T15:04:05.999999999Z07:00', {
      location: 'UTC',
      nowMs,
    }) as TimeParser;
    let parsed: Syslog | undefined;
    const blocks = compileParse(config, clock, (value) => {
      parsed = undefined;
      let text =
        typeof value === 'string'
          ? value
          : value instanceof Uint8Array
            ? Buffer.from(value).toString('utf8')
            : undefined;
      if (text === undefined) return notText('syslog', value);
      if (config.non_transparent_framing_trailer) {
        const trailer = config.non_transparent_framing_trailer === 'NUL' ? '\0' : '\n';
        if (text.endsWith(trailer)) text = text.slice(0, -1);
      }
      if (config.enable_octet_counting) {
        const m = /^(\d{1,9}) /.exec(text);
        const size = m ? Number(m[1]) : 0;
        const rest = m ? Buffer.from(text.slice(m[0].length)) : Buffer.alloc(0);
        if (!m || size > config.max_octets || rest.length < size)
          return new ParseFailure('syslog: the length before the message does not fit');
        text = rest.subarray(0, size).toString('utf8');
      }
      const result =
        config.protocol === 'rfc3164'
          ? parseRfc3164(text, local, iso, config.allow_skip_pri_header)
          : parseRfc5424(text, iso, config.allow_skip_pri_header);
      if (typeof result === 'string') return new ParseFailure(result);
      parsed = result;
      return result.attributes;
    });
    const from = config.parse_from ?? BODY;
    return (entry: Entry) => {
      if (from.get(entry) === undefined) return fail(entry, 'Entry is missing the expected parse_from field.');
      const error = blocks(entry);
      if (parsed && !config.timestamp && parsed.time !== undefined) entry.time = parsed.time;
      if (parsed && !config.severity && parsed.severity !== undefined) {
        const [number, text] = SEVERITIES[parsed.severity]!;
        entry.severityNumber = number;
        entry.severityText = text;
      }
      if (error === undefined) next(entry);
      else fail(entry, error);
    };
  },
});
