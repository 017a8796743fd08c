/**
 * Reads long lists out of JSON one element at a time: what an element leaves behind is gone before the next one, and the
 * text as a whole is never a string, so that a list costs the garbage collector hardly more than its largest element.
 */

/** Throws a SyntaxError as JSON.parse, or calls JSON.parse with more care. */
export type Parse = (text: string) => unknown;

/**
 * Calls `visit` with every element of the array in the member `key` of the object in `body`, and returns that object with
 * the array empty. `opening` is how elements begin as Go writes them, `{"podRef":`; text in another form is read too,
 * in one piece.
 */
export function readList(
  body: Buffer,
  key: string,
  opening: string,
  visit: (element: unknown) => void,
  parse: Parse = JSON.parse,
): unknown {
  const visited = readPieces(body, key, opening, visit, parse);
  if (visited.rest !== undefined) return visited.rest;
  const whole = parse(body.toString());
  const list = membersOf(whole)[key];
  if (!Array.isArray(list)) return whole;
  for (let i = visited.count; i < list.length; i++) visit(list[i]);
  return { ...(whole as object), [key]: [] };
}

/** How many separators within one element are tried; more than that is no list of small things. */
const MAX_TRIES = 16;

const membersOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

/**
 * Without `rest`, the text has to be read in one piece, less the first `count` elements. Where the pieces are each valid
 * and so is what is around them, the whole is what they say: no other reading of the text is possible.
 */
function readPieces(body: Buffer, key: string, opening: string, visit: (element: unknown) => void, parse: Parse) {
  const none = { rest: undefined, count: 0 };
  const head = `${JSON.stringify(key)}:[`;
  const start = body.indexOf(head) + head.length;
  const end = body.lastIndexOf(']');
  if (start < head.length || end <= start || body.indexOf(opening, start) !== start) return none;
  let rest: unknown;
  try {
    rest = parse(body.toString('utf8', 0, start) + body.toString('utf8', end));
  } catch {
    return none;
  }
  const list = membersOf(rest)[key];
  if (!Array.isArray(list) || list.length > 0) return none;
  const separator = Buffer.from(`,${opening}`);
  let count = 0;
  for (let at = start; at < end; ) {
    let element: unknown;
    let until = at;
    let tries = 0;
    do {
      // A separator may also stand inside of an element; then the piece is longer.
      const next = body.indexOf(separator, until + 1);
      until = next < 0 || next > end ? end : next;
      try {
        element = parse(body.toString('utf8', at, until));
      } catch {
        if (until === end || ++tries === MAX_TRIES) return { rest: undefined, count };
        element = undefined;
      }
    } while (element === undefined);
    visit(element);
    count++;
    at = until + 1;
  }
  return { rest, count };
}
