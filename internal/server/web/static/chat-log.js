// The list of messages: ordered by offset, grouped by sender. It stays at its end unless the reader has scrolled
// away.

import { avatar, calm, clone, el, isolated, plural, tint } from './chat-dom.js';
import { content, summary } from './chat-text.js';

const MOST = 500;              // messages kept on the page
const NEAR = 80;               // px from the end that still count as the end
const AHEAD = 400;             // px from an end from which on more messages are asked for
const TOGETHER = 5 * 60_000;   // ms between messages of one group
const SETTLED = 150;           // ms without another message

const time = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

export class Log {
  #list = el('messages');
  #view = el('log');
  #rows = new Map();     // <li> to {order, message, at}; notices only have an order
  #byId = new Map();     // message id to <li>
  #pending = new Map();  // entry to <li>
  #base = 0; #last = 0;  // order = base + offset; the base changes when offsets begin again
  #stuck = true;         // the view is at the end, and stays there
  #top = 0;              // scrollTop at the last look
  #below = 0;            // messages that came while the view was not at the end
  #online = false;
  #late = false;
  #looking = 0;          // timer
  #filled = false;       // a room is shown, even if it is empty
  #act;

  // act: reply(message), retry(entry), discard(entry); near(way), cut(way), latest(), behind() of the pages of history
  constructor(act) {
    this.#act = act;
    this.#view.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => { this.#follow(); this.#look(); }).observe(this.#view);
    el('jump').addEventListener('click', () => this.toEnd(true));
    this.#list.addEventListener('click', (ev) => this.#clicked(ev));
    this.#list.addEventListener('keydown', (ev) => this.#key(ev));
  }

  clear() {
    this.#list.replaceChildren();
    this.#rows.clear();
    this.#byId.clear();
    this.#pending.clear();
    this.#base = this.#last = this.#below = 0;
    this.#stuck = true;
    this.#filled = false;
    this.#empty();
    this.#jump();
  }

  // restart begins a new count of offsets below the messages shown.
  restart() {
    this.#base = this.#last + 1;
  }

  // fill adds many messages at once; screen readers do not read them out.
  fill(messages, own) {
    this.#view.setAttribute('aria-busy', 'true');
    for (const m of messages) this.add(m, m.offset, own(m));
    this.#view.removeAttribute('aria-busy');
    this.#filled = true;
    this.#empty();
    this.#below = 0;
    this.#jump();
    this.toEnd(false);
    this.#look();
  }

  // page adds a page of the history at the side from which the reader comes.
  page(way, messages, own) {
    if (way === 'latest') {
      for (const [li, row] of this.#rows) if (row.order !== Infinity) this.#remove(li);
      return this.fill(messages, own);
    }
    const v = this.#view;
    v.setAttribute('aria-busy', 'true');
    const below = v.scrollHeight - v.scrollTop;
    for (const m of messages) this.#put(m, m.offset, own(m));
    if (way === 'older') v.scrollTop = v.scrollHeight - below;
    this.#shorten(way === 'older' ? 'newer' : 'older');
    v.removeAttribute('aria-busy');
    this.#top = v.scrollTop;
    this.#jump();
    this.#look();
  }

  // first and last are the offsets at the ends of the list; null if it is empty.
  first() {
    return this.#ends()[0];
  }

  last() {
    return this.#ends()[1];
  }

  #ends() {
    const all = [...this.#rows.values()].filter((r) => r.message && r.order !== Infinity && r.order > this.#base).map((r) => r.order - this.#base);
    return all.length ? [Math.min(...all), Math.max(...all)] : [null, null];
  }

  add(message, offset, own) {
    if (this.#byId.has(message.id)) return;
    if (this.#act.behind()) { // it will come with its page
      this.#below++;
      return this.#jump();
    }
    this.#put(message, offset, own);
    this.#trim();
    this.#soon();
    if (!own && !this.#stuck) {
      this.#below++;
      this.#jump();
    }
  }

  #put(message, offset, own) {
    if (this.#byId.has(message.id)) return;
    const order = offset === undefined ? this.#last : this.#base + offset;
    const li = this.#row(message, order, own);
    this.#byId.set(message.id, li);
    this.#insert(li, order);
  }

  // pend shows a message of our own that the server has not confirmed.
  pend(entry, user) {
    const message = { ...entry.body, id: '', sender_id: user.id, sender_name: user.username, timestamp: new Date().toISOString() };
    const li = this.#row(message, Infinity, true);
    this.#pending.set(entry, li);
    this.#insert(li, Infinity);
    this.fate(entry, 'waiting', '');
    this.toEnd(false);
  }

  // fate shows the state of a pending message: waiting, or failed with text.
  fate(entry, state, text) {
    const li = this.#pending.get(entry);
    if (!li) return;
    li.dataset.fate = state;
    li.querySelector('.fate').hidden = false;
    li.querySelector('.fate-text').textContent = state === 'failed' ? text : !this.#online ? 'Waits for the connection' : this.#late ? 'Waits for an answer…' : 'Sending…';
    for (const b of li.querySelectorAll('.fate button')) b.hidden = state !== 'failed';
    this.#follow();
  }

  // online shows whether pending messages are being sent or wait, and whether answers are late.
  online(on, late) {
    this.#online = on;
    this.#late = late;
    for (const [entry, li] of this.#pending) {
      if (li.dataset.fate === 'waiting') this.fate(entry, 'waiting', '');
    }
  }

  // confirm moves a pending message to its place, unless it has come in another way already.
  confirm(entry, ack) {
    const li = this.#pending.get(entry);
    if (!li) return;
    if (this.#byId.has(ack.message_id)) return this.drop(entry);
    const row = this.#rows.get(li), above = li.previousElementSibling;
    row.message = { ...row.message, id: ack.message_id, timestamp: ack.timestamp };
    row.order = ack.offset === undefined ? this.#last : this.#base + ack.offset;
    row.at = stamp(li, ack.timestamp);
    delete li.dataset.fate;
    li.querySelector('.fate').hidden = true;
    this.#pending.delete(entry);
    this.#byId.set(ack.message_id, li);
    if (above && this.#rows.get(above).order > row.order) this.#insert(li, row.order);
    this.#last = Math.max(this.#last, row.order);
    this.#group(li);
  }

  drop(entry) {
    const li = this.#pending.get(entry);
    if (!li) return;
    const held = li.contains(document.activeElement);
    this.#pending.delete(entry);
    this.#remove(li);
    if (held) el('text').focus();
  }

  // notice adds a line without a sender. kind: system, gap, unread, problem. names in it are isolated.
  notice(kind, text, names = []) {
    const li = clone('t-notice');
    li.dataset.kind = kind;
    li.querySelector('.notice-text').append(...isolated(text, names));
    if (this.#act.behind()) return li; // its place is not shown
    this.#rows.set(li, { order: this.#last });
    this.#insert(li, this.#last);
    return li;
  }

  remove(li) {
    if (this.#rows.has(li)) this.#remove(li);
  }

  toEnd(smooth) {
    const behind = this.#act.behind();
    if (behind) this.#act.latest();
    this.#stuck = !behind;
    this.#below = 0;
    this.#jump();
    this.#view.scrollTo({ top: this.#view.scrollHeight, behavior: smooth && !calm() ? 'smooth' : 'instant' });
  }

  // focus moves the focus to the latest message: keyboard users enter the list there.
  focus() {
    this.#messages().at(-1)?.focus();
  }

  #row(message, order, own) {
    const li = clone('t-message');
    li.classList.toggle('own', own);
    tint(li, message.sender_id);
    avatar(li.querySelector('.avatar'), message.sender_id, message.sender_name);
    li.querySelector('.sender').textContent = message.sender_name;
    li.querySelector('.content').append(...content(message, () => this.#follow()));
    li.classList.toggle('picture', li.querySelector('.content > img') !== null);
    this.#rows.set(li, { order, message, at: stamp(li, message.timestamp) });
    this.#quote(li, message);
    return li;
  }

  // quote shows the message to which a message replies, if the page has it.
  #quote(li, message) {
    if (!message.reply_to) return;
    const button = li.querySelector('.quote'), original = this.#byId.get(message.reply_to);
    const of = original && this.#rows.get(original).message;
    button.hidden = false;
    button.classList.toggle('far', !of);
    button.querySelector('.quote-name').textContent = of ? of.sender_name : '';
    button.querySelector('.quote-text').textContent = of ? summary(of) : 'An earlier message';
    if (of) tint(button, of.sender_id);
  }

  #insert(li, order) {
    let before = this.#list.lastElementChild;
    while (before && this.#rows.get(before).order > order) before = before.previousElementSibling;
    if (before) before.after(li);
    else this.#list.prepend(li);
    if (order !== Infinity) this.#last = Math.max(this.#last, order);
    this.#group(li);
    this.#group(li.nextElementSibling);
    this.#empty();
    this.#follow();
  }

  #remove(li) {
    const { message } = this.#rows.get(li), next = li.nextElementSibling;
    this.#rows.delete(li);
    if (message && this.#byId.get(message.id) === li) this.#byId.delete(message.id);
    li.remove();
    this.#group(next);
    this.#empty();
  }

  #trim() {
    if (this.#stuck) this.#shorten('older');
  }

  // shorten removes rows beyond the maximum, at one end.
  #shorten(way) {
    if (this.#byId.size <= MOST) return;
    const v = this.#view, height = v.scrollHeight, top = v.scrollTop;
    let li = way === 'older' ? this.#list.firstElementChild : this.#list.lastElementChild;
    while (li && this.#byId.size > MOST) {
      const next = way === 'older' ? li.nextElementSibling : li.previousElementSibling;
      if (this.#rows.get(li).order !== Infinity) this.#remove(li);
      li = next;
    }
    if (way === 'older') v.scrollTop = top - (height - v.scrollHeight);
    this.#last = Math.max(this.#base, ...[...this.#rows.values()].map((r) => r.order).filter(Number.isFinite));
    this.#act.cut(way);
  }

  // soon calls look when messages have stopped coming for a moment.
  #soon() {
    clearTimeout(this.#looking);
    this.#looking = setTimeout(() => this.#look(), SETTLED);
  }

  // look asks for more messages where the view is near an end.
  #look() {
    const v = this.#view;
    if (!this.#filled || !v.clientHeight) return;
    if (v.scrollTop < AHEAD) this.#act.near('older');
    if (v.scrollHeight - v.scrollTop - v.clientHeight < AHEAD) this.#act.near('newer');
  }

  // group decides whether a message follows closely one of the same sender, and whether a new day begins.
  #group(li) {
    const row = li && this.#rows.get(li);
    if (!row?.message) return;
    const above = li.previousElementSibling && this.#rows.get(li.previousElementSibling);
    const last = above?.message ? above : this.#before(li);
    const newDay = !last || last.at.toDateString() !== row.at.toDateString();
    const heading = li.querySelector('.day');
    heading.hidden = !newDay;
    heading.textContent = newDay ? day.format(row.at) : '';
    li.classList.toggle('follows', !newDay && Boolean(above?.message) && above.message.sender_id === row.message.sender_id &&
      row.at - above.at < TOGETHER);
  }

  #before(li) {
    for (let p = li.previousElementSibling; p; p = p.previousElementSibling) {
      const row = this.#rows.get(p);
      if (row.message) return row;
    }
    return null;
  }

  #messages() {
    return [...this.#list.querySelectorAll(':scope > .message')];
  }

  #clicked(ev) {
    const li = ev.target.closest('li'), button = ev.target.closest('button');
    if (!li || !button) return;
    const { message } = this.#rows.get(li);
    if (button.matches('.reply') && message.id) this.#act.reply(message);
    else if (button.matches('.quote')) this.#show(message.reply_to);
    else if (button.matches('.retry, .discard')) {
      const [entry] = [...this.#pending].find(([, row]) => row === li);
      if (button.matches('.retry')) this.#act.retry(entry);
      else this.#act.discard(entry);
    }
  }

  #show(id) {
    const li = this.#byId.get(id);
    if (!li) return;
    li.scrollIntoView({ block: 'center', behavior: calm() ? 'instant' : 'smooth' });
    li.focus({ preventScroll: true });
    li.classList.remove('found');
    void li.offsetWidth; // so that the animation starts again
    li.classList.add('found');
  }

  #key(ev) {
    const li = ev.target.closest('li');
    if (ev.target !== li || ev.ctrlKey || ev.metaKey || ev.altKey) return;
    const all = this.#messages(), at = all.indexOf(li);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1 }[ev.key];
    if (to !== undefined) {
      if (to < all.length) all[Math.max(0, to)]?.focus();
      else el('text').focus();
    } else if (ev.key === 'r' || ev.key === 'R' || ev.key === 'Enter') {
      const { message } = this.#rows.get(li);
      if (message.id) this.#act.reply(message);
    } else if (ev.key === 'Escape') {
      el('text').focus();
    } else {
      return;
    }
    ev.preventDefault();
  }

  #scrolled() {
    const v = this.#view;
    // Only the reader moves the view up: when content below grows (an image has loaded) scrollTop does not change.
    if (v.scrollHeight - v.scrollTop - v.clientHeight < NEAR && !this.#act.behind()) this.#stuck = true;
    else if (v.scrollTop < this.#top) this.#stuck = false;
    this.#top = v.scrollTop;
    if (this.#stuck) this.#below = 0;
    this.#jump();
    this.#look();
  }

  #follow() {
    if (this.#stuck) this.#view.scrollTop = this.#view.scrollHeight;
  }

  #jump() {
    el('jump').hidden = this.#stuck && !this.#act.behind();
    el('jump-text').textContent = this.#below ? plural(this.#below, 'new message', 'new messages') : 'Latest';
  }

  #empty() {
    el('empty').hidden = !this.#filled || this.#byId.size + this.#pending.size > 0;
  }
}

// stamp writes the time of a message.
function stamp(li, timestamp) {
  const at = new Date(timestamp), node = li.querySelector('time');
  node.dateTime = timestamp;
  node.title = full.format(at);
  node.textContent = time.format(at);
  return at;
}
