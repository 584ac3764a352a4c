// The part of the page in which messages are written: the text box, the message replied to, images, and the news that
// the user types.

import { Drafts } from './chat-drafts.js';
import { alone, el } from './chat-dom.js';
import { summary } from './chat-text.js';
import { shrink } from './chat-image.js';

const MAX = 16 << 10;          // bytes of a message
const WARN = 1 << 10;          // bytes left below which the page says so
const TYPING_EACH = 3000;      // ms between two notes that the user types
const TYPING_ENDS = 5000;      // ms without a key

export class Composer {
  #text = el('text');
  #drafts = new Drafts();
  #room = '';        // the room of the draft
  #reply = null;     // the message replied to
  #picture = '';     // data URL of the chosen file
  #typed = 0;        // the time of the last note to the others
  #idle = 0;
  #shift = false;    // Shift was held with the last key
  #act;

  // act: say(body), typing(is); back() moves the focus to the messages
  constructor(act) {
    this.#act = act;
    el('composer').addEventListener('submit', (ev) => { ev.preventDefault(); this.#submit(); });
    this.#text.addEventListener('input', () => this.#input());
    this.#text.addEventListener('beforeinput', (ev) => this.#before(ev));
    this.#text.addEventListener('keydown', (ev) => this.#key(ev));
    this.#text.addEventListener('paste', (ev) => this.#offered(ev, ev.clipboardData));
    el('main').addEventListener('dragover', (ev) => { if (ev.dataTransfer.types.includes('Files')) ev.preventDefault(); });
    el('main').addEventListener('drop', (ev) => this.#offered(ev, ev.dataTransfer));
    el('replying-cancel').addEventListener('click', () => { this.reply(null); this.focus(); });
    this.#dialog();
  }

  focus() {
    this.#text.focus();
  }

  // enable says whether there is a room in which to write.
  enable(on) {
    for (const id of ['text', 'send', 'attach']) el(id).disabled = !on;
  }

  // room begins with another room, and its draft.
  room(id, name) {
    this.#text.placeholder = name ? `Message #${alone(name)}` : 'Message';
    this.reply(null);
    this.#room = id;
    this.#text.value = this.#drafts.of(id);
    this.#grow();
    this.#limit();
    this.#stopped();
  }

  // forget removes all text when the user leaves.
  forget() {
    this.#drafts.forget();
    this.#room = '';
    this.#text.value = '';
  }

  reply(message) {
    this.#reply = message;
    el('replying').hidden = !message;
    if (!message) return;
    el('replying-name').textContent = message.sender_name;
    el('replying-text').textContent = summary(message);
    this.focus();
  }

  #submit() {
    const content = this.#text.value.trim();
    if (!content || this.#text.disabled) return this.focus();
    if (bytes(content) > MAX) return this.#limit();
    if (!this.#say('text', content)) return;
    this.#text.value = '';
    this.#draft();
    this.#grow();
    this.#limit();
    this.#stopped();
    this.focus();
  }

  #say(type, content) {
    const body = { content, message_type: type };
    if (this.#reply) body.reply_to = this.#reply.id;
    if (!this.#act.say(body)) return false;
    this.reply(null);
    return true;
  }

  #draft() {
    if (this.#room) this.#drafts.keep(this.#room, this.#text.value);
  }

  #input() {
    this.#draft();
    this.#grow();
    this.#limit();
    if (!this.#text.value.trim()) return this.#stopped();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#stopped(), TYPING_ENDS);
    if (Date.now() - this.#typed < TYPING_EACH) return;
    this.#typed = Date.now();
    this.#act.typing(true);
  }

  #stopped() {
    clearTimeout(this.#idle);
    if (!this.#typed) return;
    this.#typed = 0;
    this.#act.typing(false);
  }

  // before sends the message if Enter would begin a new line. (With keyboards on screens this is the only event for
  // Enter.)
  #before(ev) {
    if (ev.inputType !== 'insertLineBreak' || this.#shift || ev.isComposing) return;
    ev.preventDefault();
    this.#submit();
  }

  #key(ev) {
    this.#shift = ev.shiftKey;
    if (ev.isComposing) return;
    if (ev.key === 'ArrowUp' && !this.#text.value) {
      ev.preventDefault();
      this.#act.back();
    } else if (ev.key === 'Escape' && this.#reply) {
      this.reply(null);
    }
  }

  #grow() {
    this.#text.style.height = 'auto';
    this.#text.style.height = `${this.#text.scrollHeight + this.#text.offsetHeight - this.#text.clientHeight}px`;
  }

  #limit() {
    const left = MAX - bytes(this.#text.value.trim());
    el('limit').hidden = left > WARN;
    el('limit').classList.toggle('over', left < 0);
    el('limit').textContent = left > WARN ? '' : left < 0 ? `Too long, by ${-left} bytes` : `${left} bytes left`;
  }

  // offered takes an image that was pasted or dropped.
  #offered(ev, data) {
    const file = [...data.files].find((f) => f.type.startsWith('image/'));
    if (!file || this.#text.disabled) return;
    ev.preventDefault();
    this.#open();
    this.#choose(file);
  }

  #dialog() {
    const dialog = el('image'), link = el('image-link');
    el('attach').addEventListener('click', () => this.#open());
    el('image-cancel').addEventListener('click', () => dialog.close());
    el('image-file').addEventListener('change', (ev) => this.#choose(ev.target.files[0]));
    link.addEventListener('input', () => {
      this.#preview('');
      el('image-send').disabled = !(link.value && link.validity.valid);
    });
    el('image-form').addEventListener('submit', () => {
      const source = this.#picture || link.value.trim();
      if (source) this.#say('image', source);
    });
    dialog.addEventListener('close', () => this.focus());
  }

  #open() {
    el('image-form').reset();
    el('image-error').textContent = '';
    this.#preview('');
    el('image').showModal();
  }

  async #choose(file) {
    if (!file) return;
    el('image-error').textContent = '';
    this.#preview('');
    try {
      const url = await shrink(file);
      el('image-link').value = '';
      this.#preview(url);
      el('image-send').focus();
    } catch (err) {
      el('image-error').textContent = err instanceof DOMException ? 'This file is not an image that the browser can read.' : err.message;
    }
  }

  #preview(url) {
    this.#picture = url;
    el('image-preview').hidden = !url;
    if (url) el('image-preview').src = url;
    else el('image-preview').removeAttribute('src');
    el('image-send').disabled = !url;
  }
}

const encoder = new TextEncoder();

function bytes(text) {
  return encoder.encode(text).length;
}
