/** docs/deploy.md: its hand-written part, and tables of the interfaces of a spec with the texts that editors show. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Field {
  readonly name: string;
  readonly type: string;
  readonly text: string;
}
interface Declared {
  readonly name: string;
  readonly text: string;
  readonly parents: readonly string[];
  readonly fields: readonly Field[];
}

const SOURCES = ['src/deploy/spec.ts', 'src/deploy/presets/options.ts', 'src/deploy/edit.ts'];
/** In this order; what is not here is explained where it is used, or only for code. */
const PAGES = [
  'Spec',
  'AgentSpec',
  'GatewaySpec',
  'TierCommon',
  'AgentPresets',
  'GatewayPresets',
  'LogsCollectionOptions',
  'PodSelection',
  'LogRule',
  'RuleMatch',
  'Multiline',
  'JsonParsing',
  'Redaction',
  'KubeletMetricsOptions',
  'HostMetricsOptions',
  'KubernetesAttributesOptions',
  'ExtractRule',
  'ClusterMetricsOptions',
  'KubernetesEventsOptions',
  'FalcoOptions',
  'TalosOptions',
  'SelfMonitoringOptions',
  'Destinations',
  'MetricsDestination',
  'LogsDestination',
  'Destination',
  'DestinationTls',
  'Authentication',
  'Image',
  'DashboardOptions',
  'ListEdit',
  'Replace',
  'Remove',
];

const comment = (text: string): string =>
  text
    .replaceAll(/^\s*\/\*\*\s?|\s*\*\/\s*$/g, '')
    .replaceAll(/(^|\n)\s*\* ?/g, '$1')
    .trim();

/** The interfaces of a source file; its formatting is that of the formatter, which is all that this relies on. */
function interfacesOf(source: string): Declared[] {
  const out: Declared[] = [];
  const head =
    /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?(?:export )?interface (\w+)(?: extends ([\w, ]+))? \{\n([\s\S]*?)\n\}/g;
  for (const [, doc = '', name, parents = '', body] of source.matchAll(head)) {
    const fields: Field[] = [];
    const field =
      /(?: {2}(\/\*\*(?:(?!\*\/)[\s\S])*\*\/)\n)? {2}(\$?\w+)\??: ([\s\S]*?);(?=\n {2}(?:\/\*\*|\$?\w)|\n*$)/g;
    for (const [, fieldDoc = '', key, type] of body!.matchAll(field))
      fields.push({
        name: key!,
        type: type!.replaceAll(/\s*\n\s*/g, ' ').replace(/^\| /, ''),
        text: comment(fieldDoc),
      });
    out.push({ name: name!, text: comment(doc), parents: parents === '' ? [] : parents.split(/,\s*/), fields });
  }
  return out;
}

/** Types that are a choice of words, or another name of a plain type. */
const unionsOf = (source: string): [name: string, type: string][] =>
  [...source.matchAll(/type (\w+) =\s*((?:\|?\s*'[^']+'\s*)+|string|Record<string, boolean>);/g)].map(
    ([, name, type]) => [
      name!,
      type!
        .trim()
        .replaceAll(/\s*\n\s*/g, ' ')
        .replace(/^\| /, ''),
    ],
  );

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ');

export function specPage(root: string): string {
  const declared = new Map<string, Declared>();
  for (const file of SOURCES)
    for (const d of interfacesOf(readFileSync(join(import.meta.dirname, '..', file), 'utf8'))) declared.set(d.name, d);
  const lines = [
    '<!-- Written by `npm run docs` from docs/deploy.src.md and the types in src/deploy. Change those. -->',
    '',
    readFileSync(join(root, 'docs/deploy.src.md'), 'utf8').trim(),
    '',
    '## All options',
    '',
  ];
  const known = new Set(PAGES);
  const plain = new Map(
    SOURCES.flatMap((file) => unionsOf(readFileSync(join(import.meta.dirname, '..', file), 'utf8'))),
  );
  const typeText = (type: string): string =>
    cell(
      type
        .replaceAll(/PresetSwitch<(\w+)>/g, 'boolean | $1')
        .replaceAll(/\b(\w+)\b(\[\])?/g, (all, word: string, list?: string) => {
          const type = plain.get(word);
          return type === undefined ? all : list && type.includes('|') ? `(${type})[]` : type + (list ?? '');
        }),
    )
      .replaceAll('<', '&lt;')
      .split(/(\w+)/)
      .map((word) => (known.has(word) ? `[${word}](#${word.toLowerCase()})` : word))
      .join('');
  for (const name of PAGES) {
    const d = declared.get(name);
    if (!d || d.fields.length === 0) throw new Error(`no interface ${name} with fields in ${SOURCES.join(', ')}`);
    lines.push(`### ${name}`, '');
    if (d.text !== '') lines.push(cell(d.text), '');
    const shown = d.parents.filter((p) => known.has(p)).map((p) => `[${p}](#${p.toLowerCase()})`);
    if (shown.length > 0) lines.push(`And the options of ${shown.join(', ')}.`, '');
    lines.push('| option | type |  |', '| --- | --- | --- |');
    for (const f of d.fields) lines.push(`| \`${f.name}\` | ${typeText(f.type)} | ${cell(f.text)} |`);
    lines.push('');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}
