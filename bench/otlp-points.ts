/** Writes metrics requests as agents send them: gauges of pods, whose names stand in the resource. On purpose it shares nothing with src/wire. */

import { seededRandom } from './generate.ts';
import { attribute, message, text, time } from './otlp-spans.ts';

const POD_ATTRIBUTES = [
  'k8s.namespace.name',
  'k8s.pod.name',
  'k8s.pod.uid',
  'k8s.node.name',
  'k8s.deployment.name',
  'service.name',
  'service.instance.id',
];

const double = (field: number, value: number): Buffer => {
  const out = Buffer.alloc(9);
  out[0] = (field << 3) | 1;
  out.writeDoubleLE(value, 1);
  return out;
};

/** An encoded ExportMetricsServiceRequest of one agent: `pods` resources with `metrics` gauges of one point each. */
export function metricsRequest(agent: number, pods: number, metrics: number): Buffer {
  const random = seededRandom(agent + 1);
  const at = 1_795_800_000_000_000_000n + BigInt(agent) * 1_000_000n;
  return Buffer.concat(
    Array.from({ length: pods }, (_, p) => {
      const pod = `${agent}-${p}`;
      const resource = POD_ATTRIBUTES.map((key) => attribute(1, key, `${key}-value-${pod}`));
      const items = Array.from({ length: metrics }, (_, m) =>
        message(2, [
          text(1, `k8s.pod.metric.number_${m}`),
          text(3, 'By'),
          message(5, [
            message(1, [
              time(3, at),
              double(4, random(1e9) / 7),
              attribute(7, 'interface', `eth${m % 4}`),
              attribute(7, 'direction', m % 2 ? 'receive' : 'transmit'),
            ]),
          ]),
        ]),
      );
      return message(1, [message(1, resource), message(2, [message(1, [text(1, 'bench')]), ...items])]);
    }),
  );
}
