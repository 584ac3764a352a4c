// The side of the page: the way into rooms, the people, the user. On a narrow screen it is a drawer.

import { avatar, clone, el, plural } from './chat-dom.js';

export class Side {
  #act;

  // act: join(room, password), leave()
  constructor(act) {
    this.#act = act;
    el('join').addEventListener('submit', (ev) => {
      ev.preventDefault();
      const room = el('join-room').value.trim().replace(/\s+/g, ' ');
      if (room) this.#act.join(room, el('join-password').value);
    });
    el('leave').addEventListener('click', () => this.#act.leave());
    el('side-open').addEventListener('click', () => this.#drawer(true));
    el('side-close').addEventListener('click', () => this.#drawer(false));
    el('shade').addEventListener('click', () => this.#drawer(false));
    el('side').addEventListener('keydown', (ev) => { if (ev.key === 'Escape') this.#drawer(false); });
    matchMedia('(min-width: 48rem)').addEventListener('change', () => this.#drawer(false));
  }

  me(user) {
    el('me-name').textContent = user.username;
    avatar(el('me-avatar'), user.id, user.username);
  }

  // close closes the drawer.
  close() {
    el('join').reset();
    this.#drawer(false);
  }

  // people shows the people in the room: those that the server has named, and the count of all.
  people(users, count, me) {
    users.sort((a, b) => a.username.localeCompare(b.username));
    el('people').replaceChildren(...users.map((u) => {
      const li = clone('t-person');
      avatar(li.querySelector('.avatar'), u.id, u.username);
      li.querySelector('.name').textContent = u.username;
      li.querySelector('.you').hidden = u.id !== me;
      return li;
    }));
    el('people-count').textContent = count.toLocaleString();
    el('people-more').hidden = count <= users.length;
    el('people-more').textContent = users.length ? `and ${(count - users.length).toLocaleString()} more` : '';
    el('room-count').textContent = plural(count, 'person here', 'people here');
  }

  // enable says whether rooms can be joined: not without a connection.
  enable(on) {
    for (const control of el('join').querySelectorAll('input, button')) control.disabled = !on;
  }

  #drawer(open) {
    const was = el('side').classList.contains('open');
    el('side').classList.toggle('open', open);
    el('shade').hidden = !open;
    el('main').inert = open;
    el('side-open').setAttribute('aria-expanded', String(open));
    if (open) el('side-close').focus();
    else if (was) el('side-open').focus();
  }
}
