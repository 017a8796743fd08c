/** The processor: redacts resources and scopes once each, items as they come, and counts what it found. */
import { type Batch, makeBatch } from '../../../core/batch.ts';
import type { Processor, ProcessorContext } from '../../../core/component.ts';
import { type Resource, resourceOf, type Scope, scopeOf } from '../../../core/resource.ts';
import type { Counter } from '../../../core/telemetry.ts';
import { MATCHES, type RedactionConfig } from './index.ts';
import { Redactor, type Rule } from './redactor.ts';
import { redactItems, SHAPES } from './rewrite.ts';

export function makeRedaction(config: RedactionConfig, ctx: ProcessorContext): Processor {
  const { signal, next } = ctx;
  const redactor = new Redactor(config);
  const isShadow = config.mode === 'shadow';
  const resources = new WeakMap<Resource, Resource>();
  const scopes = new WeakMap<Scope, Scope>();
  const counters = new Map<Rule, Counter>();

  const resourceFor = (resource: Resource): Resource => {
    let to = resources.get(resource);
    if (!to) {
      const attributes = structuredClone(new Map(resource.attributes));
      to = redactor.attributes(attributes) ? resourceOf(attributes, resource.schemaUrl) : resource;
      resources.set(resource, to);
    }
    return to;
  };
  const scopeFor = (scope: Scope): Scope => {
    let to = scopes.get(scope);
    if (!to) {
      const { name, version, attributes } = scope.fields;
      const copy = structuredClone(new Map(attributes));
      to = redactor.attributes(copy) ? scopeOf(name, version, copy, scope.schemaUrl) : scope;
      scopes.set(scope, to);
    }
    return to;
  };

  return {
    async consume(batch: Batch) {
      const groups = batch.groups.map((g) => ({
        ...g,
        resource: resourceFor(g.resource),
        scope: scopeFor(g.scope),
        items: redactItems(g.items, SHAPES[signal], redactor),
      }));
      for (const [rule, n] of redactor.takeMatches()) {
        let counter = counters.get(rule);
        if (!counter) {
          counter = ctx.telemetry.counter(MATCHES, { processor: ctx.id, detector: rule, mode: config.mode });
          counters.set(rule, counter);
        }
        counter.add(n);
      }
      return next.consume(isShadow ? batch : makeBatch(signal, groups, batch.metadata, batch.peer));
    },
  };
}
