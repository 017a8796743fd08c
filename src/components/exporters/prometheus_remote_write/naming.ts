/** Prometheus names of OpenTelemetry metrics and labels: the rules of otlptranslator, as otelcol applies them. */

export const STRATEGIES = [
  'UnderscoreEscapingWithSuffixes',
  'UnderscoreEscapingWithoutSuffixes',
  'NoUTF8EscapingWithSuffixes',
  'NoTranslation',
] as const;
export type TranslationStrategy = (typeof STRATEGIES)[number];

/** What the rules of names tell apart. `sum` is one that is not monotonic. */
export type NamedType = 'gauge' | 'sum' | 'monotonicSum' | 'histogram' | 'exponentialHistogram' | 'summary';

const UNITS: ReadonlyMap<string, string> = new Map([
  ['d', 'days'],
  ['h', 'hours'],
  ['min', 'minutes'],
  ['s', 'seconds'],
  ['ms', 'milliseconds'],
  ['us', 'microseconds'],
  ['ns', 'nanoseconds'],
  ['By', 'bytes'],
  ['KiBy', 'kibibytes'],
  ['MiBy', 'mebibytes'],
  ['GiBy', 'gibibytes'],
  ['TiBy', 'tibibytes'],
  ['KBy', 'kilobytes'],
  ['MBy', 'megabytes'],
  ['GBy', 'gigabytes'],
  ['TBy', 'terabytes'],
  ['m', 'meters'],
  ['V', 'volts'],
  ['A', 'amperes'],
  ['J', 'joules'],
  ['W', 'watts'],
  ['g', 'grams'],
  ['Cel', 'celsius'],
  ['Hz', 'hertz'],
  ['1', ''],
  ['%', 'percent'],
]);

const PER_UNITS: ReadonlyMap<string, string> = new Map([
  ['s', 'second'],
  ['m', 'minute'],
  ['h', 'hour'],
  ['d', 'day'],
  ['w', 'week'],
  ['mo', 'month'],
  ['y', 'year'],
]);

/** The words that a unit adds: `By/s` → bytes, per_second. Annotations in braces add nothing. */
function unitWords(unit: string): { main: string; per: string } {
  const slash = unit.indexOf('/');
  const part = (text: string, table: ReadonlyMap<string, string>): string => {
    const t = text.trim();
    return t === '' || /[{}]/.test(t) ? '' : (table.get(t) ?? t);
  };
  const main = part(slash < 0 ? unit : unit.slice(0, slash), UNITS);
  const per = slash < 0 ? '' : part(unit.slice(slash + 1), PER_UNITS);
  return { main, per: per === '' ? '' : `per_${per}` };
}

const escapeUnit = (text: string): string => text.replace(/[^A-Za-z0-9:_]+/g, '_').replace(/^_+/, '');

/** What metadata says about a unit: `By/s` → `bytes_per_second`. */
export function metadataUnit(unit: string): string {
  const { main, per } = unitWords(unit);
  return main && per ? `${main}_${per}` : main || per;
}

export interface MetricNaming {
  readonly strategy: TranslationStrategy;
  readonly namespace: string;
}

/** undefined: the name cannot be told in Prometheus (nothing but separators). */
export function metricName(name: string, unit: string, type: NamedType, naming: MetricNaming): string | undefined {
  const { strategy, namespace } = naming;
  let out: string;
  if (strategy === 'UnderscoreEscapingWithSuffixes') out = withSuffixes(name, unit, type, namespace);
  else if (strategy === 'UnderscoreEscapingWithoutSuffixes') out = withoutSuffixes(name, namespace);
  else {
    out = namespace === '' ? name : `${namespace}_${name}`;
    if (strategy === 'NoUTF8EscapingWithSuffixes') out = withUtf8Suffixes(out, unit, type);
    return out === '' ? undefined : out;
  }
  return /^_*$/.test(out) ? undefined : out;
}

function withSuffixes(name: string, unit: string, type: NamedType, namespace: string): string {
  let tokens = name.split(/[^A-Za-z0-9:]+/).filter((t) => t !== '');
  if (tokens.length === 0) return '';
  const { main, per } = unitWords(unit);
  const mainToken = escapeUnit(main);
  const perToken = escapeUnit(per);
  if (mainToken !== '' && !tokens.includes(mainToken)) tokens.push(mainToken);
  if (perToken !== '' && !tokens.includes(perToken)) tokens.push(perToken);
  const moveToEnd = (word: string) => (tokens = [...tokens.filter((t) => t !== word), word]);
  if (type === 'monotonicSum') moveToEnd('total');
  if (type === 'gauge' && unit === '1') moveToEnd('ratio');
  const joined = tokens.join('_');
  const out = namespace === '' ? joined : `${namespace}_${joined}`;
  return /^[0-9]/.test(out) ? `_${out}` : out;
}

/** Runs of invalid characters separate; underscores that were there stay. */
function withoutSuffixes(name: string, namespace: string): string {
  const clean = (text: string): string =>
    text
      .split(/[^A-Za-z0-9:_]+/)
      .filter((t) => t !== '')
      .join('_');
  const own = clean(name);
  if (own === '') return '';
  const out = namespace === '' ? own : `${clean(namespace)}_${own}`;
  return /^[0-9]/.test(out) ? `_${out}` : out;
}

function withUtf8Suffixes(name: string, unit: string, type: NamedType): string {
  const { main, per } = unitWords(unit);
  // A suffix that is there goes with what stands before it (`x.per_second`), so that it can come last.
  const without = (text: string, word: string): string =>
    text.endsWith(word) && text.length > word.length + 1 ? text.slice(0, -word.length - 1) : text;
  let out = per === '' ? name : without(name, per);
  if (main !== '' && !out.endsWith(main)) out += `_${main}`;
  if (per !== '') out += `_${per}`;
  if (type === 'monotonicSum') out = `${without(out, 'total')}_total`;
  if (type === 'gauge' && unit === '1') out = `${without(out, 'ratio')}_ratio`;
  return out;
}

/**
 * undefined: there is no such name. As the recorded otelcol: runs of what is not a letter or digit become one
 * underscore (reserved `__x__` keeps its ends), a leading digit or single underscore gets `key`.
 */
export function labelName(name: string, utf8: boolean): string | undefined {
  if (name === '' || /^_+$/.test(name)) return undefined;
  if (utf8) return name;
  const reserved = name.length > 4 && name.startsWith('__') && name.endsWith('__');
  const inner = (reserved ? name.slice(2, -2) : name).replace(/[^A-Za-z0-9]+/gu, '_');
  if (/^_*$/.test(inner)) return undefined;
  if (reserved) return `__${inner}__`;
  if (/^[0-9]/.test(inner)) return `key_${inner}`;
  return inner.startsWith('_') ? `key${inner}` : inner;
}
