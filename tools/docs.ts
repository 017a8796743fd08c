/**
 * `npm run docs`: writes the pages of docs/ that the code knows best: one per component, the operators, and the tables
 * of docs/compat.md and docs/deploy.md below their hand-written parts (docs/*.src.md). `--check` only says which are out of date;
 * `--root` takes another directory than this repository.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type * as z from 'zod';
import { registry } from '../src/components/index.ts';
import type { AnyDefinition } from '../src/core/component.ts';
import type { Instrument } from '../src/core/telemetry.ts';
import { describeSchema, type SchemaRow } from '../src/service/config/describe-schema.ts';
import { operatorDefinitions } from './operators.ts';
import { ottlPage } from './ottl.ts';
import { refusalOf } from './refusals.ts';
import { specPage } from './spec-docs.ts';

const rootFlag = process.argv.indexOf('--root');
const ROOT = rootFlag > 0 ? process.argv[rootFlag + 1]! : join(import.meta.dirname, '..');
const NOTE = '<!-- Written by `npm run docs`. Change the schema in the code, not this file. -->';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ');
/** As code; a value with a backtick in it gets a longer fence. */
const code = (text: string): string => (text.includes('`') ? `\`\` ${cell(text)} \`\`` : `\`${cell(text)}\``);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

/** Keys that are there only to say that they are refused; each must have an error that says so. */
const REFUSED = /^not supported\b/i;

function refusalIn(schema: z.ZodType, row: SchemaRow): string | undefined {
  return REFUSED.test(row.description) ? refusalOf(schema, row.key) : undefined;
}

function keyTable(rows: readonly SchemaRow[], schema: z.ZodType): string[] {
  if (rows.length === 0) return ['It has no keys.'];
  return table(
    ['key', 'type', 'default', ''],
    rows.map((r) => [
      code(r.key),
      cell(r.type),
      r.default === '' ? '' : code(r.default),
      cell(r.description) + (r.isSecret ? ' (secret)' : '') + told(refusalIn(schema, r)),
    ]),
  );
}

const told = (refusal: string | undefined): string => (refusal === undefined ? '' : `. Refused: ${code(refusal)}`);

const metricTable = (instruments: readonly Instrument[]): string[] =>
  table(
    ['metric', 'kind', 'unit', ''],
    instruments.map((i) => [code(i.name), i.kind, i.unit ? code(i.unit) : '', cell(i.help)]),
  );

function signalsOf(d: AnyDefinition): string {
  if (d.kind === 'extension') return '';
  if (d.kind === 'connector') return d.signals.map((s) => `${s.from} → ${s.to}`).join(', ');
  return d.signals.join(', ');
}

const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1);
const alsoWritten = (aliases: readonly string[]): string => aliases.map((a) => code(a)).join(', ');

function componentPage(definitions: readonly AnyDefinition[]): string {
  const lines = [NOTE, '', `# ${definitions[0]!.id}`, ''];
  for (const d of definitions) {
    const signals = signalsOf(d);
    lines.push(`## ${capital(d.kind)}`, '', d.summary, '');
    lines.push(`Stability: ${d.stability}.${signals ? ` Signals: ${signals}.` : ''}`);
    if (d.aliases?.length) lines.push(`Formerly ${alsoWritten(d.aliases)}, which still works, with a warning.`);
    lines.push('', '### Keys', '', ...keyTable(describeSchema(d.schema), d.schema), '');
    if (d.telemetry?.length) lines.push('### Metrics', '', ...metricTable(d.telemetry), '');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function componentIndex(definitions: readonly AnyDefinition[]): string {
  const rows = definitions.map((d) => [
    `[${d.id}](${d.id}.md)`,
    d.kind,
    signalsOf(d),
    alsoWritten(d.aliases ?? []),
    cell(d.summary),
  ]);
  return [NOTE, '', '# Components', '', ...table(['id', 'kind', 'signals', 'formerly', ''], rows), ''].join('\n');
}

async function operatorsPage(): Promise<string> {
  const { common, operators } = await operatorDefinitions();
  const lines = [NOTE, '', '# Operators', ''];
  lines.push('What a log receiver does to each record, in the order written under `operators`.', '');
  lines.push(
    ...table(
      ['operator', ''],
      operators.map((o) => [`[${o.type}](#${o.type})`, cell(o.summary)]),
    ),
    '',
  );
  const commonRows = describeSchema(common);
  const commonNames = new Set(commonRows.map((r) => r.key));
  lines.push('## Keys of every operator', '', ...keyTable(commonRows, common), '');
  for (const o of operators) {
    const own = describeSchema(o.schema).filter((r) => !commonNames.has(r.key));
    lines.push(
      `## ${o.type}`,
      '',
      o.summary,
      '',
      ...(own.length > 0 ? keyTable(own, o.schema) : ['No keys of its own.']),
      '',
    );
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

/** Keys whose description says that they do nothing here. */
const NO_EFFECT = /^(accepted|not supported|deprecated)\b|no effect|not supported/i;

function compatPage(definitions: readonly AnyDefinition[]): string {
  const rows: string[][] = [];
  const refused: string[][] = [];
  for (const d of definitions)
    for (const r of describeSchema(d.schema)) {
      const head = [`${d.kind} ${code(d.id)}`, code(r.key)];
      const refusal = refusalIn(d.schema, r);
      if (refusal !== undefined) refused.push([...head, code(refusal)]);
      else if (NO_EFFECT.test(r.description)) rows.push([...head, cell(r.description)]);
    }
  return [
    '<!-- Written by `npm run docs` from docs/compat.src.md and the schemas. Change those. -->',
    '',
    readFileSync(join(ROOT, 'docs/compat.src.md'), 'utf8').trim(),
    '',
    '## Keys without effect',
    '',
    'They are accepted where otelcol accepts them, so that its configurations load.',
    '',
    ...table(['component', 'key', ''], rows),
    '',
    '## Keys that are refused',
    '',
    'A configuration that uses one is refused with the error. All other keys do what the page of their component says,',
    'and a key that no page has is refused as unknown.',
    '',
    ...table(['component', 'key', 'error'], refused),
    '',
  ].join('\n');
}

async function pages(): Promise<Map<string, string>> {
  const definitions = await Promise.all(registry.map(async (e) => (await e.load()).default));
  const out = new Map<string, string>();
  for (const [id, list] of Map.groupBy(definitions, (d) => d.id))
    out.set(`docs/components/${id}.md`, componentPage(list));
  out.set('docs/components/README.md', componentIndex(definitions));
  out.set('docs/operators.md', await operatorsPage());
  out.set('docs/ottl.md', ottlPage());
  out.set('docs/compat.md', compatPage(definitions));
  out.set('docs/deploy.md', specPage(ROOT));
  return out;
}

const check = process.argv.includes('--check');
const wanted = await pages();
const stale: string[] = [];
for (const [path, text] of wanted) {
  const file = join(ROOT, path);
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
  stale.push(path);
  if (check) continue;
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
}
for (const name of readdirSync(join(ROOT, 'docs/components'))) {
  const path = `docs/components/${name}`;
  if (wanted.has(path)) continue;
  stale.push(path);
  if (!check) rmSync(join(ROOT, path));
}
if (stale.length === 0) console.log('docs are up to date');
else if (check) {
  console.error(`out of date, run \`npm run docs\`: ${stale.join(', ')}`);
  process.exitCode = 1;
} else console.log(`wrote ${stale.join(', ')}`);
