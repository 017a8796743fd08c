/**
 * Stored offsets. The list under `file_input.knownFiles` is upstream's protobuf list with our own fields at high
 * numbers, so a former collector's value can be read. Between two saves of the whole list only files that changed are
 * written, one key each, and loading puts both together.
 */
import type { StorageClient, StorageOp } from '../../../core/storage.ts';
import { ProtoReader, ProtoWriter } from '../../../wire/proto.ts';
import type { FileIdentity } from './file.ts';

/** What is remembered of a file that is not open. */
export interface KnownFile {
  readonly id: number;
  /** Undefined when a former collector wrote it. */
  readonly identity: FileIdentity | undefined;
  readonly path: string;
  readonly fingerprint: Buffer;
  readonly tail: Buffer;
  readonly offset: number;
  readonly recordNumber: number;
  readonly sizeBytes: number;
  readonly headerDone: boolean;
  /** JSON object. */
  readonly headerAttributes: string;
  readonly skipping: boolean;
  readonly packed: boolean;
  readonly packedEndSize: number;
  /** Its content was truncated away: only a copy has it, whatever the inode holds by now. */
  readonly replaced: boolean;
}

const OWN = {
  device: 101,
  inode: 102,
  born: 103,
  tail: 104,
  path: 105,
  size: 106,
  id: 107,
  skipping: 108,
  packedEnd: 109,
  unpacked: 110,
  replaced: 111,
};
/** A stored number that is absent in a change: keep the fingerprint of the list. */
type Change = Omit<KnownFile, 'fingerprint'> & { readonly fingerprint: Buffer | undefined };

function writeFile(w: ProtoWriter, f: Change): void {
  const int = (field: number, n: number): void => {
    if (n === 0) return;
    w.tag(field, 0);
    if (n < 0 || n > 2 ** 31) w.varint64(BigInt(Math.trunc(n)));
    else w.varint(n);
  };
  if (f.fingerprint) {
    const at = w.open(1);
    w.bytes(1, f.fingerprint);
    w.close(at);
  }
  // A packed file that was read whole counts by its packed size upstream.
  int(2, f.packed && f.packedEndSize >= 0 ? f.packedEndSize : f.offset);
  int(3, f.recordNumber);
  w.string(4, f.headerAttributes);
  int(5, f.headerDone ? 1 : 0);
  if (f.packed) {
    w.string(8, '.gz');
    int(OWN.packedEnd, f.packedEndSize + 1);
    int(OWN.unpacked, f.offset);
  }
  if (f.identity) {
    int(OWN.device, f.identity.device);
    int(OWN.inode, f.identity.inode);
    int(OWN.born, f.identity.bornMs);
  }
  w.bytes(OWN.tail, f.tail);
  w.string(OWN.path, f.path);
  int(OWN.size, f.sizeBytes);
  int(OWN.id, f.id);
  int(OWN.skipping, f.skipping ? 1 : 0);
  int(OWN.replaced, f.replaced ? 1 : 0);
}

function readFile(r: ProtoReader): Change {
  let fingerprint: Buffer | undefined;
  let device = 0;
  let inode = 0;
  let bornMs = 0;
  let stored = 0;
  let unpacked = -1;
  let type = '';
  const f = {
    id: 0,
    path: '',
    tail: Buffer.alloc(0) as Buffer,
    recordNumber: 0,
    sizeBytes: 0,
    headerDone: false,
    headerAttributes: '{}',
    skipping: false,
    packedEndSize: -1,
    replaced: false,
  };
  while (r.next()) {
    switch (r.field) {
      case 1: {
        const m = r.message();
        fingerprint = Buffer.alloc(0);
        while (m.next()) {
          if (m.field === 1) fingerprint = Buffer.from(m.bytes());
          else m.skip();
        }
        break;
      }
      case 2:
        stored = r.varint();
        break;
      case 3:
        f.recordNumber = r.varint();
        break;
      case 4:
        f.headerAttributes = r.string() || '{}';
        break;
      case 5:
        f.headerDone = r.varint() !== 0;
        break;
      case 8:
        type = r.string();
        break;
      case OWN.device:
        device = r.varint();
        break;
      case OWN.inode:
        inode = r.varint();
        break;
      case OWN.born:
        bornMs = r.varint();
        break;
      case OWN.tail:
        f.tail = Buffer.from(r.bytes());
        break;
      case OWN.path:
        f.path = r.string();
        break;
      case OWN.size:
        f.sizeBytes = r.varint();
        break;
      case OWN.id:
        f.id = r.varint();
        break;
      case OWN.skipping:
        f.skipping = r.varint() !== 0;
        break;
      case OWN.replaced:
        f.replaced = r.varint() !== 0;
        break;
      case OWN.packedEnd:
        f.packedEndSize = r.varint() - 1;
        break;
      case OWN.unpacked:
        unpacked = r.varint();
        break;
      default:
        r.skip();
    }
  }
  const packed = type === '.gz';
  return {
    ...f,
    identity: inode !== 0 ? { device, inode, bornMs } : undefined,
    fingerprint,
    packed,
    offset: packed && unpacked >= 0 ? unpacked : packed && inode !== 0 ? 0 : stored,
    packedEndSize: packed && inode === 0 ? stored : f.packedEndSize,
  };
}

export function encodeList(files: Iterable<KnownFile>): Uint8Array {
  const w = new ProtoWriter(4096);
  for (const f of files) {
    const at = w.open(1);
    writeFile(w, f);
    w.close(at);
  }
  return w.finish();
}

function encodeChange(change: Change): Uint8Array {
  const w = new ProtoWriter(512);
  writeFile(w, change);
  return w.finish();
}

/** Throws when the bytes are neither form. */
export function decodeList(value: Uint8Array): KnownFile[] {
  if (value.length === 0) return [];
  // The former form starts with a decimal count.
  if (value[0]! >= 0x30 && value[0]! <= 0x39) return decodeJson(Buffer.from(value).toString('utf8'));
  const out: KnownFile[] = [];
  const r = new ProtoReader(value);
  while (r.next()) {
    if (r.field === 1) {
      const f = readFile(r.message());
      if (f.fingerprint) out.push(f as KnownFile);
    } else r.skip();
  }
  return out;
}

interface FormerFile {
  Fingerprint?: { first_bytes?: string };
  Offset?: number;
  RecordNum?: number;
  FileAttributes?: Record<string, unknown>;
  HeaderFinalized?: boolean;
  FileType?: string;
}

function decodeJson(text: string): KnownFile[] {
  const [, ...lines] = text.split('\n').filter((l) => l.trim() !== '');
  return lines.map((line) => {
    const f = JSON.parse(line) as FormerFile;
    const packed = f.FileType === '.gz';
    return {
      id: 0,
      identity: undefined,
      path: '',
      fingerprint: Buffer.from(f.Fingerprint?.first_bytes ?? '', 'base64'),
      tail: Buffer.alloc(0),
      offset: packed ? 0 : (f.Offset ?? 0),
      recordNumber: f.RecordNum ?? 0,
      sizeBytes: 0,
      headerDone: f.HeaderFinalized ?? false,
      headerAttributes: JSON.stringify(f.FileAttributes ?? {}),
      skipping: false,
      packed,
      packedEndSize: packed ? (f.Offset ?? 0) : -1,
      replaced: false,
    };
  });
}

export class CheckpointStore {
  readonly #client: StorageClient;
  readonly #key: string;
  readonly #changeKeys = new Set<string>();
  #fullSaved = false;

  constructor(client: StorageClient, inputId: string) {
    this.#client = client;
    this.#key = `${inputId}.knownFiles`;
  }

  get #prefix(): string {
    return `${this.#key}.change.`;
  }

  /** Calls `damaged` for what cannot be read; the rest is returned. */
  load(damaged: (error: unknown) => void): KnownFile[] {
    const byId = new Map<number, KnownFile>();
    const without: KnownFile[] = [];
    const add = (f: KnownFile): void => {
      if (f.id === 0) without.push(f);
      else byId.set(f.id, f);
    };
    const value = this.#client.get(this.#key);
    if (value) {
      try {
        decodeList(value).forEach(add);
      } catch (error) {
        damaged(error);
      }
    }
    this.#client.walk((key, change) => {
      if (!key.startsWith(this.#prefix)) return true;
      this.#changeKeys.add(key);
      if (change.length === 0) {
        byId.delete(Number(key.slice(this.#prefix.length)));
        return true;
      }
      try {
        const f = readFile(new ProtoReader(change));
        const fingerprint = f.fingerprint ?? byId.get(f.id)?.fingerprint;
        if (fingerprint) add({ ...f, fingerprint });
      } catch (error) {
        damaged(error);
      }
      return true;
    });
    return [...without, ...byId.values()];
  }

  /** Writes the list anew. */
  saveAll(files: Iterable<KnownFile>): void {
    const ops: StorageOp[] = [{ op: 'set', key: this.#key, value: encodeList(files) }];
    for (const key of this.#changeKeys) ops.push({ op: 'delete', key });
    this.#client.batch(ops);
    this.#changeKeys.clear();
    this.#fullSaved = true;
  }

  /** Writes changed files (`fingerprint` undefined when it is stored already) and forgets others. */
  saveChanges(changes: readonly Change[], forgotten: Iterable<number>): void {
    const ops: StorageOp[] = changes.map((c) => ({ op: 'set', key: this.#prefix + c.id, value: encodeChange(c) }));
    // An empty value takes the file out of the list, which is not written anew for it.
    for (const id of forgotten) ops.push({ op: 'set', key: this.#prefix + id, value: new Uint8Array(0) });
    if (ops.length === 0) return;
    this.#client.batch(ops);
    for (const o of ops) this.#changeKeys.add(o.key);
  }

  get hasList(): boolean {
    return this.#fullSaved;
  }

  get changes(): number {
    return this.#changeKeys.size;
  }

  close(): void {
    this.#client.close();
  }
}
