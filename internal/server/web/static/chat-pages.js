// Pages of a room's history: the part of it that the log shows, and when more of it is asked for.

import { el } from './chat-dom.js';

const PAGE = 50; // messages

export class Pages {
  #older = false;   // there may be messages before those shown
  #newer = false;   // there are messages after those shown
  #asked = null;    // {id, way} of a request without an answer
  #act;

  // act: ask(what) asks the server for a page and returns the id or null; first() and last() are the offsets shown,
  // or null
  constructor(act) {
    this.#act = act;
    el('older-button').addEventListener('click', () => this.near('older'));
  }

  // newer reports whether the messages shown end before the latest one.
  get newer() { return this.#newer; }

  // begin begins with a room. Its messages from the offset first on are shown, or on their way; null if there are
  // none.
  begin(first) {
    this.#asked = null;
    this.#newer = false;
    this.#older = first > 1;
    this.#show(first === null ? '' : this.#older ? 'more' : 'begins');
  }

  // cut is called when messages were removed from an end, to keep the page small.
  cut(way) {
    if (way === 'older') {
      this.#older = true;
      this.#show('more');
    } else {
      this.#newer = true;
    }
  }

  // near is called when the reader comes to an end of the messages shown.
  near(way) {
    const from = way === 'older' ? this.#act.first() : this.#act.last();
    if (this.#asked || from === null || !(way === 'older' ? this.#older : this.#newer)) return;
    this.#ask(way, way === 'older' ? { before: from } : { after: from });
  }

  // latest asks for the newest messages, to replace those shown.
  latest() {
    this.#ask('latest', {});
  }

  // answer returns the direction of a page that has come: older, newer, latest; '' if it was not asked for. more says
  // whether the server has more in that direction.
  answer(id, more) {
    if (id !== this.#asked?.id) return '';
    const { way } = this.#asked;
    this.#asked = null;
    if (way === 'newer') this.#newer = more;
    else this.#older = more;
    if (way === 'latest') this.#newer = false;
    this.#show(this.#older ? 'more' : 'begins');
    return way;
  }

  // fail is called when no answer will come.
  fail(id) {
    if (!this.#asked || (id !== undefined && id !== this.#asked.id)) return false;
    this.#asked = null;
    this.#show(this.#older ? 'more' : 'begins');
    return true;
  }

  #ask(way, what) {
    const id = this.#act.ask({ ...what, limit: PAGE });
    if (!id) return;
    this.#asked = { id, way };
    if (way === 'older') this.#show('asked');
  }

  #show(state) {
    el('older').dataset.state = state;
    el('older').hidden = state === '';
    el('older-text').textContent = { more: '', asked: 'Loading older messages…', begins: 'This is where the history begins.' }[state] ?? '';
    el('older-button').hidden = state !== 'more';
  }
}
