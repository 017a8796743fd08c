import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type * as z from 'zod';
import { componentContext } from '../../../../test/helpers/component.ts';
import type { ClientAuth, ServerAuth } from '../../../core/auth.ts';
import type { Extension, ExtensionDefinition } from '../../../core/component.ts';
import { ConfigError } from '../../../core/errors.ts';
import { parseHtpasswd } from './htpasswd.ts';
import definition, { type BasicAuthConfig } from './index.ts';

const { schema, create } = definition as ExtensionDefinition<z.ZodType<BasicAuthConfig>>;
const dir = mkdtempSync(join(tmpdir(), 'basic-'));
after(() => rmSync(dir, { recursive: true, force: true }));

async function started(config: object) {
  const c = componentContext('basicauth', 'extension');
  const extension = (await create(schema.parse(config), c.context)) as Extension & ServerAuth & ClientAuth;
  await extension.start?.();
  const ask = (header?: string) =>
    extension.authenticate(new Map<string, string[]>(header === undefined ? [] : [['authorization', [header]]])).then(
      () => 'yes',
      (e: Error) => e.message,
    );
  return { ...c, extension, ask };
}
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

test('hashes of every supported kind, as other tools made them', async () => {
  for (const [hash, password] of [
    ['s3cret', 's3cret'],
    ['{SHA}/vNB+F2HQ559kaLUZbmHHvZrXpg=', 's3cret'],
    ['{SSHA}rNtvA+9QAJ8TgRLTn32royL4koBTQUxU', 's3cret'],
    ['$apr1$abcdefgh$M2T3erDstkD7SsE2QQnfH0', 's3cret'],
    ['$apr1$x$tMwYqBfQwi3FYAr0aJc8M/', ''],
    ['$1$abcdefgh$7.vq19w/w3Vm.hk1FOA7Q/', 's3cret'],
    ['$1$ab$a2pTSvB6FnOAcFRiKFSNt1', 'a very long password, longer than two blocks of MD5'],
    ['$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK', 's3cret'],
    ['$2y$10$abcdefghijklmnopqrstuu3KWNuWLhBnmgYfnzONPueahDuedC/lu', 's3cret'],
    ['$2b$04$abcdefghijklmnopqrstuuP98895s73TzXR1s6gWPVmdZ7QX52zx2', 'ä€'],
    ['$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i', 'x'.repeat(100)],
    ['$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq', ''],
    ['$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U'],
  ] as const) {
    const verify = parseHtpasswd(`u:${hash}`).get('u')!;
    assert.equal(await verify(password), true, hash);
    assert.equal(await verify(`${password}.`.slice(-60)), false, hash);
  }
});

test('a hash of another kind is an error of the configuration, with its line', () => {
  for (const [text, message] of [
    ['a:b\nu:$6$ab$KK9w6Nf8ni2o0tPwhgMghGadcrGmbDqe1E1', /line 2: this kind of hash is not supported; use bcrypt/],
    ['u:{CRYPT}x', /line 1: this kind of hash is not supported/],
    ['u:{SSHA}YWJj', /not supported/],
    ['u:$2b$05$abc', /line 1: this bcrypt hash is not whole/],
    ['u:$2b$31$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK', /cost 31 is too expensive/],
    ['u:$2b$03$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK', /cost 3 is not between 4 and 31/],
    ['no colon', /line 1 is not user:hash/],
    [':x', /line 1 is not user:hash/],
  ] as const)
    assert.throws(
      () => parseHtpasswd(text),
      (e) => e instanceof ConfigError && message.test(e.message),
    );
});

test('senders are let in by name and password', async () => {
  const { ask } = await started({
    htpasswd: { inline: '# people\n\nu:p:with:colons\nv:$apr1$x$tMwYqBfQwi3FYAr0aJc8M/\n' },
  });
  for (const [header, answer] of [
    [basic('u:p:with:colons'), 'yes'],
    [basic('u:p:with:colons'), 'yes'],
    [basic('u:p:with:colons').replace('Basic', 'bAsIc'), 'yes'],
    [basic('v:'), 'yes'],
    [basic('u:p'), 'invalid credentials'],
    [basic('v:p:with:colons'), 'invalid credentials'],
    [basic('w:p'), 'invalid credentials'],
    [basic('# people:'), 'invalid credentials'],
    [basic('u'), 'invalid authorization format'],
    ['Basic !!!', 'invalid authorization format'],
    ['Basic dTpw=', 'invalid authorization format'],
    ['Bearer x', 'invalid authorization scheme prefix'],
    ['', 'no basic auth provided'],
    [undefined, 'no basic auth provided'],
  ] as const)
    assert.equal(await ask(header), answer, String(header));
});

test('a file is followed, lines of the configuration win over it, and what was right counts no more', async () => {
  const file = join(dir, 'htpasswd');
  writeFileSync(file, 'u:old\nboth:file\n');
  const { ask, clock, lines } = await started({ htpasswd: { file, inline: 'both:inline' } });
  assert.equal(await ask(basic('u:old')), 'yes');
  assert.equal(await ask(basic('both:inline')), 'yes');
  assert.equal(await ask(basic('both:file')), 'invalid credentials');
  writeFileSync(file, 'u:newer\n');
  clock.ms += 1001;
  assert.equal(await ask(basic('u:old')), 'invalid credentials');
  assert.equal(await ask(basic('u:newer')), 'yes');
  writeFileSync(file, 'u:$6$x$y\n');
  clock.ms += 1001;
  assert.equal(await ask(basic('u:newer')), 'yes');
  assert.match(String(lines.find((l) => l.level === 'error')!.fields['error']), /this kind of hash is not supported/);
  await assert.rejects(started({ htpasswd: { file: join(dir, 'none') } }), /open .*none: no such file or directory/);
});

test('slow hashes do not hold up everything else', async () => {
  const { ask } = await started({
    htpasswd: { inline: 'u:$2y$10$abcdefghijklmnopqrstuu3KWNuWLhBnmgYfnzONPueahDuedC/lu' },
  });
  let turns = 0;
  const counting = setInterval(() => turns++, 0);
  assert.equal(await ask(basic('u:s3cret')), 'yes');
  clearInterval(counting);
  assert.ok(turns >= 5, `${turns} turns`);
});

test('credentials for destinations come from the configuration or from files', async () => {
  const { extension } = await started({ client_auth: { username: 'ü', password: 'p:q' } });
  assert.deepEqual(await extension.headers(), { authorization: basic('ü:p:q') });
  writeFileSync(join(dir, 'user'), 'fromfile\n');
  writeFileSync(join(dir, 'password'), 'one\n');
  const fromFiles = await started({
    client_auth: { username: 'x', username_file: join(dir, 'user'), password_file: join(dir, 'password') },
  });
  assert.deepEqual(await fromFiles.extension.headers(), { authorization: basic('fromfile:one') });
  writeFileSync(join(dir, 'password'), 'another');
  fromFiles.clock.ms += 1001;
  assert.deepEqual(await fromFiles.extension.headers(), { authorization: basic('fromfile:another') });
  await assert.rejects(started({ client_auth: { username: 'x', password_file: join(dir, 'none') } }), /no such file/);
});

test('configurations that cannot work', () => {
  const message = (config: object) => schema.safeParse(config).error?.issues[0]?.message;
  assert.equal(message({}), 'no credential source provided');
  assert.equal(message({ htpasswd: {} }), 'no credential source provided');
  assert.equal(
    message({ htpasswd: { inline: 'x:y' }, client_auth: {} }),
    'only one of `htpasswd` or `client_auth` can be specified',
  );
  assert.match(message({ client_auth: { username: 'a:b' } })!, /^invalid authorization format/);
});
