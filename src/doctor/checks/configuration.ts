/** Can the configurations be read? */
import type { Check } from '../context.ts';
import { type Finding, failure, ok, unknown, warning } from '../finding.ts';
import { engineOf } from '../objects.ts';

/** Of several errors, the first; what it is all about stands in front of it. */
const briefly = (problem: string): string =>
  problem
    .replace(/^failed to get config: cannot unmarshal the configuration: .*?:\n?\s*/, '')
    .split('\n')[0]!
    .replace(/ \(valid values: .*/, '');

export const configuration: Check = {
  id: 'configuration',
  title: 'Configuration',
  async run(ctx) {
    const out: Finding[] = [];
    for (const { name, origin, config, problem, workload, leftOut = [], isUnseen } of ctx.tiers) {
      if (problem !== undefined)
        out.push(
          !isUnseen && (config || engineOf(workload) === 'sluice')
            ? failure(
                `the configuration of ${name} is wrong: ${briefly(problem)}`,
                `${origin}: ${problem}`,
                '`sluice validate --config FILE` shows file, line and column',
              )
            : unknown(
                `the configuration of ${name} cannot be read`,
                `${origin}: ${problem}`,
                isUnseen
                  ? 'give it with --config FILE'
                  : '`otelcol-contrib validate --config=FILE` of its own image says what it thinks of it',
              ),
        );
      else if (config?.warnings.some((w) => !w.includes('alias is deprecated')))
        out.push(
          warning(
            `the configuration of ${name} works, with notices`,
            `${origin}: ${config!.warnings.join('; ')}`,
            '`sluice print-config --config FILE` shows what it becomes',
          ),
        );
      else if (config)
        out.push(
          ok(
            `the configuration of ${name} is understood`,
            `${origin}: ${[`pipelines ${config.pipelines.map((p) => p.id).join(', ')}`, ...(leftOut.length > 0 ? [`not known here, and not looked at: ${leftOut.join(', ')}`] : []), ...config.warnings].join('; ')}`,
          ),
        );
    }
    if (out.length > 0) return out;
    // That there is no collector, or that it may not be looked for, is said with the agents.
    if (ctx.cluster && !ctx.isInside) return [];
    if (ctx.access && !ctx.cluster) return [unknown('no configuration can be looked for', ctx.clusterProblem)];
    return [
      unknown(
        'there is no configuration to look at',
        'no --config, and none was found in a ConfigMap of the namespace',
        'give it with --config FILE',
      ),
    ];
  },
};
