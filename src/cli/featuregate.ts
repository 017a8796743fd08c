/** `sluice featuregate [ID]`: the known feature gates and whether they are on. */
import { ConfigError } from '../core/errors.ts';
import { didYouMean } from '../core/suggest.ts';
import { type Gate, gates, selectGates } from '../service/config/gates.ts';
import type { Arguments } from './arguments.ts';

export async function run(args: Arguments): Promise<number> {
  const { enabled } = selectGates(args.lists['feature-gates'] ?? []);
  const id = args.operands[0];
  const shown = id === undefined ? gates : gates.filter((g) => g.id === id);
  if (shown.length === 0) {
    const hint = didYouMean(
      id!,
      gates.map((g) => g.id),
    );
    throw new ConfigError([
      { path: [], message: `feature ${JSON.stringify(id)} not found`, ...(hint ? { hint } : {}) },
    ]);
  }
  const row = (g: Gate): string[] => [
    g.id,
    String(enabled.get(g.id)),
    g.stage[0]!.toUpperCase() + g.stage.slice(1),
    g.description,
  ];
  const rows = [['ID', 'Enabled', 'Stage', 'Description'], ...shown.map(row)];
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((r) => r[i]!.length)));
  for (const r of rows)
    process.stdout.write(
      `${r
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd()}\n`,
    );
  return 0;
}
