// The data that outlives a page: in the tab, the user (a reload resumes, two tabs are two users); for all tabs, the
// name to propose. A browser may forbid storage: then no data outlives the page.

const WHO = 'perch-chat';
const NAME = 'perch-chat-name';

export function who() {
  try {
    return JSON.parse(sessionStorage.getItem(WHO));
  } catch {
    return null;
  }
}

// keep stores the result of Connection.saved; null forgets it.
export function keep(saved) {
  try {
    if (saved) sessionStorage.setItem(WHO, JSON.stringify(saved));
    else sessionStorage.removeItem(WHO);
  } catch { /* forbidden, or full */ }
}

export function name() {
  try {
    return localStorage.getItem(NAME) ?? '';
  } catch {
    return '';
  }
}

export function keepName(text) {
  try {
    localStorage.setItem(NAME, text);
  } catch { /* forbidden, or full */ }
}

// takeToken returns the token of #token=… and removes it from the address, so that it is neither seen nor bookmarked
// nor passed on.
export function takeToken() {
  const match = /^#token=(.+)$/.exec(location.hash);
  if (!match) return '';
  history.replaceState(history.state, '', location.pathname + location.search);
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return match[1];
  }
}
