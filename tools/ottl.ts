/** docs/ottl.md: what of the OpenTelemetry Transformation Language there is, from the tables that it is compiled with. */
import type { FunctionDefinition } from '../src/core/ottl/function.ts';
import { FILTER_FUNCTIONS } from '../src/core/ottl/functions/filter.ts';
import { CONVERTERS, STANDARD_FUNCTIONS } from '../src/core/ottl/functions/index.ts';
import { TRANSFORM_FUNCTIONS } from '../src/core/ottl/functions/metrics.ts';
import { ENUMS, PATHS, VISIBLE } from '../src/core/ottl/paths.ts';

/** Functions that otelcol documents and Sluice does not have; using one is a configuration error. */
export const MISSING: Readonly<Record<string, readonly string[]>> = {
  'Lambda expressions (alpha in otelcol)': ['All', 'Any', 'Filter', 'Find', 'MapEach', 'MapKeys', 'Reduce', 'When'],
  'XML that needs XPath': [
    'ConvertAttributesToElementsXML',
    'ConvertTextToElementsXML',
    'GetXML',
    'InsertXML',
    'RemoveXML',
  ],
  'Large tables of patterns': ['UserAgent'],
  Hashes: ['CommunityID', 'Murmur3Hash128', 'XXH3', 'XXH128'],
  'Log formats': ['ParseCEF', 'ParseCLF', 'ParseELF', 'ParseLEEF'],
  Metrics: [
    'aggregate_on_attributes',
    'aggregate_on_attribute_value',
    'convert_exponential_histogram_to_histogram',
    'convert_summary_quantile_val_to_gauge',
    'extract_percentile_metric',
    'merge_histogram_buckets',
  ],
  'Spans and profiles': ['set_semconv_span_name', 'ProfileID'],
};

const row = (name: string, f: FunctionDefinition): string => {
  const params = f.params.map((p) => (p.optional ? `[${p.name}]` : p.name)).join(', ');
  return `| \`${name}(${params})\` | ${f.summary}${f.contexts ? ` (${f.contexts.join(', ')} only)` : ''} |`;
};

function functionTable(functions: Iterable<readonly [string, FunctionDefinition]>): string[] {
  const sorted = [...functions].sort(([a], [b]) => (a < b ? -1 : 1));
  return ['| function |  |', '| --- | --- |', ...sorted.map(([name, f]) => row(name, f))];
}

const beyond = (
  functions: ReadonlyMap<string, FunctionDefinition>,
  known: ReadonlyMap<string, FunctionDefinition>,
): [string, FunctionDefinition][] => [...functions].filter(([name]) => !known.has(name));

export function ottlPage(): string {
  const contexts = Object.entries(PATHS).map(([context, table]) => {
    const paths = [...table].map(([name, p]) => `\`${name}${p.isIndexable ? '[…]' : ''}\``).join(', ');
    const others = VISIBLE[context as keyof typeof VISIBLE].slice(1);
    return `| \`${context}\` | ${paths} | ${others.map((o) => `\`${o}.\``).join(', ')} |`;
  });
  const enums = [...new Set(Object.values(ENUMS).flatMap((e) => [...e.keys()]))].map((e) => `\`${e}\``).join(', ');
  return [
    '<!-- Written by `npm run docs` from the tables in src/core/ottl. Change those. -->',
    '',
    '# OTTL',
    '',
    'The OpenTelemetry Transformation Language as the processors [filter](components/filter.md) and',
    '[transform](components/transform.md) run it. Statements and conditions are compiled when the configuration is loaded:',
    'syntax, names, numbers and types of arguments are checked there, and each problem is told with its line and column',
    'in the configuration and in the text. While data flows, nothing is looked up by name.',
    '',
    'Records stay encoded. A statement decodes the fields that it looks at; a record that it did not change keeps its bytes,',
    'and of a changed one only the changed fields are written anew. Statements of the `resource` context run once for each',
    'resource, however many records it has.',
    '',
    '## Contexts and paths',
    '',
    'A path may begin with the name of its context (`log.body`); it must where the context is not given. Outer contexts are',
    'reached by their names. `instrumentation_scope` is another name for `scope`. `cache` keeps values from one statement of',
    'a group to the next, for one record.',
    '',
    '| context | paths | and those of |',
    '| --- | --- | --- |',
    ...contexts,
    '',
    `Enums: ${enums}.`,
    '',
    '## Editors',
    '',
    ...functionTable(beyond(STANDARD_FUNCTIONS, CONVERTERS)),
    '',
    'In `transform`, for metrics:',
    '',
    ...functionTable(beyond(TRANSFORM_FUNCTIONS, STANDARD_FUNCTIONS)),
    '',
    '## Converters',
    '',
    ...functionTable(CONVERTERS),
    '',
    'In `filter`, for metrics:',
    '',
    ...functionTable(beyond(FILTER_FUNCTIONS, CONVERTERS)),
    '',
    '## What there is not',
    '',
    'Using one of these is a configuration error.',
    '',
    '| what | functions |',
    '| --- | --- |',
    ...Object.entries(MISSING).map(([what, names]) => `| ${what} | ${names.map((n) => `\`${n}\``).join(', ')} |`),
    '',
    'Also missing: the contexts `exemplar` and `profile`, and the paths `events`, `links`, `exemplars` and `quantile_values`',
    'as lists.',
    '',
  ].join('\n');
}
