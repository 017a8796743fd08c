/** What the flags --config, --set and --feature-gates mean, for every command that has them. */
import { ConfigError } from '../core/errors.ts';
import type { LoadedConfig } from '../service/config/config.ts';
import { selectGates } from '../service/config/gates.ts';
import { type LoadOptions, loadConfig } from '../service/config/load.ts';
import type { Arguments } from './arguments.ts';

/** Reads the sources again every time, for reloads. */
export function configLoader(args: Arguments, options: LoadOptions = {}): () => Promise<LoadedConfig> {
  const { enabled, notices } = selectGates(args.lists['feature-gates'] ?? []);
  for (const notice of notices) process.stderr.write(`${notice}\n`);
  const configs = args.lists['config'] ?? [];
  if (configs.length === 0) throw new ConfigError('at least one config flag must be provided');
  return () => loadConfig({ configs, sets: args.lists['set'] ?? [] }, process.env, { gates: enabled, ...options });
}
