// The ways into a room: its name, the list, a link, Back. The user is asked in doubt.

import * as address from './chat-address.js';
import { alone, el } from './chat-dom.js';
import { words } from './chat-words.js';

export class Join {
  #moving = false; // another room was asked for
  #act;

  // act: join(room, password, how), locked(room), name(room), ask(question), toast(text, names), room() the current
  // room or null
  constructor(act) {
    this.#act = act;
    el('password-cancel').addEventListener('click', () => el('password').close());
  }

  get moving() { return this.#moving; }

  // begins is called when the server will choose a room.
  begins() { this.#moving = true; }

  // to asks for a room. how.by is the way: typed, listed, link, back; with how.create false a room is not made if it
  // does not exist.
  to(room, password, how) {
    if (!password && this.#act.locked(room)) return this.#password({ ...how, room, password });
    this.#moving = this.#act.join(room, password, how);
    if (!this.#moving) this.#act.toast('There is no connection at the moment.');
  }

  // arrived puts the room into the address.
  arrived({ room_id, request }) {
    const asked = this.#moving;
    this.#moving = false;
    address.show(room_id, request?.by === 'typed' || request?.by === 'listed');
    if (el('password').open) el('password').close();
    return asked;
  }

  // rests is called when the user is in no room.
  rests() { this.#moving = false; }

  // failed is called when a join was refused.
  failed(error) {
    const request = error.request, name = this.#act.name(request.room), how = { by: request.by };
    this.#moving = false;
    if (how.by === 'link' || how.by === 'back') address.show(this.#act.room()?.room_id, false);
    if (error.code === 'wrong_password') return this.#password(request);
    if (el('password').open) {
      el('password-error').textContent = words(error);
      return;
    }
    switch (error.code) {
      case 'room_not_found':
        if (error.room_id) return this.#meant(error.room_id, name);
        if (how.by === 'back' || how.by === 'listed') return this.#act.toast(`The room ${name} is no more.`, [name]);
        return this.#act.ask({
          title: `Create ${name}?`, names: [name], text: 'There is no room of that name yet. Who makes it may delete it. A password keeps others out.',
          yes: 'Create', password: request.password, answer: (password) => this.to(request.room, password, { by: 'typed' }),
        });
      case 'room_exists': return this.#meant(error.room_id, name);
      case 'no_password':
        return this.#act.ask({
          title: `${name} is open to everybody`, names: [name], text: 'It has no password, so what is said there is not among few. Join it all the same?',
          yes: 'Join', answer: () => this.to(request.room, '', { ...how, create: false }),
        });
      default: this.#act.toast(`${name}: ${words(error)}`, [name]);
    }
  }

  // meant asks whether the user means the room that looks like the name.
  #meant(room, name) {
    const other = this.#act.name(room);
    this.#act.ask({
      title: `Did you mean ${other}?`, names: [other, name], text: `${other} looks like ${name}, so there cannot be both.`,
      yes: 'Join it', answer: () => this.to(room, '', { by: 'listed', create: false }),
    });
  }

  #password(request) {
    el('password-form').onsubmit = (ev) => {
      ev.preventDefault(); // the dialog stays until the server has agreed
      this.to(request.room, el('password-text').value, { by: request.by, create: false });
    };
    el('password-room').textContent = this.#act.name(request.room);
    el('password-error').textContent = request.password ? 'That was not it.' : '';
    el('password-text').value = '';
    if (!el('password').open) el('password').showModal();
    el('password-text').focus();
  }
}

// title is the title of the page in a room.
export function title(room, unread) {
  document.title = `${unread ? `(${unread}) ` : ''}${room ? `#${alone(room.room_name)} · ` : ''}Perch`;
}
