// The console at /: one WebSocket to an endpoint of this server, and its messages.

import { comesBack } from './chat-policy.js';
import { meaning } from './close-code.js';
import { known, paths } from './console-endpoints.js';
import { Traffic } from './console-traffic.js';
import { Wire } from './console-wire.js';

const LABELS = { idle: 'not connected', connecting: 'connecting', open: 'connected', closing: 'closing', waiting: 'waiting' };
const REASON = 123; // bytes that a close frame has for a reason (RFC 6455 §5.5)

const el = (id) => document.getElementById(id);
const traffic = new Traffic(), wire = new Wire();
const encoder = new TextEncoder();
let countdown = 0;
let echo = false; // the endpoint is an echo
let sentAt = []; // at an echo: the times of messages without an answer, oldest first

// endpoint is the address in the form; null, and the reason, if it is not valid.
function endpoint() {
  const typed = el('path').value.trim(), url = URL.canParse(typed, location.href) ? new URL(typed, location.href) : null;
  if (!url || url.host !== location.host || !/^(http|ws)s?:$/.test(url.protocol)) {
    return [null, 'A path of this server, please: /ws, for instance. Its pages talk to nobody else.'];
  }
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  url.hash = '';
  return [url, ''];
}

// protocols are the subprotocols to offer: a token is one of them, because a page cannot set headers.
function protocols() {
  const list = el('protocol').value.split(/[\s,]+/).filter(Boolean), token = el('token').value.trim();
  if (!token) return list;
  const base64 = btoa(String.fromCharCode(...encoder.encode(token)));
  return [...(list.length ? list : ['perch.v1']), `bearer.${base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`];
}

function connect() {
  const [url, wrong] = endpoint();
  el('path-error').textContent = wrong;
  if (!url) return;
  el('path').value = url.pathname + url.search;
  el('websocat').textContent = `websocat '${url.href}'`;
  about();
  try {
    wire.connect(url.href, protocols());
    echo = url.pathname === '/ws';
  } catch {
    el('path-error').textContent = 'A subprotocol is letters, digits and signs, and each is there once.';
  }
}

function about() {
  const { about, examples } = known(el('path').value.trim());
  el('about').textContent = about;
  el('examples').hidden = Object.keys(examples).length === 0;
  el('examples').replaceChildren(...Object.entries(examples).map(([name, text]) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = name;
    button.addEventListener('click', () => { el('text').value = text; el('text').focus(); });
    return button;
  }));
}

wire.addEventListener('state', ({ detail: state }) => {
  const { name, code, reason, clean, until } = state;
  const ended = code !== undefined && (name === 'idle' || name === 'waiting');
  el('state').dataset.state = name === 'idle' && ended ? 'closed' : name;
  el('state').textContent = name === 'idle' && ended ? `closed ${code}` : LABELS[name];
  for (const id of ['submit', 'ping', 'close']) el(id).disabled = name !== 'open';
  el('connect').textContent = name === 'idle' ? 'Connect' : name === 'waiting' ? 'Try now' : 'Connect again';
  clearInterval(countdown);
  el('note-count').textContent = '';
  el('note-stop').hidden = name !== 'waiting';
  if (name === 'open') {
    sentAt = [];
    note('none', '');
    traffic.line('state', `connected${wire.protocol ? `, with the subprotocol ${wire.protocol}` : ''}`);
  } else if (ended) {
    const why = [meaning(code), reason && `“\u2068${reason}\u2069”`].filter(Boolean).join(', ');
    const told = `Closed with ${code}${why ? `: ${why}` : ''}.`;
    Object.assign(el('state').dataset, { code, clean });
    if (state.fresh) traffic.line('state', told);
    note(name === 'waiting' ? 'busy' : state.asked || code === 1000 ? 'good' : 'bad', `${told} ${advice(state)}`);
    if (name === 'waiting') count(until);
  }
});

function advice({ name, code, asked, gaveUp }) {
  if (asked) return 'It was closed from here.';
  if (name === 'waiting') return 'It comes back by itself.';
  if (gaveUp) return 'Three attempts did not get in: is there such an endpoint, and does it take the token?';
  if (code === 3002) return 'Give it a new token.';
  return comesBack(code) || code === 1000 ? '' : 'Connecting again would not help by itself.';
}

function note(kind, text) {
  el('note').dataset.kind = kind;
  el('note-text').textContent = text;
}

function count(until) {
  const show = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    el('note-count').textContent = left > 0 ? `Next attempt in ${left} s.` : '';
  };
  show();
  countdown = setInterval(show, 250);
}

wire.addEventListener('message', ({ detail: { data, took } }) => {
  const sent = took === undefined && echo ? sentAt.shift() : undefined;
  const ms = took ?? (sent === undefined ? undefined : performance.now() - sent);
  if (took !== undefined) el('ping-time').textContent = `${took.toFixed(1)} ms`;
  traffic.line('received', data, ms === undefined ? '' : `${ms.toFixed(1)} ms`);
});

function send() {
  const data = el('text').value;
  if (!wire.send(data)) return;
  sentAt.push(performance.now());
  traffic.line('sent', data);
  el('text').value = '';
  el('text').focus();
}

function close() {
  const code = Number(el('close-code').value), reason = el('close-reason').value, size = encoder.encode(reason).length;
  el('close-error').textContent = code !== 1000 && (code < 3000 || code > 4999) ? 'A page may close with 1000, or with 3000 to 4999.'
    : size > REASON ? `The reason is too long, by ${size - REASON} bytes.` : '';
  if (!el('close-error').textContent) wire.close(code, reason);
}

const means = () => { el('close-means').textContent = meaning(Number(el('close-code').value)); };

for (const path of paths) el('endpoints').append(new Option(path, path));
el('endpoints').addEventListener('change', (ev) => {
  if (ev.target.value) el('path').value = ev.target.value;
  ev.target.value = '';
  connect();
});
el('path').addEventListener('input', about);
el('connection').addEventListener('submit', (ev) => { ev.preventDefault(); connect(); });
el('send').addEventListener('submit', (ev) => { ev.preventDefault(); send(); });
let shift = false; // held with the last key
el('text').addEventListener('keydown', (ev) => { shift = ev.shiftKey; });
el('text').addEventListener('beforeinput', (ev) => { // with keyboards on screens this is the only event for Enter
  if (ev.inputType !== 'insertLineBreak' || shift || ev.isComposing) return;
  ev.preventDefault();
  send();
});
el('ping').addEventListener('click', () => {
  const message = wire.ping();
  if (message) traffic.line('sent', message);
});
el('close-form').addEventListener('submit', (ev) => { ev.preventDefault(); close(); });
el('close-code').addEventListener('input', means);
el('note-stop').addEventListener('click', () => wire.stop());

means();
connect();
