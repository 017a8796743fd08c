import assert from 'node:assert/strict';
import { it } from 'node:test';
import { bracketed } from './host-port.ts';

it('addresses of IPv6 get brackets, all others are left as they are', () => {
  const rows: readonly [string, string][] = [
    ['fd00::1:8888', '[fd00::1]:8888'],
    ['::1:8888', '[::1]:8888'],
    ['2001:db8:0:0:0:0:0:1:80', '[2001:db8:0:0:0:0:0:1]:80'],
    ['::ffff:10.0.0.1:80', '[::ffff:10.0.0.1]:80'],
    ['[fd00::1]:8888', '[fd00::1]:8888'],
    ['::1', '::1'],
    ['fd00::1', 'fd00::1'],
    ['10.0.0.1:8888', '10.0.0.1:8888'],
    ['host:8888', 'host:8888'],
    ['host', 'host'],
    ['', ''],
  ];
  for (const [written, expected] of rows) assert.equal(bracketed(written), expected);
});
