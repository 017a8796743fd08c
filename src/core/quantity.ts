/** Quantities of Kubernetes: `100m`, `1.5`, `64Mi`, `2e3`. */

const DECIMAL: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY: Readonly<Record<string, number>> = { Ki: 1, Mi: 2, Gi: 3, Ti: 4, Pi: 5, Ei: 6 };
const FORM = /^([+-]?)(\d*)(?:\.(\d*))?(?:([eE][+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]))?$/;

/**
 * The value, undefined for what is no quantity. Digits and power of ten are multiplied as Kubernetes does it, so that
 * the last bit is the same too.
 */
export function parseQuantity(quantity: unknown): number | undefined {
  const text = typeof quantity === 'number' ? String(quantity) : quantity;
  if (typeof text !== 'string') return undefined;
  const m = FORM.exec(text.trim());
  if (!m) return undefined;
  const [, sign, whole = '', fraction = '', power, suffix = ''] = m;
  if (whole === '' && fraction === '') return undefined;
  const digits = Number(whole + fraction) * (sign === '-' ? -1 : 1);
  const binary = BINARY[suffix];
  if (binary !== undefined) return (digits * 1024 ** binary) / 10 ** fraction.length;
  const scale = (power === undefined ? DECIMAL[suffix]! : Number(power.slice(1))) - fraction.length;
  return scale === 0 ? digits : digits * Number(`1e${scale}`);
}

/** Whole units, rounded up as Kubernetes does for bytes. */
export function parseWholeQuantity(quantity: unknown): number | undefined {
  const value = parseQuantity(quantity);
  return value === undefined ? undefined : Math.ceil(value);
}

/** Thousandths, rounded up as Kubernetes does for CPU. What floating point adds in the last digits does not count. */
export function parseMilliQuantity(quantity: unknown): number | undefined {
  const value = parseQuantity(quantity);
  return value === undefined ? undefined : Math.ceil(Number((value * 1000).toPrecision(15)));
}
