// The close codes after which a client comes back, and when. The codes are those of docs/protocol.md.

const BASE = 1000; // ms
const CAP = 30_000;

// The code that a browser reports if there was no WebSocket: no network, or a refusal.
export const LOST = 1006;
export const TOKEN_EXPIRED = 3002;
export const REPLACED = 3500;

// Our own closes. A page that goes away may be back in a moment (a reload), so its session must stay.
export const DONE = 1000;
export const PAGE_GONE = 4001;
export const SILENT = 4002;

const BACK = new Set([1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015]);

// comesBack reports whether a client should connect again after this close code.
export function comesBack(code) {
  if (code < 3000) return BACK.has(code);
  return code < 3500 || (code >= 4000 && code < 4500);
}

// backoff is the time before attempt n (from 0), in ms: exponential, with full jitter, so that clients that lost
// their connections at the same moment do not come back at the same moment.
export function backoff(attempt) {
  return Math.random() * Math.min(CAP, BASE * 2 ** attempt);
}
