// Watches an open connection: one that is silent is asked, one that does not answer is given up. A
// browser says nothing about a network that is gone.

const PONG_TIMEOUT = 10_000; // ms
const LOOK_EACH = 10_000;

export class Watch {
  #interval; #ping; #silent;
  #heard = Date.now();
  #pinged = 0; // when it was asked and has said nothing since; else 0
  #timer = 0;

  // interval is how long, in ms, a connection may be silent; ping asks, silent is called at the end.
  constructor(interval, ping, silent) {
    this.#interval = interval;
    this.#ping = ping;
    this.#silent = silent;
    this.#look();
  }

  // heard says that something has come.
  heard() {
    this.#heard = Date.now();
    this.#pinged = 0;
  }

  // ask does not wait for the interval: there is reason to doubt.
  ask() {
    if (this.#pinged) return;
    clearTimeout(this.#timer);
    this.#pinged = Date.now();
    this.#ping();
    this.#look();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  #look() {
    this.#timer = setTimeout(() => {
      const now = Date.now();
      if (this.#pinged && now - this.#pinged >= PONG_TIMEOUT) return this.#silent();
      if (!this.#pinged && now - this.#heard >= this.#interval) return this.ask();
      this.#look();
    }, this.#pinged ? PONG_TIMEOUT : Math.min(this.#interval, LOOK_EACH));
  }
}
