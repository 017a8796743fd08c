/** The operator types that exist, from the files of src/stanza/operators. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './paths.ts';

export async function operatorTypes(): Promise<string[]> {
  const dir = join(ROOT, 'src/stanza/operators');
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((f) => f.endsWith('.ts') && !f.endsWith('.test.ts') && f !== 'index.ts')
    .map((f) => f.replace(/\.ts$/, '').replaceAll('-', '_'))
    .sort();
}
