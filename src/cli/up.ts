/** `sluice up`: both tiers on this machine. */
import { up } from '../local/up.ts';
import { optimize } from '../service/tiering.ts';
import type { Arguments } from './arguments.ts';

export function run(args: Arguments): Promise<number> {
  // A workload and a store are busy from the first moment.
  optimize();
  return up(args.raw);
}
