/** Turns what zod says about a value into the words that otelcol's users know. The only place that knows both. */
import type * as z from 'zod';
import type { Diagnostic } from '../../core/errors.ts';
import { didYouMean } from './suggest.ts';
import { locate, locateKey, type Node, type Path } from './tree.ts';

/** Separates a message from its hint on the way through zod, which carries one text only. */
const HINT = '\0';
const UNION = '\u0001';

const goType = (v: unknown): string => {
  if (v === null || v === undefined) return 'nil';
  if (Array.isArray(v)) return '[]interface {}';
  if (typeof v === 'number') return Number.isInteger(v) ? 'int' : 'float64';
  return typeof v === 'boolean' ? 'bool' : typeof v === 'object' ? 'map[string]interface {}' : typeof v;
};

const goKind = (v: unknown): string =>
  Array.isArray(v) ? 'slice' : v !== null && typeof v === 'object' ? 'map' : goType(v);

const WANTED: Readonly<Record<string, string>> = { number: 'float64', int: 'int', boolean: 'bool', string: 'string' };

interface SchemaDef {
  readonly format?: string;
  readonly shape?: Readonly<Record<string, unknown>>;
}
const defOf = (issue: z.core.$ZodRawIssue): SchemaDef =>
  (issue.inst as { _zod?: { def?: SchemaDef } } | undefined)?._zod?.def ?? {};

function typeWords(issue: z.core.$ZodRawIssue & { code: 'invalid_type' }): string {
  const { input, expected } = issue;
  if (input === undefined) return 'must be specified';
  if (expected === 'array') return `source data must be an array or slice, got ${goKind(input)}`;
  if (expected === 'object' || expected === 'record' || expected === 'map')
    return `expected a map or struct, got ${JSON.stringify(goKind(input))}`;
  const wanted =
    expected === 'number' && /int/.test(defOf(issue).format ?? '') ? 'int' : (WANTED[expected] ?? expected);
  return `expected type '${wanted}', got unconvertible type '${goType(input)}'`;
}

const LENGTHS: Readonly<Record<string, string>> = {
  array: 'items',
  set: 'items',
  string: 'characters',
  map: 'entries',
};

function boundWords(limit: string, unit: string | undefined, exclusive: boolean, side: 'above' | 'below'): string {
  if (unit) return `must have at ${side === 'above' ? 'least' : 'most'} ${limit} ${unit}`;
  if (exclusive) return `must be ${side === 'above' ? 'greater' : 'less'} than ${limit}`;
  return `must be at ${side === 'above' ? 'least' : 'most'} ${limit}`;
}

/** Given to zod with every parse; messages that a schema brings itself go before it. */
export function zodWords(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return typeWords(issue as typeof issue & { code: 'invalid_type' });
    case 'unrecognized_keys': {
      const keys = issue['keys'] as string[];
      const known = Object.keys(defOf(issue).shape ?? {});
      return [`has invalid keys: `, ...keys.map((k) => didYouMean(k, known) ?? '')].join(HINT);
    }
    case 'invalid_value': {
      const values = (issue['values'] as unknown[]).map(String);
      const given = issue.input;
      const hint = typeof given === 'string' ? didYouMean(given, values) : undefined;
      return `unsupported value ${JSON.stringify(given) ?? 'nothing'} (valid values: [${values.join(' ')}])${hint ? HINT + hint : ''}`;
    }
    case 'too_small':
      return boundWords(
        String(issue['minimum']),
        LENGTHS[String(issue['origin'])],
        issue['inclusive'] === false,
        'above',
      );
    case 'too_big':
      return boundWords(
        String(issue['maximum']),
        LENGTHS[String(issue['origin'])],
        issue['inclusive'] === false,
        'below',
      );
    case 'not_multiple_of':
      return `must be a multiple of ${String(issue['divisor'])}`;
    case 'invalid_union':
      return UNION;
    default:
      return undefined;
  }
}

type Issue = z.core.$ZodIssue;

/** The option of a union that came furthest, so the one that was most likely meant. */
function bestOption(options: readonly (readonly Issue[])[]): readonly Issue[] {
  const depth = (issues: readonly Issue[]): number => Math.max(0, ...issues.map((i) => i.path.length));
  let best: readonly Issue[] = [];
  for (const issues of options) if (best.length === 0 || depth(issues) > depth(best)) best = issues;
  return best;
}

/** All issues down to the ones inside unions, with the paths that lead to them. */
export function* leafIssues(issues: readonly Issue[], prefix: Path = []): Generator<{ path: Path; issue: Issue }> {
  for (const issue of issues) {
    const path = [...prefix, ...(issue.path as (string | number)[])];
    yield { path, issue };
    if (issue.code === 'invalid_union') for (const option of issue.errors) yield* leafIssues(option, path);
  }
}

export interface Problem extends Diagnostic {
  /** Said by a rule about values (a problem of validating), not by the shape of the data (a problem of decoding). */
  readonly isRule: boolean;
}

/** `root` and `prefix` say where the value that was parsed stands in the configuration. */
export function toProblems(issues: readonly Issue[], root: Node, prefix: Path): Problem[] {
  const out: Problem[] = [];
  for (const issue of issues) {
    const path = [...prefix, ...(issue.path as (string | number)[])];
    const [message = '', ...hints] = issue.message.split(HINT);
    if (issue.code === 'unrecognized_keys') {
      issue.keys.forEach((key, i) => {
        const text = message.startsWith('has invalid keys') ? `has invalid keys: ${key}` : message;
        out.push({ path, message: text, isRule: false, ...place(locateKey(root, [...path, key]), hints[i]) });
      });
    } else if (issue.code === 'invalid_union' && message === UNION) {
      const inner = toProblems(bestOption(issue.errors), root, path);
      if (inner.length > 0) out.push(...inner);
      else
        out.push({
          path,
          message: 'no variant accepts this value',
          isRule: false,
          ...place(locate(root, path), undefined),
        });
    } else {
      out.push({ path, message, isRule: issue.code === 'custom', ...place(locate(root, path), hints[0]) });
    }
  }
  return out;
}

const place = (
  at: Pick<Diagnostic, 'file' | 'line' | 'column'> | undefined,
  hint: string | undefined,
): Partial<Diagnostic> => ({
  ...at,
  ...(hint ? { hint } : {}),
});
