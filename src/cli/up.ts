/** `sluice up`: both tiers on this machine. */
import { up } from '../local/up.ts';
import type { Arguments } from './arguments.ts';

export const run = (args: Arguments): Promise<number> => up(args.raw);
