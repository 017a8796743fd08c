import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../core/errors.ts';
import type { CollectorConfig, Json } from './config.ts';
import {
  append,
  applyEdit,
  type Edit,
  type GONE,
  insertAfter,
  insertBefore,
  prepend,
  remove,
  replace,
  replaceItem,
} from './edit.ts';
import { editConfig } from './edit-config.ts';

const LIST: Json = [{ id: 'a', n: 1 }, { id: 'b' }, 'c'];
const good: readonly [string, Json | undefined, Edit, Json | typeof GONE][] = [
  ['a map merges', { a: 1, b: { c: 2 } }, { b: { d: 3 } }, { a: 1, b: { c: 2, d: 3 } }],
  ['null is a value', { a: { b: 1 } }, { a: null }, { a: null }],
  ['a list replaces', [1, 2], [3], [3]],
  ['a map takes the place of a scalar', 1, { a: 1 }, { a: 1 }],
  ['append', [1], append(2, 3), [1, 2, 3]],
  ['append where nothing was', undefined, append('x'), ['x']],
  ['prepend', [1], prepend(0), [0, 1]],
  ['before an item by its members', LIST, insertBefore({ id: 'b' }, 'x'), [{ id: 'a', n: 1 }, 'x', { id: 'b' }, 'c']],
  ['behind an item', LIST, insertAfter({ id: 'a' }, 'x', 'y'), [{ id: 'a', n: 1 }, 'x', 'y', { id: 'b' }, 'c']],
  ['items are removed', LIST, remove({ id: 'a' }, 'c'), [{ id: 'b' }]],
  ['an item is replaced', LIST, replaceItem('c', 'd'), [{ id: 'a', n: 1 }, { id: 'b' }, 'd']],
  ['several at once', [1, 2], { $remove: [1], $append: [3], $prepend: [0] }, [0, 2, 3]],
  ['a key is removed', { a: 1, b: 2 }, { a: remove() }, { b: 2 }],
  ['a map is replaced', { a: { b: 1 } }, { a: replace({ c: 1 }) }, { a: { c: 1 } }],
];
for (const [name, base, edit, expected] of good)
  test(`edits: ${name}`, () => {
    const before = structuredClone(base);
    assert.deepEqual(applyEdit(base, edit, []), expected);
    assert.deepEqual(base, before);
  });

const bad: readonly [string, Json | undefined, Edit, string, string][] = [
  ['an item that is not there', LIST, remove({ id: 'z' }), 'p.$remove', 'no item matches {"id":"z"}'],
  ['a key that is not there', { a: 1 }, { b: remove() }, 'p.b', 'there is nothing to remove'],
  ['a list operator on a map', { a: { b: 1 } }, { a: append(1) }, 'p.a', '$append edit lists, and this is none'],
  ['an operator that is none', [], { $apend: [1] }, 'p.$apend', 'unknown operator $apend'],
  ['operators and keys', [], { $append: [1], x: 1 }, 'p.x', 'a map has either operators or keys'],
];
for (const [name, base, edit, path, message] of bad)
  test(`edits refuse ${name}`, () => {
    assert.throws(
      () => applyEdit(base, edit, ['p']),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        const [d] = error.diagnostics;
        assert.deepEqual([d!.path.join('.'), d!.message], [path, message]);
        return true;
      },
    );
  });

const CONFIG: CollectorConfig = {
  extensions: { health_check: null },
  receivers: { file_log: { include: ['a'] }, otlp: null },
  processors: { batch: null, 'k8s_attributes/x': { passthrough: false } },
  exporters: { otlp_http: { endpoint: 'x' } },
  service: {
    extensions: ['health_check'],
    pipelines: {
      logs: { receivers: ['file_log', 'otlp'], processors: ['k8s_attributes/x', 'batch'], exporters: ['otlp_http'] },
      traces: { receivers: ['otlp'], exporters: ['otlp_http'] },
    },
  },
};

test('a component that is removed leaves pipelines and extensions; a pipeline without receivers goes', () => {
  const out = editConfig(
    CONFIG,
    {
      extensions: { health_check: remove() },
      receivers: { otlp: remove() },
      processors: { 'k8sattributes/x': remove() },
    },
    [],
  );
  assert.deepEqual(out, {
    receivers: { file_log: { include: ['a'] } },
    processors: { batch: null },
    exporters: { otlp_http: { endpoint: 'x' } },
    service: {
      extensions: [],
      pipelines: { logs: { receivers: ['file_log'], processors: ['batch'], exporters: ['otlp_http'] } },
    },
  });
});

test('former names of components edit the same component, in pipelines too', () => {
  const out = editConfig(
    CONFIG,
    {
      receivers: { filelog: { include: append('b') } },
      service: {
        pipelines: { logs: { receivers: remove('filelog'), processors: insertBefore('k8sattributes/x', 'batch') } },
      },
    },
    [],
  );
  assert.deepEqual(out.receivers!['file_log'], { include: ['a', 'b'] });
  assert.deepEqual(out.service.pipelines['logs']!.receivers, ['otlp']);
  assert.deepEqual(out.service.pipelines['logs']!.processors, ['batch', 'k8s_attributes/x', 'batch']);
});

test('a reference to nothing is an error with a suggestion', () => {
  assert.throws(
    () =>
      editConfig(CONFIG, { service: { pipelines: { logs: { exporters: append('otlp_htp') } } } }, ['agent', 'config']),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.diagnostics, [
        {
          path: ['agent', 'config', 'service', 'pipelines', 'logs', 'exporters'],
          message: 'otlp_htp is not among the exporters',
          hint: 'did you mean "otlp_http"?',
        },
      ]);
      return true;
    },
  );
});

test('a component that an edit adds and nothing uses is an error: another was meant, or the pipeline is missing', () => {
  const refused = (edits: Parameters<typeof editConfig>[1]): unknown[] => {
    try {
      editConfig(CONFIG, edits, []);
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      return error.diagnostics.map((d) => [d.path.join('.'), d.message, d.hint]);
    }
    return [];
  };
  assert.deepEqual(refused({ receivers: { file_logg: { include: append('b') } } }), [
    ['receivers.file_logg', 'file_logg is new, and in no pipeline', 'did you mean "file_log"?'],
  ]);
  assert.deepEqual(refused({ extensions: { zpages: null }, exporters: { debug: null } }), [
    [
      'extensions.zpages',
      'zpages is new, and not among service.extensions',
      'add it with $append under service.extensions',
    ],
    ['exporters.debug', 'debug is new, and in no pipeline', 'add it with $append under service.pipelines'],
  ]);
  assert.deepEqual(
    refused({
      extensions: { zpages: null },
      connectors: { forward: null },
      service: {
        extensions: append('zpages'),
        pipelines: {
          traces: { exporters: append('forward') },
          'traces/2': { receivers: ['forward'], exporters: ['otlp_http'] },
        },
      },
    }),
    [],
  );
});
