/** Where the Debian packages of the image are taken from, on machines of any release. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { repositoriesIn } from '../tools/image/debian.ts';

const MIRROR = 'http://mirror.example.com/debian/';
const SECURITY = 'http://mirror.example.com/debian-security/';
const lines = (...targets: string[]): string => `${targets.join('\n')}\n`;

test('packages of the image come from where this machine gets its own, of whatever release of Debian it is', () => {
  const bookworm = lines(
    `${MIRROR} bookworm main Debian`,
    `${MIRROR} bookworm contrib Debian`,
    `${MIRROR} bookworm-updates main Debian`,
    `${SECURITY} bookworm-security main Debian`,
    'http://packages.example.com/ nodistro main .',
  );
  const own = [
    { uri: MIRROR, suite: 'bookworm' },
    { uri: MIRROR, suite: 'bookworm-updates' },
    { uri: SECURITY, suite: 'bookworm-security' },
  ];
  assert.deepEqual(repositoriesIn(bookworm), own);
  assert.deepEqual(repositoriesIn(bookworm.replaceAll('bookworm', 'trixie')), own);
  // Its own sources win over those of a newer release beside them.
  assert.deepEqual(repositoriesIn(`${lines('http://other.example.com/ sid main Debian')}${bookworm}`), own);
  const testing = lines(`${MIRROR} testing main Debian`, `${MIRROR} sid main Debian`);
  assert.deepEqual(repositoriesIn(`${testing}${MIRROR} trixie-backports main Debian\n`), [own[0]]);
});

test('where apt has no Debian there is nothing to take it from', () => {
  for (const targets of ['', lines('http://ubuntu.example.com/ubuntu/ noble main Ubuntu')])
    assert.deepEqual(repositoriesIn(targets), []);
});
