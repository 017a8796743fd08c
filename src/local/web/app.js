// The search page of the embedded store. Everything shown is set as text, never as markup.
import { $, ask, clockOf, element, every, shape, shortNumber, showStatus, tell } from './common.js';

const PAGE_ROWS = 200;
const MOST_ROWS = 600;
const LIVE_MS = 1000;
const SUMMARY_MS = 4000;
const SEVERITIES = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', ''];
const STEP_MS = { '5m': 5000, '15m': 15_000, '1h': 60_000, '6h': 360_000 };

const state = { severities: new Set(), isLive: true, wasHeld: false, lastId: 0, at: -1, generation: 0 };

const quoted = (text) => `"${text.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;

/** The whole condition: what is typed, and what is chosen beside it. */
function conditions(withSeverity = true) {
  const parts = [`_time:${$('range').value}`];
  const typed = $('query').value.trim();
  if (typed) parts.push(`(${typed})`);
  if ($('namespace').value) parts.push(`namespace:=${quoted($('namespace').value)}`);
  if ($('pod').value) parts.push(`pod:=${quoted($('pod').value)}`);
  if (withSeverity && state.severities.size > 0)
    parts.push(`(${[...state.severities].map((s) => `severity:=${quoted(s)}`).join(' OR ')})`);
  return parts.join(' ');
}

/** Words of the query, to be marked in the messages. */
function wordsToMark() {
  const words = [];
  for (const m of $('query').value.matchAll(/(^|[\s(])(?!-|!)(?:"((?:[^"\\]|\\.)+)"|([^\s()":|]+))(?=$|[\s)])/g)) {
    const word = m[2] ?? m[3];
    if (word && !/^(AND|OR|NOT|\*)$/.test(word)) words.push(word);
  }
  return words.length
    ? new RegExp(words.map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'gi')
    : undefined;
}

function marked(text, pattern) {
  const found = document.createDocumentFragment();
  let from = 0;
  if (pattern)
    for (const m of text.matchAll(pattern)) {
      found.append(text.slice(from, m.index), element('mark', {}, m[0]));
      from = m.index + m[0].length;
    }
  found.append(text.slice(from));
  return found;
}

function rowElement(row, pattern) {
  const at = new Date(row.time);
  const pod = row.stream['k8s.pod.name'] ?? row.stream['host.name'] ?? '';
  const severity = row.severity || 'none';
  const text = row.message.length > 600 ? `${row.message.slice(0, 600)}…` : row.message;
  const line = element(
    'div',
    { class: 'row' },
    element('time', { title: row.time, dateTime: row.time }, `${clockOf(at)}.${row.time.slice(20, 23)}`),
    element('span', { class: `level ${severity}` }, row.severity || '·'),
    element('span', { class: 'pod', title: `${row.stream['k8s.namespace.name'] ?? ''}/${pod}` }, pod),
    element('span', { class: 'text' }, marked(text, pattern)),
  );
  const item = element('li', {}, line);
  item.record = row;
  line.addEventListener('click', () => {
    if (String(getSelection()) === '') toggle(item);
  });
  return item;
}

function pretty(message) {
  if (!/^\s*[[{]/.test(message)) return message;
  try {
    return JSON.stringify(JSON.parse(message), null, 2);
  } catch {
    return message;
  }
}

function toggle(item) {
  const open = item.querySelector('.detail');
  if (open) return open.remove();
  const { record } = item;
  const fields = Object.entries({ ...record.stream, ...record.attributes }).sort(([a], [b]) => (a < b ? -1 : 1));
  item.append(
    element(
      'div',
      { class: 'detail' },
      element('pre', {}, pretty(record.message)),
      element(
        'dl',
        {},
        element('dt', {}, '_time'),
        element('dd', {}, record.time),
        ...fields.flatMap(([name, value]) => [
          element('dt', {}, name),
          element(
            'dd',
            {},
            element(
              'button',
              { type: 'button', title: 'Search for this', onclick: () => narrow(name, value) },
              value || '""',
            ),
          ),
        ]),
      ),
    ),
  );
}

function narrow(name, value) {
  const key = /^[\w.]+$/.test(name) ? name : quoted(name);
  $('query').value = `${$('query').value.trim()} ${key}:=${quoted(value)}`.trim();
  search();
}

function choose(index) {
  const items = $('rows').children;
  items[state.at]?.classList.remove('at');
  state.at = Math.max(-1, Math.min(index, items.length - 1));
  items[state.at]?.classList.add('at');
  items[state.at]?.scrollIntoView({ block: 'nearest' });
}

/** From the beginning: first page, histogram, link. */
async function search() {
  const generation = ++state.generation;
  const hash = new URLSearchParams({
    q: $('query').value,
    ns: $('namespace').value,
    pod: $('pod').value,
    range: $('range').value,
    sev: [...state.severities].join(','),
  });
  history.replaceState(undefined, '', `#${hash}`);
  try {
    const found = await ask('/api/logs', { query: conditions(), limit: PAGE_ROWS });
    if (generation !== state.generation) return;
    state.lastId = found.lastId;
    const pattern = wordsToMark();
    $('rows').replaceChildren(...found.rows.map((r) => rowElement(r, pattern)));
    state.at = -1;
    await summarize();
  } catch (error) {
    if (generation === state.generation) tell(error.message, true);
  }
}

async function follow() {
  if (!state.isLive || document.hidden || state.lastId === 0) return;
  // Nobody wants the record that they read to move away.
  const isHeld = scrollY > 200 || $('rows').querySelector('.detail') !== null;
  $('live').textContent = isHeld ? 'Held' : 'Live';
  if (isHeld) {
    state.wasHeld = true;
    return;
  }
  if (state.wasHeld) {
    state.wasHeld = false;
    await search();
    return;
  }
  const { generation } = state;
  const found = await ask('/api/logs', { query: conditions(), limit: PAGE_ROWS, after: state.lastId });
  if (generation !== state.generation) return;
  state.lastId = found.lastId;
  if (found.rows.length === 0) return;
  const pattern = wordsToMark();
  const rows = $('rows');
  found.rows.sort((a, b) => (a.time < b.time ? 1 : -1));
  rows.prepend(...found.rows.map((r) => rowElement(r, pattern)));
  if (state.at >= 0) state.at += found.rows.length;
  while (rows.children.length > MOST_ROWS) rows.lastElementChild.remove();
}

async function summarize() {
  const { generation } = state;
  const range = $('range').value;
  const found = await ask('/api/histogram', { query: conditions(false), step: STEP_MS[range] });
  if (generation !== state.generation) return;
  const counts = new Map();
  for (const s of found.steps) counts.set(s.severity, (counts.get(s.severity) ?? 0) + s.count);
  drawSeverities(counts);
  const shown = found.steps.filter((s) => state.severities.size === 0 || state.severities.has(s.severity));
  drawHistogram(shown, found.stepMs, found.nowMs);
  const total = shown.reduce((sum, s) => sum + s.count, 0);
  tell(
    total === 0
      ? 'Nothing found.'
      : `${shortNumber(total)} records, ${total > $('rows').children.length ? 'the newest shown' : 'all shown'}`,
  );
}

function drawSeverities(counts) {
  const wanted = SEVERITIES.filter((s) => counts.has(s) || state.severities.has(s));
  const focused = document.activeElement?.dataset?.severity;
  $('severities').replaceChildren(
    ...wanted.map((s) => {
      const button = element(
        'button',
        { type: 'button', class: s || 'none', 'aria-pressed': String(state.severities.has(s)) },
        element('span', {}, s || 'other'),
        element('em', {}, shortNumber(counts.get(s) ?? 0)),
      );
      button.dataset.severity = s;
      button.addEventListener('click', () => {
        state.severities.has(s) ? state.severities.delete(s) : state.severities.add(s);
        search();
      });
      return button;
    }),
  );
  if (focused !== undefined) for (const b of $('severities').children) if (b.dataset.severity === focused) b.focus();
}

function drawHistogram(steps, stepMs, nowMs) {
  const bars = 60;
  const last = Math.floor(nowMs / stepMs) * stepMs;
  const first = last - (bars - 1) * stepMs;
  const columns = Array.from({ length: bars }, () => new Map());
  for (const s of steps) columns[(s.startMs - first) / stepMs]?.set(s.severity, s.count);
  const sums = columns.map((c) => [...c.values()].reduce((a, b) => a + b, 0));
  const top = Math.max(1, ...sums);
  const svg = $('histogram').querySelector('svg');
  svg.setAttribute('viewBox', `0 0 ${bars * 10} 100`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.replaceChildren(
    ...columns.map((column, i) => {
      const group = shape('g', {});
      const title = shape('title', {});
      const start = new Date(first + i * stepMs);
      title.textContent = [
        `${clockOf(start)}: ${shortNumber(sums[i])}`,
        ...[...column].map(([s, n]) => `${s || 'other'} ${shortNumber(n)}`),
      ].join('\n');
      group.append(title, shape('rect', { class: 'hit', x: i * 10, y: 0, width: 10, height: 100 }));
      let y = 100;
      for (const s of [...SEVERITIES].reverse()) {
        const n = column.get(s);
        if (!n) continue;
        // A few errors among thousands must still be seen.
        const height = Math.max((n / top) * 96, 1.5);
        y -= height;
        group.append(shape('rect', { class: `bar ${s || 'none'}`, x: i * 10 + 1, y, width: 8, height }));
      }
      return group;
    }),
  );
  const seconds = stepMs < 60_000;
  $('histogram')
    .querySelector('figcaption')
    .replaceChildren(
      element('span', {}, clockOf(new Date(first), seconds)),
      element(
        'span',
        {},
        `most: ${shortNumber(top)} in ${stepMs >= 60_000 ? `${stepMs / 60_000} min` : `${stepMs / 1000} s`}`,
      ),
      element('span', {}, clockOf(new Date(last + stepMs), seconds)),
    );
}

let streams = [];
function fillSelects() {
  const namespace = $('namespace').value;
  const options = (id, all, names) => {
    const before = $(id).value;
    if (before && !names.includes(before)) names.push(before);
    if (
      [...$(id).options]
        .slice(1)
        .map((o) => o.value)
        .join() === names.join() &&
      $(id).options.length > 0
    )
      return;
    $(id).replaceChildren(
      element('option', { value: '' }, all),
      ...names.map((n) => element('option', { value: n }, n)),
    );
    $(id).value = before;
  };
  options('namespace', 'all namespaces', [...new Set(streams.map((s) => s.namespace).filter(Boolean))].sort());
  options(
    'pod',
    'all pods',
    [
      ...new Set(
        streams
          .filter((s) => !namespace || s.namespace === namespace)
          .map((s) => s.pod)
          .filter(Boolean),
      ),
    ].sort(),
  );
}

function setLive(isLive) {
  state.isLive = isLive;
  $('live').setAttribute('aria-pressed', String(isLive));
  $('live').textContent = 'Live';
  if (isLive) search();
}

function readHash() {
  const hash = new URLSearchParams(location.hash.slice(1));
  $('query').value = hash.get('q') ?? '';
  if (STEP_MS[hash.get('range')]) $('range').value = hash.get('range');
  for (const s of (hash.get('sev') ?? '').split(',')) if (s && SEVERITIES.includes(s)) state.severities.add(s);
  for (const [id, key] of [
    ['namespace', 'ns'],
    ['pod', 'pod'],
  ]) {
    const value = hash.get(key);
    if (!value) continue;
    $(id).append(element('option', { value }, value));
    $(id).value = value;
  }
}

let typing;
$('query').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(search, 250);
});
$('search').addEventListener('submit', (event) => {
  event.preventDefault();
  clearTimeout(typing);
  search();
});
for (const id of ['namespace', 'pod', 'range'])
  $(id).addEventListener('change', () => {
    if (id === 'namespace') $('pod').value = '';
    fillSelects();
    search();
  });
$('live').addEventListener('click', () => setLive(!state.isLive));
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === 'Escape') {
    if (isTyping) event.target.blur();
    else choose(-1);
    for (const open of document.querySelectorAll('.detail')) open.remove();
  } else if (event.target === $('query') && event.key === 'ArrowDown') {
    $('query').blur();
    choose(0);
  } else if (isTyping) return;
  else if (event.key === '/') $('query').focus();
  else if (event.key === 'l') setLive(!state.isLive);
  else if (event.key === 'ArrowDown' || event.key === 'j') choose(state.at + 1);
  else if (event.key === 'ArrowUp' || event.key === 'k') choose(Math.max(0, state.at - 1));
  else if (event.key === 'Enter' && event.target.tagName !== 'BUTTON') {
    const item = $('rows').children[state.at];
    if (item) toggle(item);
    return;
  } else return;
  event.preventDefault();
});

async function loadStreams() {
  streams = await ask('/api/streams');
  fillSelects();
}

readHash();
fillSelects();
search();
for (const work of [showStatus, loadStreams]) work().catch(() => {});
every(LIVE_MS, follow, search);
every(LIVE_MS, showStatus, search);
every(
  SUMMARY_MS,
  async () => {
    await loadStreams();
    if (state.isLive && !document.hidden) await summarize();
  },
  search,
);
