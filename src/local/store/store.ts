/** The embedded log store: one SQLite file that keeps the newest rows. For looking at logs on one machine, not for keeping them. */
import { rmSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { StreamRows } from './decode.ts';
import { parseQuery } from './query.ts';

export interface LogStoreOptions {
  readonly path: string;
  readonly maxRows: number;
  readonly maxAgeMs: number;
}

export interface FoundRow {
  readonly id: number;
  readonly time: string;
  readonly severity: string;
  readonly message: string;
  readonly stream: Readonly<Record<string, string>>;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface Minute {
  readonly startMs: number;
  readonly severity: string;
  readonly count: number;
}

export interface StreamName {
  readonly namespace: string;
  readonly pod: string;
  readonly count: number;
}

export interface SearchOptions {
  readonly query: string;
  readonly limit: number;
  /** Only rows that came after this one. */
  readonly afterId?: number;
  readonly nowMs: number;
}

/** One page of results may weigh this much, whatever its limit says. */
const MAX_RESULT_BYTES = 8 << 20;
/** Old rows are taken away in steps, not one by one. */
const PRUNE_SHARE = 20;

interface SqlRow {
  readonly id: number;
  readonly time_us: number;
  readonly nanos: number;
  readonly severity: string;
  readonly msg: string;
  readonly attributes: string;
  readonly stream_attributes: string;
}

export class LogStore {
  readonly #db: DatabaseSync;
  readonly #options: LogStoreOptions;
  readonly #insert: StatementSync;
  readonly #streamIds = new Map<string, number>();
  #accepted = 0;
  #pruned = 0;
  #lastId = 0;

  /** Begins empty: what an earlier run left in `path` is removed. */
  constructor(options: LogStoreOptions) {
    this.#options = options;
    if (options.path !== ':memory:')
      for (const side of ['', '-wal', '-shm', '-journal']) rmSync(options.path + side, { force: true });
    this.#db = new DatabaseSync(options.path);
    this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA journal_size_limit = 16777216');
    this.#db.exec(`
      CREATE TABLE streams (id INTEGER PRIMARY KEY, attributes TEXT NOT NULL UNIQUE, namespace TEXT NOT NULL, pod TEXT NOT NULL, container TEXT NOT NULL);
      CREATE TABLE logs (id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, time_us INTEGER NOT NULL, nanos INTEGER NOT NULL, severity TEXT NOT NULL, msg TEXT NOT NULL, attributes TEXT NOT NULL);
      CREATE INDEX logs_time ON logs (time_us, severity);
    `);
    this.#insert = this.#db.prepare(
      'INSERT INTO logs (id, stream, time_us, nanos, severity, msg, attributes) VALUES (?, ?, ?, ?, ?, ?, ?)',
    );
  }

  /** Rows taken since the start, also those that are no longer kept. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Of the newest row; ids grow by one from 1. */
  get lastId(): number {
    return this.#lastId;
  }

  get kept(): number {
    return this.#accepted - this.#pruned;
  }

  insert(streams: readonly StreamRows[]): void {
    let count = 0;
    this.#db.exec('BEGIN');
    try {
      for (const s of streams) {
        if (s.rows.length === 0) continue;
        const id = this.#streamId(s);
        for (const r of s.rows)
          this.#insert.run(this.#lastId + ++count, id, r.timeUs, r.nanos, r.severity, r.message, r.attributes);
      }
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      // Ids of the transaction that was undone.
      this.#streamIds.clear();
      throw error;
    }
    this.#accepted += count;
    this.#lastId += count;
    if (this.kept > this.#options.maxRows)
      this.#prune('id', this.#lastId - Math.floor(this.#options.maxRows * (1 - 1 / PRUNE_SHARE)));
  }

  #streamId(s: StreamRows): number {
    const known = this.#streamIds.get(s.attributes);
    if (known !== undefined) return known;
    this.#db
      .prepare('INSERT OR IGNORE INTO streams (attributes, namespace, pod, container) VALUES (?, ?, ?, ?)')
      .run(s.attributes, s.namespace, s.pod, s.container);
    const { id } = this.#db.prepare('SELECT id FROM streams WHERE attributes = ?').get(s.attributes) as { id: number };
    if (this.#streamIds.size >= 10_000) this.#streamIds.clear();
    this.#streamIds.set(s.attributes, id);
    return id;
  }

  #prune(column: 'id' | 'time_us', upTo: number): void {
    const { changes } = this.#db.prepare(`DELETE FROM logs WHERE ${column} <= ?`).run(upTo);
    this.#pruned += Number(changes);
    if (changes === 0) return;
    this.#db.exec('DELETE FROM streams WHERE id NOT IN (SELECT DISTINCT stream FROM logs)');
    this.#streamIds.clear();
  }

  /** Takes away what is older than maxAgeMs; to be called now and then. */
  expire(nowMs: number): void {
    this.#prune('time_us', (nowMs - this.#options.maxAgeMs) * 1000);
  }

  /** Newest first; a QueryError for a query that cannot be read. */
  search({ query, limit, afterId, nowMs }: SearchOptions): FoundRow[] {
    const where = parseQuery(query, nowMs);
    const order = afterId === undefined ? 'l.time_us DESC, l.nanos DESC, l.id DESC' : 'l.id DESC';
    const rows = this.#db
      .prepare(
        `SELECT l.id, l.time_us, l.nanos, l.severity, l.msg, l.attributes, s.attributes AS stream_attributes
         FROM logs l JOIN streams s ON s.id = l.stream WHERE l.id > ? AND ${where.sql} ORDER BY ${order} LIMIT ?`,
      )
      .iterate(afterId ?? 0, ...where.params, limit);
    const found: FoundRow[] = [];
    let bytes = 0;
    for (const raw of rows) {
      const r = raw as unknown as SqlRow;
      bytes += r.msg.length + r.attributes.length;
      found.push({
        id: r.id,
        time: formatTime(r.time_us, r.nanos),
        severity: r.severity,
        message: r.msg,
        stream: JSON.parse(r.stream_attributes) as Record<string, string>,
        attributes: JSON.parse(r.attributes) as Record<string, string>,
      });
      if (bytes > MAX_RESULT_BYTES) break;
    }
    return found;
  }

  /** How many rows of each severity there are in each step of time. */
  histogram(query: string, stepMs: number, sinceMs: number, nowMs: number): Minute[] {
    const where = parseQuery(query, nowMs);
    const stepUs = stepMs * 1000;
    return this.#db
      .prepare(
        `SELECT l.time_us / CAST(? AS INTEGER) * CAST(? AS INTEGER) / 1000 AS startMs, l.severity AS severity, count(*) AS count
         FROM logs l WHERE l.time_us >= ? AND ${where.sql} GROUP BY 1, 2 ORDER BY 1`,
      )
      .all(stepUs, stepUs, sinceMs * 1000, ...where.params) as unknown as Minute[];
  }

  streams(): StreamName[] {
    return this.#db
      .prepare(
        `SELECT s.namespace, s.pod, sum(c.n) AS count FROM (SELECT stream, count(*) AS n FROM logs GROUP BY stream) c
         JOIN streams s ON s.id = c.stream GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 2000`,
      )
      .all() as unknown as StreamName[];
  }

  /** Rows that are there more than once (same stream, time and text): what a killed collector delivered again. */
  repeated(): number {
    const { n } = this.#db
      .prepare(
        // Events that are alike may be seen at one time, but each has a uid of its own.
        `SELECT coalesce(sum(c - 1), 0) AS n FROM (
          SELECT count(*) AS c FROM logs GROUP BY stream, time_us, nanos, msg,
            CASE WHEN instr(attributes, '"object.metadata.uid"') > 0 THEN attributes ->> '$."object.metadata.uid"' END
          HAVING c > 1)`,
      )
      .get() as { n: number };
    return n;
  }

  close(): void {
    this.#db.close();
  }
}

function formatTime(us: number, nanos: number): string {
  const ms = Math.floor(us / 1000);
  const fraction = String((us % 1_000_000) * 1000 + nanos).padStart(9, '0');
  return `${new Date(ms).toISOString().slice(0, 19)}.${fraction}Z`;
}
