/** Child process of the kill test: writes numbered values for ever and says which ones returned. */
import { writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Store } from '../../../../core/sqlite-store.ts';

const path = process.argv[2] ?? '';
const store = new Store(path, new DatabaseSync(path), { fsync: false, maxSizeBytes: 0, onDamage() {} });
let n = Number(Buffer.from(store.get('n') ?? Buffer.from('0')).toString());
for (;;) {
  n++;
  const value = Buffer.from(String(n));
  // Two keys that must never differ, one that grows and shrinks.
  store.batch([
    { op: 'set', key: 'n', value },
    { op: 'set', key: 'same', value },
    { op: 'set', key: `item-${n}`, value: Buffer.alloc(n % 50_000, n & 255) },
    { op: 'delete', key: `item-${n - 20}` },
  ]);
  writeSync(1, `${n}\n`);
}
