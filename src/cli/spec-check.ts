/** What the engine itself says of the configurations that a spec makes: edits and raw options may hold keys that it does not know. */
import { ConfigError, type Diagnostic } from '../core/errors.ts';
import { type Collection, configYaml } from '../deploy/index.ts';
import { textsIn, variablesOf } from '../deploy/used-components.ts';
import { loadConfig } from '../service/config/load.ts';

/** Keys and types only: whether a directory is there, say, the pod has to find out. */
export async function engineProblems({ spec, tiers }: Collection): Promise<Diagnostic[]> {
  if (spec.engine !== 'sluice') return [];
  const problems: Diagnostic[] = [];
  for (const { name, config } of tiers) {
    const own = spec[name]?.env ?? [];
    const env = Object.fromEntries(own.flatMap((e) => (e.value === undefined ? [] : [[e.name, e.value]])));
    const isKnown = (value: unknown): boolean =>
      [...textsIn(value)].every((text) => variablesOf(text).every((v) => Object.hasOwn(env, v.name)));
    try {
      const configs = [`yaml:${configYaml(config)}`];
      await loadConfig({ configs, sets: [] }, env, { ignoreRules: true, readFile: () => '' });
    } catch (e) {
      if (!(e instanceof ConfigError)) throw e;
      for (const { path, message, hint } of e.diagnostics) {
        const keys = /^has invalid keys: (.+)$/.exec(message)?.[1];
        // What a variable holds that only the pod has is not held against the spec.
        if (keys === undefined && !isKnown(valueAt(config, path))) continue;
        const key = keys === undefined || keys.includes(',') ? [] : [keys];
        problems.push({ path: [name, 'config', ...path, ...key], message, ...(hint === undefined ? {} : { hint }) });
      }
    }
  }
  return problems;
}

const valueAt = (value: unknown, path: Diagnostic['path']): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Readonly<Record<string, unknown>> | null | undefined)?.[key], value);
