// The room in the page's address: a link to a room leads there, and Back to the room before.

// wanted returns the room in the address, as ?room=… or #…; '' if there is none.
export function wanted() {
  const room = new URLSearchParams(location.search).get('room');
  if (room !== null) return room.trim();
  const hash = location.hash.slice(1);
  return hash.startsWith('token=') ? '' : decoded(hash).trim();
}

// link returns the address of a room, or of the page without a room.
export function link(room) {
  const url = new URL(location.pathname, location.href);
  if (room) url.searchParams.set('room', room);
  return url.href;
}

// show puts a room into the address: as a step that Back undoes, or in place of the current one.
export function show(room, step) {
  const to = link(room);
  if (to === location.href) return;
  if (step) history.pushState(null, '', to);
  else history.replaceState(null, '', to);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
