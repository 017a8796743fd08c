/** `sluice schema`: JSON Schema of the configuration. */
import { configJsonSchema } from '../service/config/json-schema.ts';
import type { Arguments } from './arguments.ts';

export async function run(_args: Arguments): Promise<number> {
  process.stdout.write(`${JSON.stringify(await configJsonSchema(), null, 2)}\n`);
  return 0;
}
