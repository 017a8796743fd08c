/** Go regular expressions. */
export interface Regex {
  test(text: string): boolean;
}
export function compileRegex(pattern: string): Regex {
  return new RegExp(pattern.replaceAll('(?P<', '(?<'), 'u');
}
