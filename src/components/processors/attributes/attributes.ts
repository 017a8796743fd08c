/** Runs the actions over the attributes of each record that include and exclude let through. */
import { type Group, makeBatch } from '../../../core/batch.ts';
import type { Processor, ProcessorContext } from '../../../core/component.ts';
import { type ActionContext, compileActions } from '../../../core/edit/attribute-actions.ts';
import { compileInclude, matchComplaint } from '../../../core/edit/match.ts';
import { Message } from '../../../core/edit/message.ts';
import { MetricCursor, rewriteMetrics } from '../../../core/edit/metrics.ts';
import { rewriteItems } from '../../../core/edit/rewrite.ts';
import { LOG, SPAN } from '../../../core/edit/shapes.ts';
import { ConfigError } from '../../../core/errors.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import type { AttributesConfig } from './index.ts';

export function makeAttributesProcessor(config: AttributesConfig, { id, signal, next }: ProcessorContext): Processor {
  const problems = (['include', 'exclude'] as const).flatMap((key) => {
    const match = config[key];
    const message = match && matchComplaint(match, signal);
    return message ? [{ path: ['processors', id, key], message }] : [];
  });
  if (problems.length > 0) throw new ConfigError(problems);

  const run = compileActions(config.actions);
  const acts = compileInclude(config.include, config.exclude, signal);
  const isSelective = config.include !== undefined || config.exclude !== undefined;
  const scratch = new ProtoWriter(64 * 1024);
  const message = new Message(signal === 'logs' ? LOG : SPAN);
  const cursor = new MetricCursor();

  const records = (group: Group, context: ActionContext): Group => {
    const { resource, scope } = group;
    const { group: changed } = rewriteItems(group, message, scratch, (m) => {
      const { attributes } = m;
      if (!isSelective || acts({ resource, scope, message: m, attributes })) run(attributes, context);
      return true;
    });
    return changed ?? group;
  };
  const metrics = (group: Group, context: ActionContext): Group => {
    const { resource, scope } = group;
    let isActing = true;
    const { group: changed } = rewriteMetrics(group, cursor, scratch, {
      metric(c) {
        isActing = !isSelective || acts({ resource, scope, message: c.metric, attributes: undefined });
        return true;
      },
      point(c) {
        if (isActing) run(c.point.attributes, context);
        return true;
      },
    });
    return changed ?? group;
  };
  const change = signal === 'metrics' ? metrics : records;

  return {
    async consume(batch) {
      const groups = batch.groups.map((g) => change(g, batch));
      await next.consume(makeBatch(batch.signal, groups, batch.metadata, batch.peer));
    },
  };
}
