/** Opens a store: waits for its lock, tells apart what stands in its place, sets aside what cannot be used. */
import { closeSync, existsSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ComponentContext } from '../../../core/component.ts';
import { messageOf } from '../../../core/errors.ts';
import { formatDuration } from '../../../core/schema.ts';
import type { FileStorageConfig } from './index.ts';
import { BUSY, CANNOT_OPEN, CORRUPT, FULL, isCutShort, NOT_A_DATABASE, READ_ONLY, Store, sqliteCode } from './store.ts';

const RETRY_MS = 50;
/** Above this, opening does not read the whole file to verify it: a big queue must not delay the start. */
const VERIFY_BYTES = 64 << 20;
const SQLITE_MAGIC = 'SQLite format 3\0';
/** Little-endian, behind the 16 bytes of the first page's header. */
const BBOLT_MAGIC = 0xed0cdaed;

export async function openStore(
  path: string,
  held: Set<string>,
  config: FileStorageConfig,
  ctx: ComponentContext,
): Promise<Store> {
  const until = ctx.clock.monotonicMs() + config.timeout;
  for (;;) {
    const store = tryOpen(path, held, config, ctx);
    if (store) return store;
    if (config.timeout > 0 && ctx.clock.monotonicMs() >= until)
      throw new Error(
        `${path} is in use: timeout after ${formatDuration(config.timeout)}. Does another collector, or another extension here, use the same directory?`,
      );
    await sleep(RETRY_MS);
  }
}

/** undefined: somebody else holds it. */
function tryOpen(path: string, held: Set<string>, config: FileStorageConfig, ctx: ComponentContext): Store | undefined {
  if (held.has(path)) return undefined;
  const kind = kindOf(path);
  if (kind === 'bbolt') {
    ctx.log.warn(
      'a store of otelcol lies in this place; it is kept aside and an empty one begun. Offsets and queued data in it are not taken over',
      {
        path,
        kept_as: setAside(path, 'bbolt', ctx),
      },
    );
  } else if (kind === 'unknown') setDamagedAside(path, 'it is no store', config, ctx);
  let store: Store | undefined;
  let damage: string | undefined;
  try {
    store = openSqlite(path, config, ctx);
    if (statSync(path).size <= VERIFY_BYTES && !store.verify()) damage = 'its content does not match its checksums';
  } catch (error) {
    const code = sqliteCode(error);
    if (code === BUSY) return undefined;
    if (code !== CORRUPT && code !== NOT_A_DATABASE && !isCutShort(error)) throw explained(path, error);
    damage = messageOf(error);
  }
  if (store === undefined || damage !== undefined) {
    store?.close();
    setDamagedAside(path, damage ?? '', config, ctx);
    store = openSqlite(path, config, ctx);
  }
  held.add(path);
  if (config.compaction.on_start) compactAtStart(path, store, ctx);
  return store;
}

function openSqlite(path: string, config: FileStorageConfig, ctx: ComponentContext): Store {
  // SQLite would make the file readable for all.
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
  const db = new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: false });
  try {
    return new Store(path, db, {
      fsync: config.fsync,
      maxSizeBytes: config.max_size,
      onDamage: (key) => ctx.log.error('a stored value is damaged and counts as absent', { path, key }),
    });
  } catch (error) {
    db.close();
    throw error;
  }
}

function compactAtStart(path: string, store: Store, ctx: ComponentContext): void {
  try {
    store.compact();
  } catch (error) {
    ctx.log.warn('compaction failure', { path, error: messageOf(error) });
  }
}

function kindOf(path: string): 'none' | 'sqlite' | 'bbolt' | 'unknown' {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    const head = Buffer.alloc(20);
    const n = readSync(fd, head, 0, 20, 0);
    if (n === 0) return 'none';
    if (head.toString('latin1', 0, 16) === SQLITE_MAGIC) return 'sqlite';
    return n === 20 && head.readUInt32LE(16) === BBOLT_MAGIC ? 'bbolt' : 'unknown';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'none';
    throw explained(path, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Refuses when the configuration does not allow it. */
function setDamagedAside(path: string, why: string, config: FileStorageConfig, ctx: ComponentContext): void {
  if (!config.recreate)
    throw new Error(
      `${path} is damaged (${why}). Move it away, or set recreate: true to have it set aside; either way what it held (offsets, queued data) is not used`,
    );
  ctx.log.error('a store is damaged; it is kept aside and an empty one begun', {
    path,
    reason: why,
    kept_as: setAside(path, 'backup', ctx),
  });
}

/** The journal goes first: left behind, it would be taken for the journal of the new file. */
function setAside(path: string, suffix: string, ctx: ComponentContext): string {
  const to = `${path}.${new Date(ctx.clock.nowMs()).toISOString()}.${suffix}`;
  for (const side of ['-wal', '-shm', '-journal', '']) if (existsSync(path + side)) renameSync(path + side, to + side);
  return to;
}

function explained(path: string, error: unknown): Error {
  const code = sqliteCode(error);
  const why =
    code === FULL
      ? 'the disk is full'
      : code === READ_ONLY || code === CANNOT_OPEN
        ? 'the directory or the file cannot be written'
        : messageOf(error);
  return new Error(`could not open ${path}: ${why}`, { cause: error });
}
