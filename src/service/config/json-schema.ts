/** JSON Schema of the whole configuration, for completion and checks in editors. */
import * as z from 'zod';
import { type RegistryEntry, registry } from '../../components/index.ts';
import type { AnyDefinition } from '../../core/component.ts';
import { KINDS } from './load.ts';
import { serviceSchema } from './service-section.ts';

type Json = Record<string, unknown>;

/** References may stand for every value, so numbers and flags may also be text that holds one. */
const REFERENCE = '\\$\\{.+\\}';

function relax(schema: Json): void {
  if (schema['format'] === 'duration' || schema['format'] === 'size') delete schema['format'];
  delete schema['secret'];
  const { type } = schema;
  if (type === 'integer' || type === 'number' || type === 'boolean') {
    schema['type'] = [type, 'string'];
    schema['pattern'] = REFERENCE;
  } else if (type === 'object') schema['type'] = ['object', 'null'];
  else if (type === 'array') schema['type'] = ['array', 'string', 'null'];
}

function toJson(schema: z.ZodType): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => relax(jsonSchema as Json),
  }) as Json;
  return json;
}

export async function configJsonSchema(entries: readonly RegistryEntry[] = registry): Promise<Json> {
  const properties: Json = {};
  for (const kind of KINDS) {
    const patterns: Json = {};
    for (const entry of entries.filter((e) => e.kind === kind)) {
      const definition: AnyDefinition = (await entry.load()).default;
      patterns[`^(${[entry.id, ...entry.aliases].join('|')})(/.*)?$`] = {
        description: definition.summary,
        ...toJson(definition.schema),
      };
    }
    properties[`${kind}s`] = { type: ['object', 'null'], patternProperties: patterns, additionalProperties: false };
  }
  properties['service'] = toJson(serviceSchema);
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Sluice configuration',
    type: 'object',
    properties,
    additionalProperties: false,
    required: ['service'],
  };
}
