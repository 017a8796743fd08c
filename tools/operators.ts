/** The declarations of all operators, for docs and for tests that compare with what exists. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as z from 'zod';
import { commonKeys, type OperatorDefinition } from '../src/stanza/operator.ts';

const DIR = join(import.meta.dirname, '../src/stanza/operators');

const isDefinition = (x: unknown): x is OperatorDefinition =>
  typeof x === 'object' && x !== null && 'type' in x && 'summary' in x && 'schema' in x && 'compile' in x;

export async function operatorDefinitions(): Promise<{
  /** The keys that every operator has. */
  common: z.ZodType;
  operators: OperatorDefinition[];
}> {
  const byType = new Map<string, OperatorDefinition>();
  const files = existsSync(DIR) ? readdirSync(DIR).filter((f) => f.endsWith('.ts') && !f.endsWith('.test.ts')) : [];
  for (const file of files)
    for (const exported of Object.values(await import(pathToFileURL(join(DIR, file)).href)))
      if (isDefinition(exported)) byType.set(exported.type, exported);
  const operators = [...byType.values()].sort((a, b) => (a.type < b.type ? -1 : 1));
  return { common: z.looseObject(commonKeys), operators };
}
