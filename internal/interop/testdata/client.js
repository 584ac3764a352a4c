// client.js echo|idle URL: node's ws as a client of our server. Exit status 0: all as it should be.
'use strict';
const assert = require('node:assert');
const { once } = require('node:events');
const WebSocket = require('ws');

const SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20];
const [mode, url] = process.argv.slice(2);

async function open(subprotocols) {
  const ws = new WebSocket(url, subprotocols, { maxPayload: 2 << 20 });
  const inbox = [], waiting = [];
  ws.on('message', (data, binary) => {
    const message = binary ? data : data.toString();
    if (waiting.length) waiting.shift()(message);
    else inbox.push(message);
  });
  ws.next = () => inbox.length ? Promise.resolve(inbox.shift()) : new Promise((resolve) => waiting.push(resolve));
  await once(ws, 'open');
  return ws;
}

async function echo() {
  const ws = await open(['other', 'perch.v1']);
  assert.strictEqual(ws.protocol, 'perch.v1');
  assert.strictEqual(ws.extensions, 'permessage-deflate');
  for (const n of SIZES) {
    for (const message of ['a'.repeat(n), Buffer.alloc(n, 0xfe)]) {
      ws.send(message);
      assert.deepStrictEqual(await ws.next(), message);
    }
  }
  ws.send('häuser, 東京, 🦜');
  assert.strictEqual(await ws.next(), 'häuser, 東京, 🦜');
  for (const [i, part] of ['frag', 'ments, ', '', '東京'].entries()) ws.send(part, { fin: i === 3 });
  assert.strictEqual(await ws.next(), 'fragments, 東京');
  for (let n = 0; n < 50; n++) ws.send(String(n)); // pipelined
  for (let n = 0; n < 50; n++) assert.strictEqual(await ws.next(), String(n));
  ws.ping('beat');
  const [pong] = await once(ws, 'pong');
  assert.strictEqual(pong.toString(), 'beat');
  ws.close(1000, 'done');
  const [code] = await once(ws, 'close');
  assert.strictEqual(code, 1000);

  const other = await open();
  other.send('close me');
  const [why, reason] = await once(other, 'close');
  assert.strictEqual(why, 4002);
  assert.strictEqual(reason.toString(), 'as asked');
}

// idle answers pings, which the library does by itself, until the server goes away.
async function idle() {
  const ws = await open();
  const [code] = await once(ws, 'close');
  assert.strictEqual(code, 1001);
}

({ echo, idle })[mode]().then(() => console.log('ok'), (err) => {
  console.error(err);
  process.exit(1);
});
