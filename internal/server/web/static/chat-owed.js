// The answers that the server owes. A late answer is the first sign of a lost network: the page shows it long before
// it gives the connection up.

const LATE = 4000; // ms

export class Owed {
  #since = new Map(); // by id of the request, in the order in which they were sent
  #timer = 0;
  #late = false;
  #tell;

  // tell is called with true when an answer is late, and with false when none is late any more.
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

  // none is called when the connection has ended: no answer is owed any more.
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
