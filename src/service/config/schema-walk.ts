/** Looks through the wrappers of a zod schema (defaults, optional, preprocess, transform) to what it says about itself. */
import type * as z from 'zod';

export interface Looked {
  /** Without wrappers: an object, array, record, union, string… */
  readonly inner: z.ZodType;
  readonly type: string;
  readonly hasDefault: boolean;
  /** In the form that YAML has, where the schema gives it so. */
  readonly default: unknown;
  readonly isOptional: boolean;
  /** Whether code turns the value into something else. */
  readonly isTransformed: boolean;
  readonly description: string | undefined;
  readonly isSecret: boolean;
  readonly isDuration: boolean;
  readonly isSize: boolean;
  /** Other schemas than objects may accept one value in place of a list, or null in place of a map. */
  readonly isPreprocessed: boolean;
}

/** The parts of zod's own definitions that are read here. */
export interface Def {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly defaultValue?: unknown;
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
  readonly getter?: () => z.ZodType;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly element?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly options?: readonly z.ZodType[];
  readonly entries?: Readonly<Record<string, unknown>>;
  readonly values?: readonly unknown[];
  readonly format?: string;
}

export const defOf = (schema: z.ZodType): Def => (schema as unknown as { _zod: { def: Def } })._zod.def;

export function look(schema: z.ZodType): Looked {
  const found: { -readonly [K in keyof Looked]: Looked[K] } = {
    inner: schema,
    type: '',
    hasDefault: false,
    default: undefined,
    isOptional: false,
    isTransformed: false,
    description: undefined,
    isSecret: false,
    isDuration: false,
    isSize: false,
    isPreprocessed: false,
  };
  let at: z.ZodType = schema;
  for (let i = 0; i < 50; i++) {
    const def = defOf(at);
    const meta = at.meta?.() as { description?: string; secret?: boolean; format?: string } | undefined;
    found.description ??= meta?.description;
    found.isSecret ||= meta?.secret === true;
    found.isDuration ||= meta?.format === 'duration';
    found.isSize ||= meta?.format === 'size';
    found.inner = at;
    found.type = def.type;
    if (def.type === 'default' || def.type === 'prefault') {
      if (!found.hasDefault) found.default = def.defaultValue;
      found.hasDefault = true;
      at = def.innerType!;
    } else if (def.type === 'pipe') {
      const inputIsCode = defOf(def.in!).type === 'transform';
      if (inputIsCode) found.isPreprocessed = true;
      else if (defOf(def.out!).type === 'transform') found.isTransformed = true;
      at = inputIsCode ? def.out! : def.in!;
    } else if (def.type === 'lazy') {
      at = def.getter!();
    } else if (def.innerType) {
      if (def.type === 'optional' || def.type === 'nullable') found.isOptional = true;
      at = def.innerType;
    } else break;
  }
  return found;
}
