/** Reading objects of Kubernetes whose fields nobody has checked. */
type Fields = Readonly<Record<string, unknown>>;
const NONE: Fields = {};

/** The object in a field; an empty one when there is none. */
export function part(value: unknown, ...path: readonly string[]): Fields {
  let found: unknown = value;
  for (const name of path) found = (found as Fields | null | undefined)?.[name];
  return typeof found === 'object' && found !== null && !Array.isArray(found) ? (found as Fields) : NONE;
}

export const list = (value: Fields, name: string): readonly Fields[] => {
  const found = value[name];
  return Array.isArray(found) ? found.filter((v): v is Fields => typeof v === 'object' && v !== null) : [];
};

export const text = (value: Fields, name: string): string => {
  const found = value[name];
  return typeof found === 'string' ? found : '';
};

export const number = (value: Fields, name: string): number | undefined => {
  const found = value[name];
  return typeof found === 'number' ? found : undefined;
};

/** Counts that are 0 are left out of JSON. */
export const count = (value: Fields, name: string): number => number(value, name) ?? 0;

export const texts = (value: unknown): [name: string, value: string][] =>
  Object.entries(part(value)).filter((e): e is [string, string] => typeof e[1] === 'string');

/** `containerd://0ab…` → `0ab…` */
export const containerId = (id: string): string => id.replace(/^[^:/]+:\/\//, '');

/** Repository with its registry, and tag; `latest` when there is none. Undefined for what is no image. */
export function imageOf(image: string): { readonly name: string; readonly tag: string } | undefined {
  const plain = image.replace(/@.*$/, '');
  if (plain === '' || /\s/.test(plain)) return undefined;
  const at = plain.indexOf(':', plain.lastIndexOf('/') + 1);
  return at < 0 ? { name: plain, tag: 'latest' } : { name: plain.slice(0, at), tag: plain.slice(at + 1) || 'latest' };
}
