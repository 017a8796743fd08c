/** JSON text straight into an OTLP value: no objects in between, and whole numbers stay exact. */
import type { JsonScanner } from './json-scanner.ts';
import type { ProtoWriter } from './proto.ts';

const QUOTE = 34;
const OPEN_LIST = 91;
const CLOSE_LIST = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;
/** What is nested deeper becomes text: readers of OTLP have limits. */
const MAX_DEPTH = 90;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

/** Writes the fields of an AnyValue: integers that fit are int, other numbers double, null is the empty value. */
export function writeJsonValue(w: ProtoWriter, s: JsonScanner, depth = 0): void {
  const c = s.peek();
  if (c === QUOTE) {
    s.string();
    writeText(w, 1, s);
  } else if (c === OPEN_OBJECT) {
    if (depth >= MAX_DEPTH) writeRaw(w, s);
    else {
      const at = w.open(6);
      writeJsonMembers(w, 1, s, depth);
      w.close(at);
    }
  } else if (c === OPEN_LIST) {
    if (depth >= MAX_DEPTH) writeRaw(w, s);
    else writeList(w, s, depth);
  } else if (c === 116 || c === 102) {
    s.word(c === 116 ? 'true' : 'false');
    w.tag(2, 0);
    w.varint(c === 116 ? 1 : 0);
  } else if (c === 110) s.word('null');
  else writeNumber(w, s.number());
}

/** Writes the members of the object that is next, each as a KeyValue under `field`. */
export function writeJsonMembers(w: ProtoWriter, field: number, s: JsonScanner, depth = 0): void {
  s.take(OPEN_OBJECT);
  if (s.empty(CLOSE_OBJECT)) return;
  do {
    const at = w.open(field);
    s.string();
    writeText(w, 1, s);
    s.take(58);
    const value = w.open(2);
    writeJsonValue(w, s, depth + 1);
    w.close(value);
    w.close(at);
  } while (s.more(CLOSE_OBJECT));
}

function writeList(w: ProtoWriter, s: JsonScanner, depth: number): void {
  const at = w.open(5);
  s.take(OPEN_LIST);
  if (!s.empty(CLOSE_LIST))
    do {
      const item = w.open(1);
      writeJsonValue(w, s, depth + 1);
      w.close(item);
    } while (s.more(CLOSE_LIST));
  w.close(at);
}

function writeText(w: ProtoWriter, field: number, s: JsonScanner): void {
  if (s.escaped) w.string(field, s.text);
  else w.bytes(field, s.buf.subarray(s.start, s.end));
}

function writeRaw(w: ProtoWriter, s: JsonScanner): void {
  const from = s.pos;
  s.skip();
  w.bytes(1, s.buf.subarray(from, s.pos));
}

function writeNumber(w: ProtoWriter, text: string): void {
  if (/^-?\d+$/.test(text)) {
    const n = BigInt(text);
    if (n >= MIN_INT64 && n <= MAX_INT64) {
      w.tag(3, 0);
      w.varint64(n);
      return;
    }
  }
  w.double(4, Number(text));
}
