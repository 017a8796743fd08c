/** A part of Go's fmt.Sprintf: the verbs that make sense for values of OTTL. */
import { jsonText, valueText } from '../../edit/values.ts';
import { kindOf, type OttlValue } from '../values.ts';
import { valueOrTimeText } from './time-text.ts';

const VERB = /%([-+# 0]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g;

const GO_KIND: Readonly<Record<string, string>> = {
  bool: 'bool',
  int: 'int64',
  float: 'float64',
  string: 'string',
  nil: '<nil>',
};

function pad(text: string, flags: string, width: number, isNumber: boolean): string {
  if (text.length >= width) return text;
  if (flags.includes('-')) return text.padEnd(width);
  if (flags.includes('0') && isNumber) {
    const sign = /^[-+]/.exec(text)?.[0] ?? '';
    return sign + text.slice(sign.length).padStart(width - sign.length, '0');
  }
  return text.padStart(width);
}

const exponent = (text: string): string => text.replace(/e([+-])(\d)$/, 'e$10$2');

function verb(name: string, v: OttlValue, flags: string, precision: number | undefined): string | undefined {
  const kind = kindOf(v);
  const plus = (text: string): string =>
    text.startsWith('-') ? text : flags.includes('+') ? `+${text}` : flags.includes(' ') ? ` ${text}` : text;
  switch (name) {
    case 'v':
      return v === null ? '<nil>' : valueOrTimeText(v);
    case 'd':
      return typeof v === 'bigint' ? plus(v.toString()) : undefined;
    case 'x':
    case 'X': {
      let text: string | undefined;
      if (typeof v === 'bigint') text = v < 0n ? `-${(-v).toString(16)}` : v.toString(16);
      else if (typeof v === 'string') text = Buffer.from(v).toString('hex');
      else if (v instanceof Uint8Array) text = Buffer.from(v).toString('hex');
      return name === 'X' ? text?.toUpperCase() : text;
    }
    case 'o':
    case 'b':
      return typeof v === 'bigint' ? v.toString(name === 'o' ? 8 : 2) : undefined;
    case 't':
      return typeof v === 'boolean' ? String(v) : undefined;
    case 'q':
      return typeof v === 'string' ? jsonText(v) : undefined;
    case 's':
      if (kind === 'int' || kind === 'float' || kind === 'bool' || kind === 'nil') return undefined;
      return precision === undefined ? valueOrTimeText(v) : [...valueText(v as string)].slice(0, precision).join('');
    case 'f':
    case 'F':
      return typeof v === 'number' ? plus(v.toFixed(Math.min(precision ?? 6, 100))) : undefined;
    case 'e':
      return typeof v === 'number' ? plus(exponent(v.toExponential(Math.min(precision ?? 6, 100)))) : undefined;
    case 'g':
      return typeof v === 'number'
        ? plus(precision === undefined ? valueText(v) : String(Number(v.toPrecision(precision || 1))))
        : undefined;
    default:
      return undefined;
  }
}

const MAX_WIDTH = 1000;

export function sprintf(format: string, args: readonly OttlValue[]): string {
  let used = 0;
  const out = format.replaceAll(
    VERB,
    (_whole, flags: string, width: string | undefined, precision: string | undefined, name: string) => {
      if (name === '%') return '%';
      if (used >= args.length) return `%!${name}(MISSING)`;
      const v = args[used++]!;
      const text = verb(name, v, flags, precision === undefined ? undefined : Number(precision));
      if (text === undefined)
        return `%!${name}(${GO_KIND[kindOf(v)] ?? kindOf(v)}=${v === null ? '<nil>' : valueOrTimeText(v)})`;
      return pad(text, flags, Math.min(Number(width ?? 0), MAX_WIDTH), typeof v === 'bigint' || typeof v === 'number');
    },
  );
  if (used >= args.length) return out;
  const extra = args
    .slice(used)
    .map((v) => `${GO_KIND[kindOf(v)] ?? kindOf(v)}=${v === null ? '<nil>' : valueOrTimeText(v)}`);
  return `${out}%!(EXTRA ${extra.join(', ')})`;
}
