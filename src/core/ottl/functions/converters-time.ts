/** Converters of times and durations. */
import { parseDuration } from '../../schema.ts';
import { compileTimeLayout } from '../../time-layout.ts';
import { converter, type FunctionDefinition } from '../function.ts';
import { Duration, fail, Instant, type Kind, type OttlValue } from '../values.ts';
import { compileTimeFormat, splitTime } from './time-text.ts';

const timePart = (summary: string, part: (date: Date, nano: number) => number): FunctionDefinition =>
  converter(summary, { time: 'time' }, 'int', ({ time }) => (env) => {
    const { date, nano } = splitTime((time(env) as Instant).ns);
    return BigInt(part(date, nano));
  });

const unixTime = (summary: string, unit: bigint): FunctionDefinition =>
  converter(
    summary,
    { time: 'time' },
    'int',
    ({ time }) =>
      (env) =>
        floor((time(env) as Instant).ns, unit),
  );

const floor = (n: bigint, unit: bigint): bigint => (n - (((n % unit) + unit) % unit)) / unit;

const inUnits = (summary: string, returns: Kind, value: (ns: bigint) => OttlValue): FunctionDefinition =>
  converter(
    summary,
    { duration: 'duration' },
    returns,
    ({ duration }) =>
      (env) =>
        value((duration(env) as Duration).ns),
  );

/** Nanoseconds of a Go duration, exactly. */
function durationNs(text: string): bigint {
  const ms = parseDuration(text);
  if (typeof ms !== 'number') return fail(ms.error);
  // Whole units are exact in the sum below 2^53 milliseconds; fractions are rounded to nanoseconds.
  const whole = Math.trunc(ms);
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6));
}

export const TIME_CONVERTERS: readonly (readonly [string, FunctionDefinition])[] = [
  ['Now', converter('The time', {}, 'time', () => (env) => new Instant(env.clock.nowUnixNano()), { isImpure: true })],
  [
    'Time',
    converter(
      'A text as a time',
      { target: 'string', format: 'literal:string', location: 'literal:string?', locale: 'literal:string?' },
      'time',
      ({ target, format, location, locale }) => {
        if (format === '') throw new Error('format cannot be nil');
        if (locale !== undefined && locale !== '' && !/^en\b/i.test(locale))
          throw new Error(`locale ${JSON.stringify(locale)} is not supported, only English is`);
        let now = 0;
        const parse = compileTimeLayout('strptime', format, { location, nowMs: () => now });
        if (typeof parse !== 'function') throw new Error(parse.error);
        return (env) => {
          now = env.clock.nowMs();
          const text = target(env);
          const ns = parse(text);
          return ns === undefined
            ? fail(`cannot parse ${JSON.stringify(text)} as ${JSON.stringify(format)}`)
            : new Instant(ns);
        };
      },
      { isImpure: true },
    ),
  ],
  [
    'FormatTime',
    converter('A time as text, in UTC', { time: 'time', format: 'literal:string' }, 'string', ({ time, format }) => {
      if (format === '') throw new Error('format cannot be nil');
      const print = compileTimeFormat(format);
      return (env) => print((time(env) as Instant).ns);
    }),
  ],
  [
    'TruncateTime',
    converter(
      'A time rounded down to a multiple of a duration',
      { time: 'time', duration: 'duration' },
      'time',
      ({ time, duration }) =>
        (env) => {
          const { ns } = time(env) as Instant;
          const unit = (duration(env) as Duration).ns;
          // Go counts multiples from year 1.
          const fromYearOne = ns + 62_135_596_800_000_000_000n;
          return unit <= 0n ? new Instant(ns) : new Instant(ns - (fromYearOne % unit));
        },
    ),
  ],
  [
    'Unix',
    converter(
      'A time from seconds',
      { seconds: 'int', nanoseconds: 'int?' },
      'time',
      ({ seconds, nanoseconds }) =>
        (env) =>
          new Instant(seconds(env) * 1_000_000_000n + (nanoseconds?.(env) ?? 0n)),
    ),
  ],
  ['UnixNano', unixTime('Nanoseconds since 1970', 1n)],
  ['UnixMicro', unixTime('Microseconds since 1970', 1000n)],
  ['UnixMilli', unixTime('Milliseconds since 1970', 1_000_000n)],
  ['UnixSeconds', unixTime('Seconds since 1970', 1_000_000_000n)],
  ['Year', timePart('The year', (d) => d.getUTCFullYear())],
  ['Month', timePart('The month, from 1', (d) => d.getUTCMonth() + 1)],
  ['Day', timePart('The day of the month', (d) => d.getUTCDate())],
  ['Weekday', timePart('The day of the week, from 0 for Sunday', (d) => d.getUTCDay())],
  ['Hour', timePart('The hour', (d) => d.getUTCHours())],
  ['Minute', timePart('The minute', (d) => d.getUTCMinutes())],
  ['Second', timePart('The second', (d) => d.getUTCSeconds())],
  ['Nanosecond', timePart('The nanosecond of the second', (_d, nano) => nano)],
  [
    'Duration',
    converter(
      'A text such as 1h30m as a duration',
      { duration: 'string' },
      'duration',
      ({ duration }) =>
        (env) =>
          new Duration(durationNs(duration(env))),
    ),
  ],
  ['Hours', inUnits('A duration in hours', 'float', (ns) => Number(ns) / 3.6e12)],
  ['Minutes', inUnits('A duration in minutes', 'float', (ns) => Number(ns) / 6e10)],
  ['Seconds', inUnits('A duration in seconds', 'float', (ns) => Number(ns) / 1e9)],
  ['Milliseconds', inUnits('A duration in whole milliseconds', 'int', (ns) => ns / 1_000_000n)],
  ['Microseconds', inUnits('A duration in whole microseconds', 'int', (ns) => ns / 1000n)],
  ['Nanoseconds', inUnits('A duration in nanoseconds', 'int', (ns) => ns)],
];
