/** Converters that read XML. Documents are walked once; entities of their own, which can grow without end, are refused. */
import type { Value, ValueMap } from '../../../wire/otlp.ts';
import { converter, type FunctionDefinition } from '../function.ts';
import { fail } from '../values.ts';

const MAX_DEPTH = 100;
const NAME = /[A-Za-z_:\u00c0-\uffff][\w:.\u00b7-\uffff-]*/y;
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

interface Element {
  readonly tag: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: Element[];
  /** Runs of text between its children. */
  readonly texts: string[];
}

const bad = (why: string): never => fail(`unmarshal xml: XML syntax error: ${why}`);
const localName = (name: string): string => name.slice(name.indexOf(':') + 1);

function decoded(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w+))?(;?)/g, (_, decimal, hexadecimal, name, end) => {
    const code = decimal ? Number(decimal) : hexadecimal ? Number.parseInt(hexadecimal, 16) : -1;
    if (end === '' || (code < 0 && !Object.hasOwn(ENTITIES, name ?? ''))) return bad('invalid character entity');
    if (code > 0x10ffff) return bad('illegal character code');
    return code < 0 ? ENTITIES[name]! : String.fromCodePoint(code);
  });
}

/** The elements at the top of a document. */
function parse(text: string): Element[] {
  let pos = 0;
  const root: Element = { tag: '', attributes: new Map(), children: [], texts: [] };
  const open: Element[] = [root];
  const name = (): string => {
    NAME.lastIndex = pos;
    const found = NAME.exec(text)?.[0] ?? bad('a name is missing');
    pos += found.length;
    return found;
  };
  const blanks = (): void => {
    while (/\s/.test(text[pos] ?? '')) pos++;
  };
  const past = (end: string): string => {
    const at = text.indexOf(end, pos);
    if (at < 0) return bad('unexpected EOF');
    const found = text.slice(pos, at);
    pos = at + end.length;
    return found;
  };
  while (pos < text.length) {
    const element = open.at(-1)!;
    const next = text.indexOf('<', pos);
    const run = text.slice(pos, next < 0 ? text.length : next);
    if (run !== '') element.texts.push(decoded(run));
    if (next < 0) break;
    pos = next;
    if (text.startsWith('<!--', pos)) past('-->');
    else if (text.startsWith('<![CDATA[', pos)) {
      pos += 9;
      element.texts.push(past(']]>'));
    } else if (text.startsWith('<?', pos)) past('?>');
    else if (text.startsWith('<!', pos)) {
      if (past('>').includes('[')) bad('internal document types are not supported');
    } else if (text.startsWith('</', pos)) {
      pos += 2;
      const tag = name();
      blanks();
      if (text[pos++] !== '>') bad(`invalid characters between </${tag} and >`);
      if (open.length === 1 || localName(tag) !== element.tag) bad(`element <${element.tag}> closed by </${tag}>`);
      open.pop();
    } else {
      pos++;
      const child: Element = { tag: localName(name()), attributes: attributes(), children: [], texts: [] };
      element.children.push(child);
      if (text[pos] === '/') pos++;
      else open.push(child);
      if (text[pos++] !== '>') bad('expected /> in element');
      if (open.length > MAX_DEPTH) bad('nested too deep');
    }
  }
  if (open.length > 1) bad('unexpected EOF');
  return root.children;

  function attributes(): Map<string, string> {
    const out = new Map<string, string>();
    for (;;) {
      blanks();
      const c = text[pos];
      if (c === '>' || c === '/') return out;
      const key = localName(name());
      blanks();
      if (text[pos++] !== '=') bad('attribute name without = in element');
      blanks();
      const quote = text[pos++];
      if (quote !== '"' && quote !== "'") bad('unquoted or missing attribute value in element');
      out.set(key, decoded(past(quote!)));
    }
  }
}

/** Tag, attributes, trimmed text and children of an element, as far as there are any. */
function full(e: Element): ValueMap {
  const out: ValueMap = new Map<string, Value>([['tag', e.tag]]);
  const content = e.texts.map((t) => t.trim()).join('');
  if (content !== '') out.set('content', content);
  if (e.attributes.size > 0) out.set('attributes', new Map<string, Value>(e.attributes));
  if (e.children.length > 0) out.set('children', e.children.map(full));
  return out;
}

/** Elements by their tags; several of one tag are a list. Attributes, and texts beside elements, are left out. */
function simplified(children: readonly Element[]): ValueMap {
  const out: ValueMap = new Map();
  const counts = new Map<string, number>();
  for (const { tag } of children) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  for (const child of children) {
    const value = child.children.length > 0 ? simplified(child.children) : (child.texts[0] ?? '');
    const isEmpty = value === '' || (value instanceof Map && value.size === 0);
    if (counts.get(child.tag)! === 1) {
      if (!isEmpty) out.set(child.tag, value);
      continue;
    }
    if (child.children.length === 0 && child.texts.length === 0) continue;
    const list = (out.get(child.tag) ?? []) as Value[];
    if (!isEmpty) list.push(value);
    out.set(child.tag, list);
  }
  return out;
}

export const XML_CONVERTERS: readonly (readonly [string, FunctionDefinition])[] = [
  [
    'ParseXML',
    converter(
      'XML as a map of tag, attributes, content and children',
      { target: 'string' },
      'map',
      ({ target }) =>
        (env) =>
          full(parse(target(env))[0] ?? bad('EOF')),
    ),
  ],
  [
    'ParseSimplifiedXML',
    converter(
      'The elements of XML as a map; attributes are left out',
      { target: 'string' },
      'map',
      ({ target }) =>
        (env) =>
          simplified(parse(target(env))),
    ),
  ],
];
