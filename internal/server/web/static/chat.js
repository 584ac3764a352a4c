// The chat page: it connects the connection, which knows nothing of the page, with the parts of the page, which know
// nothing of the connection.

import * as address from './chat-address.js';
import { Ask } from './chat-ask.js';
import { Banner } from './chat-banner.js';
import { farewell } from './chat-closed.js';
import { Composer } from './chat-composer.js';
import { Connection } from './chat-connection.js';
import { el, isolated } from './chat-dom.js';
import { Join, title } from './chat-join.js';
import { Log } from './chat-log.js';
import { Menu } from './chat-menu.js';
import { Pages } from './chat-pages.js';
import { People } from './chat-people.js';
import { Rooms } from './chat-rooms.js';
import { Side } from './chat-side.js';
import * as storage from './chat-storage.js';
import { words } from './chat-words.js';

let token = storage.takeToken(); // from the address
let connection = null;
let room = null;         // room_joined of the current room
let me = '';             // the user's last name
let back = false;        // this page was in a room before
let target = '';         // the room in the address, until it is asked for
let replay = 0;          // after a reload: the offset up to which messages are shown again; then 0
let late = false;        // an answer of the server is overdue
let unread = 0, divider = null;

const banner = new Banner(), ask = new Ask();
const pages = new Pages({ ask: (page) => connection.history(page), first: () => log.first(), last: () => log.last() });
const log = new Log({
  reply: (message) => composer.reply(message),
  retry: (entry) => { log.fate(entry, 'waiting', ''); connection.again(entry); },
  discard: (entry) => { connection.discard(entry); log.drop(entry); },
  near: (way) => pages.near(way),
  cut: (way) => pages.cut(way),
  latest: () => pages.latest(),
  behind: () => pages.newer,
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
const rooms = new Rooms({
  choose: (id) => (id === room?.room_id ? side.close() : join.to(id, '', { by: 'listed', create: false })),
  ask: () => connection.watchRooms(),
});
const join = new Join({
  join: (id, password, how) => connection.join(id, password, how),
  locked: (id) => rooms.locked(id),
  name: (id) => rooms.name(id),
  ask: (question) => ask.ask(question),
  toast: (text, names) => banner.toast(text, names),
  room: () => room,
});
const menu = new Menu({ leave: () => connection.leaveRoom(), remove, toast: (text) => banner.toast(text) });
const side = new Side({ join: (name, password) => join.to(name, password, { by: 'typed', create: false }), leave });
const people = new People({
  show(users, count) {
    side.people(users, count, connection?.user?.id);
    rooms.count(count);
  },
  typing: (text, names) => el('typing').replaceChildren(...isolated(text, names)),
  ask: () => connection.listUsers(),
});

// begin connects as the user in saved; see Connection.
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
  back = late = false;
  target = address.wanted();
  join.begins();
  composer.enable(false);
  menu.enter(null, false);
  pages.begin(null);
  show('app');
  connection.start();
}

// remove deletes the current room, if the user confirms it.
function remove() {
  const name = room.room_name;
  ask.ask({
    title: `Delete ${name}?`, names: [name], text: 'It goes for everybody, with all that was said in it.', yes: 'Delete', danger: true,
    answer: () => connection.deleteRoom(),
  });
}

function leave() {
  connection.stop();
  connection = null;
  storage.keep(null);
  composer.forget();
  welcome('', false);
}

const handlers = {
  state(state) {
    const open = state.name === 'open';
    paint(state.name);
    side.enable(open);
    rooms.enable(open);
    if (!open) pages.fail();
    switch (state.name) {
      case 'connecting': return banner.connecting(back);
      case 'waiting': return banner.waiting(state.until, () => connection.start());
      case 'open': return banner.hide();
      case 'closed': return closed(state);
    }
  },

  late(ev) {
    late = ev.late;
    paint(connection.state.name);
  },

  init({ username, available_rooms, lost }) {
    side.me(connection.user);
    rooms.list(available_rooms ?? []);
    connection.watchRooms();
    if (lost && back && me !== username) log.notice('gap', `The server no longer knew this session. You are ${username} now.`, [username]);
    me = username;
    nowhere('');
    setTimeout(() => { if (!room && connection?.state.name === 'open') nowhere('You are in no room. Choose one, or make one.'); }, 500);
  },

  room_joined(joined) {
    const { continued, missing, restarted, missed, recent_messages } = joined;
    const first = !back;
    room = joined;
    nowhere('');
    if (!continued) {
      log.clear();
      pages.begin(null);
      unread = 0;
    }
    if (restarted) log.restart();
    if (missing && back && !pages.newer) log.notice('gap', restarted ? 'The history of this room begins anew here.' : 'Some messages are missing here.');
    if (!pages.newer) log.fill(recent_messages, ours);
    if (!continued || first) {
      replay = first && joined.recovered && log.first() === null ? joined.offset : 0;
      pages.begin(replay ? null : log.first() ?? joined.offset + 1);
    }
    if (missing) banner.incomplete(restarted);
    else if (back && continued) banner.resumed(missed);
    if (first) called();
    back = true;
    rooms.enter(joined.locked ? { ...joined, password: true } : joined);
    side.close();
    menu.enter(joined, joined.owner === connection.user.id);
    here(joined.room_name);
    people.enter(joined.user_count);
    composer.enable(true);
    if (!continued || first) composer.room(joined.room_id, joined.room_name);
    title(room, unread);
    storage.keep(connection.saved());
    const goal = target;
    target = '';
    if (goal && goal !== joined.room_id && goal !== joined.room_name) return join.to(goal, '', { by: 'link', create: false });
    if (join.arrived(joined)) (matchMedia('(pointer: coarse)').matches ? el('room-title') : el('text')).focus();
  },

  message({ message, offset, own }) {
    people.types(message.sender_id, message.sender_name, false);
    if (!own && document.hidden) {
      divider ??= log.notice('unread', 'New');
      unread++;
      title(room, unread);
    }
    log.add(message, offset, own);
    rooms.read(message.room_id, offset);
    if (replay && offset >= replay) { // all messages from before the reload are shown again
      replay = 0;
      pages.begin(log.first());
    }
  },

  message_sent({ entry, ack }) {
    log.confirm(entry, ack);
    rooms.read(entry.room, ack.offset);
  },

  history({ id, lost, messages, more }) {
    if (lost) return pages.fail(id);
    const way = pages.answer(id, more);
    if (way) log.page(way, messages, ours);
  },

  failed({ entry, error, doubtful }) {
    const text = error ? `Not sent. ${words(error)}` : doubtful ? 'The server has not confirmed this message. It may have arrived.' : 'Not sent.';
    if (entry.room === room?.room_id) log.fate(entry, 'failed', text);
    else banner.toast(`A message to ${rooms.name(entry.room)} was not confirmed.`, [rooms.name(entry.room)]);
  },

  error(error) {
    if (error.request) return join.failed(error);
    pages.fail(error.id);
    banner.toast(words(error));
  },

  room_list: ({ rooms: list, sequence }) => rooms.list(list, sequence),

  rooms: (changes) => rooms.change(changes),

  room_left({ room_id }) {
    if (join.moving) return; // the next room follows at once
    const name = rooms.name(room_id);
    outside();
    log.clear();
    nowhere(`You have left ${name}. Choose another room, or make one.`, [name]);
  },

  room_deleted({ room_id }) {
    const name = rooms.name(room_id);
    outside();
    rooms.forget(room_id);
    log.clear();
    nowhere(`You have deleted ${name}. Choose another room, or make one.`, [name]);
  },

  room_closed({ reason }) {
    outside();
    log.notice('problem', reason ? `This room was closed: ${reason}.` : 'This room was closed.');
  },

  system_message({ message }) {
    if (message.room_id !== room?.room_id) return;
    if (message.event !== 'welcome' || !room.continued) log.notice('system', message.content, [message.username ?? room.room_name]);
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

// paint shows the state of the connection, also when answers are late.
function paint(name) {
  const waits = name === 'open' && late;
  el('state').dataset.state = waits ? 'waiting' : name;
  el('state-text').textContent = waits ? 'Waiting for the server' : { connecting: 'Connecting', open: 'Connected' }[name] ?? 'Not connected';
  log.online(name === 'open', late);
}

// called tells the user if the server has changed the name that they asked for.
function called() {
  const wanted = connection.saved().username.normalize('NFC'), is = connection.user.username;
  if (!wanted || wanted === is) return;
  const why = is.startsWith(`${wanted}_`) ? `, as there is a ${wanted} already` : '';
  log.notice('gap', `You are called ${is} here${why}.`, [is, wanted]);
}

// outside shows that the user is in no room.
function outside() {
  room = null;
  join.rests();
  ask.close();
  rooms.enter(null);
  people.enter(0);
  menu.enter(null, false);
  pages.begin(null);
  composer.enable(false);
  composer.room('', '');
  here('');
  address.show('', false);
  title(room, unread);
}

// here shows the current room.
function here(name) {
  el('room-name').textContent = name || 'No room';
  el('room-title').toggleAttribute('data-room', name !== '');
  if (!name) el('room-count').textContent = '';
}

// nowhere shows that there is no room.
function nowhere(text, names = []) {
  el('nowhere').hidden = !text;
  el('nowhere').replaceChildren(...isolated(text, names));
}

function ours(message) {
  return message.sender_id === connection.user.id;
}

function closed(state) {
  const { text, button, enter, token } = farewell(state);
  if (enter) return welcome(text, Boolean(token));
  banner.closed(text, button, () => connection.start());
}

// welcome asks for a name and, if it is needed, a token.
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
  title(room, unread);
}

function show(id) {
  for (const part of ['welcome', 'app']) el(part).hidden = part !== id;
}

// mark removes the line at which the user had stopped reading: they have read on.
function mark() {
  if (divider) log.remove(divider);
  divider = null;
}

el('enter').addEventListener('submit', (ev) => {
  ev.preventDefault();
  const username = el('name').value.trim();
  storage.keepName(username);
  begin({ ...connection?.saved(), username, token: el('token').value.trim() || token });
});

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return mark();
  unread = 0; // the line stays until the page is hidden again
  title(room, unread);
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
addEventListener('popstate', () => { // Back, or a link of this page
  const to = address.wanted();
  if (to && to !== room?.room_id && connection?.state.name === 'open') join.to(to, '', { by: 'back', create: false });
});

const saved = storage.who();
if (saved?.session) begin({ ...saved, token: token || saved.token });
else welcome('', false);
