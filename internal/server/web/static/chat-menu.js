// The menu of the current room.

import { link } from './chat-address.js';
import { el } from './chat-dom.js';

export class Menu {
  #room = null;
  #act;

  // act: leave(), remove(), toast(text)
  constructor(act) {
    this.#act = act;
    el('menu-link').addEventListener('click', () => this.#copy());
    el('menu-leave').addEventListener('click', () => this.#act.leave());
    el('menu-delete').addEventListener('click', () => this.#act.remove());
    for (const item of el('menu').querySelectorAll('button')) item.addEventListener('click', () => el('menu').hidePopover());
  }

  // enter begins with a room, or without one; owner: the user may delete it.
  enter(room, owner) {
    this.#room = room;
    el('menu-open').disabled = !room;
    el('menu-delete').hidden = !owner;
    if (!room && el('menu').matches(':popover-open')) el('menu').hidePopover();
  }

  async #copy() {
    const url = link(this.#room.room_id);
    try {
      await navigator.clipboard.writeText(url);
      this.#act.toast('The link is in the clipboard.');
    } catch {
      this.#act.toast(url); // copying is forbidden, or not available without TLS
    }
  }
}
