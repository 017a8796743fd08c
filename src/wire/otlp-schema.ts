/** The messages of OTLP as tables: field numbers, JSON names and types. JSON conversion and validation walk these. */

/** `id16` and `id8` are bytes that OTLP/JSON writes as hex. */
export type ScalarType =
  | 'string'
  | 'bytes'
  | 'id16'
  | 'id8'
  | 'bool'
  | 'uint32'
  | 'int32'
  | 'sint32'
  | 'enum'
  | 'int64'
  | 'uint64'
  | 'fixed32'
  | 'fixed64'
  | 'sfixed64'
  | 'double';

export interface Field {
  readonly number: number;
  /** As in OTLP/JSON. */
  readonly name: string;
  /** As in the .proto file; tolerated on input. */
  readonly protoName: string;
  readonly type: ScalarType | 'message';
  readonly message?: Message;
  readonly repeated: boolean;
  /** Names of enum values, tolerated on input. */
  readonly values?: Readonly<Record<string, number>>;
}

export interface Message {
  readonly name: string;
  readonly fields: readonly Field[];
  /** Index is the field number. */
  readonly byNumber: readonly (Field | undefined)[];
}

type Spec = readonly [
  number,
  string,
  ScalarType | Message | [Message] | [ScalarType],
  Readonly<Record<string, number>>?,
];

const toField = ([number, name, type, values]: Spec): Field => {
  const repeated = Array.isArray(type);
  const one = (repeated ? type[0] : type) as ScalarType | Message;
  return {
    number,
    name,
    protoName: name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`),
    repeated,
    ...(typeof one === 'string' ? { type: one } : { type: 'message', message: one }),
    ...(values ? { values } : {}),
  };
};

function define(into: Message, specs: readonly Spec[]): Message {
  const fields = specs.map(toField);
  const byNumber: (Field | undefined)[] = [];
  for (const f of fields) byNumber[f.number] = f;
  return Object.assign(into, { fields, byNumber });
}

const empty = (name: string): Message => ({ name, fields: [], byNumber: [] });
const message = (name: string, ...specs: Spec[]): Message => define(empty(name), specs);

export const ANY_VALUE = empty('AnyValue');
const ARRAY_VALUE = message('ArrayValue', [1, 'values', [ANY_VALUE]]);
export const KEY_VALUE = message('KeyValue', [1, 'key', 'string'], [2, 'value', ANY_VALUE]);
const KEY_VALUE_LIST = message('KeyValueList', [1, 'values', [KEY_VALUE]]);
define(ANY_VALUE, [
  [1, 'stringValue', 'string'],
  [2, 'boolValue', 'bool'],
  [3, 'intValue', 'int64'],
  [4, 'doubleValue', 'double'],
  [5, 'arrayValue', ARRAY_VALUE],
  [6, 'kvlistValue', KEY_VALUE_LIST],
  [7, 'bytesValue', 'bytes'],
]);

const SCOPE = message(
  'InstrumentationScope',
  [1, 'name', 'string'],
  [2, 'version', 'string'],
  [3, 'attributes', [KEY_VALUE]],
  [4, 'droppedAttributesCount', 'uint32'],
);
const ENTITY_REF = message(
  'EntityRef',
  [1, 'schemaUrl', 'string'],
  [2, 'type', 'string'],
  [3, 'idKeys', ['string']],
  [4, 'descriptionKeys', ['string']],
);
const RESOURCE = message(
  'Resource',
  [1, 'attributes', [KEY_VALUE]],
  [2, 'droppedAttributesCount', 'uint32'],
  [3, 'entityRefs', [ENTITY_REF]],
);

const severities: Record<string, number> = { SEVERITY_NUMBER_UNSPECIFIED: 0 };
for (const [i, name] of ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'].entries())
  for (let n = 0; n < 4; n++) severities[`SEVERITY_NUMBER_${name}${n ? n + 1 : ''}`] = i * 4 + n + 1;

const LOG_RECORD = message(
  'LogRecord',
  [1, 'timeUnixNano', 'fixed64'],
  [2, 'severityNumber', 'enum', severities],
  [3, 'severityText', 'string'],
  [5, 'body', ANY_VALUE],
  [6, 'attributes', [KEY_VALUE]],
  [7, 'droppedAttributesCount', 'uint32'],
  [8, 'flags', 'fixed32'],
  [9, 'traceId', 'id16'],
  [10, 'spanId', 'id8'],
  [11, 'observedTimeUnixNano', 'fixed64'],
  [12, 'eventName', 'string'],
);

const SPAN_KINDS = {
  SPAN_KIND_UNSPECIFIED: 0,
  SPAN_KIND_INTERNAL: 1,
  SPAN_KIND_SERVER: 2,
  SPAN_KIND_CLIENT: 3,
  SPAN_KIND_PRODUCER: 4,
  SPAN_KIND_CONSUMER: 5,
};
const SPAN_EVENT = message(
  'Event',
  [1, 'timeUnixNano', 'fixed64'],
  [2, 'name', 'string'],
  [3, 'attributes', [KEY_VALUE]],
  [4, 'droppedAttributesCount', 'uint32'],
);
const SPAN_LINK = message(
  'Link',
  [1, 'traceId', 'id16'],
  [2, 'spanId', 'id8'],
  [3, 'traceState', 'string'],
  [4, 'attributes', [KEY_VALUE]],
  [5, 'droppedAttributesCount', 'uint32'],
  [6, 'flags', 'fixed32'],
);
const SPAN_STATUS = message(
  'Status',
  [2, 'message', 'string'],
  [3, 'code', 'enum', { STATUS_CODE_UNSET: 0, STATUS_CODE_OK: 1, STATUS_CODE_ERROR: 2 }],
);
const SPAN = message(
  'Span',
  [1, 'traceId', 'id16'],
  [2, 'spanId', 'id8'],
  [3, 'traceState', 'string'],
  [4, 'parentSpanId', 'id8'],
  [5, 'name', 'string'],
  [6, 'kind', 'enum', SPAN_KINDS],
  [7, 'startTimeUnixNano', 'fixed64'],
  [8, 'endTimeUnixNano', 'fixed64'],
  [9, 'attributes', [KEY_VALUE]],
  [10, 'droppedAttributesCount', 'uint32'],
  [11, 'events', [SPAN_EVENT]],
  [12, 'droppedEventsCount', 'uint32'],
  [13, 'links', [SPAN_LINK]],
  [14, 'droppedLinksCount', 'uint32'],
  [15, 'status', SPAN_STATUS],
  [16, 'flags', 'fixed32'],
);

const TEMPORALITIES = {
  AGGREGATION_TEMPORALITY_UNSPECIFIED: 0,
  AGGREGATION_TEMPORALITY_DELTA: 1,
  AGGREGATION_TEMPORALITY_CUMULATIVE: 2,
};
const EXEMPLAR = message(
  'Exemplar',
  [2, 'timeUnixNano', 'fixed64'],
  [3, 'asDouble', 'double'],
  [4, 'spanId', 'id8'],
  [5, 'traceId', 'id16'],
  [6, 'asInt', 'sfixed64'],
  [7, 'filteredAttributes', [KEY_VALUE]],
);
const NUMBER_POINT = message(
  'NumberDataPoint',
  [2, 'startTimeUnixNano', 'fixed64'],
  [3, 'timeUnixNano', 'fixed64'],
  [4, 'asDouble', 'double'],
  [5, 'exemplars', [EXEMPLAR]],
  [6, 'asInt', 'sfixed64'],
  [7, 'attributes', [KEY_VALUE]],
  [8, 'flags', 'uint32'],
);
const HISTOGRAM_POINT = message(
  'HistogramDataPoint',
  [2, 'startTimeUnixNano', 'fixed64'],
  [3, 'timeUnixNano', 'fixed64'],
  [4, 'count', 'fixed64'],
  [5, 'sum', 'double'],
  [6, 'bucketCounts', ['fixed64']],
  [7, 'explicitBounds', ['double']],
  [8, 'exemplars', [EXEMPLAR]],
  [9, 'attributes', [KEY_VALUE]],
  [10, 'flags', 'uint32'],
  [11, 'min', 'double'],
  [12, 'max', 'double'],
);
const BUCKETS = message('Buckets', [1, 'offset', 'sint32'], [2, 'bucketCounts', ['uint64']]);
const EXPONENTIAL_POINT = message(
  'ExponentialHistogramDataPoint',
  [1, 'attributes', [KEY_VALUE]],
  [2, 'startTimeUnixNano', 'fixed64'],
  [3, 'timeUnixNano', 'fixed64'],
  [4, 'count', 'fixed64'],
  [5, 'sum', 'double'],
  [6, 'scale', 'sint32'],
  [7, 'zeroCount', 'fixed64'],
  [8, 'positive', BUCKETS],
  [9, 'negative', BUCKETS],
  [10, 'flags', 'uint32'],
  [11, 'exemplars', [EXEMPLAR]],
  [12, 'min', 'double'],
  [13, 'max', 'double'],
  [14, 'zeroThreshold', 'double'],
);
const SUMMARY_POINT = message(
  'SummaryDataPoint',
  [2, 'startTimeUnixNano', 'fixed64'],
  [3, 'timeUnixNano', 'fixed64'],
  [4, 'count', 'fixed64'],
  [5, 'sum', 'double'],
  [6, 'quantileValues', [message('ValueAtQuantile', [1, 'quantile', 'double'], [2, 'value', 'double'])]],
  [7, 'attributes', [KEY_VALUE]],
  [8, 'flags', 'uint32'],
);
const METRIC = message(
  'Metric',
  [1, 'name', 'string'],
  [2, 'description', 'string'],
  [3, 'unit', 'string'],
  [5, 'gauge', message('Gauge', [1, 'dataPoints', [NUMBER_POINT]])],
  [
    7,
    'sum',
    message(
      'Sum',
      [1, 'dataPoints', [NUMBER_POINT]],
      [2, 'aggregationTemporality', 'enum', TEMPORALITIES],
      [3, 'isMonotonic', 'bool'],
    ),
  ],
  [
    9,
    'histogram',
    message('Histogram', [1, 'dataPoints', [HISTOGRAM_POINT]], [2, 'aggregationTemporality', 'enum', TEMPORALITIES]),
  ],
  [
    10,
    'exponentialHistogram',
    message(
      'ExponentialHistogram',
      [1, 'dataPoints', [EXPONENTIAL_POINT]],
      [2, 'aggregationTemporality', 'enum', TEMPORALITIES],
    ),
  ],
  [11, 'summary', message('Summary', [1, 'dataPoints', [SUMMARY_POINT]])],
  [12, 'metadata', [KEY_VALUE]],
);

/** Messages whose field 1 is what data points are counted by. */
export const POINT_HOLDERS: readonly string[] = ['Gauge', 'Sum', 'Histogram', 'ExponentialHistogram', 'Summary'];

const request = (what: 'Logs' | 'Spans' | 'Metrics', items: string, item: Message): Message =>
  message('Request', [
    1,
    `resource${what}`,
    [
      message(
        `Resource${what}`,
        [1, 'resource', RESOURCE],
        [
          2,
          `scope${what}`,
          [message(`Scope${what}`, [1, 'scope', SCOPE], [2, items, [item]], [3, 'schemaUrl', 'string'])],
        ],
        [3, 'schemaUrl', 'string'],
      ),
    ],
  ]);

export type SignalName = 'logs' | 'metrics' | 'traces';

/** The item message inside its scope. */
export const ITEMS: Readonly<Record<SignalName, Message>> = { logs: LOG_RECORD, metrics: METRIC, traces: SPAN };

/** ExportLogsServiceRequest and its siblings. */
export const REQUESTS: Readonly<Record<SignalName, Message>> = {
  logs: request('Logs', 'logRecords', LOG_RECORD),
  metrics: request('Metrics', 'metrics', METRIC),
  traces: request('Spans', 'spans', SPAN),
};

export { RESOURCE as RESOURCE_MESSAGE, SCOPE as SCOPE_MESSAGE };
