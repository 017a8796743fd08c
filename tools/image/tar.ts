/** Writes a tree as a tar archive: the same bytes for the same tree, whatever the machine. */
import type { Entry, Tree } from './tree.ts';

const BLOCK = 512;
const TYPE: Readonly<Record<Entry['type'] | 'pax', string>> = { file: '0', link: '2', folder: '5', pax: 'x' };

interface Header {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly type: string;
  readonly target: string;
}

function header(h: Header, mtimeSeconds: number): Buffer {
  const b = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, digits: number): void => {
    const text = value.toString(8).padStart(digits, '0');
    if (text.length > digits) throw new Error(`${h.name}: ${value} does not fit into a tar header`);
    b.write(text, at, 'latin1');
  };
  b.write(h.name, 0, 100, 'utf8');
  octal(h.mode, 100, 7);
  octal(h.uid, 108, 7);
  octal(h.gid, 116, 7);
  octal(h.sizeBytes, 124, 11);
  octal(mtimeSeconds, 136, 11);
  b.fill(' ', 148, 156);
  b.write(h.type, 156, 'latin1');
  b.write(h.target, 157, 100, 'utf8');
  b.write('ustar\x0000', 257, 'latin1');
  octal(0, 329, 7);
  octal(0, 337, 7);
  b.write(
    `${b
      .reduce((n, byte) => n + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
    'latin1',
  );
  return b;
}

/** A record of an extended header says its own length: `30 path=...\n`. */
export function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (rest + String(length).length > length) length++;
  return `${length} ${key}=${value}\n`;
}

const fits = (text: string): boolean => Buffer.byteLength(text) <= 100 && /^[\x20-\x7e]*$/.test(text);
const padding = (sizeBytes: number): Buffer => Buffer.alloc((BLOCK - (sizeBytes % BLOCK)) % BLOCK);

/** All entries have the one time. */
export function tarOf(tree: Tree, mtimeSeconds: number): Buffer {
  const parts: Uint8Array[] = [];
  const push = (h: Header, data: Uint8Array): void => {
    parts.push(header(h, mtimeSeconds), data, padding(data.length));
  };
  for (const [path, e] of tree.entries) {
    const name = e.type === 'folder' ? `${path}/` : path;
    const target = e.type === 'link' ? e.target : '';
    const data = e.type === 'file' ? e.data : Buffer.alloc(0);
    const extended = (fits(name) ? '' : paxRecord('path', name)) + (fits(target) ? '' : paxRecord('linkpath', target));
    const owner = { uid: e.uid, gid: e.gid };
    if (extended) {
      const records = Buffer.from(extended);
      const h = { name: 'PaxHeader', mode: 0o644, ...owner, sizeBytes: records.length, type: TYPE.pax, target: '' };
      push(h, records);
    }
    push({ name, mode: e.mode, ...owner, sizeBytes: data.length, type: TYPE[e.type], target }, data);
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}
