// The few things that every part of the page needs. Nothing here, or anywhere in the page, makes
// markup of what somebody wrote: it becomes text, or an attribute that was checked.

export const el = (id) => document.getElementById(id);

// clone copies the one element of a template.
export function clone(id) {
  return el(id).content.firstElementChild.cloneNode(true);
}

// avatar shows the first letter of a name in a colour of its user's.
export function avatar(node, id, name) {
  node.textContent = [...(name.trim() || '?')][0].toUpperCase();
  tint(node, id);
}

// tint gives an element the colour of a user. (Through the object model: the policy of the page
// forbids style attributes.)
export function tint(node, id) {
  let hash = 0;
  for (const c of id) hash = (hash * 31 + c.codePointAt(0)) % 360;
  node.style.setProperty('--hue', hash);
}

// calm reports that the user wants no motion.
export function calm() {
  return matchMedia('(prefers-reduced-motion: reduce)').matches;
}

export function plural(n, one, many) {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}
