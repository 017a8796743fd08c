/**
 * Hostile texts cost linear time: counted as characters that are looked at and sets that are asked, not as seconds.
 * What the built-in engine does cannot be counted, so for it the length of text that it may be given is what counts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRegex, type Regex } from './regex.ts';
import { Matcher } from './regex-program.ts';

/** Runs `work`; gives how often a character was read or a set was asked. */
function stepsOf(work: () => void): number {
  let steps = 0;
  const text = String.prototype as unknown as Record<'charCodeAt' | 'codePointAt', (i: number) => number>;
  const matcher = Matcher.prototype as { has(c: number): boolean };
  const { charCodeAt, codePointAt } = text;
  const { has } = matcher;
  text.charCodeAt = function (this: string, i) {
    steps++;
    return charCodeAt.call(this, i);
  };
  text.codePointAt = function (this: string, i) {
    steps++;
    return codePointAt.call(this, i);
  };
  matcher.has = function (this: Matcher, c) {
    steps++;
    return has.call(this, c);
  };
  try {
    work();
  } finally {
    Object.assign(text, { charCodeAt, codePointAt });
    matcher.has = has;
  }
  return steps;
}

/** Expression, what the text repeats, and how it ends. */
const HOSTILE: readonly [pattern: string, unit: string, end: string][] = [
  ['(a+)+$', 'a', 'b'],
  ['^(a+)+$', 'a', '!'],
  ['(a|a)*b', 'a', 'c'],
  ['(a|aa)+$', 'a', 'b'],
  ['(.*)*x', 'y', ''],
  ['(x+x+)+y', 'x', ''],
  ['(\\w+\\s*)+:', 'word ', ''],
  ['^(([a-z])+.)+[A-Z]([a-z])+$', 'a', ''],
  ['(?:a?){30}a{30}b', 'a', ''],
  ['([a-zA-Z0-9_.-]+)*@', 'a.', ''],
  ['(?i)(é|É)+$', 'éÉ', 'e'],
  ['(\\b\\w*)*!', 'ab ', ''],
];

const SIZES = [2000, 4000, 8000] as const;

for (const [pattern, unit, end] of HOSTILE)
  test(`${pattern} on ${unit}${unit}…${end}: twice the text, twice the steps`, () => {
    const textOf = (n: number): string => unit.repeat(n / unit.length) + end;
    for (const [what, work] of [
      ['test', (r: Regex, t: string) => r.test(t)],
      ['exec', (r: Regex, t: string) => r.exec(t)],
      ['replaceAll', (r: Regex, t: string) => r.replaceAll(t, '-')],
    ] as const) {
      const steps = SIZES.map((n) => {
        const [regex, text] = [compileRegex(pattern), textOf(n)];
        assert.ok(regex.isLinear, 'not given to the built-in engine');
        return stepsOf(() => void work(regex, text));
      });
      for (const [i, n] of SIZES.entries()) {
        assert.ok(steps[i]! >= n / 2, `${what}: ${steps[i]} steps are counted at all`);
        // A factor of the expression, not of the text.
        assert.ok(steps[i]! <= n * 500, `${what}: ${steps[i]} steps for ${n} characters`);
        if (i > 0) assert.ok(steps[i]! <= steps[i - 1]! * 2.1 + 1000, `${what}: ${steps.join(', ')}`);
      }
    }
  });

test('what is quadratic at worst is given to the built-in engine up to a length, and to the linear one beyond', () => {
  for (const pattern of ['^.*.*=$', '\\d+x', '[a-z]+@[a-z]+\\.']) {
    const regex = compileRegex(pattern);
    assert.ok(!regex.isLinear, pattern);
    const text = 'ab1.'.repeat(100_000);
    const steps = stepsOf(() => void regex.test(text));
    assert.ok(steps >= text.length / 2 && steps <= text.length * 20, `${pattern}: ${steps}`);
  }
});
