/** Stands for an agent in tests: serves a ledger on the port it is given; with `die`, it does not start. */
import http from 'node:http';

const [port, mode] = process.argv.slice(2);
if (mode === 'die') {
  process.stderr.write('Error: no such configuration\n');
  process.exit(1);
}
process.on('SIGTERM', () => process.exit(0));
http
  .createServer((_, res) => res.end('sluice_ledger_records{component="x",outcome="read"} 10\nsluice_ledger_records{component="x",outcome="in_flight"} 3\n'))
  .listen(Number(port), '127.0.0.1');
