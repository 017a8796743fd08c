/** Attributes that a file's name, owner and mode give to its records. */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { ReadonlyValueMap, Value } from '../../../wire/otlp.ts';
import type { FileLogConfig } from './config.ts';

/** Name of a user or group by its number, from /etc/passwd or /etc/group. */
function nameOf(database: string, id: number): string {
  for (const line of readFileSync(database, 'utf8').split('\n')) {
    const fields = line.split(':');
    if (fields[2] === String(id) && fields[0]) return fields[0];
  }
  throw new Error(`no name for id ${id} in ${database}`);
}

/** Throws when the owner's name is wanted and not known, or when the path is gone. */
export function fileAttributes(c: FileLogConfig, path: string, base: ReadonlyValueMap): ReadonlyValueMap {
  const out = new Map<string, Value>(base);
  if (c.include_file_name) out.set('log.file.name', basename(path));
  if (c.include_file_path) out.set('log.file.path', path);
  if (c.include_file_name_resolved || c.include_file_path_resolved) {
    const resolved = resolve(realpathSync(path));
    if (c.include_file_name_resolved) out.set('log.file.name_resolved', basename(resolved));
    if (c.include_file_path_resolved) out.set('log.file.path_resolved', resolved);
  }
  if (c.include_file_owner_name || c.include_file_owner_group_name || c.include_file_permissions) {
    const s = statSync(path);
    if (c.include_file_owner_name) out.set('log.file.owner.name', nameOf('/etc/passwd', s.uid));
    if (c.include_file_owner_group_name) out.set('log.file.owner.group.name', nameOf('/etc/group', s.gid));
    if (c.include_file_permissions) out.set('log.file.permissions', (s.mode & 0o777).toString(8).padStart(3, '0'));
  }
  return out;
}
