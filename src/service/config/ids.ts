/** Ids of components and pipelines: `type` or `type/name`. */
import type { Signal } from '../../core/component.ts';

export interface Id {
  /** Both halves trimmed. */
  readonly id: string;
  readonly type: string;
  readonly name: string;
}

const TYPE = /^[a-zA-Z][0-9a-zA-Z_]{0,62}$/;
const NOT_IN_NAME = /[\p{Z}\p{C}\p{S}]/u;
const MAX_NAME_BYTES = 1024;
const SIGNALS: readonly Signal[] = ['logs', 'metrics', 'traces'];

export function parseId(text: string): Id | { readonly error: string } {
  const fail = (reason: string): { error: string } => ({ error: `in ${JSON.stringify(text)} id: ${reason}` });
  const slash = text.indexOf('/');
  const type = (slash < 0 ? text : text.slice(0, slash)).trim();
  if (slash < 0 && type === '') return { error: 'id must not be empty' };
  if (type === '') return fail('the part before / should not be empty');
  const name = slash < 0 ? '' : text.slice(slash + 1).trim();
  if (slash >= 0 && name === '') return fail('the part after / should not be empty');
  if (!TYPE.test(type)) return fail(`invalid character(s) in type ${JSON.stringify(type)}`);
  if (NOT_IN_NAME.test(name)) return fail(`invalid character(s) in name ${JSON.stringify(name)}`);
  if (Buffer.byteLength(name) > MAX_NAME_BYTES)
    return fail(`name ${JSON.stringify(`${name.slice(0, 32)}…`)} is longer than ${MAX_NAME_BYTES} characters`);
  return { id: slash < 0 ? type : `${type}/${name}`, type, name };
}

export function parsePipelineId(text: string): (Id & { readonly signal: Signal }) | { readonly error: string } {
  const id = parseId(text);
  if ('error' in id) return id;
  const signal = SIGNALS.find((s) => s === id.type);
  return signal
    ? { ...id, signal }
    : { error: `in ${JSON.stringify(text)} id: unknown pipeline signal: ${JSON.stringify(id.type)}` };
}
