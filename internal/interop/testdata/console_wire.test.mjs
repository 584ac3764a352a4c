import test, { mock } from 'node:test';
import assert from 'node:assert/strict';
const { Wire } = await import(process.env.STATIC + '/console-wire.js');
const { meaning } = await import(process.env.STATIC + '/close-code.js');

class Fake {
  static all = []; static OPEN = 1;
  constructor(url, protocols) { if (protocols.includes('')) throw new SyntaxError('no'); this.url = url; this.readyState = 0; this.sent = []; Fake.all.push(this); }
  send(t) { this.sent.push(t); }
  close(code, reason) { this.closedWith = [code, reason]; this.readyState = 2; }
  open() { this.readyState = 1; this.onopen({}); }
  say(data) { this.onmessage({ data }); }
  die(code = 1006, reason = '') { this.readyState = 3; this.onclose({ code, reason, wasClean: code !== 1006 }); }
}
globalThis.WebSocket = Fake;

function make() {
  Fake.all = [];
  const w = new Wire(), log = [];
  for (const t of ['state', 'message']) w.addEventListener(t, (e) => log.push([t, e.detail]));
  w.connect('ws://x/ws', []);
  return { w, sock: () => Fake.all.at(-1), of: (t) => log.filter((e) => e[0] === t).map((e) => e[1]) };
}

test.beforeEach(() => { mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1e6 }); mock.method(Math, 'random', () => 0.5); });
test.afterEach(() => { mock.timers.reset(); mock.restoreAll(); });

test('comes back after these codes, and stays away after those', () => {
  for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 3000, 3001, 3003, 4408, 4499]) {
    const x = make(); x.sock().open(); x.sock().die(code, 'why');
    assert.equal(x.w.state.name, 'waiting', code); assert.equal(x.w.state.reason, 'why');
    mock.timers.tick(499); assert.equal(Fake.all.length, 1); mock.timers.tick(1); assert.equal(Fake.all.length, 2);
  }
  for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 1010, 3002, 3500, 3501, 3999, 4500, 4999]) {
    const x = make(); x.sock().open(); x.sock().die(code);
    assert.equal(x.w.state.name, 'idle', code); mock.timers.tick(60_000); assert.equal(Fake.all.length, 1);
  }
});
test('every code that perchd sends has a meaning', () => {
  for (const code of [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 3000, 3001, 3002, 3500, 3501, 4408, 4000, 3999]) assert(meaning(code), code);
  assert.equal(meaning(999), ''); assert.equal(meaning(NaN), '');
});
test('a close that was asked for is the end', () => {
  const x = make(); x.sock().open(); x.w.close(4001, 'bye');
  assert.deepEqual(x.sock().closedWith, [4001, 'bye']); assert.equal(x.w.state.name, 'closing');
  x.sock().die(4001); assert.equal(x.w.state.name, 'idle'); assert.equal(x.w.state.asked, true); mock.timers.tick(60_000); assert.equal(Fake.all.length, 1);
});
test('waits longer each time, until a connection was of use', () => {
  const x = make(), waits = [];
  for (let i = 0; i < 3; i++) { x.sock().open(); x.sock().die(1012); waits.push(x.w.state.until - Date.now()); mock.timers.tick(waits.at(-1)); }
  x.sock().open(); mock.timers.tick(10_000); x.sock().die(1012); waits.push(x.w.state.until - Date.now());
  assert.deepEqual(waits, [500, 1000, 2000, 500]);
});
test('three refusals are enough', () => {
  const x = make();
  for (let i = 0; i < 3; i++) { x.sock().die(); mock.timers.tick(30_000); }
  assert.equal(Fake.all.length, 3); assert.equal(x.w.state.name, 'idle'); assert.equal(x.w.state.gaveUp, true);
});
test('the delay that the server wishes', () => {
  const x = make(); x.sock().open(); x.sock().say('{"type":"reconnect","delay_ms":7000,"reason":"draining"}'); x.sock().die(1001);
  mock.timers.tick(6999); assert.equal(Fake.all.length, 1); mock.timers.tick(1); assert.equal(Fake.all.length, 2);
  x.sock().open(); for (const odd of ['{"type":"reconnect","delay_ms":"7"', '{', '{"type":"reconnect"}', 'reconnect']) x.sock().say(odd);
  x.sock().die(1001); assert.equal(x.w.state.until - Date.now(), 500);
});
test('a ping is met by what has its id, be it an echo', () => {
  const x = make(); x.sock().open();
  const m = x.w.ping(); assert.deepEqual(x.sock().sent, [m]); assert.equal(JSON.parse(m).type, 'ping');
  x.sock().say('something else'); x.sock().say('Echo: ' + m); x.sock().say('Echo: ' + m); x.sock().say(new ArrayBuffer(2));
  assert.deepEqual(x.of('message').map(({ took }) => took === undefined), [true, false, true, true]);
});
test('stop, and connect anew; what cannot be leaves all as it is; an older socket is ignored', () => {
  const x = make(); x.sock().open(); const first = x.sock();
  assert.throws(() => x.w.connect('ws://x/ws', [''])); assert.equal(x.w.send('a'), true); assert.equal(x.w.state.name, 'open');
  x.w.connect('ws://x/other', []); assert.equal(first.closedWith[0], 1000); first.say('late'); first.die(1000);
  assert.equal(x.of('message').length, 0); assert.equal(x.w.state.name, 'connecting');
  x.sock().open(); x.sock().die(1013); x.w.stop(); assert.equal(x.w.state.name, 'idle'); mock.timers.tick(60_000); assert.equal(Fake.all.length, 2);
});
