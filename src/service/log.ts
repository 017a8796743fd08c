/**
 * The service's own log: lines in the shape that otelcol prints (console with tabs, or json), written synchronously so
 * that no line is lost at exit, and never failing the process when nobody reads them.
 */
import { closeSync, openSync } from 'node:fs';
import { ConfigError, DeliveryError, messageOf } from '../core/errors.ts';
import type { LogFields, Logger, LogLevel } from '../core/log.ts';
import { writeLine } from '../core/write-line.ts';

export interface LogOptions {
  readonly level: LogLevel;
  readonly encoding: 'console' | 'json';
  readonly disableCaller: boolean;
  readonly disableStacktrace: boolean;
  /** Shown as `resource` (console) or `resource` object (json) on each line; absent when switched off. */
  readonly resource?: Readonly<Record<string, string>> | undefined;
  readonly initialFields: LogFields;
  /** Per level and message: the first `initial` of each tick, then every `thereafter`-th (0: none). */
  readonly sampling?: { readonly tickMs: number; readonly initial: number; readonly thereafter: number } | undefined;
  /** `stderr`, `stdout`, or paths of files to append to. */
  readonly outputPaths: readonly string[];
  readonly nowMs: () => number;
}

export interface ServiceLogger extends Logger {
  /** The same log with another caller column. */
  from(caller: string): ServiceLogger;
  with(fields: LogFields): ServiceLogger;
}

export interface ServiceLog {
  readonly logger: ServiceLogger;
  /** For lines of which each one counts. */
  readonly unsampled: ServiceLogger;
  close(): void;
}

const LEVELS: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export function openLog(options: LogOptions): ServiceLog {
  const fds = new Map<string, number>();
  for (const path of options.outputPaths) {
    if (fds.has(path)) continue;
    fds.set(path, path === 'stderr' ? 2 : path === 'stdout' ? 1 : openSync(path.replace(/^file:\/\//, ''), 'a', 0o644));
  }
  const write = (line: string): void => {
    for (const fd of fds.values()) writeLine(fd, line);
  };
  return {
    logger: makeLogger(options, write),
    unsampled: makeLogger({ ...options, sampling: undefined }, write),
    close() {
      for (const fd of fds.values()) if (fd > 2) closeSync(fd);
      fds.clear();
    },
  };
}

/** Separate from openLog for tests and for callers with another place to write to. */
export function makeLogger(options: Omit<LogOptions, 'outputPaths'>, write: (line: string) => void): ServiceLogger {
  const lowest = LEVELS[options.level];
  const sampler = options.sampling ? new Sampler(options.sampling, options.nowMs) : undefined;
  const encode = options.encoding === 'json' ? jsonLine : consoleLine;

  const make = (caller: string, bound: LogFields): ServiceLogger => {
    const log = (level: LogLevel, message: string, fields: LogFields | undefined): void => {
      if (LEVELS[level] < lowest) return;
      if (sampler && !sampler.pass(`${level} ${message}`)) return;
      const line = encode({
        time: new Date(options.nowMs()),
        level,
        caller: options.disableCaller ? '' : caller,
        message,
        fields: { ...bound, ...fields },
        stack: level === 'error' && !options.disableStacktrace ? stackOf(fields) : undefined,
      });
      write(line);
    };
    return {
      debug: (m, f) => log('debug', m, f),
      info: (m, f) => log('info', m, f),
      warn: (m, f) => log('warn', m, f),
      error: (m, f) => log('error', m, f),
      enabled: (level) => LEVELS[level] >= lowest,
      with: (fields) => make(caller, { ...bound, ...fields }),
      from: (other) => make(other, bound),
    };
  };
  const resource = options.resource ? { resource: options.resource } : {};
  return make('service', { ...resource, ...options.initialFields });
}

interface Entry {
  readonly time: Date;
  readonly level: LogLevel;
  readonly caller: string;
  readonly message: string;
  readonly fields: LogFields;
  readonly stack: string | undefined;
}

function consoleLine(e: Entry): string {
  const columns = [localIso(e.time), e.level];
  if (e.caller) columns.push(e.caller);
  columns.push(e.message);
  const fields = spacedJson(e.fields);
  if (fields !== '{}') columns.push(fields);
  return `${columns.join('\t')}\n${e.stack ? `${e.stack}\n` : ''}`;
}

function jsonLine(e: Entry): string {
  const head = { level: e.level, ts: localIso(e.time), ...(e.caller ? { caller: e.caller } : {}), msg: e.message };
  return `${compactJson({ ...head, ...e.fields, ...(e.stack ? { stacktrace: e.stack } : {}) })}\n`;
}

/** Errors that people caused or that the network brings need no stack; everything else is a bug and shows where. */
function stackOf(fields: LogFields | undefined): string | undefined {
  const error = fields?.['error'];
  if (!(error instanceof Error) || error instanceof ConfigError || error instanceof DeliveryError) return undefined;
  if ('code' in error || 'syscall' in error) return undefined;
  return error.stack;
}

/** ISO 8601 with milliseconds in the local zone: `Z` for UTC, else `+0100`. */
export function localIso(t: Date): string {
  const offset = -t.getTimezoneOffset();
  const shifted = new Date(t.getTime() + offset * 60_000).toISOString();
  if (offset === 0) return shifted;
  const hh = String(Math.floor(Math.abs(offset) / 60)).padStart(2, '0');
  const mm = String(Math.abs(offset) % 60).padStart(2, '0');
  return `${shifted.slice(0, -1)}${offset < 0 ? '-' : '+'}${hh}${mm}`;
}

/** JSON with a space behind colons and commas, as the console encoder prints fields. */
export const spacedJson = (value: unknown): string => json(value, ': ', ', ', 0) ?? 'null';
const compactJson = (value: unknown): string => json(value, ':', ',', 0) ?? 'null';

function json(value: unknown, colon: string, comma: string, depth: number): string | undefined {
  if (value === null) return 'null';
  if (depth > 16) return '"…"';
  switch (typeof value) {
    case 'undefined':
    case 'function':
    case 'symbol':
      return undefined;
    case 'bigint':
      return value.toString();
    case 'number':
      return Number.isFinite(value) ? String(value) : `"${value}"`;
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
  }
  if (value instanceof Error) return JSON.stringify(messageOf(value));
  if (value instanceof Date) return JSON.stringify(value.toISOString());
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
  if (Array.isArray(value)) return `[${value.map((v) => json(v, colon, comma, depth + 1) ?? 'null').join(comma)}]`;
  const entries = value instanceof Map ? [...value] : Object.entries(value as object);
  const members = entries.flatMap(([k, v]) => {
    const text = json(v, colon, comma, depth + 1);
    return text === undefined ? [] : [`${JSON.stringify(String(k))}${colon}${text}`];
  });
  return `{${members.join(comma)}}`;
}

/** At most this many different messages are told apart within one tick; texts beyond that pass. */
const MAX_SAMPLED = 4096;

class Sampler {
  readonly #options: NonNullable<LogOptions['sampling']>;
  readonly #nowMs: () => number;
  #counts = new Map<string, number>();
  #tickEndsMs = 0;

  constructor(options: NonNullable<LogOptions['sampling']>, nowMs: () => number) {
    this.#options = options;
    this.#nowMs = nowMs;
  }

  pass(key: string): boolean {
    const now = this.#nowMs();
    const { tickMs, initial, thereafter } = this.#options;
    if (now >= this.#tickEndsMs || now < this.#tickEndsMs - tickMs) {
      this.#counts.clear();
      this.#tickEndsMs = now + tickMs;
    }
    const seen = this.#counts.get(key);
    if (seen === undefined && this.#counts.size >= MAX_SAMPLED) return true;
    const n = (seen ?? 0) + 1;
    this.#counts.set(key, n);
    return n <= initial || (thereafter > 0 && (n - initial) % thereafter === 0);
  }
}
