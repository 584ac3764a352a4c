// What a page has seen of a room's messages. Their offsets are 1, 2, 3 … within an epoch.

// How far a resume reaches back (SPEC 6.2). A hole that is further away will never be filled.
const REACH = 300;

export class Stream {
  #ahead = new Set(); // seen, behind a hole

  constructor(id, epoch, offset) {
    this.id = id;
    this.epoch = epoch;
    this.offset = offset; // all messages up to here have been seen, or are none of ours
  }

  // take reports whether the message at offset is new, and counts it as seen. Offsets may come out
  // of order: the answer to a message of our own can overtake one of somebody else.
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
