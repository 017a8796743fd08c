/**
 * One store: a table of keys and values in an SQLite file.
 *
 * What survives what: a write is in the operating system's page cache when set, delete or batch returns, so every kind
 * of death of this process, kill -9 included, loses nothing that returned. Against power cuts: with `fsync: true`
 * (synchronous=FULL) the journal is synced in every write before it returns. Without it (synchronous=NORMAL) the
 * journal is synced only before a checkpoint copies it into the file, and the file before the journal is reused: a
 * power cut takes the file back to an earlier state, complete writes only, but cannot damage it.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { StorageFullError, type StorageOp } from './storage.ts';

/** SQLite's primary result codes that are told apart here. */
/** SQLITE_ERROR: our own statements do not fit the file's schema. */
export const OTHER_SCHEMA = 1;
export const BUSY = 5;
export const READ_ONLY = 8;
export const CORRUPT = 11;
export const FULL = 13;
export const CANNOT_OPEN = 14;
export const NOT_A_DATABASE = 26;

export const sqliteCode = (error: unknown): number => ((error as { errcode?: number }).errcode ?? 0) & 0xff;
/** The file ends before its own page count says: SQLite calls that an I/O error (SQLITE_IOERR_SHORT_READ). */
export const isCutShort = (error: unknown): boolean => (error as { errcode?: number }).errcode === 522;

// perf: 16 KiB pages cost 4 ms for a 2 MiB value in and out where 4 KiB pages cost 8, docs/decisions/003-file-storage.md
const PAGE_BYTES = 16_384;
const JOURNAL_BYTES = 16 << 20;

export interface StoreOptions {
  readonly fsync: boolean;
  /** 0: no limit. */
  readonly maxSizeBytes: number;
  /** Told once per damaged value that a read meets; the value counts as absent. */
  readonly onDamage: (key: string) => void;
}

interface Row {
  readonly k: string;
  readonly v: Uint8Array;
  readonly crc: number;
}

export class Store {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #onDamage: (key: string) => void;
  readonly #get: StatementSync;
  readonly #set: StatementSync;
  readonly #delete: StatementSync;
  #open = true;
  /** The last write found no space. */
  #isFull = false;

  /** Takes over `db`, which nobody has used yet. Throws what SQLite throws: busy, corrupt, full, read-only. */
  constructor(path: string, db: DatabaseSync, options: StoreOptions) {
    this.#path = path;
    this.#db = db;
    this.#onDamage = options.onDamage;
    // Exclusive mode holds the kernel's lock from the first read until the end and needs no shared memory file.
    db.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL`);
    db.exec(`PRAGMA synchronous = ${options.fsync ? 'FULL' : 'NORMAL'}; PRAGMA cache_size = -512`);
    db.exec(`PRAGMA wal_autocheckpoint = ${JOURNAL_BYTES / PAGE_BYTES}; PRAGMA journal_size_limit = ${JOURNAL_BYTES}`);
    // Room for the schema and one value, or nothing could ever be written.
    if (options.maxSizeBytes > 0)
      db.exec(`PRAGMA max_page_count = ${Math.max(4, Math.floor(options.maxSizeBytes / PAGE_BYTES))}`);
    db.exec(
      'BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS kv (k TEXT PRIMARY KEY, v BLOB NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID; COMMIT',
    );
    this.#get = db.prepare('SELECT k, v, crc FROM kv WHERE k = ?');
    this.#set = db.prepare(
      'INSERT INTO kv (k, v, crc) VALUES (?, ?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v, crc = excluded.crc',
    );
    this.#delete = db.prepare('DELETE FROM kv WHERE k = ?');
  }

  get(key: string): Uint8Array | undefined {
    this.#check();
    const row = this.#get.get(key) as Row | undefined;
    if (row === undefined || intact(row)) return row?.v;
    this.#onDamage(key);
    return undefined;
  }

  set(key: string, value: Uint8Array): void {
    this.#write(() => this.#set.run(key, value, checksum(key, value)));
  }

  delete(key: string): void {
    this.#write(() => this.#delete.run(key));
  }

  batch(ops: readonly StorageOp[]): void {
    this.#write(() => {
      this.#db.exec('BEGIN IMMEDIATE');
      try {
        for (const o of ops) {
          if (o.op === 'set') this.#set.run(o.key, o.value, checksum(o.key, o.value));
          else this.#delete.run(o.key);
        }
        this.#db.exec('COMMIT');
      } catch (error) {
        // SQLite may have rolled back by itself (disk full); a second rollback would hide the cause.
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
        throw error;
      }
    });
  }

  /** The keys are taken first, so `visit` may write. */
  walk(visit: (key: string, value: Uint8Array) => boolean | undefined): void {
    this.#check();
    const keys = this.#db.prepare('SELECT k FROM kv ORDER BY k').all() as unknown as Row[];
    for (const { k } of keys) {
      const value = this.get(k);
      if (value !== undefined && visit(k, value) === false) return;
    }
  }

  /** Whether every page and every value is as it was written. Reads the whole file. */
  verify(): boolean {
    const answer = this.#db.prepare('PRAGMA quick_check(1)').get() as { quick_check?: string };
    if (answer.quick_check !== 'ok') return false;
    for (const row of this.#db.prepare('SELECT k, v, crc FROM kv').iterate())
      if (!intact(row as unknown as Row)) return false;
    return true;
  }

  size(): { totalBytes: number; liveBytes: number } {
    this.#check();
    const pragma = (name: string) => Number(Object.values(this.#db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
    const pages = pragma('page_count');
    return { totalBytes: pages * PAGE_BYTES, liveBytes: (pages - pragma('freelist_count')) * PAGE_BYTES };
  }

  /** Writes the live pages anew and gives the rest back to the file system; safe to be killed at any moment. */
  compact(): void {
    this.#write(() => this.#db.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)'));
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#db.close();
  }

  #check(): void {
    if (!this.#open) throw new Error(`${this.#path}: the storage client is closed`);
  }

  #write(work: () => void): void {
    this.#check();
    try {
      work();
    } catch (error) {
      if (sqliteCode(error) !== FULL) throw error;
      if (this.#isFull || !this.#workInUsedSpace(work)) {
        this.#isFull = true;
        throw new StorageFullError(`not enough space: ${this.#path} is at max_size, or the disk is full`, {
          cause: error,
        });
      }
    }
    this.#isFull = false;
  }

  /**
   * On a full disk the journal cannot grow. Copied into the file it begins anew in the space that it has, so that keys
   * which only change (offsets) can still be written.
   */
  #workInUsedSpace(work: () => void): boolean {
    try {
      this.#db.exec('PRAGMA wal_checkpoint(RESTART)');
      work();
      return true;
    } catch (error) {
      if (sqliteCode(error) !== FULL) throw error;
      return false;
    }
  }
}

/** Signed, so that SQLite keeps nearly all in four bytes and a value of the same length overwrites its place. */
const checksum = (key: string, value: Uint8Array): number => crc32(value, crc32(key)) | 0;

const intact = (row: Row): boolean => row.v instanceof Uint8Array && checksum(row.k, row.v) === row.crc;
