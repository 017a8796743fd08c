/**
 * The lines of a chaos round: each has a name (stream and sequence number) from which its whole content follows, so that
 * the destination can tell lost, doubled and damaged lines apart without being told what was written.
 */

const FILLER =
  `{"level":"info","msg":"quoted \\"text\\" and \\\\ backslashes","n":12345}\tGET /api/v1/users?id=7&x=%20 200 <html> `.repeat(
    60,
  );
const FILLER_BYTES = Buffer.from(FILLER, 'latin1');
/** Not ASCII, so that a wrong conversion shows. */
const END = ' ✓ end';
const END_BYTES = Buffer.from(END);

export type LineFormat = 'cri' | 'plain';

/** Where in the filler the text of a line starts and how long it is: mostly short, one in 128 longer than 2 KiB. */
function fillerOf(stream: number, seq: number): { from: number; length: number } {
  const h = Math.imul(seq + 1, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b);
  const from = (h >>> 3) & 255;
  return { from, length: (h >>> 11) % 128 === 0 ? 2048 + (from << 2) : 20 + ((h >>> 18) & 255) };
}

export function lineBody(stream: number, seq: number): string {
  const { from, length } = fillerOf(stream, seq);
  return `w${stream}-${seq} ${FILLER.slice(from, from + length)}${END}`;
}

/** What one line puts into the file; a container runtime writes some in two pieces. */
export function filePieces(format: LineFormat, stream: number, seq: number, timeMs: number): string[] {
  const body = lineBody(stream, seq);
  if (format === 'plain') return [`${body}\n`];
  const time = `${new Date(timeMs).toISOString().slice(0, -1)}${String(seq % 1e6).padStart(6, '0')}Z`;
  if (seq % 23 !== 0) return [`${time} stdout F ${body}\n`];
  // Not beside white space: trimming is done line by line, so it would be gone from the middle of the body.
  let cut = body.length >> 1;
  while (/\s/.test(body.slice(cut - 1, cut + 1))) cut++;
  return [`${time} stdout P ${body.slice(0, cut)}\n`, `${time} stdout F ${body.slice(cut)}\n`];
}

export interface LineName {
  stream: number;
  seq: number;
}

/** Reads the name of the line whose body is bytes[start, end) into `into`; false when it is not a whole, undamaged line. */
export function readLineName(bytes: Buffer, start: number, end: number, into: LineName): boolean {
  let at = start;
  if (bytes[at++] !== 0x77) return false;
  let stream = 0;
  let c = 0;
  while (at < end && (c = bytes[at]! - 48) >= 0 && c <= 9) {
    stream = stream * 10 + c;
    at++;
  }
  if (bytes[at++] !== 0x2d) return false;
  let seq = 0;
  while (at < end && (c = bytes[at]! - 48) >= 0 && c <= 9) {
    seq = seq * 10 + c;
    at++;
  }
  if (bytes[at++] !== 0x20) return false;
  const { from, length } = fillerOf(stream, seq);
  if (end - at !== length + END_BYTES.length) return false;
  if (bytes.compare(FILLER_BYTES, from, from + length, at, at + length) !== 0) return false;
  if (bytes.compare(END_BYTES, 0, END_BYTES.length, at + length, end) !== 0) return false;
  into.stream = stream;
  into.seq = seq;
  return true;
}
