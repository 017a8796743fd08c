/** `wal`: a store of the exporter's own for its queue, in a file in the configured folder. */
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { ComponentContext } from '../../../core/component.ts';
import { ConfigError, messageOf } from '../../../core/errors.ts';
import { BUSY, Store, sqliteCode } from '../../../core/sqlite-store.ts';
import type { StorageClient, StorageExtension } from '../../../core/storage.ts';

/** otelcol's folder below `directory`; its segments there are another format and are left alone. */
const FOLDER = 'prom_remotewrite';

/** What cannot stand in a file name. */
const fileName = (id: string): string => `${id.replaceAll(/[^A-Za-z0-9._-]/g, '~')}.db`;

export function walStorage(directory: string, ctx: ComponentContext): StorageExtension {
  return {
    client: async (_kind, id) => open(join(directory, FOLDER), fileName(id), ctx),
  };
}

function open(folder: string, name: string, ctx: ComponentContext): StorageClient {
  const path = join(folder, name);
  let db: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o750 });
    const isNew = !existsSync(path);
    db = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: false });
    if (isNew) chmodSync(path, 0o600);
    return new Store(path, db, {
      fsync: false,
      maxSizeBytes: 0,
      onDamage: (key) =>
        ctx.log.error('remote_write: a value in the wal is damaged and counts as absent', { path, key }),
    });
  } catch (error) {
    db?.close();
    const why = sqliteCode(error) === BUSY ? 'another collector uses it' : messageOf(error);
    throw new ConfigError(`wal: cannot use ${path}: ${why}`, { cause: error });
  }
}
