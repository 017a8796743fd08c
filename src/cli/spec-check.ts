/** What the engine itself says of the configurations that a spec makes: edits and raw options may hold keys that it does not know. */
import { ConfigError, type Diagnostic } from '../core/errors.ts';
import { type Collection, configYaml, needsOf } from '../deploy/index.ts';
import { textsIn, variablesOf } from '../deploy/used-components.ts';
import { loadConfig } from '../service/config/load.ts';

export async function engineProblems({ spec, tiers }: Collection): Promise<Diagnostic[]> {
  if (spec.engine !== 'sluice') return [];
  const problems: Diagnostic[] = [];
  for (const { name, config } of tiers) {
    const own = spec[name]?.env ?? [];
    const known = Object.fromEntries(own.flatMap((e) => (e.value === undefined ? [] : [[e.name, e.value]])));
    // Others have some value.
    const env = { ...Object.fromEntries(needsOf(config).env.map((e) => [e.name, '1'])), ...known };
    const isKnown = (value: unknown): boolean =>
      [...textsIn(value)].every((text) => variablesOf(text).every((v) => Object.hasOwn(known, v.name)));
    try {
      const configs = [`yaml:${configYaml(config)}`];
      await loadConfig({ configs, sets: [] }, env, { readFile: () => '' });
    } catch (e) {
      if (!(e instanceof ConfigError)) throw e;
      for (const { path, message, hint } of e.diagnostics) {
        const [, ...key] = /^has invalid keys: (.+)$/.exec(message) ?? [];
        // What only the pod has is not held against the spec: what variables hold, and whether a directory is there.
        const isOfPod = path.at(-1) === 'directory' || !isKnown(valueAt(config, path));
        if (isOfPod && key.length === 0) continue;
        problems.push({ path: [name, 'config', ...path, ...key], message, ...(hint === undefined ? {} : { hint }) });
      }
    }
  }
  return problems;
}

const valueAt = (value: unknown, path: Diagnostic['path']): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Readonly<Record<string, unknown>> | null | undefined)?.[key], value);
