// The line above the messages that shows the state of the connection, and the short note below.

import { el, isolated, plural } from './chat-dom.js';

const BRIEF = 5000; // ms for which good news are shown

export class Banner {
  #timer = 0; // for the countdown, or the end of good news
  #toast = 0;
  #retry = null;

  constructor() {
    el('banner-button').addEventListener('click', () => this.#retry?.());
  }

  // connecting shows nothing at first: most connections open before anybody could read it.
  connecting(again) {
    this.#show('busy', again ? 'Reconnecting…' : 'Connecting…');
  }

  waiting(until, retry) {
    this.#show('busy', 'The connection was lost.', 'Try now', retry);
    const count = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      el('banner-count').textContent = left > 0 ? `Next attempt in ${left} s.` : '';
    };
    count();
    this.#timer = setInterval(count, 250);
  }

  closed(text, button, act) {
    this.#show('closed', text, button, act);
  }

  resumed(missed) {
    this.#show('good', missed ? `Back online. ${plural(missed, 'message', 'messages')} came meanwhile.` : 'Back online. Nothing was missed.');
    this.#timer = setTimeout(() => this.hide(), BRIEF);
  }

  // incomplete: messages are missing, because there were too many, or because the server lost them (restarted).
  incomplete(restarted) {
    const why = restarted ? 'the server has lost the history of this room' : 'the history no longer reaches back to where you left';
    this.#show('warning', `Back online, but ${why}: messages may be missing.`, 'Understood', () => this.hide());
  }

  hide() {
    this.#show('none', '');
  }

  // toast shows a short note for some seconds. names in it are isolated.
  toast(text, names = []) {
    clearTimeout(this.#toast);
    el('toast').replaceChildren(...isolated(text, names));
    el('toast').classList.add('shown');
    this.#toast = setTimeout(() => el('toast').classList.remove('shown'), BRIEF);
  }

  #show(kind, text, button = '', act = null) {
    clearTimeout(this.#timer); // this clears an interval, too
    this.#retry = act;
    el('banner').hidden = kind === 'none';
    el('banner').dataset.kind = kind;
    el('banner-text').textContent = text;
    el('banner-count').textContent = '';
    el('banner-button').hidden = !button;
    el('banner-button').textContent = button;
    if (kind !== 'none') el('toast').classList.remove('shown'); // the note would cover the banner
  }
}
