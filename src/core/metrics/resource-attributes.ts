/**
 * `resource_attributes:` of scraping receivers: which attributes the resources carry, and which resources are sent at
 * all by the values of their attributes.
 */
import * as z from 'zod';
import type { Value } from '../../wire/otlp.ts';
import { type Regex, tryRegex } from '../regex.ts';
import { type Resource, resourceOf } from '../resource.ts';
import { section } from '../schema.ts';

export interface ResourceAttributeDeclaration {
  readonly name: string;
  readonly description: string;
  readonly enabled: boolean;
}

type Match = string | Regex;

const regularExpression = z.string().transform((source, ctx): Regex => {
  const regex = tryRegex(source);
  if (!('error' in regex)) return regex;
  ctx.addIssue({ code: 'custom', message: regex.error });
  return z.NEVER;
});

const matches = () =>
  z
    .array(
      z.union([
        z.strictObject({ strict: z.string().describe('The whole value') }).transform((m): Match => m.strict),
        z
          .strictObject({ regexp: regularExpression.describe('A regular expression that the value contains') })
          .transform((m): Match => m.regexp),
      ]),
    )
    .default([]);

interface ResourceAttributeSwitch {
  readonly enabled: boolean;
  readonly metrics_include: readonly Match[];
  readonly metrics_exclude: readonly Match[];
}
export type ResourceAttributeSwitches = Readonly<Record<string, ResourceAttributeSwitch>>;

/** Schema of `resource_attributes:` for a catalogue. Unknown attributes are errors. */
export const resourceAttributeSwitches = (catalogue: readonly ResourceAttributeDeclaration[]) =>
  section(
    z.strictObject(
      Object.fromEntries(
        catalogue.map((a) => [
          a.name,
          section(
            z.strictObject({
              enabled: z.boolean().default(a.enabled).describe(a.description),
              metrics_include: matches().describe('Only resources whose value matches one of these are sent'),
              metrics_exclude: matches().describe('Resources whose value matches one of these are not sent'),
            }),
          )
            .prefault({})
            .describe(`The resource attribute ${a.name}`),
        ]),
      ),
    ),
  )
    .prefault({})
    .describe('Which attributes resources carry, and which resources are sent')
    .transform((v) => v as ResourceAttributeSwitches);

const fits = (patterns: readonly Match[], value: string): boolean =>
  patterns.some((p) => (typeof p === 'string' ? p === value : p.test(value)));

/** Those of the attributes that are on; undefined when by the values nothing is to be sent of this resource. */
export function switchedAttributes(
  switches: ResourceAttributeSwitches,
  attributes: Iterable<readonly [string, Value]>,
): Map<string, Value> | undefined {
  const kept = new Map<string, Value>();
  for (const [name, value] of attributes) {
    const s = switches[name];
    if (s && !s.enabled) continue;
    if (s && s.metrics_include.length > 0 && !fits(s.metrics_include, String(value))) return undefined;
    if (s && fits(s.metrics_exclude, String(value))) return undefined;
    kept.set(name, value);
  }
  return kept;
}

/** The resource with those of the attributes that are on; undefined when by the values it is not to be sent. */
export function switchedResource(
  switches: ResourceAttributeSwitches,
  attributes: Iterable<readonly [string, Value]>,
  schemaUrl = '',
): Resource | undefined {
  const kept = switchedAttributes(switches, attributes);
  return kept && resourceOf(kept, schemaUrl);
}
