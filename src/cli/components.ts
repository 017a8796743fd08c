/** `sluice components`: what is built in, in the form that otelcol prints. */
import { stringify } from 'yaml';
import { registry } from '../components/index.ts';
import type { AnyDefinition, ComponentKind } from '../core/component.ts';
import { KINDS } from '../service/config/load.ts';
import type { Arguments } from './arguments.ts';
import { BUILD } from './build.ts';

const capital = (word: string): string => word[0]!.toUpperCase() + word.slice(1);

function stability(definition: AnyDefinition): Record<string, string> {
  const level = capital(definition.stability);
  if (definition.kind === 'extension') return { extension: level };
  if (definition.kind === 'connector')
    return Object.fromEntries(definition.signals.map((s) => [`${s.from}-to-${s.to}`, level]));
  return Object.fromEntries(definition.signals.map((signal) => [signal, level]));
}

async function list(kind: ComponentKind): Promise<unknown[]> {
  const entries = registry.filter((e) => e.kind === kind);
  const definitions = await Promise.all(entries.map(async (e) => (await e.load()).default));
  return definitions
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((d) => ({
      name: d.id,
      module: `${BUILD.command}/${d.kind}s/${d.id} v${BUILD.version}`,
      stability: stability(d),
    }));
}

export async function run(_args: Arguments): Promise<number> {
  const out: Record<string, unknown> = {
    buildinfo: { command: BUILD.command, description: BUILD.description, version: BUILD.version },
  };
  for (const kind of KINDS) out[`${kind}s`] = await list(kind);
  out['providers'] = ['env', 'file', 'yaml'].map((scheme) => ({
    scheme,
    module: `${BUILD.command}/providers/${scheme} v${BUILD.version}`,
  }));
  process.stdout.write(stringify(out, { lineWidth: 0 }));
  return 0;
}
