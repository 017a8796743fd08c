/** The file of a resource: path with its * replaced. Whatever the attribute holds, the file stays below the path. */
import { posix } from 'node:path';
import type { Resource } from '../../../core/resource.ts';
import type { FileConfig } from './index.ts';

/** Longest name of a file or directory that file systems take. */
const MAX_NAME_BYTES = 255;

/** undefined: the resource names no file. */
export function pathFor(config: FileConfig, resource: Resource): string | undefined {
  const value = resource.attributes.get(config.group_by.resource_attribute);
  if (typeof value !== 'string' || value.includes('\0')) return undefined;
  // As an absolute path it is normalized, no `..` climbs above its root.
  const segment = posix.normalize(`/${value}`).slice(1);
  const [prefix, suffix] = config.path.split('*') as [string, string];
  const path = posix.normalize(`${prefix}${segment}${suffix}`);
  if (path.split('/').some((name) => Buffer.byteLength(name) > MAX_NAME_BYTES)) return undefined;
  return path.endsWith('/') ? undefined : path;
}
