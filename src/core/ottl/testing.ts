/** Surroundings for tests of statements: one log record, and what statements make of it. */

import type { Value } from '../../wire/otlp.ts';
import { type LogRecord, logRecords, writeLogRecord } from '../../wire/otlp-logs.ts';
import { ProtoReader, ProtoWriter } from '../../wire/proto.ts';
import { resourceOf, scopeOf } from '../resource.ts';
import { type ContextName, compileProgram, Env, runProgram, STANDARD_FUNCTIONS } from './ottl.ts';

export const TEST_NOW_MS = 1_767_323_045_000;

const RECORD = {
  time: 1_767_323_045_123_456_789n,
  observedTime: 1_767_323_046_000_000_000n,
  severityNumber: 17,
  severityText: 'Error',
  body: 'GET /a 200' as Value,
  attributes: new Map<string, Value>([
    ['s', 'text'],
    ['i', 5n],
    ['d', 2.5],
    ['b', true],
    ['list', ['x', 'y', 'z']],
    [
      'map',
      new Map<string, Value>([
        ['k', 'v'],
        ['n', 1n],
      ]),
    ],
    ['nil', null],
    ['bytes', new Uint8Array([1, 255])],
    ['json', '{"a":{"b":[1,"x",null]},"c":true}'],
  ]),
  traceId: new Uint8Array(16).fill(0xab),
  spanId: new Uint8Array(0),
  flags: 1,
  eventName: 'e',
};

export interface Outcome {
  readonly record: LogRecord;
  readonly resource: Record<string, Value>;
  readonly errors: string[];
}

const bind = (env: Env, record: typeof RECORD): Buffer => {
  const w = new ProtoWriter();
  writeLogRecord(w, record);
  const items = Buffer.from(w.finish());
  const r = new ProtoReader(items);
  r.next();
  const n = r.varint();
  env.beginResource(resourceOf(new Map<string, Value>([['service.name', 'shop']]), 'http://schema'));
  env.beginScope(scopeOf('lib', '1.0'));
  env.log.bind(items, r.pos, r.pos + n);
  return items;
};

/** Runs statements over one record in the log context. */
export function runStatements(
  statements: readonly string[],
  change: Partial<typeof RECORD> = {},
  context: ContextName = 'log',
): Outcome {
  const env = new Env({
    nowMs: () => TEST_NOW_MS,
    nowUnixNano: () => BigInt(TEST_NOW_MS) * 1_000_000n,
    monotonicMs: () => 0,
  });
  const resource = resourceOf(new Map<string, Value>([['service.name', 'shop']]), 'http://schema');
  bind(env, { ...RECORD, ...change });
  const errors: string[] = [];
  const program = compileProgram(
    { statements, conditions: [] },
    { context, contexts: ['log', 'scope', 'resource'], functions: STANDARD_FUNCTIONS },
  );
  runProgram(program, env, (error) => void errors.push(error instanceof Error ? error.message : String(error)));
  const w = new ProtoWriter();
  env.log.write(w, 2);
  const [record] = logRecords(w.finish());
  return { record: record!, resource: Object.fromEntries(env.endResource(resource).attributes), errors };
}

/** What an expression gives, stored as an attribute; undefined for nil, an Error for one that fails. */
export function evaluate(expression: string): Value | undefined | Error {
  const { record, errors } = runStatements([`set(attributes["out"], ${expression})`]);
  return errors.length > 0 ? new Error(errors[0]) : record.attributes.get('out');
}

/** Whether a condition holds for the record, or an Error. */
export function holds(condition: string): boolean | Error {
  const { record, errors } = runStatements([`set(attributes["out"], true) where ${condition}`]);
  return errors.length > 0 ? new Error(errors[0]) : record.attributes.get('out') === true;
}
