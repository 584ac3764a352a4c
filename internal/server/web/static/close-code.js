// The meaning of close codes, in plain words. docs/protocol.md has the table.

const WORDS = {
  1000: 'a normal end',
  1001: 'the server is going away',
  1002: 'something broke the WebSocket protocol',
  1003: 'this kind of data is not taken here',
  1005: 'closed without a code',
  1006: 'the connection was lost, or never made',
  1007: 'text that is not UTF-8',
  1008: 'against the rules of the server',
  1009: 'the message was too big',
  1010: 'an extension is missing',
  1011: 'something went wrong on the server',
  1012: 'the server restarts',
  1013: 'the server is too busy: try later',
  1014: 'a gateway could not reach the server',
  1015: 'the TLS handshake failed',
  3000: 'this side reads too slowly',
  3001: 'nothing was heard for too long',
  3002: 'the access token has expired',
  3003: 'the server is being emptied',
  3500: 'the session is used in another place now',
  3501: 'an administrator has closed the connection',
  4408: 'no first message came in time',
};

// meaning returns the meaning of a code; '' if it is unknown.
export function meaning(code) {
  return WORDS[code] ?? (code >= 4000 ? 'a code of the application' : code >= 3000 ? 'a code of a library' : '');
}
