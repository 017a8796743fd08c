/** Opens a store: waits for its lock, takes over a store of otelcol, sets aside what cannot be used. */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ComponentContext } from '../../../core/component.ts';
import { messageOf } from '../../../core/errors.ts';
import { formatDuration } from '../../../core/schema.ts';
import {
  BUSY,
  CANNOT_OPEN,
  CORRUPT,
  FULL,
  isCutShort,
  NOT_A_DATABASE,
  OTHER_SCHEMA,
  READ_ONLY,
  Store,
  sqliteCode,
} from '../../../core/sqlite-store.ts';
import type { StorageOp } from '../../../core/storage.ts';
import { BboltError, bboltEntries, isBbolt } from './bbolt.ts';
import type { FileStorageConfig } from './index.ts';

const RETRY_MS = 50;
/** Above this, opening does not read the whole file to verify it: a big queue must not delay the start. */
const VERIFY_BYTES = 64 << 20;
const SQLITE_MAGIC = 'SQLite format 3\0';
/** In the header: a file of a higher write version than 2 (WAL) opens, and only its first write fails. */
const WRITE_VERSION_AT = 18;
/** Taken-over data goes on to disk in batches of this size. */
const TAKE_OVER_BYTES = 8 << 20;

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
  if (kind === 'bbolt') takeOver(path, config, ctx);
  else if (kind === 'unknown') setDamagedAside(path, 'it is no store', config, ctx);
  let store: Store | undefined;
  let damage: string | undefined;
  try {
    store = openSqlite(path, config, ctx);
    if (statSync(path).size <= VERIFY_BYTES && !store.verify()) damage = 'its content does not match its checksums';
  } catch (error) {
    const code = sqliteCode(error);
    if (code === BUSY) return undefined;
    if (code !== CORRUPT && code !== NOT_A_DATABASE && code !== OTHER_SCHEMA && !isCutShort(error))
      throw explained(path, error);
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
    if (head.toString('latin1', 0, 16) === SQLITE_MAGIC) return head[WRITE_VERSION_AT]! > 2 ? 'unknown' : 'sqlite';
    return isBbolt(head.subarray(0, n)) ? 'bbolt' : 'unknown';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'none';
    throw explained(path, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * Copies a store of otelcol into one of ours in its place, and keeps the original beside it. Killed at any moment, the
 * next start finds either the original or the whole copy.
 */
function takeOver(path: string, config: FileStorageConfig, ctx: ComponentContext): void {
  // No client's name has ~ before anything but hex digits.
  const copy = `${path}~copy`;
  for (const side of ['', '-wal', '-journal']) rmSync(copy + side, { force: true });
  const fd = openSync(path, 'r');
  let store: Store | undefined;
  let count = 0;
  try {
    store = openSqlite(copy, config, ctx);
    let ops: StorageOp[] = [];
    let bytes = 0;
    for (const [key, value] of bboltEntries(fd)) {
      ops.push({ op: 'set', key, value });
      count++;
      bytes += value.length;
      if (bytes < TAKE_OVER_BYTES) continue;
      store.batch(ops);
      ops = [];
      bytes = 0;
    }
    store.batch(ops);
    store.close();
  } catch (error) {
    store?.close();
    rmSync(copy, { force: true });
    if (!(error instanceof BboltError)) throw explained(path, error);
    setDamagedAside(path, `a store of otelcol: ${error.message}`, config, ctx);
    return;
  } finally {
    closeSync(fd);
  }
  const original = asideName(path, 'bbolt', ctx);
  try {
    linkSync(path, original);
  } catch {
    // A file system without hard links.
    copyFileSync(path, original, constants.COPYFILE_EXCL);
  }
  renameSync(copy, path);
  ctx.log.info('took over the store of a former otelcol', { path, entries: count, original });
}

const asideName = (path: string, suffix: string, ctx: ComponentContext): string =>
  `${path}.${new Date(ctx.clock.nowMs()).toISOString()}.${suffix}`;

/** Refuses when the configuration does not allow it. */
function setDamagedAside(path: string, why: string, config: FileStorageConfig, ctx: ComponentContext): void {
  if (!config.recreate)
    throw new Error(
      `${path} is damaged (${why}). Move it away, or set recreate: true to have it set aside; either way what it held (offsets, queued data) is not used`,
    );
  ctx.log.error('a store is damaged; it is kept aside and an empty one begun', {
    path,
    reason: why,
    kept_as: setAside(path, ctx),
  });
}

/** The journal goes first: left behind, it would be taken for the journal of the new file. */
function setAside(path: string, ctx: ComponentContext): string {
  const to = asideName(path, 'backup', ctx);
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
