/** The embedded metric store: one SQLite file with the newest samples. For looking at one machine, not for keeping them. */
import { rmSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Label } from '../../wire/remote-write.ts';
import { RemoteWriteError, type Sample, type Series } from './remote-write.ts';

export interface MetricStoreOptions {
  readonly path: string;
  readonly maxSamples: number;
  readonly maxSeries: number;
  readonly maxAgeMs: number;
}

export interface KnownSeries {
  readonly id: number;
  readonly labels: readonly Label[];
}

/** More different series than the store keeps at a time. */
export class TooManySeriesError extends Error {}

/** Clocks differ; what is further ahead would never become old. */
const MAX_AHEAD_MS = 10 * 60_000;
/** Samples are counted, and taken away, by pieces of time so long. */
const SPAN_MS = 10_000;
const PRUNE_SHARE = 20;
const MAX_CACHED_IDS = 20_000;

export class MetricStore {
  readonly #db: DatabaseSync;
  readonly #options: MetricStoreOptions;
  readonly #insert: StatementSync;
  readonly #overwrite: StatementSync;
  readonly #read: StatementSync;
  readonly #ids = new Map<string, number>();
  /** Samples kept in each span of time. */
  readonly #spans = new Map<number, number>();
  #accepted = 0;
  #repeated = 0;
  #kept = 0;
  #series = 0;

  /** Begins empty: what an earlier run left in `path` is removed. */
  constructor(options: MetricStoreOptions) {
    this.#options = options;
    if (options.path !== ':memory:')
      for (const side of ['', '-wal', '-shm', '-journal']) rmSync(options.path + side, { force: true });
    this.#db = new DatabaseSync(options.path);
    this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA journal_size_limit = 16777216');
    // Values have no type: NULL ends a series, and SQLite has no NaN but as text.
    this.#db.exec(`
      CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL UNIQUE);
      CREATE INDEX series_name ON series (name);
      CREATE TABLE samples (series INTEGER NOT NULL, time_ms INTEGER NOT NULL, value, PRIMARY KEY (series, time_ms)) WITHOUT ROWID;
    `);
    this.#insert = this.#db.prepare('INSERT OR IGNORE INTO samples (series, time_ms, value) VALUES (?, ?, ?)');
    this.#overwrite = this.#db.prepare('UPDATE samples SET value = ? WHERE series = ? AND time_ms = ?');
    this.#read = this.#db.prepare(
      'SELECT time_ms, value FROM samples WHERE series = ? AND time_ms > ? AND time_ms <= ? ORDER BY time_ms',
    );
  }

  /** Samples taken since the start, also those that are no longer kept, and those that came again. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Samples of a series and time that were there before; the later one counts. */
  get repeated(): number {
    return this.#repeated;
  }

  get kept(): number {
    return this.#kept;
  }

  get seriesCount(): number {
    return this.#series;
  }

  /** All of it or, with an error, nothing. */
  insert(list: readonly Series[], nowMs: number): void {
    const oldest = nowMs - this.#options.maxAgeMs;
    const spans = new Map<number, number>();
    const before = this.#series;
    let count = 0;
    let fresh = 0;
    this.#db.exec('BEGIN');
    try {
      for (const s of list) {
        const id = this.#idOf(s);
        for (const { timeMs, value } of s.samples) {
          if (!(timeMs >= oldest && timeMs <= nowMs + MAX_AHEAD_MS))
            throw new RemoteWriteError(`out of bounds: ${s.name} has a sample of ${describeTime(timeMs)}`);
          const stored = value === undefined ? null : Number.isNaN(value) ? 'NaN' : value;
          count++;
          if (this.#insert.run(id, timeMs, stored).changes === 0) {
            this.#overwrite.run(stored, id, timeMs);
            continue;
          }
          fresh++;
          const span = Math.floor(timeMs / SPAN_MS);
          spans.set(span, (spans.get(span) ?? 0) + 1);
        }
      }
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      // Ids of the transaction that was undone.
      this.#ids.clear();
      this.#series = before;
      throw error;
    }
    this.#accepted += count;
    this.#repeated += count - fresh;
    this.#kept += fresh;
    for (const [span, n] of spans) this.#spans.set(span, (this.#spans.get(span) ?? 0) + n);
    this.#shrink();
  }

  #idOf(s: Series): number {
    const known = this.#ids.get(s.labels);
    if (known !== undefined) return known;
    const find = this.#db.prepare('SELECT id FROM series WHERE labels = ?');
    let row = find.get(s.labels) as { id: number } | undefined;
    if (!row) {
      if (this.#series >= this.#options.maxSeries)
        throw new TooManySeriesError(`the embedded store keeps ${this.#options.maxSeries} series at most`);
      this.#db.prepare('INSERT INTO series (name, labels) VALUES (?, ?)').run(s.name, s.labels);
      this.#series++;
      row = find.get(s.labels) as { id: number };
    }
    if (this.#ids.size >= MAX_CACHED_IDS) this.#ids.clear();
    this.#ids.set(s.labels, row.id);
    return row.id;
  }

  #shrink(): void {
    if (this.#kept <= this.#options.maxSamples) return;
    let left = this.#kept;
    let before = 0;
    for (const span of [...this.#spans.keys()].sort((a, b) => a - b)) {
      if (left <= this.#options.maxSamples * (1 - 1 / PRUNE_SHARE)) break;
      left -= this.#spans.get(span)!;
      before = (span + 1) * SPAN_MS;
    }
    this.#prune(before);
  }

  /** `beforeMs` is where a span begins. */
  #prune(beforeMs: number): void {
    let gone = 0;
    for (const [span, n] of this.#spans)
      if (span * SPAN_MS < beforeMs) {
        gone += n;
        this.#spans.delete(span);
      }
    if (gone === 0) return;
    this.#db.exec('BEGIN');
    const drop = this.#db.prepare('DELETE FROM samples WHERE series = ? AND time_ms < ?');
    for (const { id } of this.#db.prepare('SELECT id FROM series').all() as { id: number }[]) drop.run(id, beforeMs);
    const { changes } = this.#db
      .prepare('DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM samples WHERE samples.series = series.id)')
      .run();
    this.#db.exec('COMMIT');
    this.#kept -= gone;
    this.#series -= Number(changes);
    if (changes !== 0) this.#ids.clear();
  }

  /** Takes away what is older than maxAgeMs; to be called now and then. */
  expire(nowMs: number): void {
    this.#prune(Math.floor((nowMs - this.#options.maxAgeMs) / SPAN_MS) * SPAN_MS);
  }

  /** All series, or those of a name, in the order in which they were first seen. */
  *series(name?: string): Generator<KnownSeries> {
    const rows =
      name === undefined
        ? this.#db.prepare('SELECT id, labels FROM series ORDER BY id').all()
        : this.#db.prepare('SELECT id, labels FROM series WHERE name = ? ORDER BY id').all(name);
    for (const row of rows as unknown as { id: number; labels: string }[])
      yield { id: row.id, labels: JSON.parse(row.labels) as Label[] };
  }

  names(): string[] {
    return (this.#db.prepare('SELECT DISTINCT name FROM series ORDER BY name').all() as { name: string }[]).map(
      (r) => r.name,
    );
  }

  /** Samples after `afterMs` and up to `untilMs`, oldest first. */
  *samples(id: number, afterMs: number, untilMs: number): Generator<Sample> {
    for (const raw of this.#read.iterate(id, Math.floor(afterMs), Math.floor(untilMs))) {
      const { time_ms, value } = raw as unknown as { time_ms: number; value: number | string | null };
      yield { timeMs: time_ms, value: value === null ? undefined : Number(value) };
    }
  }

  close(): void {
    this.#db.close();
  }
}

const describeTime = (ms: number): string => (Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`);
