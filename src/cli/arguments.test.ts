import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from './arguments.ts';
import { COMMANDS } from './commands.ts';
import { helpText } from './help.ts';

test('flags are read as otelcol reads them', () => {
  const table: [
    string[],
    { command?: string; config?: string[]; set?: string[]; gates?: string[]; validate?: boolean },
  ][] = [
    [['--config', 'a.yaml'], { config: ['a.yaml'] }],
    [['--config=a.yaml', '--config', 'yaml:a: b'], { config: ['a.yaml', 'yaml:a: b'] }],
    [['validate', '--config', 'a'], { command: 'validate', config: ['a'] }],
    [['--config', 'validate', 'validate'], { command: 'validate', config: ['validate'] }],
    [
      ['run', '--set=a.b=c=d', '--set', 'e=', '--config', 'x'],
      { command: 'run', config: ['x'], set: ['a.b=c=d', 'e='] },
    ],
    [['--feature-gates', '-x,+y', '--config', 'x'], { config: ['x'], gates: ['-x,+y'] }],
    [
      ['print-initial-config', '--validate=false', '--config', 'x'],
      { command: 'print-config', config: ['x'], validate: false },
    ],
    [['print-config', '--config', 'x'], { command: 'print-config', config: ['x'], validate: true }],
    [[], {}],
  ];
  for (const [argv, want] of table) {
    const args = parseArguments(argv);
    assert.equal(args.command?.name, want.command, argv.join(' '));
    assert.deepEqual(args.lists['config'], want.config ?? [], argv.join(' '));
    assert.deepEqual(args.lists['set'], want.set ?? [], argv.join(' '));
    assert.deepEqual(args.lists['feature-gates'], want.gates ?? [], argv.join(' '));
    assert.equal(args.bools['validate'], want.validate, argv.join(' '));
  }
});

test('what follows `up` is its own business', () => {
  const args = parseArguments(['up', '--whatever', 'x', '--help']);
  assert.deepEqual([args.command?.name, args.raw], ['up', ['--whatever', 'x', '--help']]);
});

test('operands are for the commands that take them', () => {
  assert.deepEqual(parseArguments(['featuregate', 'a.b']).operands, ['a.b']);
});

test('command lines that cannot be are refused', () => {
  const table: [string[], RegExp][] = [
    [['vaildate'], /unknown command "vaildate" for "sluice"/],
    [['--conf', 'x'], /unknown flag: --conf$/],
    [['--confg=x'], /unknown flag: --confg$/],
    [['-x'], /unknown shorthand flag: "x" in -x/],
    [['--config'], /flag needs an argument: --config/],
    [['print-config', '--validate=maybe'], /invalid argument "maybe" for "--validate" flag/],
    [['validate', 'a.yaml'], /unknown argument "a.yaml" for "sluice validate"/],
    [['validate', '--mode=x'], /unknown flag: --mode/],
  ];
  for (const [argv, message] of table) assert.throws(() => parseArguments(argv), { message }, argv.join(' '));
});

test('help names every command and every flag', () => {
  const all = helpText(undefined);
  for (const c of COMMANDS) {
    assert.ok(all.includes(`  ${c.name} `), c.name);
    const own = helpText(c);
    for (const f of c.flags) assert.ok(own.includes(`--${f.name}`) && own.includes(f.help), `${c.name} --${f.name}`);
  }
});
