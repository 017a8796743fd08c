/** Can the configurations be read? */
import type { Check } from '../context.ts';
import { type Finding, failure, ok, unknown, warning } from '../finding.ts';

export const configuration: Check = {
  id: 'configuration',
  title: 'Configuration',
  async run(ctx) {
    const out: Finding[] = [];
    for (const { name, origin, config, problem } of ctx.tiers) {
      if (problem !== undefined)
        out.push(
          config
            ? failure(
                `the configuration of ${name} is wrong: ${problem.split('\n')[0]}`,
                `${origin}: ${problem}`,
                'sluice validate --config FILE shows file, line and column',
              )
            : unknown(
                `the configuration of ${name} cannot be read`,
                `${origin}: ${problem}`,
                'give it with --config FILE',
              ),
        );
      else if (config?.warnings.some((w) => !w.includes('alias is deprecated')))
        out.push(
          warning(
            `the configuration of ${name} works, with notices`,
            `${origin}: ${config!.warnings.join('; ')}`,
            'sluice print-config --config FILE shows what it becomes',
          ),
        );
      else if (config)
        out.push(
          ok(
            `the configuration of ${name} is understood`,
            `${origin}: ${[`pipelines ${config.pipelines.map((p) => p.id).join(', ')}`, ...config.warnings].join('; ')}`,
          ),
        );
    }
    if (out.length > 0) return out;
    return [
      unknown(
        'there is no configuration to look at',
        'no --config, and none was found in a ConfigMap of the namespace',
        'give it with --config FILE',
      ),
    ];
  },
};
