// One chat connection that survives its sockets: it connects again, resumes, asks for missed messages, and sends
// again those that were not acknowledged. It knows nothing of the page.
//
// Events, each with a detail: every message of the server that PASSED names, by its type, and
//   state         {name: idle | connecting | open | waiting | closed, …}
//   init          the message, with lost: a resume was asked for and refused
//   room_joined   the message, with continued, missing, restarted, missed, locked, and request: the join it
//                 answers; recent_messages are new ones only
//   message       {message, offset, own}: each message of the room once, our own from elsewhere too
//   message_sent  {entry, ack}
//   failed        {entry, error, doubtful}: not posted, or (doubtful) perhaps posted
//   error         the message, with request: the join it answers
//   history       the message, as it answers history(); one that has no answer any more: {id, lost: true}
//   late          {late}: an answer is overdue, or none is any more
import { DONE, LOST, PAGE_GONE, SILENT, TOKEN_EXPIRED, backoff, comesBack } from './chat-policy.js';
import { Outbox } from './chat-outbox.js';
import { Owed } from './chat-owed.js';
import { Stream } from './chat-stream.js';
import { Watch } from './chat-watch.js';

const OPEN_TIMEOUT = 15_000;  // ms in which the server must have sent init
const STABLE_AFTER = 10_000;  // a connection that lived so long counts as a success
const REFUSALS = 3;           // attempts that never opened, although the server is there
const REPLAY = 50;            // messages to show again after a reload

const AGAIN = 1000;           // ms before a message is sent again for which the server was too busy
const REFUSED = 1008;

// Errors that pass. The server has not acted, or acts only once on a message that is sent twice.
const PASSING = new Set(['busy', 'unavailable', 'queue_full', 'internal']);

const PASSED = new Set(['system_message', 'user_typing', 'user_list', 'presence', 'room_list', 'rooms', 'history', 'room_left',
  'room_closed', 'room_deleted', 'token_refreshed']);

export class Connection extends EventTarget {
  #url; #health;          // where to connect; the address that answers plain HTTP if the server is there
  #wanted; #token;        // the name asked for; "" none
  #session = ''; #user = null; // {id, username}, from init
  #stream = null;         // of the current room, or the room to return to
  #seen = 0;              // how far the user had read when the connection broke
  #password = '';         // of that room
  #locked = false;        // that room had a password
  #outbox = new Outbox();
  #owed = new Owed((late) => this.#overdue(late));

  #state = { name: 'idle' };
  #socket = null;         // the current one: events of older ones are ignored
  #timer = 0;             // of the state: the end of an attempt, or the next one
  #watch = null;          // of the open socket
  #asked = false;         // this socket has asked for a resume
  #lost = false;          // and was refused
  #here = '';             // the current room on this socket
  #fallback = null;       // room_joined of the room that the server chose, while we ask for ours
  #join = null;           // the join_room without an answer
  #requests = 0;
  #error = null;          // the last message, if it was an error: it explains a close that follows
  #attempt = 0; #refusals = 0;
  #delay = null;          // ms that the server asks for
  #since = 0;             // when this socket opened, as Date.now()

  // saved is the result of saved() before a reload, or {username, token}.
  constructor({ url, health, saved }) {
    super();
    this.#url = url;
    this.#health = health;
    this.#wanted = saved.username ?? '';
    this.#token = saved.token ?? '';
    if (!saved.session) return;
    this.#session = saved.session;
    this.#user = saved.user;
    if (!saved.room) return;
    const { id, epoch, offset, locked } = saved.room;
    this.#stream = new Stream(id, epoch, Math.max(0, offset - REPLAY));
    this.#seen = offset;
    this.#locked = locked;
  }

  // saved returns the data with which a later page is the same user. It contains secrets.
  saved() {
    const s = this.#stream;
    return {
      username: this.#wanted, token: this.#token, session: this.#session, user: this.#user,
      room: s && { id: s.id, epoch: s.epoch, offset: Math.max(s.offset, this.#seen), locked: this.#locked },
    };
  }

  get state() { return this.#state; }
  get user() { return this.#user; }

  // start connects now: at first, and whenever the user does not want to wait.
  start() {
    clearTimeout(this.#timer);
    this.#abandon(SILENT);
    this.#enter({ name: 'connecting' });
    const socket = new WebSocket(this.#url);
    let opened = false;
    const current = (f) => (ev) => { if (socket === this.#socket) f(ev); };
    socket.onopen = current(() => {
      opened = true;
      this.#refusals = 0;
      this.#introduce();
    });
    socket.onmessage = current((ev) => this.#receive(ev.data));
    socket.onclose = current((ev) => this.#closed(ev.code, ev.reason, opened));
    this.#socket = socket;
    this.#asked = false;
    this.#timer = setTimeout(() => this.#silent(), OPEN_TIMEOUT);
  }

  // stop ends the session: the user leaves.
  stop() {
    clearTimeout(this.#timer);
    this.#abandon(DONE);
    this.#session = '';
    this.#enter({ name: 'idle' });
  }

  // pause closes the connection and keeps the session: the page goes away and may be back.
  pause() {
    clearTimeout(this.#timer);
    this.#abandon(PAGE_GONE);
    this.#enter({ name: 'idle' });
  }

  // nudge is called when the network or the page has just come back: a good moment to check the connection.
  nudge() {
    if (this.#state.name === 'waiting') this.start();
    else this.#watch?.ask();
  }

  // refresh takes a new token.
  refresh(token) {
    this.#token = token;
    if (this.#state.name === 'open') this.#send({ type: 'refresh_token', token });
    else if (this.#state.name === 'closed') this.start();
  }

  // say posts a message to the current room: now, or when we are in it again. It returns its entry, or null outside
  // of rooms.
  say(body) {
    if (!this.#stream) return null;
    const entry = this.#outbox.add(this.#stream.id, body);
    if (this.#here === entry.room) this.#post(entry);
    return entry;
  }

  // again posts a failed entry once more.
  again(entry) {
    this.#outbox.renew(entry);
    if (this.#here === entry.room) this.#post(entry);
  }

  discard(entry) {
    this.#outbox.remove(entry.id);
  }

  // join asks to enter a room. how comes back with the answer; with how.create false the room is not made.
  join(room, password = '', how = {}) {
    const message = { type: 'join_room', id: this.#id('join'), room_id: room };
    if (password) message.password = password;
    if (how.create === false) message.create = false;
    if (this.#stream?.id === room) message.since = this.#stream.position();
    this.#join = { ...how, id: message.id, room, password };
    return this.#send(message);
  }

  // history asks for a page of the room: {before, after, limit}. It returns the id of the answer; '' without a room.
  history(page) {
    const id = this.#id('page');
    return this.#here && this.#send({ type: 'history', id, room_id: this.#here, ...page }) ? id : '';
  }

  leaveRoom() { return this.#here !== '' && this.#send({ type: 'leave_room', id: this.#id('leave'), room_id: this.#here }); }
  deleteRoom() { return this.#here !== '' && this.#send({ type: 'delete_room', id: this.#id('delete'), room_id: this.#here }); }
  watchRooms() { this.#send({ type: 'list_rooms', watch: true }); }

  typing(is) { if (this.#here) this.#send({ type: 'typing', is_typing: is }); }
  listUsers() { if (this.#here) this.#send({ type: 'list_users' }); }

  #id(kind) { return `${kind}-${++this.#requests}`; }

  #introduce() {
    const first = {};
    if (this.#wanted) first.username = this.#wanted;
    if (this.#token) first.token = this.#token;
    if (this.#session) {
      first.resume = { session: this.#session, rooms: {} };
      if (this.#stream) first.resume.rooms[this.#stream.id] = this.#stream.position();
      this.#asked = true;
    }
    this.#send(first);
  }

  #receive(data) {
    this.#watch?.heard();
    let m;
    try {
      m = JSON.parse(data);
    } catch {
      return; // not for this page: a binary message, or a newer protocol
    }
    this.#error = null;
    if (m.id !== undefined) this.#owed.answered(m.id);
    switch (m.type) {
      case 'init': return this.#init(m);
      case 'room_joined': return this.#roomJoined(m);
      case 'message': return this.#message(m);
      case 'message_sent': return this.#messageSent(m);
      case 'error': return this.#refused(m);
      case 'reconnect': this.#delay = Math.max(0, Number(m.delay_ms) || 0); return;
      case 'ping': this.#send({ type: 'pong', timestamp: m.timestamp }); return;
      case 'history': if (m.room_id !== this.#stream?.id || m.epoch !== this.#stream.epoch) return this.#emit('history', { id: m.id, lost: true }); break;
      case 'room_left': case 'room_closed': case 'room_deleted': if (!this.#left(m.room_id)) return;
    }
    if (PASSED.has(m.type)) this.#emit(m.type, m);
  }

  #init(m) {
    const known = m.user_id === this.#user?.id;
    this.#lost = this.#asked && !m.resumed;
    this.#session = m.session;
    this.#user = { id: m.user_id, username: m.username };
    this.#since = Date.now();
    clearTimeout(this.#timer);
    this.#watch = new Watch(m.heartbeat_interval * 1000, () => this.#send({ type: 'ping', timestamp: Date.now() }), () => this.#silent());
    this.#fail(this.#outbox.doubtful(!known));
    this.#emit('init', { ...m, lost: this.#lost });
    this.#enter({ name: 'open' });
  }

  #roomJoined(m) {
    const s = this.#stream;
    const ours = s && s.id === m.room_id;
    if (s && !ours && this.#lost && !this.#join && (!this.#locked || this.#password)) {
      // Our session is gone, and the server has chosen the room in which all users begin.
      this.#fallback = m;
      this.join(s.id, this.#password);
      return;
    }
    const request = this.#join && (this.#join.id === m.id || this.#join.room === m.room_id) ? this.#join : null;
    if (request) {
      this.#password = this.#join.password;
      this.#locked = this.#password !== '';
      this.#join = null;
    } else if (!ours) {
      this.#password = '';
      this.#locked = false;
    }
    this.#fallback = null;
    this.#here = m.room_id;
    this.#emit('room_joined', { ...(ours ? this.#continue(s, m) : this.#begin(m)), locked: this.#locked, request });
    this.#seen = 0;
    this.#fail(this.#outbox.left(m.room_id));
    for (const entry of this.#outbox.due(m.room_id)) this.#post(entry);
  }

  // begin enters a room for the first time.
  #begin(m) {
    this.#stream = new Stream(m.room_id, m.epoch, m.offset);
    return { ...m, recent_messages: m.recent_messages ?? [], continued: false, missing: false, restarted: false, missed: 0 };
  }

  // continue enters the same room on another connection.
  #continue(s, m) {
    const seen = Math.max(this.#seen, s.offset), recent = m.recent_messages ?? [];
    const same = s.epoch === m.epoch;
    const whole = same && (m.recovered || m.offset <= seen || recent[0]?.offset <= seen + 1);
    const fresh = same ? recent.filter((r) => s.take(r.offset)) : recent;
    if (!same || !m.recovered) this.#stream = new Stream(m.room_id, m.epoch, m.offset);
    return {
      ...m, recent_messages: fresh, continued: true, missing: !whole, restarted: !same,
      missed: same ? Math.max(0, m.offset - seen) : fresh.length,
    };
  }

  #message(m) {
    const message = m.message, offset = m.offset;
    // The server could not store a message without an offset: it comes once, or never.
    if (message.room_id !== this.#stream?.id || (offset !== undefined && !this.#stream.take(offset))) return;
    this.#emit('message', { message, offset, own: message.sender_id === this.#user.id });
  }

  #messageSent(ack) {
    const entry = this.#outbox.get(ack.id);
    if (!entry) return;
    this.#outbox.remove(ack.id);
    if (entry.room === this.#stream?.id && ack.offset !== undefined) this.#stream.take(ack.offset);
    this.#emit('message_sent', { entry, ack });
  }

  #refused(error) {
    const entry = this.#outbox.get(error.id);
    if (entry && error.code === 'id_reused') { // a page that is gone has used the id: another id makes it another message
      this.#outbox.renew(entry);
      this.#post(entry);
      return;
    }
    if (entry && PASSING.has(error.code)) {
      setTimeout(() => { if (this.#here === entry.room && this.#outbox.get(entry.id)) this.#post(entry); }, AGAIN * (1 + Math.random()));
      return;
    }
    if (entry) {
      entry.state = 'failed';
      this.#emit('failed', { entry, error, doubtful: false });
      return;
    }
    this.#error = error;
    if (this.#state.name === 'connecting' && !PASSING.has(error.code) && !error.code.startsWith('token')) {
      // The first message was wrong. (After other errors the server closes, and gives a reason.)
      this.#abandon(DONE);
      this.#closed(REFUSED, '', true);
      return;
    }
    const request = error.id === this.#join?.id ? this.#join : null;
    if (request) this.#join = null;
    this.#emit('error', { ...error, request });
    if (request && this.#fallback) {
      this.#stream = null;
      this.#roomJoined(this.#fallback);
    }
  }

  // left reports whether the user has left this room.
  #left(room) {
    if (room !== this.#here) return false;
    this.#here = '';
    this.#stream = null;
    this.#password = '';
    this.#locked = false;
    this.#fail(this.#outbox.left(''));
    return true;
  }

  // fail returns entries to the user.
  #fail(entries) {
    for (const entry of entries) {
      entry.state = 'failed';
      this.#emit('failed', { entry, error: null, doubtful: entry.sentAt !== 0 });
    }
  }

  #post(entry) {
    if (this.#send({ type: 'chat_message', id: entry.id, ...entry.body })) this.#outbox.sent(entry);
  }

  #send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    if (message.id !== undefined) this.#owed.sent(message.id);
    return true;
  }

  // overdue is called when answers are late: the connection is asked at once.
  #overdue(late) {
    if (late) this.#watch?.ask();
    this.#emit('late', { late });
  }

  // silent gives up a connection that does not answer.
  #silent() {
    this.#abandon(SILENT);
    this.#closed(LOST, '', true);
  }

  // abandon closes the socket and ignores all its later events.
  #abandon(code) {
    const socket = this.#socket;
    this.#socket = null;
    this.#rest();
    socket?.close(code);
  }

  // rest drops everything that belongs to a socket.
  #rest() {
    if (this.#here && this.#stream) this.#seen = this.#stream.offset;
    this.#watch?.stop();
    this.#watch = null;
    this.#owed.none();
    this.#here = '';
    this.#join = null;
    this.#fallback = null;
  }

  async #closed(code, reason, opened) {
    clearTimeout(this.#timer);
    this.#socket = null;
    this.#rest();
    const state = this.#state, delay = this.#delay, error = this.#error;
    this.#delay = null;
    this.#error = null;
    if (!opened) {
      const present = await this.#present();
      if (this.#state !== state) return; // it was started again, or stopped
      if (present) this.#refusals++;
    }
    if (!comesBack(code) || code === TOKEN_EXPIRED || this.#refusals >= REFUSALS) {
      this.#refusals = 0;
      this.#enter({ name: 'closed', code, reason, error });
      return;
    }
    if (opened && state.name === 'open' && Date.now() - this.#since >= STABLE_AFTER) this.#attempt = 0;
    const wait = delay ?? backoff(this.#attempt++);
    this.#timer = setTimeout(() => this.start(), wait);
    this.#enter({ name: 'waiting', until: Date.now() + wait, code, reason });
  }

  // present reports whether the server answers plain HTTP: then an attempt that did not open was refused. A browser
  // does not tell that from a lost network, for which we wait longer.
  async #present() {
    try {
      await fetch(this.#health, { cache: 'no-store', signal: AbortSignal.timeout(OPEN_TIMEOUT) });
      return true;
    } catch {
      return false;
    }
  }

  #enter(state) {
    this.#state = state;
    this.#emit('state', state);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
