// One dialog for every question: yes or no, with a field for a password if one is needed.

import { el, isolated } from './chat-dom.js';

export class Ask {
  #answer = null;

  constructor() {
    el('ask-form').addEventListener('submit', (ev) => {
      ev.preventDefault();
      const answer = this.#answer, password = el('ask-password').value;
      this.close();
      answer?.(password);
    });
    el('ask-cancel').addEventListener('click', () => this.close());
  }

  // ask shows a question; answer is called if the user agrees. names in the text are isolated. password is the first
  // content of the password field; without it there is no such field.
  ask({ title, text, names = [], yes, danger = false, password, answer }) {
    el('ask-title').replaceChildren(...isolated(title, names));
    el('ask-text').replaceChildren(...isolated(text, names));
    el('ask-text').hidden = !text;
    el('ask-row').hidden = password === undefined;
    el('ask-password').value = password ?? '';
    el('ask-yes').textContent = yes;
    el('ask-yes').classList.toggle('danger', danger);
    this.#answer = answer;
    if (!el('ask').open) el('ask').showModal();
    (danger ? el('ask-cancel') : el('ask-yes')).focus();
  }

  close() {
    this.#answer = null;
    if (el('ask').open) el('ask').close();
  }
}
