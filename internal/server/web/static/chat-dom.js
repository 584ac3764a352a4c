// A few functions that every part of the page needs. No user's text ever becomes markup, here or elsewhere in the
// page: it becomes text, or an attribute that was checked.

export const el = (id) => document.getElementById(id);

// clone copies the only element of a template.
export function clone(id) {
  return el(id).content.firstElementChild.cloneNode(true);
}

// avatar shows the first letter of a name, in the user's colour.
export function avatar(node, id, name) {
  node.textContent = [...(name.trim() || '?')][0].toUpperCase();
  tint(node, id);
}

// tint gives an element the colour of a user. (It uses the object model, because the policy of the page forbids style
// attributes.)
export function tint(node, id) {
  let hash = 0;
  for (const c of id) hash = (hash * 31 + c.codePointAt(0)) % 360;
  node.style.setProperty('--hue', hash);
}

// isolated returns a text as nodes. Each of the names in it is isolated: it has its own direction, and does not
// change that of the text around it.
export function isolated(text, names) {
  const nodes = [];
  let from = 0;
  for (const name of names) {
    const at = name ? text.indexOf(name, from) : -1;
    if (at < 0) continue;
    const node = document.createElement('bdi');
    node.textContent = name;
    nodes.push(text.slice(from, at), node);
    from = at + name.length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

const TURNS = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

// alone is a name for places without nodes (titles, placeholders): if needed, characters isolate it.
export function alone(name) {
  return TURNS.test(name) ? `\u2068${name}\u2069` : name;
}

// calm reports whether the user wants no motion.
export function calm() {
  return matchMedia('(prefers-reduced-motion: reduce)').matches;
}

export function plural(n, one, many) {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}
