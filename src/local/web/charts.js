// Charts of this machine from the embedded metric store, and an explorer of all its series.
import { Chart, COLOURS, formatted } from './chart.js';
import { $, element, every, shape, shortNumber, showStatus, tell } from './common.js';

const REFRESH_MS = 2500;
const STATUS_MS = 1000;
const RANGES_MS = { '5m': 300_000, '15m': 900_000, '1h': 3_600_000, '6h': 21_600_000 };
const POINTS = 120;
/** The agent measures every 5 s; a rate needs two values also when one is late. */
const SHORTEST_STEP_MS = 5000;
const SHORTEST_RATE_MS = 20_000;
const LOOKBACK = '20s';
const MOST_SERIES = 40;
/** Partitions and what lies on other devices would be counted twice. */
const WHOLE_DISKS = 'device!~"(sd|vd|xvd|hd)[a-z]+[0-9]+|(nvme|mmcblk).+p[0-9]+|(loop|ram|dm-|md|zram|sr).*"';

/** Younger than its range, the page shows as much as there is. */
const SHORTEST_WINDOW_MS = 60_000;

const state = { isLive: true, metrics: [], elapsedMs: Infinity };
const quoted = (text) => `"${text.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;
const secondsOf = (ms) => `${Math.round(ms / 1000)}s`;

/** The share of each state in all of them, which is all cores; what nobody used is left out. */
function shares(series) {
  const sums = series[0]?.values.map((_, i) => series.reduce((sum, s) => sum + (s.values[i] ?? 0), 0)) ?? [];
  return series
    .filter((s) => s.name !== 'idle' && s.values.some((v) => v))
    .map((s) => ({ ...s, values: s.values.map((v, i) => (v === null || sums[i] <= 0 ? null : (100 * v) / sums[i])) }));
}
const last = (s) => s?.values.findLast((v) => v !== null);
const total = (series) =>
  series.some((s) => last(s) !== undefined) ? series.reduce((sum, s) => sum + (last(s) ?? 0), 0) : undefined;

const PANELS = [
  {
    title: 'CPU',
    unit: 'percent',
    isStacked: true,
    most: 100,
    label: 'state',
    order: ['user', 'system', 'wait', 'softirq', 'nice', 'interrupt', 'steal'],
    query: (rate) => `sum by (state) (rate(system_cpu_time_seconds_total[${rate}]))`,
    change: shares,
    now: (series) => formatted(total(series), 'percent'),
  },
  {
    title: 'Memory',
    unit: 'bytes',
    isStacked: true,
    label: 'state',
    order: ['used', 'cached', 'buffered', 'free'],
    query: () => 'sum by (state) (system_memory_usage_bytes{state=~"used|cached|buffered|free"})',
    // What is free is what is left below the top of the chart.
    top: total,
    change: (series) => series.filter((s) => s.name !== 'free'),
    now: (series, top) =>
      `${formatted(last(series.find((s) => s.name === 'used')), 'bytes')} of ${formatted(top, 'bytes')}`,
  },
  {
    title: 'Load',
    label: '__name__',
    order: ['1 min', '5 min', '15 min'],
    query: () => '{__name__=~"system_cpu_load_average_[0-9]+m"}',
    change: (series) => series.map((s) => ({ ...s, name: s.name.replace(/.*_(\d+)m$/, '$1 min') })),
    now: (series) => formatted(last(series.find((s) => s.name === '1 min')), ''),
  },
  {
    title: 'Network',
    unit: 'bytes/s',
    label: 'direction',
    order: ['receive', 'transmit'],
    query: (rate) => `sum by (direction) (rate(system_network_io_bytes_total{device!="lo"}[${rate}]))`,
    now: (series) => formatted(total(series), 'bytes/s'),
  },
  {
    title: 'Disk',
    unit: 'bytes/s',
    label: 'direction',
    order: ['read', 'write'],
    query: (rate) => `sum by (direction) (rate(system_disk_io_bytes_total{${WHOLE_DISKS}}[${rate}]))`,
    now: (series) => formatted(total(series), 'bytes/s'),
  },
  {
    title: 'Disk busy',
    unit: 'percent',
    most: 100,
    label: 'device',
    order: [],
    query: (rate) => `sum by (device) (rate(system_disk_io_time_seconds_total{${WHOLE_DISKS}}[${rate}]))`,
    change: (series) => series.slice(0, 8).map((s) => ({ ...s, values: s.values.map((v) => v && v * 100) })),
    now: (series) => formatted(Math.max(...series.map((s) => last(s) ?? 0)), 'percent'),
  },
  {
    title: 'Processes',
    isStacked: true,
    label: 'status',
    order: ['running', 'sleeping', 'idle', 'blocked'],
    query: () => 'sum by (status) (system_processes_count)',
    change: (series) => series.filter((s) => s.values.some((v) => v)),
    now: (series) => formatted(total(series), ''),
  },
  {
    title: 'TCP connections',
    label: 'state',
    order: ['established', 'listen', 'time wait', 'close wait'],
    query: () =>
      'sum by (state) (system_network_connections{protocol="tcp",state=~"ESTABLISHED|LISTEN|TIME_WAIT|CLOSE_WAIT"})',
    change: (series) => series.map((s) => ({ ...s, name: s.name.toLowerCase().replace('_', ' ') })),
    now: (series) => formatted(last(series.find((s) => s.name === 'established')), ''),
  },
];

async function prometheus(path, parameters) {
  const response = await fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const answer = await response.json();
  if (answer.status !== 'success') throw new Error(answer.error);
  return answer.data;
}

/** Aligned, so that the same moments are asked for again while the window moves on. */
function windowNow() {
  const ms = RANGES_MS[$('range').value];
  const stepMs = Math.max(SHORTEST_STEP_MS, Math.round(ms / POINTS / 500) * 500);
  const endMs = Math.floor(Date.now() / stepMs) * stepMs;
  const sinceMs = Math.max(state.elapsedMs, SHORTEST_WINDOW_MS);
  const startMs = endMs - Math.min(ms, Math.ceil(sinceMs / stepMs) * stepMs);
  return { startMs, endMs, stepMs, rate: secondsOf(Math.max(SHORTEST_RATE_MS, stepMs * 2)) };
}

async function rangeOf(query, { startMs, endMs, stepMs }) {
  const { result } = await prometheus('query_range', {
    query,
    start: startMs / 1000,
    end: endMs / 1000,
    step: stepMs / 1000,
    lookback_delta: LOOKBACK,
  });
  const count = Math.round((endMs - startMs) / stepMs) + 1;
  return {
    times: Array.from({ length: count }, (_, i) => startMs + i * stepMs),
    series: result.map(({ metric, values }) => {
      const own = Array(count).fill(null);
      for (const [t, v] of values) own[Math.round((t * 1000 - startMs) / stepMs)] = numberOf(v);
      return { metric, values: own };
    }),
  };
}

const numberOf = (text) => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));

async function drawPanel({ chart, label, order, query, change, now, top }, window) {
  const found = await rangeOf(query(window.rate), window);
  const all = found.series.map((s) => ({ name: s.metric[label] ?? '', values: s.values }));
  const highest = top?.(all);
  const place = (s) => (order.includes(s.name) ? order.indexOf(s.name) : order.length);
  const series = (change?.(all) ?? all)
    .sort((a, b) => place(a) - place(b) || (a.name < b.name ? -1 : 1))
    // A state keeps its colour when another comes or goes.
    .map((s, i) => ({ ...s, colour: order.includes(s.name) ? place(s) : i }));
  chart.update({ times: found.times, series, top: highest }, series.length > 0 ? now(series, highest) : '');
}

/** One bar for each device: the mount point with the shortest name stands for all of it. */
async function drawFileSystems() {
  const { result } = await prometheus('query', {
    query: 'sum by (device, mountpoint, state) (system_filesystem_usage_bytes)',
    lookback_delta: LOOKBACK,
  });
  const mounts = new Map();
  for (const { metric, value } of result) {
    const key = `${metric.device}\n${metric.mountpoint}`;
    const mount = mounts.get(key) ?? { ...metric, used: 0, all: 0 };
    mounts.set(key, mount);
    mount.all += Number(value[1]);
    if (metric.state === 'used') mount.used += Number(value[1]);
  }
  const devices = new Map();
  for (const m of [...mounts.values()].sort((a, b) => a.mountpoint.length - b.mountpoint.length))
    if (m.all > 0 && !devices.has(m.device)) devices.set(m.device, m);
  const shown = [...devices.values()].sort((a, b) => b.all - a.all).slice(0, 6);
  $('filesystems').replaceChildren(
    ...shown.map((m) => {
      const share = m.used / m.all;
      const text = `${formatted(m.used, 'bytes')} of ${formatted(m.all, 'bytes')}`;
      const bar = shape('svg', { viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
      bar.append(
        shape('rect', { class: 'rest', width: 100, height: 8 }),
        shape('rect', { class: share > 0.9 ? 'full' : 'used', width: 100 * share, height: 8 }),
      );
      return element(
        'li',
        { title: m.device },
        element('span', {}, m.mountpoint),
        element('em', {}, `${text}, ${formatted(100 * share, 'percent')}`),
        bar,
      );
    }),
    ...(shown.length === 0 ? [element('li', { class: 'soft' }, 'nothing yet')] : []),
  );
}

async function drawPanels() {
  const window = windowNow();
  await Promise.all([...PANELS.map((p) => drawPanel(p, window)), drawFileSystems()]);
}

async function showHead() {
  state.elapsedMs = (await showStatus())?.elapsedMs ?? Infinity;
}

async function showHost() {
  const names = await prometheus('label/host_name/values', {});
  $('host').textContent = names.length === 1 ? names[0] : 'This machine';
}

// The explorer.

const UNITS = [
  [/_bytes_total$/, 'bytes', 'bytes/s'],
  [/_bytes$/, 'bytes', 'bytes/s'],
  [/_seconds(_total)?$/, 'seconds', ''],
];
const FIRST_METRIC = 'system_cpu_time_seconds_total';
const isCounter = (name) => /_(total|sum|count|bucket)$/.test(name);
const explored = new Chart({ title: 'Series found', hasHead: false, hasLegend: false });

function unitOf(query) {
  const name = state.metrics.find((m) => new RegExp(`(^|[^\\w:])${m}($|[^\\w:])`).test(query)) ?? '';
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

async function loadMetrics() {
  const names = await prometheus('label/__name__/values', {});
  if (names.join() === state.metrics.join()) return;
  const isFirst = state.metrics.length === 0;
  state.metrics = names;
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
async function explore() {
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

async function refresh() {
  await Promise.all([drawPanels(), loadMetrics()]);
  await explore();
}

async function redraw() {
  try {
    await refresh();
    if (!$('message').dataset.gone) tell('');
  } catch (error) {
    if (!(error instanceof TypeError)) tell(error.message, true);
  }
}

function setLive(isLive) {
  state.isLive = isLive;
  $('live').setAttribute('aria-pressed', String(isLive));
  if (isLive) redraw();
}

for (const p of PANELS) {
  p.chart = new Chart(p);
  $('panels').append(p.chart.element);
}
$('panels').append(
  element(
    'figure',
    { class: 'chart' },
    element('figcaption', {}, element('h3', {}, 'File systems')),
    element('ul', { id: 'filesystems' }),
  ),
);
$('explored').append(explored.element);

const hash = new URLSearchParams(location.hash.slice(1));
if (RANGES_MS[hash.get('range')]) $('range').value = hash.get('range');
$('promql').value = hash.get('q') ?? '';

$('range').addEventListener('change', redraw);
$('live').addEventListener('click', () => setLive(!state.isLive));
$('metric').addEventListener('change', () => chooseMetric().catch((e) => tell(e.message, true)));
for (const id of ['by', 'persecond']) $(id).addEventListener('change', writeQuery);
for (const id of ['toolbar', 'builder', 'ask'])
  $(id).addEventListener('submit', (event) => {
    event.preventDefault();
    if (id === 'ask') explore();
  });
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === 'Escape' && isTyping) event.target.blur();
  else if (isTyping) return;
  else if (event.key === '/') $('promql').focus();
  else if (event.key === 'l') setLive(!state.isLive);
  else return;
  event.preventDefault();
});

showHost().catch(() => {});
await showHead().catch(() => {});
redraw();
every(STATUS_MS, showHead, redraw);
every(
  REFRESH_MS,
  async () => {
    if (state.isLive && !document.hidden) await refresh();
  },
  redraw,
);
every(10_000, showHost, redraw);
