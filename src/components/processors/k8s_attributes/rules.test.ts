/** Labels and annotations that become attributes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schema } from './config.ts';
import { conventionsOf } from './processor.ts';
import { type Conventions, compileRules } from './rules.ts';

const OLD: Conventions = { v0: true, v1: false };
const share = (text: string): string => text;

function tags(
  extract: object,
  labels: Record<string, string>,
  annotations: Record<string, string>,
  of = OLD,
  from = 'pod',
) {
  const list = compileRules(schema.parse({ extract }).extract, of).tags(from as 'pod', labels, annotations, share);
  return Object.fromEntries(Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i], list[2 * i + 1]]));
}

test('rules take whole keys, name attributes, and later ones win', () => {
  const labels = { app: 'web', tier: 'front', 'a.b/c': 'x', empty: '' };
  const cases: [string, object[], Record<string, string>][] = [
    ['a key', [{ key: 'app', tag_name: 'a' }], { a: 'web' }],
    ['a key without a name', [{ key: 'app' }], { 'k8s.pod.labels.app': 'web' }],
    ['a key that is not there', [{ key: 'nope', tag_name: 'a' }], {}],
    ['an empty value, asked for by key', [{ key: 'empty', tag_name: 'a' }], { a: '' }],
    ['an expression matches the whole key', [{ key_regex: 'tie', tag_name: '$0' }], {}],
    ['groups go into the name', [{ key_regex: 'a\\.(.)/(?P<n>.)', tag_name: '$1-${n}' }], { 'b-c': 'x' }],
    [
      'without groups the name does not count',
      [{ key_regex: 't.*', tag_name: 'n' }],
      { 'k8s.pod.labels.tier': 'front' },
    ],
    ['empty values do not match', [{ key_regex: '(e.*)', tag_name: '$1' }], {}],
    [
      'the later rule wins',
      [
        { key: 'app', tag_name: 'a' },
        { key: 'tier', tag_name: 'a' },
      ],
      { a: 'front' },
    ],
    ['rules of others do not count', [{ key: 'app', tag_name: 'a', from: 'node' }], {}],
  ];
  for (const [what, rules, expected] of cases) assert.deepEqual(tags({ labels: rules }, labels, {}), expected, what);
});

test('annotations come after labels, and those for OpenTelemetry last', () => {
  assert.deepEqual(
    tags(
      { otel_annotations: true, labels: [{ key: 'a', tag_name: 'x' }], annotations: [{ key: 'b', tag_name: 'x' }] },
      { a: '1' },
      {
        b: '2',
        'resource.opentelemetry.io/x': '3',
        'resource.opentelemetry.io/deployment.environment.name': 'staging',
      },
    ),
    { x: '3', 'deployment.environment.name': 'staging' },
  );
});

test('names follow the conventions that feature gates choose', () => {
  const extract = { labels: [{ key: 'a' }, { key: 'a', from: 'job' }] };
  const NEW = { v0: false, v1: true };
  assert.deepEqual(tags(extract, { a: '1' }, {}, NEW), { 'k8s.pod.label.a': '1' });
  assert.deepEqual(tags(extract, { a: '1' }, {}, { v0: true, v1: true }), {
    'k8s.pod.label.a': '1',
    'k8s.pod.labels.a': '1',
  });
  assert.deepEqual(tags(extract, { a: '1' }, {}, OLD, 'job'), { 'k8s.job.label.a': '1' });
  const defaults = (of: Conventions) => compileRules(schema.parse({}).extract, of);
  assert.deepEqual(
    [defaults(OLD).has('container.image.tag'), defaults(OLD).has('container.image.tags')],
    [true, false],
  );
  assert.deepEqual(
    [defaults(NEW).has('container.image.tag'), defaults(NEW).has('container.image.tags')],
    [false, true],
  );
  const gate = (name: string): [string, boolean] => [`processor.k8sattributes.${name}`, true];
  assert.deepEqual(conventionsOf(undefined), OLD);
  assert.deepEqual(conventionsOf(new Map([gate('EmitV1K8sConventions'), gate('DontEmitV0K8sConventions')])), NEW);
  assert.throws(() => conventionsOf(new Map([gate('DontEmitV0K8sConventions')])), /requires .*EmitV1/);
});

test('what is wrong with the configuration is told', () => {
  const cases: [object, RegExp][] = [
    [{ extract: { metadata: ['k8s.pod.colour'] } }, /"k8s.pod.colour" is not a supported metadata field/],
    [{ extract: { labels: [{ key: 'a', key_regex: 'b' }] } }, /only one option/],
    [{ extract: { labels: [{ tag_name: 'a' }] } }, /only one option/],
    [{ extract: { labels: [{ key: 'a', from: 'moon' }] } }, /"moon" is not a valid choice/],
    [{ extract: { labels: [{ key_regex: '(' }] } }, /compiling regex/],
    [{ exclude: { pods: [{ name: '(' }] } }, /compiling regex/],
    [{ filter: { fields: [{ key: 'a', op: 'exists' }] } }, /'exists' is not a valid field filter operation/],
    [{ filter: { labels: [{ key: 'a', op: 'in' }] } }, /'in' is not a valid label filter operation/],
    [{ kubelet: { enabled: true } }, /kubelet needs an endpoint/],
    [{ kubelet: { enabled: true, endpoint: 'http://a:10255' } }, /needs allow_insecure_http/],
    [
      { kubelet: { enabled: true, endpoint: 'a' }, filter: { fields: [{ key: 'a', value: 'b' }] } },
      /the kubelet knows no field selectors/,
    ],
    [{ auth_type: 'magic' }, /invalid authType for kubernetes: magic/],
    [{ pod_association: [{ sources: [{ from: 'moon' }] }] }, /resource_attribute or connection/],
    [{ pod_association: [{ sources: Array(5).fill({ from: 'connection' }) }] }, /too many association sources/],
    [
      {
        pod_association: [
          { sources: [{ from: 'resource_attribute', name: 'a' }, { from: 'connection' }] },
          { sources: [{ from: 'connection' }, { from: 'resource_attribute', name: 'a' }] },
        ],
      },
      /duplicate pod association/,
    ],
  ];
  for (const [config, message] of cases) {
    const parsed = schema.safeParse(config);
    assert.equal(parsed.success, false, JSON.stringify(config));
    assert.match(parsed.error!.issues.map((i) => i.message).join('\n'), message);
  }
});
