// Pages of a room's history: which part of it the log shows, and when more of it is asked for.

import { el } from './chat-dom.js';

const PAGE = 50; // messages

export class Pages {
  #older = false;   // there may be messages before those that are shown
  #newer = false;   // there are messages after them
  #asked = null;    // {id, way} that is not answered
  #act;

  // act: ask(what) a page from the server, its id or null comes back; first() and last() offsets that are shown, or null
  constructor(act) {
    this.#act = act;
    el('older-button').addEventListener('click', () => this.near('older'));
  }

  // newer reports that what is shown does not reach to the latest message.
  get newer() { return this.#newer; }

  // begin is with a room of which the messages from that offset on are shown, or under way; null with none.
  begin(first) {
    this.#asked = null;
    this.#newer = false;
    this.#older = first > 1;
    this.#show(first === null ? '' : this.#older ? 'more' : 'begins');
  }

  // cut says that messages have been taken off an end, to keep the page small.
  cut(way) {
    if (way === 'older') {
      this.#older = true;
      this.#show('more');
    } else {
      this.#newer = true;
    }
  }

  // near says that the reader comes to an end of what is shown.
  near(way) {
    const from = way === 'older' ? this.#act.first() : this.#act.last();
    if (this.#asked || from === null || !(way === 'older' ? this.#older : this.#newer)) return;
    this.#ask(way, way === 'older' ? { before: from } : { after: from });
  }

  // latest asks for the newest messages, to be shown instead of these.
  latest() {
    this.#ask('latest', {});
  }

  // answer reports which way a page goes that has come: older, newer, latest; '' if it was not asked for. more is the
  // server's word on whether there is more that way.
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

  // fail says that no answer will come.
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
