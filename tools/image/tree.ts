/** What a layer of the image holds: files, links and folders by path, with owner and mode, without a place on disk. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}
export type Entry = Owner & { readonly mode: number } & (
    | { readonly type: 'folder' }
    | { readonly type: 'file'; readonly data: Uint8Array }
    | { readonly type: 'link'; readonly target: string }
  );

const ROOT_OWNED: Owner = { uid: 0, gid: 0 };
/** Debian's packages of bookworm still name both; the folder that holds the files is the one below usr. */
const MERGED = /^(bin|sbin|lib|lib32|lib64|libx32)(?=\/)/;

export class Tree {
  readonly #entries = new Map<string, Entry>();

  /** In order of their paths, so that folders stand before what is in them. */
  get entries(): readonly (readonly [path: string, entry: Entry])[] {
    return [...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  get(path: string): Entry | undefined {
    return this.#entries.get(path);
  }

  file(path: string, data: Uint8Array | string, mode = 0o644): void {
    this.#put(path, { type: 'file', data: typeof data === 'string' ? Buffer.from(data) : data, mode, ...ROOT_OWNED });
  }

  link(path: string, target: string): void {
    this.#put(path, { type: 'link', target, mode: 0o777, ...ROOT_OWNED });
  }

  folder(path: string, mode = 0o755, owner: Owner = ROOT_OWNED): void {
    this.#put(path, { type: 'folder', mode, uid: owner.uid, gid: owner.gid });
  }

  /** What lies in a folder on disk, as root's; `keep` decides by the path in the image. */
  add(from: string, to = '', keep: (path: string) => boolean = () => true): void {
    for (const e of readdirSync(from, { recursive: true, withFileTypes: true })) {
      const source = join(e.parentPath, e.name);
      const path = join(to, source.slice(from.length + 1)).replace(MERGED, 'usr/$1');
      if (e.isDirectory() || !keep(path)) continue;
      if (e.isSymbolicLink()) this.link(path, readlinkSync(source));
      else if (e.isFile()) this.file(path, readFileSync(source), statSync(source).mode & 0o111 ? 0o755 : 0o644);
      else throw new Error(`${source} is neither a file nor a link nor a folder`);
    }
  }

  #put(path: string, entry: Entry): void {
    const before = this.#entries.get(path);
    if (before && before.type !== entry.type) throw new Error(`${path} is a ${before.type} and a ${entry.type}`);
    const slash = path.lastIndexOf('/');
    if (slash > 0) {
      const parent = path.slice(0, slash);
      const above = this.#entries.get(parent);
      if (!above) this.folder(parent);
      else if (above.type !== 'folder') throw new Error(`${path} is below ${parent}, which is a ${above.type}`);
    }
    this.#entries.set(path, entry);
  }
}
