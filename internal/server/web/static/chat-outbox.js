// Messages that were written and not yet acknowledged. Each keeps its id when it is sent again: the
// server posts an id once.

// For how long the server knows an id (2 minutes), less what a message may be under way.
const KNOWN_FOR = 110_000; // ms

export class Outbox {
  #entries = new Map(); // by id, in the order they were written
  #prefix = randomHex(8);
  #count = 0;

  // add takes a message for a room. body is what chat_message has beside type and id.
  add(room, body) {
    const entry = { id: `${this.#prefix}-${++this.#count}`, room, body, sentAt: 0, state: 'waiting' };
    this.#entries.set(entry.id, entry);
    return entry;
  }

  get(id) {
    return this.#entries.get(id);
  }

  remove(id) {
    this.#entries.delete(id);
  }

  // due are the entries to be sent in this room on a new connection.
  due(room) {
    return [...this.#entries.values()].filter((e) => e.room === room && e.state === 'waiting');
  }

  // sent notes that an entry was handed to a connection. Only the first time counts: from then on
  // the server may know its id.
  sent(entry) {
    entry.sentAt ||= Date.now();
  }

  // doubtful returns the entries that may have been posted and cannot be sent again without the
  // risk of a second copy: the server forgot their ids, or (all) who we were.
  doubtful(all) {
    return [...this.#entries.values()].filter((e) =>
      e.state === 'waiting' && e.sentAt && (all || Date.now() - e.sentAt > KNOWN_FOR));
  }

  // left returns the entries that wait for another room than this.
  left(room) {
    return [...this.#entries.values()].filter((e) => e.room !== room && e.state === 'waiting');
  }

  // renew gives an entry a new id: its next sending is another message.
  renew(entry) {
    this.#entries.delete(entry.id);
    entry.id = `${this.#prefix}-${++this.#count}`;
    entry.sentAt = 0;
    entry.state = 'waiting';
    this.#entries.set(entry.id, entry);
  }
}

function randomHex(bytes) {
  return [...crypto.getRandomValues(new Uint8Array(bytes))].map((b) => b.toString(16).padStart(2, '0')).join('');
}
