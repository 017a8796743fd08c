/** Texts of strptime and Go layouts → steps. */

/** One piece of a layout. */
export type Step =
  | { readonly k: 'text'; readonly text: string }
  | {
      readonly k:
        | 'year4'
        | 'year2'
        | 'yearday'
        | 'month-name'
        | 'month-short'
        | 'weekday-name'
        | 'weekday-short'
        | 'am-pm'
        | 'AM-PM'
        | 'zone-name';
    }
  | { readonly k: 'month' | 'day' | 'hour12' | 'minute' | 'second'; readonly fixed: boolean; readonly blank?: boolean }
  | { readonly k: 'hour' }
  /** digits 0: any number of them, and none at all. */
  | { readonly k: 'fraction'; readonly digits: number }
  | {
      readonly k: 'offset';
      readonly form: 'hhmm' | 'hh:mm' | 'hh' | 'hhmmss' | 'hh:mm:ss' | 'any';
      readonly z: boolean;
    };

const text = (t: string): Step => ({ k: 'text', text: t });
const num = (k: 'month' | 'day' | 'hour12' | 'minute' | 'second', fixed: boolean, blank = false): Step => ({
  k,
  fixed,
  blank,
});
const fraction = (digits = 0): Step => ({ k: 'fraction', digits });
const DATE: Step[] = [num('month', true), text('/'), num('day', true), text('/'), { k: 'year4' }];
const CLOCK: Step[] = [{ k: 'hour' }, text(':'), num('minute', true), text(':'), num('second', true)];

const DIRECTIVES: Readonly<Record<string, readonly Step[]>> = {
  Y: [{ k: 'year4' }],
  y: [{ k: 'year2' }],
  m: [num('month', true)],
  o: [num('month', false, true)],
  q: [num('month', false)],
  b: [{ k: 'month-short' }],
  h: [{ k: 'month-short' }],
  B: [{ k: 'month-name' }],
  d: [num('day', true)],
  e: [num('day', false, true)],
  g: [num('day', false)],
  a: [{ k: 'weekday-short' }],
  A: [{ k: 'weekday-name' }],
  H: [{ k: 'hour' }],
  I: [num('hour12', true)],
  l: [num('hour12', false)],
  p: [{ k: 'AM-PM' }],
  P: [{ k: 'am-pm' }],
  M: [num('minute', true)],
  S: [num('second', true)],
  Z: [{ k: 'zone-name' }],
  z: [{ k: 'offset', form: 'any', z: true }],
  w: [{ k: 'offset', form: 'hhmmss', z: true }],
  i: [{ k: 'offset', form: 'hh', z: true }],
  j: [{ k: 'offset', form: 'hh:mm', z: true }],
  k: [{ k: 'offset', form: 'hh:mm:ss', z: true }],
  D: DATE,
  x: DATE,
  F: [{ k: 'year4' }, text('-'), num('month', true), text('-'), num('day', true)],
  T: CLOCK,
  X: CLOCK,
  r: [num('hour12', true), text(':'), num('minute', true), text(':'), num('second', true), text(' '), { k: 'am-pm' }],
  R: [{ k: 'hour' }, text(':'), num('minute', true)],
  n: [text('\n')],
  t: [text('\t')],
  '%': [text('%')],
  c: [
    { k: 'weekday-short' },
    text(' '),
    { k: 'month-short' },
    text(' '),
    num('day', true),
    text(' '),
    ...CLOCK,
    text(' '),
    { k: 'year4' },
  ],
};

export function strptimeSteps(layout: string): Step[] | { error: string } {
  const steps: Step[] = [];
  let plain = '';
  for (let i = 0; i < layout.length; i++) {
    const c = layout[i]!;
    if (c !== '%') {
      if (c >= '0' && c <= '9')
        return { error: `invalid strptime layout ${JSON.stringify(layout)}: digits are not allowed in it` };
      plain += c;
      continue;
    }
    const d = layout[++i] ?? '';
    if (d === 'L' || d === 'f' || d === 's') {
      if (!plain.endsWith('.') && !plain.endsWith(','))
        return { error: `invalid fractional seconds directive: '%${d}'. must be preceded with '.' or ','` };
      plain = plain.slice(0, -1);
      if (plain) steps.push(text(plain));
      plain = '';
      steps.push(fraction());
      continue;
    }
    const directive = DIRECTIVES[d];
    if (!directive || d === '')
      return { error: `unsupported directive in strptime layout ${JSON.stringify(layout)}: %${d}` };
    if (plain) steps.push(text(plain));
    plain = '';
    steps.push(...directive);
  }
  if (plain) steps.push(text(plain));
  return steps;
}

const OFFSETS: readonly (readonly [string, 'hhmm' | 'hh:mm' | 'hh' | 'hhmmss' | 'hh:mm:ss'])[] = [
  ['070000', 'hhmmss'],
  ['07:00:00', 'hh:mm:ss'],
  ['0700', 'hhmm'],
  ['07:00', 'hh:mm'],
  ['07', 'hh'],
];

const lowerCaseAt = (s: string, i: number): boolean => /[a-z]/.test(s[i] ?? '');

/** The directive of Go's reference time that starts at `i`, and how long it is. */
function goStep(s: string, i: number): [Step | Step[], number] | undefined {
  const at = (w: string) => s.startsWith(w, i);
  switch (s[i]) {
    case 'J':
      if (at('January')) return [{ k: 'month-name' }, 7];
      return at('Jan') && !lowerCaseAt(s, i + 3) ? [{ k: 'month-short' }, 3] : undefined;
    case 'M':
      if (at('Monday')) return [{ k: 'weekday-name' }, 6];
      if (at('MST')) return [{ k: 'zone-name' }, 3];
      return at('Mon') && !lowerCaseAt(s, i + 3) ? [{ k: 'weekday-short' }, 3] : undefined;
    case '0': {
      if (at('002')) return [{ k: 'yearday' }, 3];
      const names = [
        num('month', true),
        num('day', true),
        num('hour12', true),
        num('minute', true),
        num('second', true),
        { k: 'year2' } as Step,
      ];
      const n = (s.charCodeAt(i + 1) || 0) - 49;
      return names[n] ? [names[n], 2] : undefined;
    }
    case '1':
      return at('15') ? [{ k: 'hour' }, 2] : [num('month', false), 1];
    case '2':
      return at('2006') ? [{ k: 'year4' }, 4] : [num('day', false), 1];
    case '_':
      if (at('_2006')) return [[text('_'), { k: 'year4' }], 5];
      if (at('__2')) return [{ k: 'yearday' }, 3];
      return at('_2') ? [num('day', false, true), 2] : undefined;
    case '3':
      return [num('hour12', false), 1];
    case '4':
      return [num('minute', false), 1];
    case '5':
      return [num('second', false), 1];
    case 'P':
      return at('PM') ? [{ k: 'AM-PM' }, 2] : undefined;
    case 'p':
      return at('pm') ? [{ k: 'am-pm' }, 2] : undefined;
    case '-':
    case 'Z':
      for (const [form, name] of OFFSETS)
        if (s.startsWith(form, i + 1)) return [{ k: 'offset', form: name, z: s[i] === 'Z' }, form.length + 1];
      return undefined;
    case '.':
    case ',': {
      const m = /^(?:0+|9+)(?!\d)/.exec(s.slice(i + 1));
      return m ? [fraction(m[0][0] === '0' ? m[0].length : 0), m[0].length + 1] : undefined;
    }
    default:
      return undefined;
  }
}

export function goSteps(layout: string): Step[] | { error: string } {
  const bad = /(?:^|[^.,9])(9+)(?!\d)/.exec(layout);
  if (bad) return { error: `invalid fractional seconds directive: '${bad[1]}'. must be preceded with '.' or ','` };
  const steps: Step[] = [];
  let plain = '';
  for (let i = 0; i < layout.length; ) {
    const found = goStep(layout, i);
    if (!found) {
      plain += layout[i++];
      continue;
    }
    if (plain) steps.push(text(plain));
    plain = '';
    steps.push(...(Array.isArray(found[0]) ? found[0] : [found[0]]));
    i += found[1];
  }
  if (plain) steps.push(text(plain));
  return steps;
}
