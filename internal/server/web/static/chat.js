// The chat page: brings together the connection, which knows nothing of the page, and the parts of
// the page, which know nothing of the connection.

import { Banner } from './chat-banner.js';
import { farewell } from './chat-closed.js';
import { Composer } from './chat-composer.js';
import { Connection } from './chat-connection.js';
import { el } from './chat-dom.js';
import { Log } from './chat-log.js';
import { People } from './chat-people.js';
import { Side } from './chat-side.js';
import * as storage from './chat-storage.js';

let token = storage.takeToken(); // of the address
let connection = null;
let room = null;         // room_joined of the room we are in
let me = '';             // the name we had last
let back = false;        // this page was in a room before
let moving = false;      // the user asked for another room
let unread = 0, divider = null;

const banner = new Banner();
const log = new Log({
  reply: (message) => composer.reply(message),
  retry: (entry) => { log.fate(entry, 'waiting', ''); connection.again(entry); },
  discard: (entry) => { connection.discard(entry); log.drop(entry); },
});
const composer = new Composer({
  say(body) {
    const entry = connection.say(body);
    if (!entry) return false;
    mark();
    log.pend(entry, connection.user);
    return true;
  },
  typing: (is) => connection.typing(is),
  back: () => log.focus(),
});
const side = new Side({ join, leave });
const people = new People({
  show: (users, count) => side.people(users, count, connection?.user?.id),
  typing: (text) => { el('typing').textContent = text; },
  ask: () => connection.listUsers(),
});

// begin connects as who saved says; see Connection.
function begin(saved) {
  const url = new URL('/ws/chat', location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  connection = new Connection({ url: url.href, health: '/health', saved });
  for (const [type, f] of Object.entries(handlers)) {
    const from = connection;
    from.addEventListener(type, (ev) => { if (from === connection) f(ev.detail); });
  }
  log.clear();
  room = null;
  back = false;
  moving = true;
  composer.enable(false);
  show('app');
  connection.start();
}

function join(id, password) {
  if (!password && side.locked(id)) return askPassword({ room: id, password });
  moving = connection.join(id, password);
  if (!moving) banner.toast('There is no connection at the moment.');
}

function leave() {
  connection.stop();
  connection = null;
  storage.keep(null);
  welcome('', false);
}

const handlers = {
  state(state) {
    el('state').dataset.state = state.name;
    el('state-text').textContent = { idle: 'Not connected', connecting: 'Connecting', open: 'Connected', waiting: 'Not connected', closed: 'Not connected' }[state.name];
    side.enable(state.name === 'open');
    log.online(state.name === 'open');
    switch (state.name) {
      case 'connecting': return banner.connecting(back);
      case 'waiting': return banner.waiting(state.until, () => connection.start());
      case 'open': return banner.hide();
      case 'closed': return closed(state);
    }
  },

  init({ username, available_rooms, lost }) {
    side.me(connection.user);
    side.rooms(available_rooms ?? []);
    if (lost && back && me !== username) log.notice('gap', `The server no longer knew this session. You are ${username} now.`);
    me = username;
  },

  room_joined(joined) {
    const { continued, missing, restarted, missed, recent_messages } = joined;
    const asked = moving;
    moving = false;
    room = joined;
    if (!continued) {
      log.clear();
      unread = 0;
    }
    if (restarted) log.restart();
    if (missing && back) log.notice('gap', restarted ? 'The history of this room begins anew here.' : 'Some messages are missing here.');
    log.fill(recent_messages, (m) => m.sender_id === connection.user.id);
    if (missing) banner.incomplete(restarted);
    else if (back && continued) banner.resumed(missed);
    back = true;
    side.enter(joined);
    el('room-name').textContent = joined.room_name;
    people.enter(joined.user_count);
    composer.enable(true);
    if (!continued) composer.room(joined.room_name);
    if (asked) (matchMedia('(pointer: coarse)').matches ? el('room-title') : el('text')).focus();
    if (el('password').open) el('password').close();
    title();
    storage.keep(connection.saved());
  },

  message({ message, offset, own }) {
    people.types(message.sender_id, message.sender_name, false);
    if (!own && document.hidden) {
      divider ??= log.notice('unread', 'New');
      unread++;
      title();
    }
    log.add(message, offset, own);
  },

  message_sent({ entry, ack }) {
    log.confirm(entry, ack);
  },

  failed({ entry, error, doubtful }) {
    const text = error ? `Not sent: ${error.message}` : doubtful ? 'The server has not confirmed this message. It may have arrived.' : 'Not sent.';
    if (entry.room === room?.room_id) log.fate(entry, 'failed', text);
    else banner.toast(`A message to #${entry.room} was not confirmed.`);
  },

  error({ code, message, request }) {
    if (!request) return banner.toast(message);
    moving = false;
    if (code === 'wrong_password') return askPassword(request);
    if (el('password').open) el('password-error').textContent = message;
    else banner.toast(`${request.room}: ${message}`);
  },

  room_left() {
    if (moving) return; // another comes at once
    room = null;
    side.enter(null);
    people.enter(0);
    composer.enable(false);
    title();
  },

  room_closed(closed) {
    moving = false;
    handlers.room_left();
    log.notice('problem', closed.reason ? `This room was closed: ${closed.reason}` : 'This room was closed.');
  },

  system_message({ message }) {
    if (message.room_id !== room?.room_id) return;
    if (message.event !== 'welcome' || !room.continued) log.notice('system', message.content);
    if (!message.user_id) return;
    const user = [{ id: message.user_id, username: message.username }];
    if (message.event === 'joined') people.change(user, [], message.user_count);
    else people.change([], user, message.user_count);
  },

  presence({ room_id, member_count, joined, left }) {
    if (room_id === room?.room_id) people.change(joined ?? [], left ?? [], member_count);
  },

  user_list({ room_id, users }) {
    if (room_id === room?.room_id) people.list(users);
  },

  user_typing: ({ user_id, username, is_typing }) => people.types(user_id, username, is_typing),
};

function closed(state) {
  const { text, button, enter, token } = farewell(state);
  if (enter) return welcome(text, Boolean(token));
  banner.closed(text, button, () => connection.start());
}

// welcome asks who comes in; a token is needed for it, or not.
function welcome(text, needed) {
  show('welcome');
  el('farewell').hidden = !text;
  el('farewell').textContent = text;
  el('token-row').hidden = !needed;
  el('token').value = '';
  el('name').value = storage.name();
  (needed ? el('token') : el('name')).focus();
  room = null;
  unread = 0;
  title();
}

function show(id) {
  for (const part of ['welcome', 'app']) el(part).hidden = part !== id;
}

function askPassword(request) {
  el('password-form').onsubmit = (ev) => {
    ev.preventDefault(); // the dialog stays until the server has agreed
    join(request.room, el('password-text').value);
  };
  el('password-room').textContent = request.room;
  el('password-error').textContent = request.password ? 'That was not it.' : '';
  el('password-text').value = '';
  if (!el('password').open) el('password').showModal();
  el('password-text').focus();
}

// mark forgets where the user had stopped reading: they have read on.
function mark() {
  if (divider) log.remove(divider);
  divider = null;
}

function title() {
  document.title = `${unread ? `(${unread}) ` : ''}${room ? `#${room.room_name} · ` : ''}Perch`;
}

el('enter').addEventListener('submit', (ev) => {
  ev.preventDefault();
  const username = el('name').value.trim();
  storage.keepName(username);
  begin({ ...connection?.saved(), username, token: el('token').value.trim() || token });
});
el('password-cancel').addEventListener('click', () => el('password').close());

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return mark();
  unread = 0; // the mark stays until the page is hidden again
  title();
  connection?.nudge();
});
addEventListener('online', () => connection?.nudge());
addEventListener('pagehide', () => {
  if (!connection?.user) return;
  storage.keep(connection.saved());
  connection.pause();
});
addEventListener('pageshow', (ev) => { if (ev.persisted && connection?.state.name === 'idle') connection.start(); });
addEventListener('hashchange', () => {
  const fresh = storage.takeToken();
  if (!fresh) return;
  token = fresh;
  if (el('welcome').hidden) connection.refresh(token);
  else if (connection) begin({ ...connection.saved(), token });
});

const saved = storage.who();
if (saved?.session) begin({ ...saved, token: token || saved.token });
else welcome('', false);
