// The answers that a server owes. One that is late is the first that a user notices of a network that is
// gone: it is said long before the connection is given up.

const LATE = 4000; // ms

export class Owed {
  #since = new Map(); // by id of the request, in the order they were sent
  #timer = 0;
  #late = false;
  #tell;

  // tell is called with true when an answer is late, and with false when none is any more.
  constructor(tell) {
    this.#tell = tell;
  }

  sent(id) {
    this.#since.set(id, Date.now());
    if (this.#since.size === 1) this.#look();
  }

  answered(id) {
    if (this.#since.delete(id)) this.#look();
  }

  // none says that nothing is owed any more: the connection has ended.
  none() {
    this.#since.clear();
    this.#look();
  }

  #look() {
    clearTimeout(this.#timer);
    const [oldest] = this.#since.values();
    const left = oldest === undefined ? Infinity : oldest + LATE - Date.now();
    const late = left <= 0;
    if (late !== this.#late) {
      this.#late = late;
      this.#tell(late);
    }
    if (!late && left !== Infinity) this.#timer = setTimeout(() => this.#look(), left);
  }
}
