// The explorer: chooses a metric and its labels, writes the query, and draws what it finds.
import { Chart, COLOURS, formatted } from './chart.js';
import { $, element, shortNumber, tell } from './common.js';
import { prometheus, rangeOf, windowNow } from './ranges.js';

const MOST_SERIES = 40;
let metrics = [];
const quoted = (text) => `"${text.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;
const UNITS = [
  [/_bytes_total$/, 'bytes', 'bytes/s'],
  [/_bytes$/, 'bytes', 'bytes/s'],
  [/_seconds(_total)?$/, 'seconds', ''],
];
const FIRST_METRIC = 'system_cpu_time_seconds_total';
const isCounter = (name) => /_(total|sum|count|bucket)$/.test(name);
const explored = new Chart({ title: 'Series found', hasHead: false, hasLegend: false });

function unitOf(query) {
  const name = query.match(/[\w:]+/g)?.find((word) => metrics.includes(word)) ?? '';
  const isRate = /\b(rate|irate)\s*\(/.test(query);
  if (/\bcount\b/.test(query)) return '';
  const known = UNITS.find(([pattern]) => pattern.test(name));
  return known ? known[isRate ? 2 : 1] : isRate ? '/s' : '';
}

function fill(select, options, chosen) {
  const before = chosen ?? select.value;
  select.replaceChildren(...options.map(([value, text]) => element('option', { value }, text)));
  select.value = options.some(([value]) => value === before) ? before : (options[0]?.[0] ?? '');
}

export async function loadMetrics() {
  const names = await prometheus('label/__name__/values', {});
  if (names.join() === metrics.join()) return;
  const isFirst = metrics.length === 0;
  metrics = names;
  fill(
    $('metric'),
    names.map((n) => [n, n]),
  );
  if (!isFirst || names.length === 0) return;
  if (names.includes(FIRST_METRIC)) $('metric').value = FIRST_METRIC;
  await chooseMetric(!$('promql').value);
}

/** The labels of the chosen metric that tell its series apart. */
async function chooseMetric(withQuery = true) {
  const name = $('metric').value;
  if (!name) return;
  const values = new Map();
  for (const labels of await prometheus('series', { 'match[]': name }))
    for (const [label, value] of Object.entries(labels)) {
      if (!values.has(label)) values.set(label, new Set());
      values.get(label).add(value);
    }
  const apart = [...values].filter(([label, found]) => label !== '__name__' && found.size > 1);
  $('filters').replaceChildren(
    ...apart.map(([label, found]) => {
      const select = element('select', { onchange: writeQuery });
      select.dataset.label = label;
      fill(select, [['', 'all'], ...[...found].sort().map((v) => [v, v])]);
      return element('label', {}, `${label} `, select);
    }),
  );
  fill($('by'), [['', 'no, each series'], ['()', 'all series'], ...apart.map(([label]) => [label, label])], '');
  $('persecond').checked = isCounter(name);
  if (withQuery) writeQuery();
}

function writeQuery() {
  const matchers = [...$('filters').querySelectorAll('select')]
    .filter((s) => s.value)
    .map((s) => `${s.dataset.label}=${quoted(s.value)}`);
  let query = $('metric').value + (matchers.length ? `{${matchers.join(', ')}}` : '');
  if ($('persecond').checked) query = `rate(${query}[${windowNow().rate}])`;
  const by = $('by').value;
  if (by) query = by === '()' ? `sum(${query})` : `sum by (${by}) (${query})`;
  $('promql').value = query;
  explore();
}

const describe = (metric) => {
  const rest = Object.entries(metric).filter(([n]) => n !== '__name__' && n !== 'host_name' && n !== 'os_type');
  return rest.length === 0 ? (metric.__name__ ?? 'all') : rest.map(([n, v]) => `${n}=${v}`).join(' ');
};

let exploration = 0;
export async function explore() {
  const turn = ++exploration;
  keepHash();
  const query = $('promql').value.trim();
  if (!query) return;
  try {
    const found = await rangeOf(query, windowNow());
    if (turn !== exploration) return;
    const series = found.series.map((s) => ({ name: describe(s.metric), values: s.values, metric: s.metric }));
    const shown = series.slice(0, MOST_SERIES);
    explored.setUnit(unitOf(query));
    explored.update({ times: found.times, series: shown });
    listSeries(shown, unitOf(query));
    $('answer').textContent =
      series.length === 0
        ? 'Nothing found.'
        : `${shortNumber(series.length)} series${series.length > shown.length ? `, the first ${MOST_SERIES} shown` : ''}`;
    $('answer').classList.remove('bad');
  } catch (error) {
    if (turn !== exploration || error instanceof TypeError) return;
    $('answer').textContent = error.message;
    $('answer').classList.add('bad');
  }
}

function listSeries(series, unit) {
  $('found').hidden = series.length === 0;
  $('found').tBodies[0].replaceChildren(
    ...series.map((s, i) => {
      const values = s.values.filter((v) => v !== null);
      const cells = [values.at(-1), Math.min(...values), Math.max(...values)];
      return element(
        'tr',
        {},
        element(
          'th',
          { scope: 'row', title: JSON.stringify(s.metric) },
          element('i', { class: `swatch c${i % COLOURS}` }),
          s.name,
        ),
        ...cells.map((v) => element('td', {}, formatted(v, unit))),
      );
    }),
  );
}

function keepHash() {
  const hash = new URLSearchParams({ range: $('range').value, q: $('promql').value });
  history.replaceState(undefined, '', `#${hash}`);
}

$('explored').append(explored.element);
$('promql').value = new URLSearchParams(location.hash.slice(1)).get('q') ?? '';
$('metric').addEventListener('change', () => chooseMetric().catch((e) => tell(e.message, true)));
for (const id of ['by', 'persecond']) $(id).addEventListener('change', writeQuery);
$('ask').addEventListener('submit', explore);
for (const id of ['toolbar', 'builder', 'ask']) $(id).addEventListener('submit', (event) => event.preventDefault());
