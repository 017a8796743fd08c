import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerHttp2Session } from 'node:http2';
import { test } from 'node:test';
import * as z from 'zod';
import { grpcServerShape } from './grpc-schema.ts';
import { HANDSHAKE_MS, superviseConnection } from './grpc-server-connection.ts';

class Session extends EventEmitter {
  destroyed = false;
  setTimeout(): void {}
  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

test('a connection that never says what HTTP/2 begins with is closed after a while', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { keepalive } = z.strictObject(grpcServerShape('127.0.0.1:0')).parse({});
  const [silent, real] = [new Session(), new Session()];
  for (const s of [silent, real]) superviseConnection(s as unknown as ServerHttp2Session, keepalive.server_parameters);
  real.emit('remoteSettings', {});
  t.mock.timers.tick(HANDSHAKE_MS - 1);
  assert.deepEqual([silent.destroyed, real.destroyed], [false, false]);
  t.mock.timers.tick(1);
  assert.deepEqual([silent.destroyed, real.destroyed], [true, false]);
});
