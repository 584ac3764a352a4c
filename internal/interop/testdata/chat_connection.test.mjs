import test, { mock } from 'node:test';
import assert from 'node:assert/strict';
const S = process.env.STATIC;
const { Connection } = await import(S + '/chat-connection.js');
const { comesBack, backoff } = await import(S + '/chat-policy.js');
const { Stream } = await import(S + '/chat-stream.js');

class Fake {
  static all = []; static OPEN = 1;
  constructor(url) { this.url = url; this.readyState = 0; this.sent = []; Fake.all.push(this); }
  send(t) { this.sent.push(JSON.parse(t)); }
  close(code) { this.closedWith = code; this.readyState = 3; }
  open() { this.readyState = 1; this.onopen({}); }
  say(m) { this.onmessage({ data: JSON.stringify(m) }); }
  die(code = 1006, reason = '') { this.readyState = 3; this.onclose({ code, reason }); }
  take() { return this.sent.splice(0); }
}
globalThis.WebSocket = Fake;
let health = true;
globalThis.fetch = async () => { if (!health) throw new TypeError('no'); return {}; };
const flush = () => new Promise((r) => setImmediate(r));

function make(saved = { username: 'ann' }) {
  Fake.all = [];
  const c = new Connection({ url: 'ws://x/ws/chat', health: '/health', saved });
  const log = [];
  for (const t of ['state', 'init', 'room_joined', 'message', 'message_sent', 'failed', 'error', 'room_left', 'room_closed', 'room_deleted', 'history', 'late', 'system_message'])
    c.addEventListener(t, (e) => log.push([t, e.detail]));
  const of = (t) => log.filter((e) => e[0] === t).map((e) => e[1]);
  return { c, log, of, sock: () => Fake.all.at(-1) };
}
const init = (o = {}) => ({ type: 'init', user_id: 'u1', username: 'ann', session: 's1', available_rooms: [], heartbeat_interval: 30, resumed: false, ...o });
const joined = (o = {}) => ({ type: 'room_joined', room_id: 'general', room_name: 'General Chat', user_count: 1, recent_messages: [], epoch: 'e', offset: 10, ...o });
const msg = (offset, o = {}) => ({ type: 'message', offset, message: { id: 'm' + offset, content: 'c' + offset, sender_id: 'u2', room_id: 'general', ...o } });
const rec = (offset) => ({ ...msg(offset).message, offset });

test.beforeEach(() => { health = true; mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1e6 }); mock.method(Math, 'random', () => 0.5); });
test.afterEach(() => { mock.timers.reset(); mock.restoreAll(); });

function up(x, i = {}, j = {}) { x.c.start(); x.sock().open(); x.sock().say(init(i)); x.sock().say(joined(j)); }

test('codes', () => {
  for (const c of [1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 3000, 3001, 3003, 3499, 4000, 4408, 4499]) assert(comesBack(c), c);
  for (const c of [1000, 1002, 1003, 1007, 1008, 1009, 1010, 2000, 3500, 3501, 3999, 4500, 4999]) assert(!comesBack(c), c);
  assert.equal(backoff(0), 500); assert.equal(backoff(1), 1000); assert.equal(backoff(40), 15000);
});
test('stream', () => {
  const s = new Stream('r', 'e', 10);
  assert(!s.take(10)); assert(s.take(12)); assert(!s.take(12)); assert.equal(s.offset, 10);
  assert(s.take(11)); assert.equal(s.offset, 12); assert(!s.take(11));
  for (let i = 14; i < 14 + 301; i++) assert(s.take(i));
  assert.equal(s.offset, 314);
});
test('first frame, resume after a cut, missed once', async () => {
  const x = make({ username: 'ann', token: 't' });
  up(x);
  assert.deepEqual(x.sock().take(), [{ username: 'ann', token: 't' }]);
  x.sock().say(msg(11)); x.sock().say(msg(11)); x.sock().say(msg(13));
  assert.deepEqual(x.of('message').map((m) => m.offset), [11, 13]);
  x.sock().die(); await flush();
  assert.equal(x.c.state.name, 'waiting');
  mock.timers.tick(500);
  assert.equal(Fake.all.length, 2);
  x.sock().open();
  assert.deepEqual(x.sock().take(), [{ username: 'ann', token: 't', resume: { session: 's1', rooms: { general: { epoch: 'e', offset: 11 } } } }]);
  x.sock().say(init({ resumed: true })); x.sock().say(joined({ offset: 15, recovered: true }));
  const j = x.of('room_joined')[1];
  assert.equal(j.continued, true); assert.equal(j.missing, false); assert.equal(j.missed, 4);
  for (const o of [12, 13, 14, 15]) x.sock().say(msg(o));
  assert.deepEqual(x.of('message').map((m) => m.offset), [11, 13, 12, 14, 15]);
});
test('a break among the missed messages costs none', async () => {
  const x = make(); up(x);
  x.sock().die(); await flush(); mock.timers.tick(500);
  x.sock().open(); x.sock().say(init({ resumed: true })); x.sock().say(joined({ offset: 15, recovered: true })); x.sock().say(msg(11));
  x.sock().die(); await flush(); mock.timers.tick(1000);
  x.sock().open();
  assert.equal(x.sock().take()[0].resume.rooms.general.offset, 11);
});
test('unrecovered', async () => {
  for (const [recent, missing] of [[[rec(11), rec(12)], false], [[rec(12), rec(13)], true], [[], true]]) {
    const x = make(); up(x);
    x.sock().die(); await flush(); mock.timers.tick(500);
    x.sock().open(); x.sock().say(init({ resumed: true })); x.sock().say(joined({ offset: 13, recovered: false, recent_messages: recent }));
    const j = x.of('room_joined')[1];
    assert.equal(j.missing, missing); assert.equal(j.recent_messages.length, recent.length);
    x.sock().say(msg(13)); assert.equal(x.of('message').length, 0); x.sock().say(msg(14)); assert.equal(x.of('message').length, 1);
    assert.equal(x.c.saved().room.offset, 14);
  }
});
test('another epoch', async () => {
  const x = make(); up(x);
  x.sock().die(); await flush(); mock.timers.tick(500);
  x.sock().open(); x.sock().say(init({ resumed: true })); x.sock().say(joined({ offset: 2, epoch: 'f', recovered: false, recent_messages: [rec(1), rec(2)] }));
  const j = x.of('room_joined')[1];
  assert(j.missing && j.restarted && j.continued); assert.equal(j.recent_messages.length, 2);
  assert.deepEqual(x.c.saved().room, { id: 'general', epoch: 'f', offset: 2, locked: false });
});
test('sends: ack, offline queue, same id again, own missed merged', async () => {
  const x = make(); up(x); x.sock().take();
  const a = x.c.say({ content: 'a', message_type: 'text' });
  assert.deepEqual(x.sock().take(), [{ type: 'chat_message', id: a.id, content: 'a', message_type: 'text' }]);
  x.sock().say({ type: 'message_sent', id: a.id, message_id: 'm11', offset: 11 });
  assert.equal(x.of('message_sent')[0].entry, a);
  x.sock().say(msg(11)); assert.equal(x.of('message').length, 0);
  const b = x.c.say({ content: 'b' }); const bid = b.id;
  x.sock().die(); await flush();
  const d = x.c.say({ content: 'd' });
  mock.timers.tick(500); x.sock().open(); x.sock().say(init({ resumed: true }));
  assert.equal(x.sock().take().length, 1);
  x.sock().say(joined({ offset: 12, recovered: true }));
  assert.deepEqual(x.sock().take().map((m) => [m.id, m.content]), [[bid, 'b'], [d.id, 'd']]);
  x.sock().say(msg(12, { sender_id: 'u1', content: 'b' })); assert.equal(x.of('message')[0].own, true);
  x.sock().say({ type: 'message_sent', id: bid, message_id: 'm12', offset: 12 });
  x.sock().say({ type: 'message_sent', id: d.id, message_id: 'm13', offset: 13 });
  assert.equal(x.of('message_sent').length, 3); assert.equal(x.of('failed').length, 0);
  assert.equal(x.c.saved().room.offset, 13);
});
test('doubtful: too late, or somebody else', async () => {
  for (const [ms, i] of [[110_000, { resumed: true }], [0, { resumed: false, user_id: 'u9' }]]) {
    const x = make(); up(x); x.sock().take();
    const a = x.c.say({ content: 'a' });
    for (let t = 0; t < ms; t += 10_000) { mock.timers.tick(10_000); x.sock().say({ type: 'pong' }); }
    x.sock().die(); await flush(); const b = x.c.say({ content: 'b' });
    mock.timers.tick(500); x.sock().open(); x.sock().take(); x.sock().say(init(i)); x.sock().say(joined({ recovered: true }));
    assert.deepEqual(x.of('failed').map((f) => [f.entry, f.doubtful]), [[a, true]]);
    assert.deepEqual(x.sock().take().map((m) => m.content), ['b']);
    const old = a.id; x.c.again(a); assert.notEqual(a.id, old);
    assert.deepEqual(x.sock().take().map((m) => m.id), [a.id]);
  }
});
test('errors of sends', () => {
  const x = make(); up(x); x.sock().take();
  const a = x.c.say({ content: 'a' });
  x.sock().say({ type: 'error', id: a.id, code: 'busy', message: '' });
  x.sock().take(); mock.timers.tick(1500);
  assert.deepEqual(x.sock().take().map((m) => m.id), [a.id]);
  x.sock().say({ type: 'error', id: a.id, code: 'too_long', message: 'x' });
  assert.equal(x.of('failed')[0].error.code, 'too_long'); assert.equal(x.of('failed')[0].doubtful, false);
});
test('stays away, and says why', async () => {
  for (const code of [1000, 1008, 3500, 3501, 3002, 4500]) {
    const x = make(); up(x);
    x.sock().say({ type: 'error', code: 'token_expired', message: 'over' }); x.sock().die(code, 'why'); await flush();
    assert.deepEqual({ ...x.c.state, error: x.c.state.error?.code }, { name: 'closed', code, reason: 'why', error: 'token_expired' });
    mock.timers.tick(60_000); assert.equal(Fake.all.length, 1);
    x.c.start(); assert.equal(Fake.all.length, 2); x.c.stop();
  }
});
test('server delay', async () => {
  const x = make(); up(x);
  x.sock().say({ type: 'reconnect', delay_ms: 7000, reason: 'draining' }); x.sock().die(3003); await flush();
  mock.timers.tick(6999); assert.equal(Fake.all.length, 1); mock.timers.tick(1); assert.equal(Fake.all.length, 2);
  x.sock().die(1006); await flush(); mock.timers.tick(500); assert.equal(Fake.all.length, 3);
});
test('three refusals; patience without network', async () => {
  let x = make(); x.c.start();
  for (let i = 0; i < 3; i++) { x.sock().die(); await flush(); mock.timers.tick(30_000); }
  assert.equal(Fake.all.length, 3); assert.equal(x.c.state.name, 'closed'); assert.equal(x.c.state.code, 1006);
  health = false; x = make(); x.c.start();
  for (let i = 0; i < 20; i++) { x.sock().die(); await flush(); assert.equal(x.c.state.name, 'waiting'); mock.timers.tick(30_000); }
  assert.equal(Fake.all.length, 21);
});
test('start during the probe', async () => {
  const x = make(); x.c.start(); x.sock().die(); x.c.start(); await flush();
  assert.equal(x.c.state.name, 'connecting'); assert.equal(Fake.all.length, 2);
  x.sock().die(); x.c.stop(); await flush(); assert.equal(x.c.state.name, 'idle'); mock.timers.tick(60_000); assert.equal(Fake.all.length, 2);
});
test('watch', async () => {
  const x = make(); up(x); x.sock().take();
  mock.timers.tick(30_000);
  assert.equal(x.sock().take()[0].type, 'ping'); x.sock().say({ type: 'pong' });
  mock.timers.tick(30_000); assert.equal(x.sock().take()[0].type, 'ping');
  mock.timers.tick(9999); assert.equal(x.c.state.name, 'open');
  mock.timers.tick(1); assert.equal(x.sock().closedWith, 4002); await flush(); assert.equal(x.c.state.name, 'waiting');
  x.c.nudge(); assert.equal(Fake.all.length, 2);
  x.sock().open(); x.sock().say(init({ resumed: true })); x.sock().say(joined({ recovered: true })); x.sock().take();
  x.c.nudge(); x.c.nudge(); assert.deepEqual(x.sock().take().map((m) => m.type), ['ping']);
  x.sock().say({ type: 'ping', timestamp: 'T' }); assert.deepEqual(x.sock().take(), [{ type: 'pong', timestamp: 'T' }]);
});
test('open timeout', async () => {
  const x = make(); x.c.start(); x.sock().open(); mock.timers.tick(15_000); await flush();
  assert.equal(x.c.state.name, 'waiting');
});
test('attempts grow until a connection was stable', async () => {
  const x = make(); up(x);
  const waits = [];
  for (let i = 0; i < 3; i++) {
    x.sock().die(1013); await flush(); waits.push(x.c.state.until - Date.now());
    mock.timers.tick(waits.at(-1)); x.sock().open(); x.sock().say(init({ resumed: true })); x.sock().say(joined({ recovered: true }));
  }
  mock.timers.tick(10_000); x.sock().die(1013); await flush(); waits.push(x.c.state.until - Date.now());
  assert.deepEqual(waits, [500, 1000, 2000, 500]);
});
test('rooms: join, wrong password, left, resume there', async () => {
  const x = make(); up(x); x.sock().take();
  x.c.join('club', 'x'); const [j] = x.sock().take();
  assert.deepEqual(j, { type: 'join_room', id: j.id, room_id: 'club', password: 'x' });
  x.sock().say({ type: 'error', id: j.id, code: 'wrong_password', message: 'no' });
  assert.equal(x.of('error')[0].request.room, 'club'); assert.equal(x.of('room_joined').at(-1).room_id, 'general');
  x.c.join('club', 'y'); const [k] = x.sock().take();
  x.sock().say({ type: 'room_left', room_id: 'general' }); x.sock().say(joined({ room_id: 'club', room_name: 'club', id: k.id, epoch: 'c', offset: 0 }));
  assert.equal(x.of('room_joined').at(-1).room_id, 'club'); assert.equal(x.of('room_joined')[1].continued, false); assert.equal(x.c.saved().room.locked, true);
  x.sock().say(msg(1)); assert.equal(x.of('message').length, 0); // general's
  x.sock().die(); await flush(); mock.timers.tick(500); x.sock().open();
  assert.deepEqual(x.sock().take()[0].resume.rooms, { club: { epoch: 'c', offset: 0 } });
  // the server has forgotten us: back by ourselves, with the password
  x.sock().say(init({ user_id: 'u7' })); x.sock().say(joined());
  assert.equal(x.of('room_joined').length, 2);
  const [l] = x.sock().take();
  assert.deepEqual(l, { type: 'join_room', id: l.id, room_id: 'club', password: 'y', since: { epoch: 'c', offset: 0 } });
  x.sock().say({ type: 'room_left', room_id: 'general' });
  assert.equal(x.of('room_left').length, 1);
  x.sock().say(joined({ room_id: 'club', epoch: 'd', offset: 0, recovered: false }));
  assert.equal(x.of('room_joined').at(-1).room_id, 'club'); assert.equal(x.of('room_joined')[2].restarted, true);
});
test('forgotten, and the room refuses: where the server put us', async () => {
  const x = make(); up(x); x.c.join('club'); x.sock().say({ type: 'room_left', room_id: 'general' }); x.sock().say(joined({ room_id: 'club' }));
  x.sock().die(); await flush(); mock.timers.tick(500); x.sock().open(); x.sock().say(init({ user_id: 'u7' })); x.sock().say(joined()); 
  const l = x.sock().take().at(-1);
  x.sock().say({ type: 'error', id: l.id, code: 'room_full', message: 'full' });
  assert.equal(x.of('room_joined').at(-1).room_id, 'general'); assert.equal(x.of('room_joined').at(-1).continued, false);
});
test('a room without us; messages to it fail', async () => {
  const x = make(); up(x);
  const a = x.c.say({ content: 'a' });
  x.sock().say({ type: 'room_left', room_id: 'general' });
  assert.equal(x.of('failed')[0].entry, a); assert.equal(x.c.say({ content: 'b' }), null);
});
test('a first frame that is refused', async () => {
  const x = make(); x.c.start(); x.sock().open(); x.sock().say({ type: 'error', code: 'name_invalid', field: 'username', message: 'no' }); await flush();
  assert.equal(x.c.state.name, 'closed'); assert.equal(x.c.state.error.code, 'name_invalid'); assert.equal(x.sock().closedWith, 1000);
});
test('reload: shows the last 50 again, counts only what is new', async () => {
  const x = make({ username: 'ann', session: 's1', user: { id: 'u1', username: 'ann' }, room: { id: 'general', epoch: 'e', offset: 100, locked: false } });
  x.c.start(); x.sock().open();
  assert.equal(x.sock().take()[0].resume.rooms.general.offset, 50);
  x.sock().say(init({ resumed: true })); x.sock().say(joined({ offset: 102, recovered: true }));
  assert.equal(x.of('room_joined')[0].missed, 2);
  for (let o = 51; o <= 102; o++) x.sock().say(msg(o));
  assert.equal(x.of('message').length, 52); assert.equal(x.c.saved().room.offset, 102);
  const y = make(x.c.saved()); y.c.start(); y.sock().open(); y.sock().say(init({ resumed: true }));
  y.sock().say(joined({ offset: 110, recovered: false, recent_messages: [rec(100), rec(101), rec(110)] }));
  assert.equal(y.of('room_joined')[0].missing, false); assert.equal(y.c.saved().room.offset, 110);
});
test('pause and start; stop', () => {
  const x = make(); up(x); const s = x.sock(); x.c.pause(); assert.equal(s.closedWith, 4001); assert.equal(x.c.saved().session, 's1');
  s.say(msg(11)); assert.equal(x.of('message').length, 0);
  x.c.start(); x.sock().open(); assert(x.sock().take()[0].resume); x.c.stop(); assert.equal(x.sock().closedWith, 1000); assert.equal(x.c.saved().session, '');
});
test('token', async () => {
  const x = make(); up(x); x.sock().take(); x.c.refresh('n'); assert.deepEqual(x.sock().take(), [{ type: 'refresh_token', token: 'n' }]);
  x.sock().die(3002); await flush(); x.c.refresh('m'); x.sock().open(); assert.equal(x.sock().take()[0].token, 'm');
});
test('nonsense is ignored', () => {
  const x = make(); up(x); x.sock().onmessage({ data: 'x' }); x.sock().onmessage({ data: new ArrayBuffer(2) }); x.sock().say({ type: 'toString' }); x.sock().say({});
});
test('a missing answer shows within 5 s, and has the network asked', async () => {
  for (const ask of [(c) => c.say({ content: 'a' }), (c) => c.join('club'), (c) => c.history({ before: 5 }), (c) => c.leaveRoom(), (c) => c.deleteRoom()]) {
    const x = make(); up(x); x.sock().take(); ask(x.c); const [m] = x.sock().take();
    mock.timers.tick(3900); assert.deepEqual(x.of('late'), []);
    mock.timers.tick(200); assert.deepEqual(x.of('late'), [{ late: true }]); assert.deepEqual(x.sock().take().map((s) => s.type), ['ping']);
    x.sock().say({ type: 'pong' }); mock.timers.tick(10_000); assert.equal(x.c.state.name, 'open'); assert.equal(x.of('late').length, 1);
    x.sock().say({ type: 'error', id: m.id, code: 'rate_limited', message: '' }); assert.deepEqual(x.of('late').at(-1), { late: false });
  }
  // nothing comes any more: given up long before the heartbeat would
  const x = make(); up(x); x.c.say({ content: 'a' });
  mock.timers.tick(4100); mock.timers.tick(10_000); await flush();
  assert.equal(x.c.state.name, 'waiting'); assert.deepEqual(x.of('late'), [{ late: true }, { late: false }]);
});
test('an answer late only for the second: it is told once', () => {
  const x = make(); up(x); x.sock().take();
  const a = x.c.say({ content: 'a' }); mock.timers.tick(3000); const b = x.c.say({ content: 'b' });
  x.sock().say({ type: 'message_sent', id: a.id, message_id: 'm', offset: 11 });
  mock.timers.tick(3000); assert.deepEqual(x.of('late'), []);
  mock.timers.tick(1100); assert.deepEqual(x.of('late'), [{ late: true }]);
  x.sock().say({ type: 'message_sent', id: b.id, message_id: 'n', offset: 12 }); assert.deepEqual(x.of('late').at(-1), { late: false });
});
test('an id that another message had: again with a new one', () => {
  const x = make(); up(x); x.sock().take();
  const a = x.c.say({ content: 'a' }), [was] = x.sock().take();
  x.sock().say({ type: 'error', id: was.id, code: 'id_reused', message: '' });
  const [is] = x.sock().take();
  assert.notEqual(is.id, was.id); assert.equal(is.content, 'a'); assert.equal(a.id, is.id); assert.equal(x.of('failed').length, 0);
});
test('ids do not begin anew with a page', () => {
  const ids = [0, 1].map(() => { const x = make(); up(x); return x.c.say({ content: 'a' }).id; });
  assert.notEqual(ids[0], ids[1]);
});
test('pages of history: of this room in this epoch alone', () => {
  const x = make(); up(x); x.sock().take();
  const id = x.c.history({ before: 5, limit: 50 });
  assert.deepEqual(x.sock().take(), [{ type: 'history', id, room_id: 'general', before: 5, limit: 50 }]);
  x.sock().say({ type: 'history', id, room_id: 'general', epoch: 'e', messages: [rec(4)], more: true });
  assert.deepEqual(x.of('history'), [{ type: 'history', id, room_id: 'general', epoch: 'e', messages: [rec(4)], more: true }]);
  for (const o of [{ epoch: 'f' }, { room_id: 'club' }]) {
    x.sock().say({ type: 'history', id: 'p', room_id: 'general', epoch: 'e', messages: [], more: true, ...o });
    assert.deepEqual(x.of('history').at(-1), { id: 'p', lost: true });
  }
  x.sock().say({ type: 'room_left', room_id: 'general' }); assert.equal(x.c.history({}), ''); assert.equal(x.c.leaveRoom(), false);
});
test('a name leads to the room of another id; a room that is deleted is left once', () => {
  const x = make(); up(x); x.sock().take();
  x.c.join('Random Talk', '', { by: 'typed', create: false }); const [j] = x.sock().take();
  assert.deepEqual(j, { type: 'join_room', id: j.id, room_id: 'Random Talk', create: false });
  x.sock().say({ type: 'room_left', room_id: 'general' }); x.sock().say(joined({ id: j.id, room_id: 'random' }));
  assert.deepEqual(x.of('room_joined').at(-1).request, { by: 'typed', create: false, id: j.id, room: 'Random Talk', password: '' });
  assert.equal(x.of('room_joined')[0].request, null);
  x.c.deleteRoom(); const [d] = x.sock().take(); assert.deepEqual(d, { type: 'delete_room', id: d.id, room_id: 'random' });
  x.sock().say({ type: 'room_deleted', id: d.id, room_id: 'random' }); x.sock().say({ type: 'room_closed', room_id: 'random', reason: '' });
  assert.equal(x.of('room_deleted').length, 1); assert.equal(x.of('room_closed').length, 0); assert.equal(x.c.say({ content: 'b' }), null);
});
