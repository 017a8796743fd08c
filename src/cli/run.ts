/** `sluice run`, and `sluice` without a command: runs until a signal ends it. */
import type { Arguments } from './arguments.ts';
import { BUILD } from './build.ts';
import { configLoader } from './configured.ts';

export async function run(args: Arguments): Promise<number> {
  const load = configLoader(args);
  const { runService } = await import('../service/service.ts');
  return runService({ load, build: BUILD });
}
