// The page at /: one WebSocket to /ws, and everything that happens on it as a list.
// What a user typed or a server sent only ever becomes text, never markup.
'use strict';

const MAX_ENTRIES = 200;

const el = (id) => document.getElementById(id);
const state = el('state'), log = el('log'), text = el('text'), raw = el('raw');

const CLOSED_BECAUSE = {
  1000: 'normal', 1001: 'the server is going away', 1002: 'protocol error', 1003: 'unsupported data',
  1005: 'no code given', 1006: 'lost, without a closing handshake', 1007: 'not UTF-8', 1008: 'policy',
  1009: 'message too big', 1011: 'internal error', 1012: 'the server restarts', 1013: 'overloaded, try later',
  3000: 'slow consumer', 3001: 'heartbeat timeout', 3003: 'draining',
};
const MARK = { sent: ['→', 'sent'], received: ['←', 'received'], state: ['•', 'state'] };

let socket = null;  // the current one: events of an older one are ignored
let sentAt = [];    // when each message without an answer yet was sent, oldest first

function endpoint() {
  const url = new URL('/ws', location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  if (raw.checked) url.searchParams.set('raw', '1');
  return url.href;
}

function span(className, content) {
  const s = document.createElement('span');
  s.className = className;
  s.textContent = content;
  return s;
}

function entry(kind, what, when) {
  const [mark, spoken] = MARK[kind];
  const li = document.createElement('li');
  const m = span('mark', '');
  const arrow = span('', mark);
  arrow.setAttribute('aria-hidden', 'true');
  m.append(arrow, span('spoken', spoken + ': '));
  li.dataset.kind = kind;
  li.append(m, span('what', what), span('when', when ?? new Date().toLocaleTimeString()));
  log.append(li);
  while (log.childElementCount > MAX_ENTRIES) log.firstElementChild.remove();
  log.scrollTop = log.scrollHeight;
  el('empty').hidden = true;
}

function show(name, label) {
  state.dataset.state = name;
  state.textContent = label;
  el('submit').disabled = name !== 'open';
  el('close').disabled = name !== 'open' && name !== 'connecting';
}

function connect() {
  const url = endpoint();
  const old = socket;
  socket = null;
  if (old) old.close(1000, 'reconnect');
  sentAt = [];
  el('url').textContent = url;
  el('websocat').textContent = 'websocat ' + url;
  show('connecting', 'connecting');
  let ws;
  try {
    ws = new WebSocket(url);
  } catch (err) {
    show('closed', 'not connected');
    entry('state', 'cannot connect: ' + err.message);
    return;
  }
  ws.binaryType = 'arraybuffer';
  ws.onopen = () => {
    if (ws !== socket) return;
    show('open', 'connected');
    entry('state', 'connected to ' + url);
  };
  ws.onmessage = (ev) => {
    if (ws !== socket) return;
    const sent = sentAt.shift();
    const took = sent === undefined ? undefined : (performance.now() - sent).toFixed(1) + ' ms';
    entry('received', typeof ev.data === 'string' ? ev.data : ev.data.byteLength + ' bytes', took);
  };
  ws.onclose = (ev) => {
    if (ws !== socket) return;
    const why = [CLOSED_BECAUSE[ev.code], ev.reason].filter(Boolean).join(': ');
    show('closed', 'closed ' + ev.code);
    state.dataset.code = ev.code;
    state.dataset.clean = ev.wasClean;
    entry('state', 'closed with ' + ev.code + (why ? ' (' + why + ')' : ''));
  };
  socket = ws;
}

el('send').addEventListener('submit', (ev) => {
  ev.preventDefault();
  if (!socket || socket.readyState !== WebSocket.OPEN) return;
  sentAt.push(performance.now());
  socket.send(text.value);
  entry('sent', text.value);
  text.value = '';
  text.focus();
});
el('close').addEventListener('click', () => {
  show('closing', 'closing');
  socket.close(1000, 'done');
});
el('reconnect').addEventListener('click', connect);
raw.addEventListener('change', connect);
el('clear').addEventListener('click', () => {
  log.replaceChildren();
  el('empty').hidden = false;
});

connect();
