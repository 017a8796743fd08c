/** The container image for tests that run it: `npm run image` for this machine's architecture. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './paths.ts';

export interface BuiltImage {
  readonly name: string;
  /** An archive that `ctr images import` and `docker load` take. */
  readonly tar: string;
}

const node = (args: readonly string[]) => promisify(execFile)(process.execPath, args);

export type Architecture = 'amd64' | 'arm64';
export const OWN_ARCHITECTURE: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** Into the folder. The first time fetches Debian's packages and compresses Node: half a minute; then some seconds. */
export async function buildImage(
  folder: string,
  name: string,
  architecture: Architecture = OWN_ARCHITECTURE,
): Promise<BuiltImage> {
  const args = [join(ROOT, 'tools/image.ts'), '--arch', architecture, '--name', name, '--output', folder];
  await node(args).catch((e: Error) => {
    // Mirrors keep only the newest versions; which one is in the image is nothing to the tests.
    if (!e.message.includes('--update')) throw e;
    return node([...args, '--newest']);
  });
  const tar = readdirSync(folder).find((f) => f.endsWith('.tar'));
  if (!tar) throw new Error(`npm run image left no archive in ${folder}`);
  return { name, tar: join(folder, tar) };
}
