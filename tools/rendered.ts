/** `npm run rendered`: writes src/deploy/testdata/rendered anew; look at what git says has changed. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RENDERED, renderVariant, VARIANTS } from '../src/deploy/testing.ts';

mkdirSync(RENDERED, { recursive: true });
for (const file of readdirSync(RENDERED))
  if (!VARIANTS.some((v) => file === `${v.name}.yaml`)) rmSync(join(RENDERED, file));
for (const variant of VARIANTS) writeFileSync(join(RENDERED, `${variant.name}.yaml`), renderVariant(variant));
console.log(`${VARIANTS.length} variants in ${RENDERED}`);
