/** Where things are, so that tests run from any directory. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');
/** Sluice from the source, as a user starts it. */
export const SLUICE = join(ROOT, 'bin', 'sluice');
/** The same from `npm run build`. */
export const DIST = join(ROOT, 'dist', 'bin', 'sluice');
export const hasDist = (): boolean => existsSync(DIST);
