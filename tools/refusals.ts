/** What a configuration is told that uses a key which is there only to say that it is not supported. */
import type * as z from 'zod';

/** Values that somebody may have written there. */
const SAMPLES: readonly unknown[] = [true, { enabled: true }, { a: 1 }, ['a'], 'a', 1];

/** A configuration that has `value` at the key of a SchemaRow (`a.<name>.b`, `a[].b`), and nothing else. */
function configWith(key: string, value: unknown): unknown {
  return key
    .replaceAll('[]', '.0')
    .split('.')
    .reverse()
    .reduce<unknown>((inner, name) => (name === '0' ? [inner] : { [name === '<name>' ? 'x' : name]: inner }), value);
}

/** The error, in one line; undefined when the key is taken after all. */
export function refusalOf(schema: z.ZodType, key: string): string | undefined {
  const path = key.replaceAll('[]', '.0').replaceAll('<name>', 'x').split('.');
  for (const value of SAMPLES) {
    const { error } = schema.safeParse(configWith(key, value));
    const own = error?.issues.find((i) => path.every((p, at) => String(i.path[at]) === p) && isRefusal(i));
    if (own) return own.message.replaceAll(/\s*\n\s*/g, ' ');
  }
  return undefined;
}

/** Not one about a value of the wrong type. */
const isRefusal = (issue: { readonly code: string; readonly message: string }): boolean =>
  /not supported|unsupported|belongs to/i.test(issue.message) || issue.code === 'custom';
