// The messages sent and received, as a list. Text of users or servers always becomes text, never markup.

const MOST = 500;    // lines
const BYTES = 64;    // bytes of a binary message that are shown
const LONG = 10_000; // characters of a text that are shown
const NEAR = 40;     // px from the end that still count as the end

const MARK = { sent: ['→', 'sent'], received: ['←', 'received'], state: ['•', 'state'] };

const el = (id) => document.getElementById(id);

export class Traffic {
  #view = el('log'); #list = el('lines');

  constructor() {
    el('clear').addEventListener('click', () => {
      this.#list.replaceChildren();
      el('empty').hidden = false;
    });
  }

  // line adds a line: kind is sent, received or state; data is text or an ArrayBuffer; beside is further text about
  // it.
  line(kind, data, beside = '') {
    const follow = this.#view.scrollHeight - this.#view.scrollTop - this.#view.clientHeight < NEAR;
    const [mark, spoken] = MARK[kind], li = document.createElement('li'), arrow = span('', mark);
    arrow.setAttribute('aria-hidden', 'true');
    const lead = span('mark', '');
    lead.append(arrow, span('spoken', `${spoken}: `));
    const what = span('what', typeof data === 'string' ? shortened(data) : hex(data));
    what.dir = 'auto';
    li.dataset.kind = kind;
    li.append(lead, what, span('when', [beside, new Date().toLocaleTimeString()].filter(Boolean).join(' · ')));
    this.#list.append(li);
    while (this.#list.childElementCount > MOST) this.#list.firstElementChild.remove();
    el('empty').hidden = true;
    if (follow) this.#view.scrollTop = this.#view.scrollHeight;
  }
}

function span(className, content) {
  const s = document.createElement('span');
  s.className = className;
  s.textContent = content;
  return s;
}

function shortened(text) {
  return text.length > LONG ? `${text.slice(0, LONG)}… (${text.length.toLocaleString()} characters)` : text;
}

function hex(buffer) {
  const shown = [...new Uint8Array(buffer, 0, Math.min(BYTES, buffer.byteLength))].map((b) => b.toString(16).padStart(2, '0')).join(' ');
  return `${buffer.byteLength.toLocaleString()} bytes: ${shown}${buffer.byteLength > BYTES ? ' …' : ''}`;
}
