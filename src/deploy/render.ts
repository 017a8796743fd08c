/** Objects as text: YAML for people and kubectl, with what each right is for beside it, or JSON. */
import { Document, isMap, isSeq, type Node, parseAllDocuments } from 'yaml';
import { ConfigError } from '../core/errors.ts';
import { type KubernetesObject, noteOf } from './kubernetes-object.ts';

export type Format = 'yaml' | 'json';

/** First line of every file that is written, by which a later render knows its own. */
export const HEADER = '# Rendered by sluice: change the spec, not this file.';

export function toYaml(objects: readonly KubernetesObject[]): string {
  return `${HEADER}\n${objects.map((o) => `---\n${documentOf(o)}`).join('')}`;
}

export const toJson = (objects: readonly KubernetesObject[]): string =>
  `${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, null, 2)}\n`;

function documentOf(object: KubernetesObject): string {
  const document = new Document(object, { version: '1.1', aliasDuplicateObjects: false });
  comment(document.contents as Node | null, object);
  return document.toString({ lineWidth: 0 });
}

/** Puts the notes of the data on the nodes that were made from it. */
function comment(node: Node | null, value: unknown): void {
  if (!node) return;
  const note = noteOf(value);
  if (note !== undefined) node.commentBefore = note.replaceAll(/^/gm, ' ');
  if (isSeq(node) && Array.isArray(value))
    for (const [i, item] of node.items.entries()) comment(item as Node, value[i]);
  else if (isMap(node) && typeof value === 'object' && value !== null)
    for (const pair of node.items) {
      const key = String((pair.key as { value?: unknown } | null)?.value ?? pair.key);
      comment(pair.value as Node | null, (value as Record<string, unknown>)[key]);
    }
}

/** One file for each object, named so that `kubectl apply -f` takes them in the right order. */
export function toFiles(objects: readonly KubernetesObject[], format: Format): Map<string, string> {
  const files = new Map<string, string>();
  const kinds = [...new Set(objects.map((o) => o.kind))];
  for (const object of objects) {
    const { name, namespace } = object.metadata;
    const place = String(kinds.indexOf(object.kind)).padStart(2, '0');
    const base = `${place}-${object.kind.toLowerCase()}-${name}`;
    const file = files.has(`${base}.${format}`) ? `${base}-${namespace}` : base;
    files.set(
      `${file}.${format}`,
      format === 'json' ? `${JSON.stringify(object, null, 2)}\n` : `${HEADER}\n${documentOf(object)}`,
    );
  }
  return files;
}

/** The objects of a text that was rendered, as YAML or JSON. */
export function parseObjects(text: string, file: string): KubernetesObject[] {
  const objects: KubernetesObject[] = [];
  const take = (value: unknown): void => {
    if (value === null || value === undefined) return;
    const { kind, metadata, items } = value as { kind?: unknown; metadata?: { name?: unknown }; items?: unknown };
    if (kind === 'List' && Array.isArray(items)) items.forEach(take);
    else if (typeof kind === 'string' && typeof metadata?.name === 'string') objects.push(value as KubernetesObject);
    else throw new ConfigError([{ path: [], file, message: `${file}: a document is no Kubernetes object` }]);
  };
  const documents = parseAllDocuments(text, { version: '1.1' });
  if (!Array.isArray(documents)) return [];
  for (const document of documents) {
    const [error] = document.errors;
    if (error)
      throw new ConfigError([
        {
          path: [],
          file,
          message: `${file}: ${error.message.split('\n')[0]}`,
          ...(error.linePos ? { line: error.linePos[0].line, column: error.linePos[0].col } : {}),
        },
      ]);
    take(document.toJS());
  }
  return objects;
}
