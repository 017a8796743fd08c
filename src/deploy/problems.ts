/** What is wrong with a spec, as diagnostics: the words of zod's issues, and hints that only the spec's shape can give. */
import type * as z from 'zod';
import type { Diagnostic } from '../core/errors.ts';
import { didYouMean } from '../core/suggest.ts';
import { HINT, UNION, zodWords } from '../core/zod-words.ts';
import { PRESETS } from './schema.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly (string | number)[];

/** Presets of charts that have no counterpart, or another name here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  kubernetesObjects: 'collect objects with a k8s_objects receiver under config.receivers',
  annotationDiscovery: 'there is no discovery by annotations; use include, exclude and rules of logsCollection',
  profiling: 'there is no profiles signal',
  resourceDetection: 'set clusterName, or add a resource_detection processor under config.processors',
  talosLogs: 'did you mean "talos"?',
  events: 'did you mean "kubernetesEvents", under gateway.presets?',
};

function presetHint(key: string, tier: 'agent' | 'gateway'): string | undefined {
  const other = tier === 'agent' ? 'gateway' : 'agent';
  if (!PRESETS[other].includes(key)) return ELSEWHERE[key];
  return other === 'gateway'
    ? `${key} looks at the whole cluster, so it runs once: put it under gateway.presets`
    : `${key} looks at one node, so it runs on every node: put it under agent.presets`;
}

const isTier = (part: string | number | undefined): part is 'agent' | 'gateway' =>
  part === 'agent' || part === 'gateway';

/** How well a value fits an option: a mistake inside of it says more than one about the whole, a key more than a type. */
const fit = ({ path, code }: Issue): number =>
  3 * path.length + (code === 'invalid_type' ? 0 : code === 'invalid_value' ? 1 : 2);

/** The option of a union that came furthest, so the one that was most likely meant. */
function bestOption(options: readonly (readonly Issue[])[]): readonly Issue[] {
  const depth = (issues: readonly Issue[]): number => Math.max(0, ...issues.map(fit));
  return options.reduce((best, issues) => (depth(issues) > depth(best) ? issues : best), options[0] ?? []);
}

/** The words of otelcol, and what helps with mistakes that YAML invites. */
export function specWords(issue: z.core.$ZodRawIssue): string | undefined {
  const words = zodWords(issue);
  if (issue.code !== 'invalid_type') return words;
  const hint = typeHint(String(issue['expected']), issue.input);
  return hint === undefined ? words : words + HINT + hint;
}

function typeHint(expected: string, input: unknown): string | undefined {
  if (input === null) {
    if (expected === 'boolean') return 'there is nothing behind the colon: write true for all defaults, or false';
    return 'there is nothing behind the colon: leave the key out, or give it a value';
  }
  if (expected === 'string' && (typeof input === 'number' || typeof input === 'boolean'))
    return `write it in quotes: "${input}"`;
  if (expected === 'array') return 'write a list: [a, b], or a line with - for each';
  if (typeof input !== 'string') return undefined;
  if (expected === 'boolean') {
    const meant = didYouMean(input.toLowerCase(), ['true', 'false']);
    return meant ?? `write ${/^(yes|y|on|1)$/i.test(input) ? 'true' : 'true or false'}`;
  }
  if ((expected === 'number' || expected === 'int') && input !== '' && Number.isFinite(Number(input)))
    return `write it without quotes: ${input}`;
  return undefined;
}

export function toDiagnostics(issues: readonly Issue[], prefix: Path = []): Diagnostic[] {
  return issues.flatMap((issue): Diagnostic[] => {
    const path = [...prefix, ...(issue.path as (string | number)[])];
    const [message = '', ...hints] = issue.message.split(HINT);
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key, i) => {
        const tier = path.at(-1) === 'presets' ? path.at(-2) : undefined;
        const hint = (isTier(tier) ? presetHint(key, tier) : undefined) ?? hints[i];
        const what = isTier(tier) ? `the ${tier} has no preset ${key}` : `unknown key ${key}`;
        return { path: [...path, key], message: what, ...(hint ? { hint } : {}) };
      });
    if (issue.code === 'invalid_union' && message === UNION) {
      const inner = toDiagnostics(bestOption(issue.errors), path);
      return inner.length > 0 ? inner : [{ path, message: 'no variant accepts this value' }];
    }
    return [{ path, message, ...(hints[0] ? { hint: hints[0] } : {}) }];
  });
}
