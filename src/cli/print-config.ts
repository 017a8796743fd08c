/** `sluice print-config`: the configuration as it would run, defaults and all. */
import { stringify } from 'yaml';
import { ConfigError } from '../core/errors.ts';
import type { ComponentConfig, LoadedConfig } from '../service/config/config.ts';
import { KINDS } from '../service/config/load.ts';
import { type PrintOptions, printable } from '../service/config/printable.ts';
import { telemetrySchema } from '../service/config/telemetry.ts';
import type { Arguments } from './arguments.ts';
import { configLoader } from './configured.ts';

export async function run(args: Arguments): Promise<number> {
  const secrets = choice(args, 'mode', ['redacted', 'unredacted']);
  const format = choice(args, 'format', ['yaml', 'json']);
  const config = await configLoader(args, { ignoreRules: args.bools['validate'] === false })();
  const data = printableConfig(config, { secrets });
  process.stdout.write(
    format === 'json' ? `${JSON.stringify(data, null, 2)}\n` : stringify(data, { lineWidth: 0, version: '1.1' }),
  );
  return 0;
}

function choice<T extends string>(args: Arguments, flag: string, values: readonly T[]): T {
  const given = args.texts[flag]!;
  const found = values.find((v) => v === given.toLowerCase());
  if (found) return found;
  throw new ConfigError(
    `invalid argument ${JSON.stringify(given)} for "--${flag}" flag: use one of ${values.join(', ')}`,
  );
}

/** In the shape of the YAML. */
export function printableConfig(config: LoadedConfig, options: PrintOptions): Record<string, unknown> {
  const section = (components: ReadonlyMap<string, ComponentConfig>): Record<string, unknown> =>
    Object.fromEntries(
      [...components].map(([id, c]) => [id, printable(c.definition.schema, c.value, c.raw, options) ?? {}]),
    );
  const out: Record<string, unknown> = {};
  for (const kind of KINDS) {
    const components = config[`${kind}s`];
    if (components.size > 0) out[`${kind}s`] = section(components);
  }
  const { extensions, pipelines, telemetry } = config.service;
  out['service'] = {
    extensions,
    pipelines: Object.fromEntries(
      pipelines.map(({ id, receivers, processors, exporters }) => [id, { receivers, processors, exporters }]),
    ),
    telemetry: printable(telemetrySchema, telemetry, undefined, options),
  };
  return out;
}
