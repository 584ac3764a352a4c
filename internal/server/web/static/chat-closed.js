// Texts for a connection that does not come back, and the user's choices.

import { LOST, REPLACED, TOKEN_EXPIRED } from './chat-policy.js';
import { words } from './chat-words.js';
import { meaning } from './close-code.js';

// farewell explains a close: the text, and the label of a button that connects again, or that the user must enter
// again (as another user, or with a token).
export function farewell({ code, reason, error }) {
  const why = error ? words(error) : reason;
  if (code === TOKEN_EXPIRED) return { text: 'Your access token has expired.', enter: true, token: true };
  if (error?.code?.startsWith('token') || /authentication|token/i.test(reason)) {
    return { text: error ? why : 'The server asks for an access token.', enter: true, token: true };
  }
  if (error?.field === 'username') return { text: why, enter: true };
  switch (code) {
    case REPLACED: return { text: 'You are here in another window now.', button: 'Use this one' };
    case LOST: return { text: 'The server refuses the connection.', button: 'Try again' };
    case 3501: return { text: 'An administrator has disconnected you.', button: 'Enter again' };
    case 1000: return { text: 'The server has ended the conversation.', button: 'Enter again' };
    default: return { text: `The server has closed the connection: ${why || meaning(code)} (${code}).`, button: 'Try again' };
  }
}
