/** Reads a command line by the table of commands, as otelcol's flag package does: `--flag value`, `--flag=value`, `--flag=false`. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { ConfigError } from '../core/errors.ts';
import { didYouMean } from '../core/suggest.ts';
import { COMMANDS, type Command, type Flag, findCommand, GLOBAL_FLAGS } from './commands.ts';

export interface Arguments {
  /** Undefined when no command is named. */
  readonly command: Command | undefined;
  readonly lists: Readonly<Record<string, readonly string[]>>;
  readonly texts: Readonly<Record<string, string>>;
  readonly bools: Readonly<Record<string, boolean>>;
  readonly operands: readonly string[];
  /** What follows a command that reads its own arguments. */
  readonly raw: readonly string[];
}

const refuse = (message: string, hint?: string): ConfigError =>
  new ConfigError([{ path: [], message, ...(hint === undefined ? {} : { hint }) }]);

export function parseArguments(argv: readonly string[]): Arguments {
  const all = [...GLOBAL_FLAGS, ...COMMANDS.flatMap((c) => c.flags)];
  const at = commandIndex(argv, all);
  const command = at === undefined ? undefined : commandNamed(argv[at]!);
  if (command?.isRaw && at !== undefined) {
    return { command, lists: {}, texts: {}, bools: {}, operands: [], raw: argv.slice(at + 1) };
  }
  const flags = [...GLOBAL_FLAGS, ...(command ?? findCommand('run')!).flags];
  const rest = at === undefined ? argv : [...argv.slice(0, at), ...argv.slice(at + 1)];
  return { command, raw: [], ...parseFlags(normalize(rest, flags), flags, command) };
}

function commandNamed(word: string): Command {
  const command = findCommand(word);
  if (command) return command;
  const hint = didYouMean(
    word,
    COMMANDS.map((c) => c.name),
  );
  throw refuse(`unknown command ${JSON.stringify(word)} for "sluice"`, hint ?? 'sluice --help lists the commands');
}

/** The first word that is neither a flag nor the value of one. */
function commandIndex(argv: readonly string[], flags: readonly Flag[]): number | undefined {
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') return undefined;
    if (!word.startsWith('-') || word === '-') return i;
    const flag = word.startsWith('--')
      ? flags.find((f) => word === `--${f.name}`)
      : flags.find((f) => word === `-${f.short}`);
    // An unknown flag is told as such: what follows may be its value.
    if (!flag && !word.includes('=')) return undefined;
    if (flag && flag.type !== 'bool') i++;
  }
  return undefined;
}

/** Every flag with its value in one word, so that a value may begin with a dash and a bool may be `=false`. */
function normalize(argv: readonly string[], flags: readonly Flag[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') return [...out, ...argv.slice(i)];
    if (!word.startsWith('-') || word === '-') {
      out.push(word);
      continue;
    }
    const eq = word.indexOf('=');
    const given = eq < 0 ? word : word.slice(0, eq);
    const flag = given.startsWith('--')
      ? flags.find((f) => `--${f.name}` === given)
      : flags.find((f) => f.short && `-${f.short}` === given);
    if (!flag) {
      const hint = didYouMean(
        given,
        flags.map((f) => `--${f.name}`),
      );
      throw refuse(
        given.startsWith('--')
          ? `unknown flag: ${given}`
          : `unknown shorthand flag: ${JSON.stringify(given.slice(1, 2))} in ${given}`,
        hint,
      );
    }
    if (flag.type === 'bool') out.push(boolWord(flag, eq < 0 ? 'true' : word.slice(eq + 1)));
    else if (eq >= 0) out.push(`--${flag.name}=${word.slice(eq + 1)}`);
    else if (i + 1 < argv.length) out.push(`--${flag.name}=${argv[++i]!}`);
    else throw refuse(`flag needs an argument: --${flag.name}`);
  }
  return out;
}

function boolWord(flag: Flag, value: string): string {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return `--${flag.name}`;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return `--no-${flag.name}`;
  throw refuse(`invalid argument ${JSON.stringify(value)} for "--${flag.name}" flag: must be true or false`);
}

function parseFlags(
  argv: string[],
  flags: readonly Flag[],
  command: Command | undefined,
): Omit<Arguments, 'command' | 'raw'> {
  const options: ParseArgsOptionsConfig = {};
  for (const f of flags)
    options[f.name] = { type: f.type === 'bool' ? 'boolean' : 'string', multiple: f.type === 'list' };
  const { values, positionals } = parseArgs({ args: argv, options, allowPositionals: true, allowNegative: true });
  if (positionals.length > 0 && command?.operands === undefined)
    throw refuse(`unknown argument ${JSON.stringify(positionals[0])}${command ? ` for "sluice ${command.name}"` : ''}`);
  const lists: Record<string, readonly string[]> = {};
  const texts: Record<string, string> = {};
  const bools: Record<string, boolean> = {};
  for (const f of flags) {
    const value = values[f.name] ?? f.default;
    if (f.type === 'list') lists[f.name] = (value as string[] | undefined) ?? [];
    else if (f.type === 'text') texts[f.name] = (value as string | undefined) ?? '';
    else bools[f.name] = value === true;
  }
  return { lists, texts, bools, operands: positionals };
}
