// One chart of lines or stacked areas, as SVG. Values are read with the pointer or, when it has the focus, with the arrow keys.
import { $, clockOf, element, shape } from './common.js';

const HEIGHT = 170;
const TOP = 8;
const BOTTOM = 20;
const RIGHT = 8;
/** Colours in style.css. */
export const COLOURS = 8;
const X_STEPS_MS = [30, 60, 120, 300, 600, 1800, 3600, 7200].map((s) => s * 1000);
const SCALES = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
];

const scaled = (v, space) => {
  const [by, letter] = SCALES.find(([n]) => Math.abs(v) >= n) ?? [1, ''];
  const n = v / by;
  const digits = n === 0 || Math.abs(n) >= 100 ? 0 : Math.abs(n) >= 1 ? 1 : Math.abs(n) >= 0.01 ? 2 : 4;
  return `${Number(n.toFixed(digits))}${letter || space ? space : ''}${letter}`;
};
const FORMATS = {
  percent: (v) => `${Number(v.toFixed(v < 10 ? 1 : 0))} %`,
  bytes: (v) => `${scaled(v, ' ')}B`,
  'bytes/s': (v) => `${scaled(v, ' ')}B/s`,
  '/s': (v) => `${scaled(v, '')}/s`,
  seconds: (v) => `${scaled(v, ' ')}s`,
  '': (v) => scaled(v, ''),
};
export const formatted = (v, unit) =>
  v === undefined || v === null ? '–' : Number.isFinite(v) ? FORMATS[unit](v) : String(v);

/** Lines of the grid: at most four, on round numbers. */
function ticks(top) {
  const rough = top / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough);
  return Array.from({ length: Math.ceil(top / step) + 1 }, (_, i) => i * step);
}

/**
 * `update({ times, series: [{ name, values, colour? }], top? })` draws; a value that is not there is null. The axis reaches
 * to `top` at least.
 * Options: title, unit (a key of FORMATS), isStacked, hasHead, hasLegend, most (of the axis).
 */
export class Chart {
  #options;
  #data = { times: [], series: [] };
  #hidden = new Set();
  #at = -1;
  #svg;
  #legend;
  #tip;
  #now;
  #x = () => 0;

  constructor(options) {
    this.#options = { unit: '', isStacked: false, hasHead: true, hasLegend: true, most: Infinity, ...options };
    const { title, hasHead, hasLegend } = this.#options;
    this.#svg = shape('svg', { tabindex: 0, role: 'img' });
    this.#legend = element('ul', { class: 'legend' });
    this.#tip = element('div', { class: 'tip', hidden: true });
    this.#now = element('span', { class: 'now' });
    const plot = element('div', { class: 'plot' }, this.#svg, this.#tip);
    this.element = element(
      'figure',
      { class: 'chart' },
      ...(hasHead ? [element('figcaption', {}, element('h3', {}, title), this.#now)] : []),
      plot,
      ...(hasLegend ? [this.#legend] : []),
    );
    this.#svg.addEventListener('pointermove', (event) => this.#point(event));
    this.#svg.addEventListener('pointerleave', () => this.#read(-1));
    this.#svg.addEventListener('blur', () => this.#read(-1));
    this.#svg.addEventListener('keydown', (event) => this.#key(event));
    new ResizeObserver(() => this.#draw()).observe(plot);
  }

  setUnit(unit) {
    this.#options.unit = unit;
  }

  update(data, now = '') {
    // The same moment stays chosen while the window moves on.
    const time = this.#data.times[this.#at];
    this.#data = data;
    this.#at = time === undefined ? -1 : data.times.indexOf(time);
    this.#now.textContent = now;
    this.#draw();
  }

  #shown() {
    return this.#data.series
      .map((s, i) => ({ ...s, colour: (s.colour ?? i) % COLOURS }))
      .filter((s) => !this.#hidden.has(s.name));
  }

  #draw() {
    const width = this.#svg.getBoundingClientRect().width;
    if (width === 0) return;
    const { times } = this.#data;
    const { unit, isStacked, most, title } = this.#options;
    const shown = this.#shown();
    const bands = isStacked ? stack(shown) : shown.map((s) => ({ ...s, upper: s.values, lower: undefined }));
    let highest = this.#data.top ?? 0;
    let lowest = 0;
    for (const b of bands)
      for (const v of b.upper)
        if (v !== null && Number.isFinite(v)) {
          if (v > highest) highest = v;
          if (v < lowest) lowest = v;
        }
    const isEmpty = shown.every((s) => s.values.every((v) => v === null));
    const marks = ticks(Math.min(Math.max(highest, unit === 'percent' ? 5 : 0) || 1, most) * 1.001);
    const top = marks.at(-1);
    const left = 12 + Math.max(...marks.map((m) => formatted(m, unit).length)) * 6.2;
    const first = times[0] ?? 0;
    const span = Math.max((times.at(-1) ?? 1) - first, 1);
    const x = (t) => left + ((t - first) / span) * (width - left - RIGHT);
    const y = (v) => TOP + (1 - (v - lowest) / (top - lowest)) * (HEIGHT - TOP - BOTTOM);
    this.#x = x;
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    this.#svg.setAttribute(
      'aria-label',
      `${title}. ${this.#spoken(times.length - 1)}. Arrow keys read earlier values.`,
    );
    const grid = marks.map((m) =>
      shape(
        'g',
        { class: 'grid' },
        shape('line', { x1: left, x2: width - RIGHT, y1: y(m), y2: y(m) }),
        shape('text', { x: left - 6, y: y(m) + 3.5, 'text-anchor': 'end' }, formatted(m, unit)),
      ),
    );
    this.#svg.replaceChildren(
      ...grid,
      ...(times.length > 1 ? timeMarks(first, span, width - left - RIGHT).map((t) => timeMark(t, x(t), width)) : []),
      // The first band lies on top, for its line to be seen where the others are thin.
      ...bands
        .toReversed()
        .flatMap((b) => [
          ...(isStacked ? [shape('path', { class: `area c${b.colour}`, d: areaPath(times, b, x, y) })] : []),
          shape('path', { class: `line c${b.colour}`, d: linePath(times, b.upper, x, y) }),
        ]),
      shape('g', { class: 'cursor' }),
    );
    if (isEmpty)
      this.#svg.append(
        shape('text', { class: 'empty', x: width / 2, y: HEIGHT / 2, 'text-anchor': 'middle' }, 'nothing yet'),
      );
    this.#drawLegend();
    this.#drawCursor();
  }

  #drawLegend() {
    if (!this.#options.hasLegend) return;
    const focused = document.activeElement?.dataset?.series;
    const isHere = this.#legend.contains(document.activeElement);
    this.#legend.replaceChildren(
      ...this.#data.series.map((s, i) => {
        const last = s.values.findLast((v) => v !== null);
        const button = element(
          'button',
          {
            type: 'button',
            'aria-pressed': String(!this.#hidden.has(s.name)),
            title: 'Show or hide',
            onclick: () => {
              this.#hidden.has(s.name) ? this.#hidden.delete(s.name) : this.#hidden.add(s.name);
              this.#draw();
            },
          },
          element('i', { class: `swatch c${(s.colour ?? i) % COLOURS}` }),
          s.name,
          element('em', {}, formatted(last, this.#options.unit)),
        );
        button.dataset.series = s.name;
        return element('li', {}, button);
      }),
    );
    if (isHere) for (const b of this.#legend.querySelectorAll('button')) if (b.dataset.series === focused) b.focus();
  }

  #point(event) {
    const { times } = this.#data;
    if (times.length === 0) return;
    const at = event.clientX - this.#svg.getBoundingClientRect().left;
    let best = 0;
    for (const [i, t] of times.entries()) if (Math.abs(this.#x(t) - at) < Math.abs(this.#x(times[best]) - at)) best = i;
    this.#read(best);
  }

  #key(event) {
    const last = this.#data.times.length - 1;
    const from = this.#at < 0 ? last + 1 : this.#at;
    const to = {
      ArrowLeft: from - 1,
      ArrowRight: from + 1,
      Home: 0,
      End: last,
      PageUp: from - 10,
      PageDown: from + 10,
    };
    if (event.key === 'Escape') this.#read(-1);
    else if (event.key in to && last >= 0) {
      this.#read(Math.max(0, Math.min(last, to[event.key])));
      $('spoken').textContent = this.#spoken(this.#at);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #spoken(index) {
    const time = this.#data.times[index];
    if (time === undefined) return 'No values';
    const values = this.#shown()
      .filter((s) => s.values[index] !== null)
      .map((s) => `${s.name} ${formatted(s.values[index], this.#options.unit)}`);
    return `${clockOf(new Date(time))}: ${values.join(', ') || 'no values'}`;
  }

  #read(index) {
    this.#at = index;
    this.#drawCursor();
  }

  #drawCursor() {
    const time = this.#data.times[this.#at];
    const cursor = this.#svg.querySelector('.cursor');
    this.#tip.hidden = time === undefined;
    cursor?.replaceChildren();
    if (time === undefined || !cursor) return;
    const x = this.#x(time);
    cursor.append(shape('line', { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
    const rows = this.#shown()
      .map((s) => ({ ...s, value: s.values[this.#at] }))
      .filter((s) => s.value !== null)
      .slice(0, 12);
    this.#tip.replaceChildren(
      element('b', {}, clockOf(new Date(time))),
      ...rows.map((s) =>
        element(
          'div',
          {},
          element('i', { class: `swatch c${s.colour}` }),
          element('span', {}, s.name),
          element('em', {}, formatted(s.value, this.#options.unit)),
        ),
      ),
    );
    const width = this.#svg.getBoundingClientRect().width;
    const isRight = x > width / 2;
    this.#tip.style.left = isRight ? 'auto' : `${x + 10}px`;
    this.#tip.style.right = isRight ? `${width - x + 10}px` : 'auto';
  }
}

/** Each series on top of those before it. */
function stack(series) {
  let base = series[0]?.values.map(() => 0) ?? [];
  return series.map((s) => {
    const lower = base;
    const upper = s.values.map((v, i) => (v === null ? null : lower[i] + v));
    base = upper.map((v, i) => v ?? lower[i]);
    return { ...s, lower, upper };
  });
}

/** Runs of values that are there. */
function* runs(values) {
  let from = -1;
  for (let i = 0; i <= values.length; i++) {
    const isThere = i < values.length && values[i] !== null && Number.isFinite(values[i]);
    if (isThere && from < 0) from = i;
    if (!isThere && from >= 0) {
      yield [from, i];
      from = -1;
    }
  }
}

const point = (x, y) => `${x.toFixed(1)},${y.toFixed(1)}`;

function linePath(times, values, x, y) {
  let d = '';
  for (const [from, to] of runs(values)) {
    d += `M${point(x(times[from]), y(values[from]))}`;
    // A single value is a dot, by the round ends of lines.
    d += to - from === 1 ? 'h0' : '';
    for (let i = from + 1; i < to; i++) d += `L${point(x(times[i]), y(values[i]))}`;
  }
  return d;
}

function areaPath(times, { upper, lower }, x, y) {
  let d = '';
  for (const [from, to] of runs(upper)) {
    const forth = [];
    const back = [];
    for (let i = from; i < to; i++) {
      forth.push(point(x(times[i]), y(upper[i])));
      back.unshift(point(x(times[i]), y(lower[i])));
    }
    d += `M${[...forth, ...back].join('L')}Z`;
  }
  return d;
}

function timeMarks(first, span, width) {
  const step = X_STEPS_MS.find((s) => (s / span) * width >= 70) ?? X_STEPS_MS.at(-1);
  const zone = new Date(first).getTimezoneOffset() * 60_000;
  const marks = [];
  for (let t = Math.ceil((first - zone) / step) * step + zone; t <= first + span; t += step) marks.push(t);
  return marks;
}

function timeMark(time, x, width) {
  const date = new Date(time);
  const anchor = x > width - 30 ? 'end' : x < 30 ? 'start' : 'middle';
  const text = clockOf(date, date.getSeconds() !== 0);
  return shape('text', { class: 'time', x: Math.min(x, width - RIGHT), y: HEIGHT - 5, 'text-anchor': anchor }, text);
}
