/** The configuration most whole-process tests use: files in, OTLP/HTTP out, offsets stored. */
export interface FilesToOtlp {
  readonly include: string;
  readonly endpoint: string;
  readonly storage?: string;
  /** YAML of further keys, each at the indentation given. */
  readonly receiver?: string;
  readonly exporter?: string;
  readonly processors?: string;
  readonly service?: string;
}

export function filesToOtlp(c: FilesToOtlp): string {
  const lines = (text: string | undefined, indent: string): string =>
    (text ?? '')
      .split('\n')
      .filter((l) => l.trim() !== '')
      .map((l) => `${indent}${l}\n`)
      .join('');
  const processor = c.processors?.split(':')[0];
  return `receivers:
  file_log:
    include: [${JSON.stringify(c.include)}]
    start_at: beginning
    poll_interval: 50ms
${c.storage ? '    storage: file_storage\n' : ''}${lines(c.receiver, '    ')}${c.processors ? `processors:\n${lines(c.processors, '  ')}` : ''}exporters:
  otlp_http:
    endpoint: ${JSON.stringify(c.endpoint)}
    retry_on_failure: {initial_interval: 100ms, max_interval: 200ms}
${lines(c.exporter, '    ')}${c.storage ? `extensions:\n  file_storage:\n    directory: ${JSON.stringify(c.storage)}\n    create_directory: true\n` : ''}service:
${c.storage ? '  extensions: [file_storage]\n' : ''}${c.service?.includes('telemetry:') ? '' : '  telemetry: {metrics: {level: none}}\n'}${lines(c.service, '  ')}  pipelines:
    logs:
      receivers: [file_log]
      processors: [${processor ?? ''}]
      exporters: [otlp_http]
`;
}
