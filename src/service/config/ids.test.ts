import assert from 'node:assert/strict';
import { test } from 'node:test';
import { didYouMean } from '../../core/suggest.ts';
import { parseId, parsePipelineId } from './ids.ts';

test('ids are split at the first slash and trimmed', () => {
  const table: [string, { id: string; type: string; name: string }][] = [
    ['otlp', { id: 'otlp', type: 'otlp', name: '' }],
    ['otlp/a', { id: 'otlp/a', type: 'otlp', name: 'a' }],
    ['otlp/a/b-c.d_e', { id: 'otlp/a/b-c.d_e', type: 'otlp', name: 'a/b-c.d_e' }],
    [' otlp / a ', { id: 'otlp/a', type: 'otlp', name: 'a' }],
    ['otlp/ä', { id: 'otlp/ä', type: 'otlp', name: 'ä' }],
    [`${'a'.repeat(63)}/1`, { id: `${'a'.repeat(63)}/1`, type: 'a'.repeat(63), name: '1' }],
  ];
  for (const [text, want] of table) assert.deepEqual(parseId(text), want);
});

test('ids that are none are refused as otelcol refuses them', () => {
  const table: [string, string][] = [
    ['', 'id must not be empty'],
    ['  ', 'id must not be empty'],
    ['otlp/', 'in "otlp/" id: the part after / should not be empty'],
    ['/x', 'in "/x" id: the part before / should not be empty'],
    ['1otlp', 'in "1otlp" id: invalid character(s) in type "1otlp"'],
    ['ot-lp/x', 'in "ot-lp/x" id: invalid character(s) in type "ot-lp"'],
    [`${'a'.repeat(64)}`, `in "${'a'.repeat(64)}" id: invalid character(s) in type "${'a'.repeat(64)}"`],
    ...['+', '=', '$', '|', '~', 'a b', 'a\u0007'].map((name): [string, string] => [
      `otlp/${name}`,
      `in ${JSON.stringify(`otlp/${name}`)} id: invalid character(s) in name ${JSON.stringify(name)}`,
    ]),
  ];
  for (const [text, error] of table) assert.deepEqual(parseId(text), { error });
  assert.match((parseId(`otlp/${'a'.repeat(1025)}`) as { error: string }).error, /longer than 1024/);
});

test('pipelines are of a signal', () => {
  assert.deepEqual(parsePipelineId('logs/x'), { id: 'logs/x', type: 'logs', name: 'x', signal: 'logs' });
  for (const text of ['bogus', 'profiles'])
    assert.deepEqual(parsePipelineId(text), { error: `in "${text}" id: unknown pipeline signal: "${text}"` });
});

test('suggestions are close, or there are none', () => {
  const words = ['include', 'exclude', 'start_at', 'poll_interval', 'k8s_attributes'];
  const table: [string, string | undefined][] = [
    ['includes', 'did you mean "include"?'],
    ['inculde', 'did you mean "include"?'],
    ['startAt', 'did you mean "start_at"?'],
    ['k8sattributes', 'did you mean "k8s_attributes"?'],
    ['nothing_like_it', undefined],
    ['x', undefined],
    ['a'.repeat(5000), undefined],
  ];
  for (const [word, want] of table) assert.equal(didYouMean(word, words), want, word);
});
