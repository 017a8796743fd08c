/** What a statement sees when it runs. One object serves all records; it is pointed at one after another. */
import type { ValueMap } from '../../wire/otlp.ts';
import { ProtoWriter } from '../../wire/proto.ts';
import type { Clock } from '../clock.ts';
import { Message } from '../edit/message.ts';
import { MetricCursor } from '../edit/metrics.ts';
import { bufferOf } from '../edit/rewrite.ts';
import { LOG, RESOURCE, SCOPE, SPAN, SPAN_EVENT } from '../edit/shapes.ts';
import { type Resource, resourceFromBytes, type Scope, scopeFromBytes } from '../resource.ts';

export type ContextName = 'resource' | 'scope' | 'log' | 'span' | 'spanevent' | 'metric' | 'datapoint';

/** A resource or scope that statements may change; all records below it see the change. */
class Owned {
  readonly message: Message;
  #schemaUrl = '';
  isUrlChanged = false;
  constructor(message: Message) {
    this.message = message;
  }
  begin(encoded: Uint8Array, schemaUrl: string): void {
    this.message.bind(bufferOf(encoded), 0, encoded.length);
    this.#schemaUrl = schemaUrl;
    this.isUrlChanged = false;
  }
  get schemaUrl(): string {
    return this.#schemaUrl;
  }
  set schemaUrl(url: string) {
    this.#schemaUrl = url;
    this.isUrlChanged = true;
  }
  get isChanged(): boolean {
    return this.isUrlChanged || this.message.isChanged;
  }
}

export class Env {
  readonly clock: Clock;
  readonly resource = new Owned(new Message(RESOURCE));
  readonly scope = new Owned(new Message(SCOPE));
  readonly log = new Message(LOG);
  readonly span = new Message(SPAN);
  readonly spanevent = new Message(SPAN_EVENT);
  readonly metrics = new MetricCursor();
  cache: ValueMap = new Map();
  /** Place of the event in its span. */
  eventIndex = 0;
  /** Metric items made by statements, for the end of the group. */
  readonly newMetrics: Uint8Array[] = [];
  readonly #writer = new ProtoWriter();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  beginResource(resource: Resource): void {
    this.resource.begin(resource.encoded, resource.schemaUrl);
  }

  /** What the resource has become; the same object when nothing changed. */
  endResource(resource: Resource): Resource {
    if (!this.resource.isChanged) return resource;
    return resourceFromBytes(this.#encoded(this.resource.message), this.resource.schemaUrl);
  }

  beginScope(scope: Scope): void {
    this.scope.begin(scope.encoded, scope.schemaUrl);
  }

  endScope(scope: Scope): Scope {
    if (!this.scope.isChanged) return scope;
    return scopeFromBytes(this.#encoded(this.scope.message), this.scope.schemaUrl);
  }

  #encoded(message: Message): Uint8Array {
    this.#writer.reset();
    message.writeContent(this.#writer);
    return this.#writer.finish();
  }

  clearCache(): void {
    if (this.cache.size > 0) this.cache = new Map();
  }
}
