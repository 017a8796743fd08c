/** Maps resources to resources. A resource is interned, so this costs per resource and not per record. */
import { type Batch, makeBatch } from '../../../core/batch.ts';
import type { Processor, ProcessorContext } from '../../../core/component.ts';
import { compileActions, usesContext } from '../../../core/edit/attribute-actions.ts';
import { Message } from '../../../core/edit/message.ts';
import { bufferOf } from '../../../core/edit/rewrite.ts';
import { RESOURCE } from '../../../core/edit/shapes.ts';
import { type Resource, resourceFromBytes } from '../../../core/resource.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import type { ResourceConfig } from './index.ts';

export function makeResourceProcessor(config: ResourceConfig, { next }: ProcessorContext): Processor {
  const run = compileActions(config.attributes);
  const message = new Message(RESOURCE);
  const w = new ProtoWriter();
  // Client metadata differs between batches; without it a resource always becomes the same.
  const known = usesContext(config.attributes) ? undefined : new WeakMap<Resource, Resource>();

  const change = (resource: Resource, batch: Batch): Resource => {
    message.bind(bufferOf(resource.encoded), 0, resource.encoded.length);
    run(message.attributes, batch);
    if (!message.isChanged) return resource;
    w.reset();
    message.writeContent(w);
    return resourceFromBytes(w.finish(), resource.schemaUrl);
  };
  const mapped = (resource: Resource, batch: Batch): Resource => {
    let to = known?.get(resource);
    if (!to) {
      to = change(resource, batch);
      known?.set(resource, to);
    }
    return to;
  };

  return {
    async consume(batch) {
      const groups = batch.groups.map((g) => {
        const resource = mapped(g.resource, batch);
        return resource === g.resource ? g : { ...g, resource };
      });
      await next.consume(makeBatch(batch.signal, groups, batch.metadata, batch.peer));
    },
  };
}
