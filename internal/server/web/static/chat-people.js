// The people in the room, and those of them who type.

const FORGET_TYPING = 6000; // ms after the last note
const ASK_AFTER = 2000;     // ms for which a list may differ from the count before it is asked for again
const MOST = 200;           // users that are listed
const NAMED = 100;          // members up to which the server names all of them

export class People {
  #users = new Map(); // by id
  #count = 0;
  #typing = new Map(); // user id to {name, timer}
  #timer = 0;
  #act;

  // act: show(users, count), typing(text, names), ask() for the list from the server
  constructor(act) {
    this.#act = act;
  }

  #show() {
    this.#act.show([...this.#users.values()], this.#count);
  }

  #tell() {
    const names = [...this.#typing.values()].map((t) => t.name);
    switch (names.length) {
      case 0: return this.#act.typing('', []);
      case 1: return this.#act.typing(`${names[0]} is typing…`, names);
      case 2: return this.#act.typing(`${names[0]} and ${names[1]} are typing…`, names);
      default: return this.#act.typing('Several people are typing…', []);
    }
  }

  // enter begins with a room of so many members, or without one.
  enter(count) {
    for (const id of [...this.#typing.keys()]) this.types(id, '', false);
    clearTimeout(this.#timer);
    this.#users.clear();
    this.#count = count;
    if (count) this.#act.ask();
    this.#show();
  }

  list(users) {
    this.#users = new Map(users.slice(0, MOST).map(({ id, username }) => [id, { id, username }]));
    this.#show();
  }

  // change takes the people who came and went, as {id, username}, and the new count.
  change(came, went, count) {
    for (const { id, username } of came) {
      if (this.#users.size < MOST) this.#users.set(id, { id, username });
    }
    for (const { id, username } of went) {
      this.#users.delete(id);
      this.types(id, username, false);
    }
    this.#count = count;
    clearTimeout(this.#timer);
    // A busy server leaves out news of comings and goings first.
    if (this.#users.size !== count && count <= NAMED) this.#timer = setTimeout(() => this.#act.ask(), ASK_AFTER * (1 + Math.random()));
    this.#show();
  }

  types(id, name, is) {
    clearTimeout(this.#typing.get(id)?.timer);
    this.#typing.delete(id);
    if (is) this.#typing.set(id, { name, timer: setTimeout(() => this.types(id, name, false), FORGET_TYPING) });
    this.#tell();
  }
}
