/** The configuration of one collector as data, and how it comes from a spec: presets, then compatibility, then the user's edits. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonMap = { [key: string]: Json };

/** Keys are component ids, `type` or `type/name`. null as the configuration of a component: all its defaults. */
export type Components = Record<string, Json>;

export interface Pipeline {
  receivers: string[];
  processors?: string[];
  exporters: string[];
}

/** The YAML of otelcol as data. */
export interface CollectorConfig {
  extensions?: Components;
  receivers?: Components;
  processors?: Components;
  exporters?: Components;
  connectors?: Components;
  service: {
    extensions?: string[];
    telemetry?: Json;
    pipelines: Record<string, Pipeline>;
  };
}

export type TierName = 'agent' | 'gateway';
