/** `sluice validate`: loads the configuration and builds all pipelines; says nothing when they are fine. */
import type { Arguments } from './arguments.ts';
import { BUILD } from './build.ts';
import { configLoader } from './configured.ts';

export async function run(args: Arguments): Promise<number> {
  const config = await configLoader(args)();
  const { validateService } = await import('../service/service.ts');
  await validateService(config, BUILD);
  return 0;
}
