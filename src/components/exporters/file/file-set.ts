/** The open files of an exporter: one, shared by its signals, or one per value of an attribute, the oldest closed. */
import type { ExporterContext } from '../../../core/component.ts';
import { ConfigError, messageOf } from '../../../core/errors.ts';
import { FileWriter, type FileWriterOptions } from './file-writer.ts';
import type { FileConfig } from './index.ts';

const MIB = 1024 * 1024;

export interface FileSet {
  open(): Promise<void>;
  write(path: string, data: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

interface Shared {
  readonly set: Files;
  readonly settings: string;
}

/** Exporters of one path have one set of files, so that their writes do not mix. */
export function fileSet(config: FileConfig, ctx: ExporterContext): FileSet {
  const settings = JSON.stringify(config);
  const shared = ctx.host.shared<Shared>(`exporter/file ${config.path}`, () => ({
    set: new Files(config, ctx),
    settings,
  }));
  if (shared.settings !== settings)
    throw new ConfigError(`another file exporter writes ${config.path} with other settings`);
  return shared.set;
}

class Files implements FileSet {
  readonly #config: FileConfig;
  readonly #options: Omit<FileWriterOptions, 'path'>;
  /** In the order of their last use. */
  readonly #writers = new Map<string, FileWriter>();
  /** Files that this run has emptied, and must not empty again when it opens them again. */
  readonly #begun = new Set<string>();
  readonly #log: ExporterContext['log'];
  readonly #closing = new Map<string, Promise<void>>();
  #users = 0;

  constructor(config: FileConfig, ctx: ExporterContext) {
    this.#config = config;
    this.#log = ctx.log;
    const r = config.rotation;
    const makeDirectory = config.create_directory || config.group_by.enabled;
    this.#options = {
      truncate: !config.append,
      // Upstream rotates no files of group_by.
      rotation:
        r && !config.group_by.enabled
          ? { maxBytes: r.max_megabytes * MIB, maxDays: r.max_days, maxBackups: r.max_backups, localTime: r.localtime }
          : undefined,
      directoryMode: makeDirectory ? Number.parseInt(config.directory_permissions, 8) : undefined,
      clock: ctx.clock,
      log: ctx.log,
    };
  }

  async open(): Promise<void> {
    this.#users++;
    if (this.#config.group_by.enabled) return;
    try {
      await this.#writer(this.#config.path).open();
    } catch (e) {
      throw new Error(`open ${this.#config.path}: ${messageOf(e)}`, { cause: e });
    }
  }

  write(path: string, data: Uint8Array): Promise<void> {
    return this.#writer(path).write(data);
  }

  async close(): Promise<void> {
    if (--this.#users > 0) return;
    const writers = [...this.#writers.values()];
    this.#writers.clear();
    await Promise.all([...writers.map((w) => this.#closed(w)), ...this.#closing.values()]);
  }

  #writer(path: string): FileWriter {
    let writer = this.#writers.get(path);
    this.#writers.delete(path);
    if (!writer) {
      const truncate = this.#options.truncate && !this.#begun.has(path);
      writer = new FileWriter({ ...this.#options, path, truncate, after: this.#closing.get(path) });
      this.#begun.add(path);
    }
    this.#writers.set(path, writer);
    if (this.#writers.size > this.#config.group_by.max_open_files) {
      const [oldest, old] = this.#writers.entries().next().value!;
      this.#writers.delete(oldest);
      const closed = this.#closed(old).finally(() => {
        if (this.#closing.get(oldest) === closed) this.#closing.delete(oldest);
      });
      this.#closing.set(oldest, closed);
    }
    return writer;
  }

  async #closed(writer: FileWriter): Promise<void> {
    try {
      await writer.close();
    } catch (e) {
      this.#log.warn('Failed to close file', { error: messageOf(e) });
    }
  }
}
