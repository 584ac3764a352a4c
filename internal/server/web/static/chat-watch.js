// Watches an open connection: if it is silent it is asked, and if it does not answer it is given up. A browser does
// not report that a network is gone.

const PONG_TIMEOUT = 10_000; // ms
const LOOK_EACH = 10_000;

export class Watch {
  #interval; #ping; #silent;
  #heard = Date.now();
  #pinged = 0; // time of a ping without an answer; else 0
  #timer = 0;

  // interval is how long, in ms, a connection may be silent; ping asks, silent is called when no answer has come.
  constructor(interval, ping, silent) {
    this.#interval = interval;
    this.#ping = ping;
    this.#silent = silent;
    this.#look();
  }

  // heard is called when a message has come.
  heard() {
    this.#heard = Date.now();
    this.#pinged = 0;
  }

  // ask asks at once, if there is reason to doubt.
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
