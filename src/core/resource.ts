/** Resources and scopes: immutable, interned by content, kept with their encoded OTLP form. */
import {
  decodeResource,
  decodeScope,
  encodeResource,
  encodeScope,
  type ReadonlyValueMap,
  type ScopeFields,
} from '../wire/otlp.ts';

export interface Resource {
  /** Bytes of the Resource message, without tag and length. */
  readonly encoded: Uint8Array;
  /** schema_url of the ResourceLogs (ResourceSpans, ResourceMetrics) around it. */
  readonly schemaUrl: string;
  /** Decoded on first use; must not be changed. */
  readonly attributes: ReadonlyValueMap;
}

export interface Scope {
  /** Bytes of the InstrumentationScope message, without tag and length. */
  readonly encoded: Uint8Array;
  /** schema_url of the ScopeLogs (ScopeSpans, ScopeMetrics) around it. */
  readonly schemaUrl: string;
  /** Decoded on first use; must not be changed. */
  readonly fields: ScopeFields;
}

class InternedResource implements Resource {
  readonly encoded: Uint8Array;
  readonly schemaUrl: string;
  #attributes: ReadonlyValueMap | undefined;
  constructor(encoded: Uint8Array, schemaUrl: string, attributes?: ReadonlyValueMap) {
    this.encoded = encoded;
    this.schemaUrl = schemaUrl;
    this.#attributes = attributes;
  }
  get attributes(): ReadonlyValueMap {
    return (this.#attributes ??= decodeResource(this.encoded));
  }
}

/**
 * Not interned: whoever makes it uses the same object again for the same thing, and others may go by that. For sources
 * with very many resources, each of which is sent again and again: it keeps no decoded attributes, and not even a view
 * of its bytes, which takes more memory than the rest of it.
 */
export class HeldResource implements Resource {
  readonly schemaUrl: string;
  #buffer: ArrayBufferLike;
  #from: number;
  #length: number;
  constructor(encoded: Uint8Array, schemaUrl: string) {
    this.schemaUrl = schemaUrl;
    this.#buffer = encoded.buffer;
    this.#from = encoded.byteOffset;
    this.#length = encoded.length;
  }
  get encoded(): Uint8Array {
    return new Uint8Array(this.#buffer, this.#from, this.#length);
  }
  get attributes(): ReadonlyValueMap {
    return decodeResource(this.encoded);
  }
  /** The same bytes are now somewhere else. */
  move(encoded: Uint8Array): void {
    this.#buffer = encoded.buffer;
    this.#from = encoded.byteOffset;
    this.#length = encoded.length;
  }
}

class InternedScope implements Scope {
  readonly encoded: Uint8Array;
  readonly schemaUrl: string;
  #fields: ScopeFields | undefined;
  constructor(encoded: Uint8Array, schemaUrl: string) {
    this.encoded = encoded;
    this.schemaUrl = schemaUrl;
  }
  get fields(): ScopeFields {
    return (this.#fields ??= decodeScope(this.encoded));
  }
}

/** Weak by content: an entry goes when nothing else holds the object, so the tables stay as large as what is in use. */
class Interned<T extends object> {
  readonly #entries = new Map<string, WeakRef<T>>();
  readonly #gone = new FinalizationRegistry<string>((key) => {
    if (!this.#entries.get(key)?.deref()) this.#entries.delete(key);
  });
  get(key: string, make: () => T): T {
    const known = this.#entries.get(key)?.deref();
    if (known) return known;
    const made = make();
    this.#entries.set(key, new WeakRef(made));
    this.#gone.register(made, key);
    return made;
  }
}

const resources = new Interned<Resource>();
const scopes = new Interned<Scope>();

const keyOf = (encoded: Uint8Array, schemaUrl: string): string =>
  `${Buffer.from(encoded.buffer, encoded.byteOffset, encoded.length).toString('latin1')}\n${schemaUrl}`;

/** Buffer.slice would share the memory. */
const copyOf = (bytes: Uint8Array): Uint8Array => Uint8Array.prototype.slice.call(bytes);

/** Copies `encoded`, so that it may be a view of something short-lived. */
export const resourceFromBytes = (encoded: Uint8Array, schemaUrl = ''): Resource =>
  resources.get(keyOf(encoded, schemaUrl), () => new InternedResource(copyOf(encoded), schemaUrl));

export function resourceOf(attributes: ReadonlyValueMap, schemaUrl = ''): Resource {
  return resourceFromBytes(encodeResource(attributes), schemaUrl);
}

/** Copies `encoded`, so that it may be a view of something short-lived. */
export const scopeFromBytes = (encoded: Uint8Array, schemaUrl = ''): Scope =>
  scopes.get(keyOf(encoded, schemaUrl), () => new InternedScope(copyOf(encoded), schemaUrl));

export function scopeOf(name = '', version = '', attributes: ReadonlyValueMap = new Map(), schemaUrl = ''): Scope {
  return scopeFromBytes(encodeScope({ name, version, attributes }), schemaUrl);
}

export const EMPTY_RESOURCE: Resource = resourceOf(new Map());
export const EMPTY_SCOPE: Scope = scopeOf();
