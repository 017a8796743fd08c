/** ordering_criteria and exclude_older_than: which of the found files are read. */
import type { ReceiverContext } from '../../../core/component.ts';
import { ConfigError, messageOf } from '../../../core/errors.ts';
import { compileRegex, type Regex, type RegexMatch } from '../../../core/regex.ts';
import { compileTimeLayout } from '../../../core/time-layout.ts';
import type { FileLogConfig } from './config.ts';
import type { FoundFile } from './finder.ts';

export type Order = (files: readonly FoundFile[]) => readonly FoundFile[];

type Key = number | string | bigint;
type Rule = FileLogConfig['ordering_criteria']['sort_by'][number];

const compare = (a: Key, b: Key): number => (a < b ? -1 : a > b ? 1 : 0);

export function makeOrder(
  config: FileLogConfig,
  ctx: Pick<ReceiverContext, 'clock'>,
  path: readonly (string | number)[],
): Order {
  const c = config.ordering_criteria;
  const at = [...path, 'ordering_criteria'];
  const regexOf = (key: 'regex' | 'group_by'): Regex | undefined => {
    if (c[key] === '') return undefined;
    try {
      return compileRegex(c[key]);
    } catch (error) {
      throw new ConfigError([{ path: [...at, key], message: `compile ${key}: ${messageOf(error)}` }]);
    }
  };
  const regex = regexOf('regex');
  const groupBy = regexOf('group_by');
  const sorts = c.sort_by.map((rule, i) => {
    const key = keyOf(rule, ctx, regex, [...at, 'sort_by', i]);
    return (files: readonly FoundFile[]): FoundFile[] =>
      files
        .flatMap((file) => {
          const value = key(file);
          return value === undefined ? [] : [{ file, value }];
        })
        .sort((a, b) => (rule.ascending ? compare(a.value, b.value) : compare(b.value, a.value)))
        .map((f) => f.file);
  });
  const topN = c.top_n || 1;
  const oldest = config.exclude_older_than;

  return (found) => {
    let files = found;
    if (oldest > 0) {
      const now = ctx.clock.nowMs();
      files = files.filter((f) => now - f.modifiedMs <= oldest);
    }
    if (sorts.length === 0 && !groupBy) return files;
    const groups = new Map<string, FoundFile[]>();
    for (const f of files) {
      const name = groupBy ? groupBy.exec(f.path)?.[1] : '';
      if (name === undefined) continue;
      const group = groups.get(name);
      if (group) group.push(f);
      else groups.set(name, [f]);
    }
    const out: FoundFile[] = [];
    for (const group of groups.values()) {
      let sorted = group;
      for (const sort of sorts) sorted = sort(sorted);
      out.push(...(sorts.length > 0 ? sorted.slice(0, topN) : sorted));
    }
    return out;
  };
}

/** What a rule sorts by; undefined drops the file. */
function keyOf(
  rule: Rule,
  ctx: Pick<ReceiverContext, 'clock'>,
  regex: Regex | undefined,
  path: readonly (string | number)[],
): (f: FoundFile) => Key | undefined {
  if (rule.sort_type === 'mtime') return (f) => f.modifiedMs;
  const group = regex?.groupNames.indexOf(rule.regex_key) ?? -1;
  if (group < 1)
    throw new ConfigError([
      {
        path: [...path, 'regex_key'],
        message: `regex_key ${JSON.stringify(rule.regex_key)} is no named group of regex`,
      },
    ]);
  const text = (f: FoundFile): string | undefined => (regex!.exec(f.path) as RegexMatch | undefined)?.[group];
  switch (rule.sort_type) {
    case 'alphabetical':
      return text;
    case 'numeric':
      return (f) => {
        const t = text(f);
        return t !== undefined && /^[+-]?\d+$/.test(t) ? BigInt(t) : undefined;
      };
    case 'timestamp': {
      const parse = compileTimeLayout('strptime', rule.layout || rule.format, {
        location: rule.location,
        nowMs: () => ctx.clock.nowMs(),
      });
      if (typeof parse !== 'function') throw new ConfigError([{ path: [...path, 'layout'], message: parse.error }]);
      return (f) => {
        const t = text(f);
        return t === undefined ? undefined : parse(t);
      };
    }
  }
}
