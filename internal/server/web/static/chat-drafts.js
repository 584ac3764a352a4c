// The unsent text of each room. It outlives the page, only in its tab.

const KEY = 'perch-chat-drafts';
const MOST = 50;   // rooms
const EACH = 300;  // ms between two writes

export class Drafts {
  #texts = new Map(); // by room, the one written last at the end
  #timer = 0;

  constructor() {
    try {
      this.#texts = new Map(JSON.parse(sessionStorage.getItem(KEY)) ?? []);
    } catch { /* forbidden, or not ours */ }
    addEventListener('pagehide', () => this.#save());
  }

  of(room) {
    return this.#texts.get(room) ?? '';
  }

  keep(room, text) {
    if (text === this.of(room)) return;
    this.#texts.delete(room);
    if (text) this.#texts.set(room, text);
    if (this.#texts.size > MOST) this.#texts.delete(this.#texts.keys().next().value);
    this.#timer ||= setTimeout(() => this.#save(), EACH);
  }

  // forget is called when the user leaves.
  forget() {
    this.#texts.clear();
    this.#save();
  }

  #save() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    try {
      if (this.#texts.size) sessionStorage.setItem(KEY, JSON.stringify([...this.#texts]));
      else sessionStorage.removeItem(KEY);
    } catch { /* forbidden, or full: unsent text is kept only in the page */ }
  }
}
