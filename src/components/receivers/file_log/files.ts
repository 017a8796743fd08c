/** All files that the receiver knows, and what its parts share: the queue of those to be read, logging, losses. */
import { lost } from '../../../core/batch.ts';
import type { Clock } from '../../../core/clock.ts';
import type { Ledger } from '../../../core/ledger.ts';
import { type LogFields, type Logger, RateLimit } from '../../../core/log.ts';
import type { Program } from '../../../stanza/program.ts';
import type { ReadonlyValueMap } from '../../../wire/otlp.ts';
import type { KnownFile } from './checkpoint.ts';
import type { FileLogConfig } from './config.ts';
import { KnownFiles, type Start } from './copies.ts';
import { type FileEvents, type FileIdentity, LogFile } from './file.ts';
import type { FoundFile } from './finder.ts';
import { EMPTY, readTail } from './identity.ts';
import type { Saver } from './saver.ts';

const DELETED = lost('deleted before it was read');

export class Files {
  readonly config: FileLogConfig;
  readonly program: Program;
  readonly ledger: Ledger;
  readonly log: Logger;
  readonly clock: Clock;
  /** Live, waiting, draining; and gone ones until they are settled. */
  readonly all = new Set<LogFile>();
  readonly byInode = new Map<string, LogFile>();
  readonly byPath = new Map<string, LogFile>();
  /** Those that go on with the content of another one which is not settled. */
  readonly copies = new Set<LogFile>();
  /** Truncated ones a copy of which may turn up. */
  readonly replaced = new Set<LogFile>();
  /** Files for which there is no descriptor left, by path: what is known of them when they vanish. */
  readonly unopened = new Map<string, FoundFile>();
  readonly known = new KnownFiles((k) => this.saver?.forgotten(k.id));
  /** To be read, in this order. */
  readonly queue: LogFile[] = [];
  saver: Saver | undefined;
  nextId = 1;

  readonly #touched = new Set<LogFile>();
  readonly #limit: RateLimit;
  readonly #events: FileEvents;

  /** @param settled called after an outcome became known */
  constructor(config: FileLogConfig, program: Program, ledger: Ledger, log: Logger, clock: Clock, settled: () => void) {
    this.config = config;
    this.program = program;
    this.ledger = ledger;
    this.log = log;
    this.clock = clock;
    this.#limit = new RateLimit(10_000, () => clock.monotonicMs());
    this.#events = {
      settled: (f) => {
        this.#settled(f);
        settled();
      },
      touched: (f) => this.#touched.add(f),
    };
  }

  create(
    path: string,
    identity: FileIdentity,
    attributes: ReadonlyValueMap,
    from: Pick<Start, 'offset' | 'tail' | 'recordNumber' | 'headerDone' | 'headerAttributes' | 'skipping'> & {
      fingerprint: Buffer;
    },
  ): LogFile {
    const f = new LogFile({
      id: this.nextId++,
      path,
      attributes,
      resource: this.program.baseResource,
      identity,
      fingerprint: from.fingerprint,
      tail: from.tail,
      offset: from.offset,
      recordNumber: from.recordNumber,
      headerDone: from.headerDone || !this.config.header,
      parent: this.ledger,
      events: this.#events,
    });
    this.all.add(f);
    this.saver?.added();
    return f;
  }

  drop(f: LogFile): void {
    this.all.delete(f);
    this.saver?.forgotten(f.id);
  }

  enqueue(f: LogFile): void {
    if (f.queued || f.state === 'waiting' || f.state === 'gone') return;
    f.queued = true;
    if (!isFirst(f)) {
      this.queue.push(f);
      return;
    }
    // What is left of a rotated file comes before its successor; that may be rotated, too.
    const i = this.queue.findIndex((o) => !isFirst(o) || o.id > f.id);
    this.queue.splice(i < 0 ? this.queue.length : i, 0, f);
  }

  /** Counts bytes that nobody will ever read. */
  lose(ledger: Ledger, path: string, bytes: number): void {
    ledger.read(0, bytes);
    ledger.settle(0, bytes, DELETED);
    this.logError(`lost ${path}`, 'File was deleted or truncated before all of it was read', { path, bytes });
  }

  /** Closes the ranges of files for which operators gave something out of turn. */
  rotateTouched(): void {
    if (this.#touched.size === 0) return;
    for (const f of this.#touched) f.rotateRange();
    this.#touched.clear();
  }

  #settled(f: LogFile): void {
    if (f.changed) this.saver?.changed();
    for (const c of this.copies)
      if (c.continues === f) {
        c.changed = true;
        if (f.isSettled) this.copies.delete(c);
      }
  }

  /**
   * What is to be stored. Also of content that is gone: a copy may turn up after a restart, and what was under way is
   * lost when none does. A plain copy that goes on with it answers for it; of a packed one nobody knows how long it is.
   */
  *snapshot(): Generator<{ file: LogFile | undefined; known: KnownFile }> {
    for (const f of this.all) {
      if (f.state === 'waiting' || (f.heir && !f.heir.packed)) continue;
      const offset = f.settledOffset;
      const tail = offset === f.offset ? f.tail : f.fd >= 0 && !f.packed ? readTail(f.fd, offset) : EMPTY;
      yield { file: f, known: knownOf(f, offset, tail) };
    }
    for (const known of this.known.stored()) yield { file: undefined, known };
  }

  logWarning(key: string, message: string, fields: LogFields): void {
    if (this.#limit.pass(key) !== undefined) this.log.warn(message, fields);
  }

  logError(key: string, message: string, fields: LogFields): void {
    const held = this.#limit.pass(key);
    if (held !== undefined) this.log.error(message, held > 0 ? { ...fields, suppressed: held } : fields);
  }
}

const isFirst = (f: LogFile): boolean => f.rotated || f.state === 'draining';

export function knownOf(f: LogFile, offset: number, tail: Buffer, id = f.id): KnownFile {
  return {
    id,
    identity: f.identity,
    path: f.path,
    fingerprint: f.fingerprint,
    tail,
    offset,
    recordNumber: f.settledRecordNumber,
    sizeBytes: f.packed ? 0 : Math.max(f.sizeBytes, offset),
    headerDone: f.headerDone && offset > 0,
    headerAttributes: f.headerAttributes ? JSON.stringify(Object.fromEntries(f.headerAttributes)) : '{}',
    skipping: f.skipping && offset === f.offset,
    packed: f.packed,
    packedEndSize: f.packed && offset === f.offset ? f.packedEndSize : -1,
    replaced: f.replaced,
  };
}
