// Messages that were written and not yet acknowledged. Each keeps its id when it is sent again: the server posts an
// id only once.

// How long the server remembers an id (2 minutes), less the time that a message may be under way.
const KNOWN_FOR = 110_000; // ms

export class Outbox {
  #entries = new Map(); // by id, in the order in which they were written
  #prefix = randomHex(8);
  #count = 0;

  // add takes a message for a room. body has the fields of chat_message other than type and id.
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

  // due returns the entries to send in this room on a new connection.
  due(room) {
    return [...this.#entries.values()].filter((e) => e.room === room && e.state === 'waiting');
  }

  // sent notes that an entry was given to a connection. Only the first time counts: from then on the server may know
  // its id.
  sent(entry) {
    entry.sentAt ||= Date.now();
  }

  // doubtful returns the entries that may have been posted, but could be posted twice if they were sent again: the
  // server has forgotten their ids, or (all) the user.
  doubtful(all) {
    return [...this.#entries.values()].filter((e) =>
      e.state === 'waiting' && e.sentAt && (all || Date.now() - e.sentAt > KNOWN_FOR));
  }

  // left returns the entries for rooms other than this.
  left(room) {
    return [...this.#entries.values()].filter((e) => e.room !== room && e.state === 'waiting');
  }

  // renew gives an entry a new id: when it is sent again it is another message.
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
