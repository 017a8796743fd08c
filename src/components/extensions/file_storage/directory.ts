/** Directories and file names of file_storage, as upstream makes them. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';

/** What is wrong with a storage directory, in upstream's words; undefined when it will do. */
export function directoryProblem(directory: string, mayCreate: boolean): string | undefined {
  try {
    return statSync(directory).isDirectory() ? undefined : `${directory} is not a directory`;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT')
      return `problem accessing configured directory: ${directory}, err: ${(error as Error).message}`;
    if (mayCreate) return undefined;
    return `directory must exist: stat ${directory}: no such file or directory. You can enable the create_directory option to automatically create it`;
  }
}

// 255 is the limit of file systems; SQLite puts `-wal` behind the name.
const LONGEST_NAME = 250;

/**
 * `receiver_filelog_`, `exporter_otlp_http__logs`: kind, type and name of the component, then the store's own name.
 * Escapes work on UTF-16 units of the text. A name ending like one of SQLite's side files would collide with them.
 */
export function fileName(kind: string, id: string, name: string): string {
  const slash = id.indexOf('/');
  const type = slash < 0 ? id : id.slice(0, slash);
  const rest = slash < 0 ? '' : id.slice(slash + 1);
  const raw = `${kind}_${type}_${rest}${name === '' ? '' : `_${name}`}`;
  const safe = raw
    .replace(/[^A-Za-z0-9._-]/g, (c) => escaped(c.charCodeAt(0)))
    .replace(/-(?=(?:wal|shm|journal)$)/, escaped(0x2d));
  return safe.length > LONGEST_NAME ? createHash('sha256').update(raw).digest('hex') : safe;
}

const escaped = (unit: number): string => `~${unit.toString(16).toUpperCase().padStart(4, '0')}`;
