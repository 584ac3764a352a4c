// The rooms: the list that the server keeps up to date, and which of them have unread messages.

import { el, clone } from './chat-dom.js';

export class Rooms {
  #rooms = new Map();    // by id: those listed, and the current one
  #listed = new Map();   // by id: as the server has last listed them
  #seen = new Map();     // by id: the offset up to which the user has read
  #items = new Map();    // by id: <li>
  #sequence = undefined; // of the latest change
  #current = '';
  #on = false;
  #act;

  // act: choose(room), ask() for the list from the server
  constructor(act) {
    this.#act = act;
  }

  // list takes the whole list; sequence is undefined if no changes will follow it.
  list(rooms, sequence) {
    this.#sequence = sequence;
    this.#listed = new Map(rooms.map((r) => [r.room_id, { ...r }]));
    for (const id of this.#rooms.keys()) this.#drop(id);
    for (const r of rooms) this.#put(r);
    this.#show();
  }

  // change takes changes of the list. If one is missing (the server leaves it out for slow readers) the page asks for
  // a new list.
  change({ sequence, rooms, gone }) {
    if (this.#sequence === undefined) return; // the list is on its way
    if (sequence <= this.#sequence) return;
    if (sequence !== this.#sequence + 1) {
      this.#sequence = undefined;
      return this.#act.ask();
    }
    this.#sequence = sequence;
    for (const id of gone) {
      this.#listed.delete(id);
      this.#drop(id);
    }
    for (const r of rooms) {
      if (!this.#listed.has(r.room_id)) this.#seen.set(r.room_id, this.#seen.get(r.room_id) ?? 0);
      this.#listed.set(r.room_id, { ...r });
      this.#put(r);
    }
    this.#show();
  }

  // locked reports whether a room is known to have a password.
  locked(id) {
    return this.#rooms.get(id)?.password ?? false;
  }

  name(id) {
    return this.#rooms.get(id)?.room_name ?? id;
  }

  // enter makes a room the current one, listed or not; null leaves all rooms.
  enter(room) {
    const before = this.#current;
    this.#current = room?.room_id ?? '';
    if (before && before !== this.#current) this.#behind(before);
    if (room) {
      this.#put({ ...this.#rooms.get(room.room_id), ...room });
      this.read(room.room_id, room.offset);
    }
    this.#show();
    this.#reveal();
  }

  // read notes that the user has read a room up to an offset.
  read(id, offset) {
    if (offset === undefined) return;
    this.#seen.set(id, offset);
    const r = this.#rooms.get(id);
    if (r && !(r.offset >= offset)) r.offset = offset;
  }

  // forget removes a room that is gone.
  forget(id) {
    this.#listed.delete(id);
    this.#seen.delete(id);
    this.#drop(id);
    this.#show();
  }

  // count sets the number of members of the current room, which the page knows before the list does.
  count(n) {
    const r = this.#rooms.get(this.#current);
    if (!r || r.user_count === n) return;
    r.user_count = n;
    this.#show();
  }

  // enable says whether rooms can be changed: not without a connection.
  enable(on) {
    this.#on = on;
    for (const button of el('rooms').querySelectorAll('button')) button.disabled = !on;
  }

  #put(r) {
    if (!this.#seen.has(r.room_id)) this.#seen.set(r.room_id, r.offset ?? 0); // read before we came
    if (r.room_id === this.#current && r.offset !== undefined) this.#seen.set(r.room_id, Math.max(r.offset, this.#seen.get(r.room_id)));
    this.#rooms.set(r.room_id, r);
  }

  // behind sets a room that the user has left back to the server's data. If the user came and went between two lists,
  // nothing in it is unread.
  #behind(id) {
    const listed = this.#listed.get(id);
    if (listed) this.#rooms.set(id, { ...listed });
    else this.#drop(id);
  }

  // reveal scrolls the list, and nothing around it, to the current room.
  #reveal() {
    const li = this.#items.get(this.#current), list = el('rooms');
    if (!li) return;
    const at = li.getBoundingClientRect(), view = list.getBoundingClientRect();
    list.scrollTop += Math.max(0, at.bottom - view.bottom) - Math.max(0, view.top - at.top);
  }

  #drop(id) {
    if (id !== this.#current && !this.#listed.has(id)) this.#rooms.delete(id);
  }

  // show updates the page, and leaves elements alone that have not changed: the user may be there.
  #show() {
    for (const [id, li] of this.#items) {
      if (this.#rooms.has(id)) continue;
      if (li.contains(document.activeElement)) el('join-room').focus();
      li.remove();
      this.#items.delete(id);
    }
    for (const r of this.#rooms.values()) {
      let li = this.#items.get(r.room_id);
      if (!li) {
        li = clone('t-room');
        li.querySelector('button').addEventListener('click', () => this.#act.choose(r.room_id));
        li.querySelector('button').disabled = !this.#on;
        this.#items.set(r.room_id, li);
        el('rooms').append(li);
      }
      this.#paint(li, r);
    }
  }

  #paint(li, r) {
    const current = r.room_id === this.#current, button = li.querySelector('button');
    const news = !current && (r.offset ?? 0) > (this.#seen.get(r.room_id) ?? 0);
    text(li.querySelector('.name'), r.room_name || r.room_id);
    button.title = r.room_name || r.room_id; // the list may be too narrow for the whole name
    text(li.querySelector('.count'), r.user_count > 0 ? r.user_count.toLocaleString() : '');
    text(li.querySelector('.count-words'), r.user_count > 0 ? (r.user_count === 1 ? ' person there' : ' people there') : '');
    li.querySelector('.lock').toggleAttribute('hidden', !r.password);
    li.querySelector('.news').hidden = !news;
    li.classList.toggle('fresh', news);
    if (current) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
}

function text(node, to) {
  if (node.textContent !== to) node.textContent = to;
}
