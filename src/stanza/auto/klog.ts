/** The format of Kubernetes' own components: `I1122 10:11:12.123456       1 file.go:12] message`. */
import { daysFromCivil } from '../../core/time-zone.ts';
import type { Entry } from '../entry.ts';
import { parseLogfmt, unquote } from './logfmt.ts';

const HEADER = /^([IWEF])(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6})\s+(\d+) ([^\s:\]]{1,256}):(\d+)\] ?/;
/** The structured form: a quoted message, then pairs. */
const STRUCTURED = /^"((?:[^"\\]|\\.)*)"(?: |$)/;
const SEVERITY = { I: 9, W: 13, E: 17, F: 21 } as const;

/** False when the line is something else; otherwise it is in the record. */
export function applyKlog(entry: Entry, text: string, nowMs: number): boolean {
  const m = HEADER.exec(text);
  if (!m) return false;
  const [month, day] = [Number(m[2]), Number(m[3])];
  if (month < 1 || month > 12 || day < 1 || day > 31) return false;
  entry.time = time(month, day, m, nowMs);
  entry.severityText = m[1]!;
  entry.severityNumber = SEVERITY[m[1] as keyof typeof SEVERITY];
  const { attributes } = entry;
  attributes.set('thread.id', BigInt(m[8]!));
  attributes.set('code.file.path', m[9]!);
  attributes.set('code.line.number', BigInt(m[10]!));
  const message = text.slice(m[0].length);
  entry.body = message;
  const quoted = STRUCTURED.exec(message);
  const pairs = quoted && parseLogfmt(message, quoted[0].length, 0);
  if (!pairs) return true;
  entry.body = unquote(quoted[1]!);
  for (const [k, v] of pairs) attributes.set(attributes.has(k) ? `parsed.${k}` : k, v);
  return true;
}

/** The year is not written: it is the one that brings the time closest before tomorrow. */
function time(month: number, day: number, m: RegExpExecArray, nowMs: number): bigint {
  const seconds = (year: number): number =>
    daysFromCivil(year, month, day) * 86_400 + Number(m[4]) * 3600 + Number(m[5]) * 60 + Number(m[6]);
  const year = new Date(nowMs).getUTCFullYear();
  let s = seconds(year);
  if (s * 1000 > nowMs + 86_400_000) s = seconds(year - 1);
  return BigInt(s) * 1_000_000_000n + BigInt(m[7]!) * 1000n;
}
