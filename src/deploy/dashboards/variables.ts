/** Variables of Grafana dashboards: what can be chosen at their top. */
import { type Fields, LOGS, METRICS } from './grafana.ts';

export interface Variable {
  readonly name: string;
  readonly json: Fields;
}

const datasource = (name: string, label: string, type: string): Variable => ({
  name,
  json: {
    name,
    label,
    type: 'datasource',
    query: type,
    regex: '',
    hide: 0,
    multi: false,
    includeAll: false,
    refresh: 1,
    options: [],
    current: {},
  },
});

export const METRICS_VARIABLE = datasource('metrics', 'Metrics', 'prometheus');
export const LOGS_VARIABLE = datasource('logs', 'Logs', 'victoriametrics-logs-datasource');

const ALL: Fields = { selected: true, text: 'All', value: '$__all' };

/** Values of a label, `.*` for all: so series without the label are there too. */
export const labelVariable = (name: string, label: string, query: string, isMulti = true): Variable => ({
  name,
  json: {
    name,
    label,
    type: 'query',
    datasource: METRICS,
    definition: query,
    query: { query, refId: 'variable' },
    refresh: 2,
    regex: '',
    sort: 1,
    hide: 0,
    multi: isMulti,
    includeAll: true,
    allValue: '.*',
    options: [],
    current: isMulti ? { selected: true, text: ['All'], value: ['$__all'] } : ALL,
  },
});

/** Values of a field of the logs that match. */
export const fieldVariable = (name: string, label: string, field: string, query: string): Variable => ({
  name,
  json: {
    name,
    label,
    type: 'query',
    datasource: LOGS,
    definition: `${field} of ${query}`,
    query: { type: 'fieldValue', field, query, limit: 1000, refId: 'variable' },
    refresh: 2,
    regex: '',
    sort: 1,
    hide: 0,
    multi: false,
    includeAll: true,
    allValue: '.*',
    options: [],
    current: ALL,
  },
});

/** For a regular expression. */
export const patternVariable = (name: string, label: string): Variable => ({
  name,
  json: { name, label, type: 'textbox', query: '.*', hide: 0, options: [], current: { text: '.*', value: '.*' } },
});
