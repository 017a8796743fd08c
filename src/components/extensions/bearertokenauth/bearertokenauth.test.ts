import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type * as z from 'zod';
import { componentContext } from '../../../../test/helpers/component.ts';
import type { ClientAuth, ServerAuth } from '../../../core/auth.ts';
import type { Extension, ExtensionDefinition } from '../../../core/component.ts';
import definition, { type BearerTokenAuthConfig } from './index.ts';

const { schema, create } = definition as ExtensionDefinition<z.ZodType<BearerTokenAuthConfig>>;
const dir = mkdtempSync(join(tmpdir(), 'bearer-'));
after(() => rmSync(dir, { recursive: true, force: true }));

async function started(config: object) {
  const c = componentContext('bearertokenauth', 'extension');
  const extension = (await create(schema.parse(config), c.context)) as Extension & ServerAuth & ClientAuth;
  await extension.start?.();
  const ask = (value?: string, name = 'authorization') =>
    extension.authenticate(new Map<string, string[]>(value === undefined ? [] : [[name, [value]]])).then(
      () => 'yes',
      (e: Error) => e.message,
    );
  return { ...c, extension, ask };
}

const WRONG = 'provided authorization does not match expected scheme or token';

test('the token is asked for, and given', async () => {
  const { extension, ask } = await started({ token: 't0' });
  assert.deepEqual(await extension.headers(), { authorization: 'Bearer t0' });
  for (const [given, answer] of [
    ['Bearer t0', 'yes'],
    ['Bearer t', WRONG],
    ['Bearer t00', WRONG],
    ['bearer t0', WRONG],
    ['t0', WRONG],
    ['Basic t0', WRONG],
    ['', 'missing or empty authorization header: Authorization'],
    [undefined, 'missing or empty authorization header: Authorization'],
  ] as const)
    assert.equal(await ask(given), answer, String(given));
});

test('several tokens, another header, another scheme or none', async () => {
  const several = await started({ tokens: ['a', 'b'], header: 'X-Key', scheme: '' });
  assert.deepEqual(await several.extension.headers(), { 'x-key': 'a' });
  for (const given of ['a', 'b']) assert.equal(await several.ask(given, 'x-key'), 'yes');
  assert.equal(await several.ask('c', 'x-key'), WRONG);
  assert.equal(await several.ask('a'), 'missing or empty authorization header: X-Key');
  assert.deepEqual(await (await started({ token: 'x', scheme: 'Api-Token' })).extension.headers(), {
    authorization: 'Api-Token x',
  });
});

test('tokens of a file follow the file, also through the links of a Kubernetes secret', async () => {
  const path = join(dir, 'token');
  writeFileSync(join(dir, 'v1'), ' first \n\nsecond\n');
  symlinkSync('v1', path);
  const { extension, ask, clock, lines } = await started({ filename: path, token: 'ignored' });
  assert.match(lines[0]!.message, /a filename is specified/);
  assert.deepEqual(await extension.headers(), { authorization: 'Bearer first' });
  assert.equal(await ask('Bearer second'), 'yes');
  assert.equal(await ask('Bearer ignored'), WRONG);
  writeFileSync(join(dir, 'v2'), 'third');
  symlinkSync('v2', join(dir, 'next'));
  renameSync(join(dir, 'next'), path);
  clock.ms += 1001;
  assert.deepEqual(await extension.headers(), { authorization: 'Bearer third' });
  assert.equal(await ask('Bearer first'), WRONG);
  for (const breakIt of [() => writeFileSync(join(dir, 'v2'), '\n'), () => unlinkSync(path)]) {
    breakIt();
    clock.ms += 1001;
    assert.equal(await ask('Bearer third'), 'yes');
    clock.ms += 1001;
    assert.equal(await ask('Bearer third'), 'yes');
  }
  assert.equal(lines.filter((l) => l.level === 'error').length, 2);
  assert.ok(!JSON.stringify(lines).includes('third'));
});

test('a file that is missing fails the start, unless it is to be waited for', async () => {
  const filename = join(dir, 'later');
  await assert.rejects(started({ filename }), /open .*later: no such file or directory/);
  const { extension, ask } = await started({ filename, wait_for_token_file: true });
  await assert.rejects(extension.headers());
  assert.equal(await ask('Bearer '), 'no token is known yet');
  writeFileSync(filename, 'now');
  assert.deepEqual(await extension.headers(), { authorization: 'Bearer now' });
});

test('configurations that cannot work', () => {
  const message = (config: object) => schema.safeParse(config).error?.issues[0]?.message;
  assert.equal(message({}), 'no bearer token provided');
  assert.equal(message({ token: 'a', tokens: ['b'] }), 'either tokens or token should be provided, not both');
  assert.equal(message({ tokens: ['a', ''] }), 'a token is empty');
});
