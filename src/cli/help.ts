/** The text of --help, built from the table of commands. */
import { versionLine } from './build.ts';
import { COMMANDS, type Command, type Flag, findCommand, GLOBAL_FLAGS } from './commands.ts';

const table = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}   ${right}`).join('\n');
};

function flagRow(flag: Flag): readonly [string, string] {
  const left = `${flag.short ? `-${flag.short}, ` : '    '}--${flag.name}${flag.value ? ` ${flag.value}` : ''}`;
  return [left, `${flag.help}${flag.default === undefined ? '' : ` (default ${String(flag.default)})`}`];
}

export function helpText(command: Command | undefined): string {
  const flags = [...(command ?? findCommand('run')!).flags, ...GLOBAL_FLAGS];
  const head = command
    ? [
        `${command.summary}.`,
        '',
        'Usage:',
        `  sluice ${command.name}${flags.length > 0 ? ' [flags]' : ''}${command.operands ? ` ${command.operands}` : ''}`,
      ]
    : [
        versionLine(),
        '',
        'Usage:',
        '  sluice [flags]',
        '  sluice COMMAND [flags]',
        '',
        'Commands:',
        table(COMMANDS.map((c) => [c.name, c.summary] as const)),
      ];
  return `${[...head, '', 'Flags:', table(flags.map(flagRow))].join('\n')}\n`;
}
