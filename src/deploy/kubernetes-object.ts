/** Kubernetes objects as they are made here: plain data, with what a reader wants to know of a part beside it. */

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

const notes = new WeakMap<object, string>();

/** Puts a comment above this part where it is written as YAML. */
export function noted<T extends object>(part: T, note: string): T {
  if (note !== '') notes.set(part, note);
  return part;
}

export const noteOf = (part: unknown): string | undefined =>
  typeof part === 'object' && part !== null ? notes.get(part) : undefined;

/** Without members that are undefined, or maps and lists without anything in them. */
export function lean<T extends object>(fields: T): T {
  const isEmpty = (v: unknown): boolean =>
    v === undefined || (typeof v === 'object' && v !== null && noteOf(v) === undefined && Object.keys(v).length === 0);
  return Object.fromEntries(Object.entries(fields).filter(([, v]) => !isEmpty(v))) as T;
}
