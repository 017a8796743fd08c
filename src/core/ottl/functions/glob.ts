/** Globs of replace_match: `*` and `?` match any character, classes and alternatives as in shells. */

const escaped = (c: string): string => (/[\\.+*?()|[\]{}^$]/.test(c) ? `\\${c}` : c);

/** The same as a regular expression over the whole text. */
export function globPattern(glob: string): string {
  let out = '^(?s:';
  let depth = 0;
  for (let i = 0; i < glob.length; i++) {
    const c = glob[i]!;
    if (c === '*') {
      while (glob[i + 1] === '*') i++;
      out += '.*';
    } else if (c === '?') out += '.';
    else if (c === '\\' && i + 1 < glob.length) out += escaped(glob[++i]!);
    else if (c === '{') {
      depth++;
      out += '(?:';
    } else if (c === '}' && depth > 0) {
      depth--;
      out += ')';
    } else if (c === ',' && depth > 0) out += '|';
    else if (c === '[') {
      const end = glob.indexOf(']', i + 2);
      if (end < 0) throw new Error(`the pattern supplied to replace_match is not a valid pattern: ${glob}`);
      const inner = glob.slice(i + 1, end);
      const isNot = inner[0] === '!' || inner[0] === '^';
      out += `[${isNot ? '^' : ''}${inner.slice(isNot ? 1 : 0).replaceAll(/[\\[\]^]/g, (x) => `\\${x}`)}]`;
      i = end;
    } else out += escaped(c);
  }
  if (depth > 0) throw new Error(`the pattern supplied is not a valid pattern: ${glob}`);
  return `${out})$`;
}
