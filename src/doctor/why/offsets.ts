/** Stored offsets of file_log, read from a copy of its store: the collector that runs holds the file itself. */
import { closeSync, copyFileSync, existsSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { bboltEntries, isBbolt } from '../../components/extensions/file_storage/bbolt.ts';
import { fileName } from '../../components/extensions/file_storage/directory.ts';
import { CheckpointStore, type KnownFile } from '../../components/receivers/file_log/checkpoint.ts';
import type { StorageClient } from '../../core/storage.ts';
import type { ConfiguredComponent, DoctorConfig } from '../context.ts';
import { fieldsOf, textOf } from '../objects.ts';

export type Offsets = { readonly known: readonly KnownFile[]; readonly path: string } | { readonly problem: string };

/** Where the store of a receiver lies; a text says why it has none. */
export function storePath(config: DoctorConfig, receiver: ConfiguredComponent): { path: string } | { problem: string } {
  const storage = textOf(fieldsOf(receiver.value)['storage']);
  if (storage === '') return { problem: `${receiver.id} has no storage: where it stands is in its memory only` };
  const extension = config.extensions.get(storage);
  if (extension?.entry.id !== 'file_storage') return { problem: `${storage} is no file_storage` };
  const directory = textOf(fieldsOf(extension.value)['directory']) || '/var/lib/otelcol/file_storage';
  // As the receiver names itself towards a store.
  const id = receiver.id.replace(/^file_log(?=\/|$)/, 'filelog');
  return { path: join(directory, fileName('receiver', id, '')) };
}

export function readOffsets(config: DoctorConfig, receiver: ConfiguredComponent): Offsets {
  const where = storePath(config, receiver);
  if ('problem' in where) return where;
  const { path } = where;
  if (!existsSync(path)) return { problem: `${path} is not here` };
  let last: unknown;
  for (const parent of [tmpdir(), '/dev/shm', dirname(dirname(path))]) {
    let folder: string;
    try {
      folder = mkdtempSync(join(parent, 'sluice-why-'));
    } catch (e) {
      last = e;
      continue;
    }
    try {
      return { path, known: knownIn(path, folder, textOf(fieldsOf(receiver.value)['id']) || 'file_input') };
    } catch (e) {
      last = e;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return { problem: `${path} cannot be read: ${(last as Error).message}` };
}

function knownIn(path: string, folder: string, inputId: string): KnownFile[] {
  const copy = join(folder, 'copy');
  // The journal first: pages that are copied into the file meanwhile are then in both.
  if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`);
  copyFileSync(path, copy);
  return new CheckpointStore(clientOf(entriesOf(copy)), inputId).load(() => {});
}

function entriesOf(path: string): Map<string, Uint8Array> {
  const fd = openSync(path, 'r');
  try {
    const head = Buffer.alloc(20);
    if (isBbolt(head.subarray(0, readSync(fd, head, 0, 20, 0)))) return new Map(bboltEntries(fd));
  } finally {
    closeSync(fd);
  }
  const db = new DatabaseSync(path);
  try {
    const rows = db.prepare('SELECT k, v FROM kv ORDER BY k').all() as { k: string; v: Uint8Array }[];
    return new Map(rows.map((r) => [r.k, r.v]));
  } finally {
    db.close();
  }
}

const clientOf = (entries: ReadonlyMap<string, Uint8Array>): StorageClient => ({
  get: (key) => entries.get(key),
  set() {},
  delete() {},
  batch() {},
  walk(visit) {
    for (const [k, v] of entries) if (visit(k, v) === false) return;
  },
  close() {},
});
