/** Tells a logs pipeline what entities there are: their state when it changes and at intervals, and their end. */
import { type Consumer, type Group, makeBatch } from '../../../core/batch.ts';
import type { Clock } from '../../../core/clock.ts';
import { messageOf } from '../../../core/errors.ts';
import type { Logger } from '../../../core/log.ts';
import { RateLimit } from '../../../core/log.ts';
import type { ReceiverCounters } from '../../../core/receiver-telemetry.ts';
import { EMPTY_RESOURCE, scopeOf } from '../../../core/resource.ts';
import type { Value, ValueMap } from '../../../wire/otlp.ts';
import { writeLogRecord } from '../../../wire/otlp-logs.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import type { ClusterObject, Entity, PodLinks } from './object-kind.ts';

const SCOPE = scopeOf('', '', new Map<string, Value>([['otel.entity.event_as_log', true]]));
/** Objects whose events travel together. */
const BATCH_OBJECTS = 500;
const REPEAT_MS = 60_000;

export interface EntityEventsOptions {
  readonly output: Consumer;
  readonly counters: ReceiverCounters;
  readonly log: Logger;
  readonly clock: Clock;
  /** As told in the events. */
  readonly intervalMs: number;
  /** What a pod's entity has from other objects, names and values in turn. */
  readonly podAttributes: (pod: PodLinks) => readonly string[];
}

interface Pending {
  /** Undefined: it is gone. */
  readonly object: ClusterObject | undefined;
  /** What was told of it before. */
  readonly before: readonly Entity[];
}

export class EntityEvents {
  readonly #options: EntityEventsOptions;
  readonly #told: RateLimit;
  /** By uid, only the newest: however slow the pipeline is, there are never more of these than objects. */
  readonly #pending = new Map<string, Pending>();
  #flushing: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: EntityEventsOptions) {
    this.#options = options;
    this.#told = new RateLimit(REPEAT_MS, () => options.clock.nowMs());
  }

  put(object: ClusterObject, before?: ClusterObject): void {
    this.#add(object.uid, object, before);
  }

  remove(object: ClusterObject): void {
    this.#add(object.uid, undefined, object);
  }

  #add(uid: string, object: ClusterObject | undefined, before: ClusterObject | undefined): void {
    if (this.#isStopped || !(object ?? before)?.facts?.entities) return;
    const waiting = this.#pending.get(uid);
    this.#pending.set(uid, { object, before: waiting?.before ?? before?.facts?.entities ?? [] });
    this.#flushing ??= this.#flush();
  }

  /** Resolves when everything that waits was handed on or refused. */
  async settled(): Promise<void> {
    await this.#flushing;
  }

  stop(): void {
    this.#isStopped = true;
    this.#pending.clear();
  }

  async #flush(): Promise<void> {
    // What changes in one go is told in one go.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pending.size > 0) {
      const group = this.#encode();
      if (group) await this.#send(group);
    }
    this.#flushing = undefined;
  }

  async #send(group: Group): Promise<void> {
    const { output, counters, log } = this.#options;
    try {
      await output.consume(makeBatch('logs', [group]));
      counters.accepted(group.count);
    } catch (e) {
      counters.refused(group.count);
      const held = this.#told.pass(messageOf(e));
      if (held !== undefined) log.error('Entity events were refused', { error: messageOf(e), repeated: held });
    }
  }

  #encode(): Group | undefined {
    const time = this.#options.clock.nowUnixNano();
    const w = new ProtoWriter(64 * 1024);
    let count = 0;
    let left = BATCH_OBJECTS;
    for (const [uid, { object, before }] of this.#pending) {
      if (left-- === 0) break;
      this.#pending.delete(uid);
      const now = object?.facts?.entities ?? [];
      for (const old of before) {
        if (now.some((e) => e.type === old.type && e.id === old.id)) continue;
        writeEvent(w, time, event('entity_delete', old));
        count++;
      }
      for (const entity of now) {
        writeEvent(w, time, this.#state(entity, object!));
        count++;
      }
    }
    if (count === 0) return undefined;
    return { resource: EMPTY_RESOURCE, scope: SCOPE, items: w.finish(), messages: count, count, parts: [] };
  }

  #state(entity: Entity, object: ClusterObject): ValueMap {
    const record = event('entity_state', entity);
    const attributes: ValueMap = new Map();
    const put = (list: readonly string[]): void => {
      for (let i = 0; i < list.length; i += 2) attributes.set(list[i]!, list[i + 1]!);
    };
    put(entity.shared);
    put(entity.own);
    const pod = object.facts?.pod;
    if (pod && entity.type === 'k8s.pod') put(this.#options.podAttributes(pod));
    record.set('otel.entity.interval', BigInt(this.#options.intervalMs));
    record.set('otel.entity.attributes', attributes);
    return record;
  }
}

const event = (type: 'entity_state' | 'entity_delete', entity: Entity): ValueMap =>
  new Map<string, Value>([
    ['otel.entity.event.type', type],
    ['otel.entity.id', new Map([[entity.idKey, entity.id]])],
    ['otel.entity.type', entity.type],
  ]);

const writeEvent = (w: ProtoWriter, time: bigint, attributes: ValueMap): void =>
  writeLogRecord(w, { time, observedTime: 0n, severityNumber: 0, severityText: '', body: null, attributes });
