import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from '../../../../test/helpers/property.ts';
import { labelName, metadataUnit, metricName, type NamedType, type TranslationStrategy } from './naming.ts';

interface Vectors {
  readonly labels: readonly { Label: string; Out: string }[];
  readonly metadataUnits: Readonly<Record<string, string>>;
  readonly metrics: readonly { Name: string; Unit: string; Type: NamedType; Out: Record<string, string> }[];
}
const vectors = JSON.parse(readFileSync(new URL('testdata/naming-vectors.json', import.meta.url), 'utf8')) as Vectors;

test('metric names are those of the reference for all strategies', () => {
  for (const v of vectors.metrics)
    for (const [key, out] of Object.entries(v.Out)) {
      const [strategy, namespace = ''] = key.split('/namespace=') as [TranslationStrategy, string?];
      const name = metricName(v.Name, v.Unit, v.Type, { strategy, namespace });
      assert.equal(name ?? 'ERROR', out, `${v.Name} ${v.Unit} ${v.Type} ${key}`);
    }
});

test('units of metadata are those of the reference', () => {
  for (const [unit, out] of Object.entries(vectors.metadataUnits)) assert.equal(metadataUnit(unit), out, unit);
});

// The reference was run with its newest settings; the collector that was recorded puts runs together and has no single
// underscore at the front, and dashboards have its names.
const RECORDED: Readonly<Record<string, string>> = { 'a..b': 'a_b', _x: 'key_x', ünï: 'key_n_' };

test('label names are those of the reference, but where the recorded collector differs', () => {
  for (const { Label, Out } of vectors.labels)
    assert.equal(labelName(Label, false) ?? 'ERROR', RECORDED[Label] ?? Out, Label);
  for (const [name, out] of [
    ['', undefined],
    ['größe', 'gr_e'],
    ['__y', 'key_y'],
    ['__a.-b__', '__a_b__'],
    ['____', undefined],
    ['0zero', 'key_0zero'],
    ['😀', undefined],
  ] as const)
    assert.equal(labelName(name, false), out, name);
});

test('in UTF-8 mode label names stay as they are', () => {
  assert.equal(labelName('größe.日本', true), 'größe.日本');
  assert.equal(labelName('__', true), undefined);
});

test('escaped names are valid in every Prometheus', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.boolean(), (name, unit, suffixes) => {
      const strategy = suffixes ? 'UnderscoreEscapingWithSuffixes' : 'UnderscoreEscapingWithoutSuffixes';
      const metric = metricName(name, unit, 'monotonicSum', { strategy, namespace: '' });
      if (metric !== undefined) assert.match(metric, /^[A-Za-z_:][A-Za-z0-9_:]*$/);
      const label = labelName(name, false);
      if (label !== undefined) assert.match(label, /^[A-Za-z_][A-Za-z0-9_]*$/);
    }),
  );
});
