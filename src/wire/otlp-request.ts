/**
 * The envelope that the three OTLP requests share: XxxRequest{1: ResourceXxx{1: resource, 2: ScopeXxx{1: scope,
 * 2: items, 3: schema_url}, 3: schema_url}}. Items pass through as bytes in both directions.
 */
import { ITEMS, type Message, RESOURCE_MESSAGE, SCOPE_MESSAGE, type SignalName } from './otlp-schema.ts';
import { validateMessage } from './otlp-validate.ts';
import { BYTES, decodeUtf8, encodeUtf8, ProtoError, ProtoReader, ProtoWriter, putVarint, varintSize } from './proto.ts';

export interface Owner {
  readonly encoded: Uint8Array;
  readonly schemaUrl: string;
}

export interface EnvelopeGroup {
  readonly resource: Owner;
  readonly scope: Owner;
  /** Items back to back, each with tag 0x12 and length. */
  readonly items: Uint8Array;
}

export interface DecodedGroup extends EnvelopeGroup {
  readonly messages: number;
  /** Records, spans or data points. */
  readonly count: number;
  /** There is no Metric without points: when all that counts is settled, all of it is. */
  readonly everyCounts: boolean;
}

/**
 * A group costs some hundred bytes of memory, and could be written in six: beyond so many, there may be one in 64 bytes
 * of the request. Resources of real senders are longer.
 */
const FREE_GROUPS = 10_000;
const BYTES_PER_GROUP = 64;

const ITEM_TAG = 0x12;
const NOTHING = new Uint8Array(0);

/** Walks a request to its groups, checking every byte; all results are views of `body` wherever that is possible. */
export function decodeRequest(signal: SignalName, body: Uint8Array): DecodedGroup[] {
  const groups: DecodedGroup[] = [];
  const r = new ProtoReader(body);
  while (r.next()) {
    if (r.field === 1) resourceItems(signal, message(r), groups);
    else r.skip();
    boundGroups(groups.length, body.length);
  }
  return groups;
}

function boundGroups(count: number, sizeBytes: number): void {
  if (count > FREE_GROUPS && count * BYTES_PER_GROUP > sizeBytes)
    throw new ProtoError(`proto: ${count} resources and scopes in ${sizeBytes} bytes are too many`);
}

const expectBytes = (r: ProtoReader): void => {
  if (r.wire !== BYTES) throw new ProtoError(`proto: wrong wireType = ${r.wire} for field ${r.field}`);
};

function message(r: ProtoReader): ProtoReader {
  expectBytes(r);
  return r.message();
}

/** Nobody writes a message in more pieces. */
const MAX_PIECES = 100;

/** Several occurrences of one message field count as one message, so their bytes are put together. */
class Pieces {
  readonly #what: Message;
  #encoded: Uint8Array = NOTHING;
  #count = 0;

  constructor(what: Message) {
    this.#what = what;
  }

  add(r: ProtoReader): void {
    expectBytes(r);
    const piece = r.bytes();
    validateMessage(this.#what, piece, 0, piece.length);
    if (piece.length === 0) return;
    if (++this.#count > MAX_PIECES) throw new ProtoError(`proto: ${this.#what.name}: too many pieces`);
    this.#encoded = this.#count === 1 ? piece : Buffer.concat([this.#encoded, piece]);
  }

  get encoded(): Uint8Array {
    return this.#encoded;
  }
}

function text(r: ProtoReader): string {
  expectBytes(r);
  return decodeUtf8(r.bytes());
}

function resourceItems(signal: SignalName, r: ProtoReader, into: DecodedGroup[]): void {
  const pieces = new Pieces(RESOURCE_MESSAGE);
  let schemaUrl = '';
  const scopes: ProtoReader[] = [];
  while (r.next()) {
    if (r.field === 1) pieces.add(r);
    else if (r.field === 2) {
      scopes.push(message(r));
      boundGroups(scopes.length, r.buf.length);
    } else if (r.field === 3) schemaUrl = text(r);
    else r.skip();
  }
  const resource: Owner = { encoded: pieces.encoded, schemaUrl };
  for (const s of scopes) {
    const group = scopeItems(signal, resource, s);
    if (group.messages > 0) into.push(group);
  }
}

function scopeItems(signal: SignalName, resource: Owner, r: ProtoReader): DecodedGroup {
  const owner = new Pieces(SCOPE_MESSAGE);
  let schemaUrl = '';
  let messages = 0;
  let points = 0;
  let pointless = 0;
  let start = -1;
  let end = -1;
  /** Used when the items do not stand together, or not in their shortest form. */
  let rewritten: ProtoWriter | undefined;
  const item = ITEMS[signal];
  for (let fieldStart = r.pos; r.next(); fieldStart = r.pos) {
    if (r.field === 2) {
      expectBytes(r);
      const size = r.varint();
      if (size > r.end - r.pos) throw new ProtoError('unexpected EOF');
      const from = r.pos;
      const to = from + size;
      const found = validateMessage(item, r.buf, from, to);
      points += found;
      if (found === 0) pointless++;
      r.pos = to;
      messages++;
      const plain = r.buf[fieldStart] === ITEM_TAG && from - fieldStart === 1 + varintSize(size);
      if (rewritten) rewritten.bytes(2, r.buf.subarray(from, to));
      else if (start < 0 && plain) [start, end] = [fieldStart, to];
      else if (fieldStart === end && plain) end = to;
      else {
        rewritten = new ProtoWriter();
        if (start >= 0) rewritten.raw(r.buf.subarray(start, end));
        rewritten.bytes(2, r.buf.subarray(from, to));
      }
    } else if (r.field === 1) owner.add(r);
    else if (r.field === 3) schemaUrl = text(r);
    else r.skip();
  }
  const items = rewritten ? rewritten.buf.subarray(0, rewritten.pos) : start < 0 ? NOTHING : r.buf.subarray(start, end);
  return {
    resource,
    scope: { encoded: owner.encoded, schemaUrl },
    items,
    messages,
    count: signal === 'metrics' ? points : messages,
    everyCounts: signal !== 'metrics' || pointless === 0,
  };
}

/** Bytes of a length-delimited field with a one-byte tag. */
const fieldSize = (length: number): number => 1 + varintSize(length) + length;

interface ScopeRun {
  readonly scope: Owner;
  readonly items: Uint8Array[];
  readonly schemaUrl: Uint8Array;
  size: number;
}

interface ResourceRun {
  readonly resource: Owner;
  readonly scopes: ScopeRun[];
  readonly schemaUrl: Uint8Array;
  size: number;
}

/** A request whose size is known and that is yet to be written. */
export interface RequestPlan {
  readonly resources: readonly ResourceRun[];
  readonly sizeBytes: number;
}

const urlBytes = (url: string): Uint8Array => (url === '' ? NOTHING : encodeUtf8(url));
const urlSize = (url: Uint8Array): number => (url.length === 0 ? 0 : fieldSize(url.length));

/** Groups that follow each other and share resource (and scope), being the same objects, come under one envelope. */
export function planRequest(groups: readonly EnvelopeGroup[]): RequestPlan {
  const resources: ResourceRun[] = [];
  let run: ResourceRun | undefined;
  let scope: ScopeRun | undefined;
  for (const g of groups) {
    if (run?.resource !== g.resource) {
      run = { resource: g.resource, scopes: [], schemaUrl: urlBytes(g.resource.schemaUrl), size: 0 };
      scope = undefined;
      resources.push(run);
    }
    if (scope?.scope !== g.scope) {
      scope = {
        scope: g.scope,
        items: [],
        schemaUrl: urlBytes(g.scope.schemaUrl),
        size: fieldSize(g.scope.encoded.length),
      };
      scope.size += urlSize(scope.schemaUrl);
      run.scopes.push(scope);
    }
    scope.items.push(g.items);
    scope.size += g.items.length;
  }
  let sizeBytes = 0;
  for (const r of resources) {
    r.size = fieldSize(r.resource.encoded.length) + urlSize(r.schemaUrl);
    for (const s of r.scopes) r.size += fieldSize(s.size);
    sizeBytes += fieldSize(r.size);
  }
  return { resources, sizeBytes };
}

function putField(out: Uint8Array, at: number, tag: number, data: Uint8Array): number {
  out[at] = tag;
  const from = putVarint(out, at + 1, data.length);
  out.set(data, from);
  return from + data.length;
}

/** Writes the request at the beginning of `out`, which must have room for plan.sizeBytes; returns its end. */
export function writeRequest(plan: RequestPlan, out: Uint8Array): number {
  let at = 0;
  for (const r of plan.resources) {
    out[at] = 0x0a;
    at = putVarint(out, at + 1, r.size);
    at = putField(out, at, 0x0a, r.resource.encoded);
    for (const s of r.scopes) {
      out[at] = 0x12;
      at = putVarint(out, at + 1, s.size);
      at = putField(out, at, 0x0a, s.scope.encoded);
      for (const items of s.items) {
        out.set(items, at);
        at += items.length;
      }
      if (s.schemaUrl.length) at = putField(out, at, 0x1a, s.schemaUrl);
    }
    if (r.schemaUrl.length) at = putField(out, at, 0x1a, r.schemaUrl);
  }
  return at;
}

export function encodeRequest(groups: readonly EnvelopeGroup[]): Buffer {
  const plan = planRequest(groups);
  const out = Buffer.allocUnsafeSlow(plan.sizeBytes);
  writeRequest(plan, out);
  return out;
}
