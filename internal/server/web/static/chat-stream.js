// The messages of a room that a page has seen. Their offsets are 1, 2, 3 … within an epoch.

// How far back a resume reaches (SPEC 6.2). A gap that is further away will never be filled.
const REACH = 300;

export class Stream {
  #ahead = new Set(); // offsets seen, behind a gap

  constructor(id, epoch, offset) {
    this.id = id;
    this.epoch = epoch;
    this.offset = offset; // all messages up to this one have been seen, or need not be
  }

  // take reports whether the message at offset is new, and counts it as seen. Offsets may come out of order: the
  // answer to our own message may overtake another user's message.
  take(offset) {
    if (offset <= this.offset || this.#ahead.has(offset)) return false;
    this.#ahead.add(offset);
    if (this.#ahead.size > REACH) this.offset = Math.min(...this.#ahead) - 1;
    while (this.#ahead.delete(this.offset + 1)) this.offset++;
    return true;
  }

  position() {
    return { epoch: this.epoch, offset: this.offset };
  }
}
