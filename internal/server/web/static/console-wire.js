// One WebSocket that comes back by the rules of docs/protocol.md: after certain closes, after a time, and not for
// ever.
//
// Events, each with a detail:
//   state    {name: idle | connecting | open | closing | waiting}; after a close with its code, reason, clean, asked if
//            we wanted it; with fresh if it has just happened, gaveUp if it was refused too often, until when it is
//            tried again
//   message  {data, took}: took is ms since what it answers was sent, if that is known
import { TOKEN_EXPIRED, backoff, comesBack } from './chat-policy.js';

const STABLE_AFTER = 10_000; // ms: a connection that lived so long was a success
const REFUSALS = 3;          // attempts in a row that never opened

export class Wire extends EventTarget {
  #url = ''; #protocols = [];
  #socket = null;      // the current one: events of older ones are ignored
  #state = { name: 'idle' };
  #timer = 0;
  #attempt = 0; #refusals = 0; #since = 0;
  #delay = null;       // by id: the time at which it was sent
  #pings = new Map();  // by id: when it was sent
  #prefix = `ping-${Math.random().toString(36).slice(2, 8)}-`;
  #count = 0;

  get state() { return this.#state; }
  get protocol() { return this.#socket?.protocol ?? ''; }

  // connect drops the old connection. If url or protocols are invalid it throws WebSocket's error, and there is no
  // connection.
  connect(url, protocols) {
    const socket = new WebSocket(url, protocols);
    this.#forget(1000);
    this.#url = url;
    this.#protocols = protocols;
    this.#attempt = this.#refusals = 0;
    this.#open(socket);
  }

  send(data) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(data);
    return true;
  }

  // ping sends a message that every endpoint answers (an echo too), and returns it: a page cannot send ping frames.
  ping() {
    const id = this.#prefix + ++this.#count, message = JSON.stringify({ type: 'ping', timestamp: Date.now(), id });
    if (!this.send(message)) return '';
    this.#pings.set(id, performance.now());
    return message;
  }

  // close ends the connection for good. If code or reason is invalid it throws WebSocket's error.
  close(code, reason) {
    this.#socket?.close(code, reason);
    this.#enter({ name: 'closing' });
  }

  // stop ends the attempts to come back.
  stop() {
    clearTimeout(this.#timer);
    this.#enter({ ...this.#state, name: 'idle', fresh: false });
  }

  #open(socket = new WebSocket(this.#url, this.#protocols)) {
    let opened = false;
    const current = (f) => (ev) => { if (socket === this.#socket) f(ev); };
    socket.binaryType = 'arraybuffer';
    socket.onopen = current(() => {
      opened = true;
      this.#refusals = 0;
      this.#since = Date.now();
      this.#enter({ name: 'open' });
    });
    socket.onmessage = current((ev) => this.#receive(ev.data));
    socket.onclose = current((ev) => this.#closed(ev, opened));
    this.#socket = socket;
    this.#enter({ ...this.#state, name: 'connecting' });
  }

  #receive(data) {
    let took;
    if (typeof data === 'string') {
      for (const [id, at] of this.#pings) {
        if (!data.includes(id)) continue;
        this.#pings.delete(id);
        took = performance.now() - at;
      }
      this.#delay = delay(data) ?? this.#delay;
    }
    this.#emit('message', { data, took });
  }

  #closed({ code, reason, wasClean: clean }, opened) {
    const asked = this.#state.name === 'closing', wish = this.#delay;
    this.#forget();
    if (!opened) this.#refusals++;
    else if (Date.now() - this.#since >= STABLE_AFTER) this.#attempt = 0;
    const end = { code, reason, clean, asked, fresh: true }, gaveUp = this.#refusals >= REFUSALS;
    if (asked || gaveUp || !comesBack(code) || code === TOKEN_EXPIRED) return this.#enter({ ...end, name: 'idle', gaveUp });
    const wait = wish ?? backoff(this.#attempt++);
    this.#timer = setTimeout(() => this.#open(), wait);
    this.#enter({ ...end, name: 'waiting', until: Date.now() + wait });
  }

  #forget(code) {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    this.#delay = null;
    this.#pings.clear();
    if (code) socket?.close(code);
  }

  #enter(state) {
    this.#state = state;
    this.#emit('state', state);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

// delay is the time that the server asks for before a close, in ms: {"type":"reconnect","delay_ms":…}.
function delay(data) {
  if (!data.startsWith('{')) return null;
  try {
    const { type, delay_ms: ms } = JSON.parse(data);
    return type === 'reconnect' && ms >= 0 ? ms : null;
  } catch {
    return null;
  }
}
