/** `sluice up`: both tiers on this machine. */
import type { Arguments } from './arguments.ts';

interface Local {
  readonly up: (args: readonly string[]) => Promise<number>;
}

export async function run(args: Arguments): Promise<number> {
  const local = (await import('../local/up.ts')) as Local;
  return local.up(args.raw);
}
