/** Entry of the `sluice` command: finds the command, prints its error as one text, and ends the process with its exit code. */
import { parseArguments } from './arguments.ts';
import { findCommand } from './commands.ts';

async function main(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv);
  if (args.bools['help']) {
    const { helpText } = await import('./help.ts');
    process.stdout.write(helpText(args.command));
    return 0;
  }
  if (args.bools['version']) {
    const { versionLine } = await import('./build.ts');
    process.stdout.write(`${versionLine()}\n`);
    return 0;
  }
  const command = args.command ?? findCommand('run')!;
  const { run } = await command.load();
  return run(args);
}

// A reader that has gone (`| head`) is nobody's error.
const streams = [process.stdout, process.stderr];
for (const s of streams) s.on('error', () => {});

let exitCode: number;
try {
  exitCode = await main(process.argv.slice(2));
} catch (error) {
  const { describeError } = await import('../service/config/diagnostics.ts');
  process.stderr.write(`Error: ${describeError(error)}\n`);
  exitCode = 1;
}
// Into a pipe, writes end later than write() does, and exit would cut them off.
await Promise.all(streams.map((s) => new Promise((resolve) => s.write('', resolve))));
process.exit(exitCode);
