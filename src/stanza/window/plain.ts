/** Lines without operators: read windows straight to encoded records, without an object per line. */
import { isUtf8 } from 'node:buffer';
import { EMPTY_SCOPE, type Resource, resourceOf } from '../../core/resource.ts';
import type { Source } from '../source.ts';
import {
  BLANK_LINE,
  commonFields,
  isBlank,
  NEWLINE,
  observe,
  putRecord,
  RECORD_OVERHEAD,
  type Window,
  type WindowContext,
  wellFormed,
} from './record.ts';

export function plainWindow(ctx: Pick<WindowContext, 'sink' | 'clock'>): Window {
  const { sink } = ctx;
  const known = new WeakMap<Source, { for: unknown; common: Buffer; resource: Resource }>();
  return (source, buf, start, end) => {
    const last = buf.lastIndexOf(NEWLINE, end - 1);
    if (last < start) return 0;
    let about = known.get(source);
    if (about?.for !== source.attributes) {
      about = {
        for: source.attributes,
        common: commonFields(source, []),
        resource: resourceOf(source.resource),
      };
      known.set(source, about);
    }
    const { common, resource } = about;
    const clean = isUtf8(buf.subarray(start, last + 1));
    observe(common, ctx.clock.nowMs());
    sink.reserve(1024);
    sink.open(source, resource, EMPTY_SCOPE);
    let mem = sink.mem;
    let o = sink.pos;
    let records = 0;
    let bytes = 0;
    let blank = 0;
    let p = start;
    while (p <= last) {
      const nl = buf.indexOf(NEWLINE, p);
      let a = p;
      let b = nl;
      while (a < b && isBlank(buf[a]!)) a++;
      while (b > a && isBlank(buf[b - 1]!)) b--;
      if (a === b) {
        blank += nl + 1 - p;
        p = nl + 1;
        continue;
      }
      let text = buf;
      if (!clean && !isUtf8(buf.subarray(a, b))) {
        text = wellFormed(buf.subarray(a, b));
        a = 0;
        b = text.length;
      }
      const need = b - a + common.length + RECORD_OVERHEAD;
      if (o + need > mem.length) {
        if (records > 0) sink.wrote(o, records, bytes);
        records = 0;
        bytes = 0;
        sink.reserve(need);
        sink.open(source, resource, EMPTY_SCOPE);
        mem = sink.mem;
        o = sink.pos;
        if (sink.hasReady && p > start) break;
      }
      o = putRecord(mem, o, Number.NaN, 0, text, a, b, common);
      records++;
      bytes += nl + 1 - p;
      p = nl + 1;
    }
    if (records > 0) sink.wrote(o, records, bytes);
    if (blank > 0) source.ledger.settle(0, blank, BLANK_LINE);
    return p - start;
  };
}
