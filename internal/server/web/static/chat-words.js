// The error codes in words for users of the page. The server's own sentences are for authors of clients.

const WORDS = {
  // Rooms.
  no_room: 'You are in no room at the moment.',
  room_not_found: 'There is no room of that name.',
  wrong_password: 'That is not the password of this room.',
  too_many_attempts: 'Too many wrong passwords. Wait a minute, then try again.',
  room_full: 'The room is full.',
  forbidden_room: 'Your access token is not for this room.',
  already_joined: 'You are in this room already.',
  too_many_rooms: 'You are in as many rooms as you may be in.',
  invalid_room_id: 'A room cannot be called that. Up to 64 bytes of letters, digits, signs and single spaces will do.',
  room_exists: 'There is a room with this name, or one that looks like it.',
  no_password: 'This room has no password: it is open to everybody.',
  room_limit: 'There are as many rooms here as the server can have.',
  not_owner: 'Only who made the room may delete it.',
  // Messages.
  queue_full: 'The room has more to do than it can. Try again in a moment.',
  id_reused: 'The message was taken for another one. Send it again.',
  too_long: 'That is too long.',
  invalid_value: 'The server does not accept that.',
  missing_field: 'Something is missing.',
  // Users and tokens.
  name_invalid: 'You cannot be called that. Choose another name.',
  session_not_found: 'The server does not know you any more.',
  token_missing: 'This server asks for an access token.',
  token_conflicting: 'There is more than one access token, and they differ.',
  token_malformed: 'That is not an access token. Perhaps a part of it is missing.',
  token_wrong_algorithm: 'This access token is of a kind that the server does not know.',
  token_unknown_key: 'This access token was not made for this server.',
  token_bad_signature: 'This access token is not genuine.',
  token_expired: 'The access token has expired.',
  token_not_yet_valid: 'The access token is not valid yet.',
  token_wrong_audience: 'The access token is for another server.',
  token_wrong_issuer: 'The access token comes from somewhere that this server does not trust.',
  token_revoked: 'The access token was withdrawn.',
  token_wrong_subject: 'The access token is for another user.',
  // Errors that pass.
  rate_limited: 'That was too often. Wait a minute, then try again.',
  busy: 'The server is busy. Try again in a moment.',
  unavailable: 'A part of the server does not answer. Try again in a moment.',
  internal: 'Something went wrong on the server.',
  // Errors that a page should not get. If it does, it and the server are of different versions.
  ...Object.fromEntries(['invalid_json', 'not_an_object', 'too_deep', 'too_many_members', 'not_text', 'wrong_type', 'unknown_type',
    'bad_request', 'unexpected', 'data_invalid', 'data_too_large', 'VALIDATION_ERROR', 'PROCESSING_ERROR'].map((code) =>
    [code, 'The server does not understand this page. Load it again.'])),
};

// words returns the words for an error of the server: {code, message, field}.
export function words({ code, message, field }) {
  if (code === 'too_long' && field === 'content') return 'The message is too long.';
  if (code === 'too_long' && field === 'username') return 'The name is too long: 32 characters at most.';
  if (code === 'too_long' && field === 'room_id') return WORDS.invalid_room_id;
  if (code === 'invalid_value' && field === 'content') return 'There is nothing to be seen in this message.';
  if (code === 'invalid_value' && field === 'password') return 'That cannot be a password. Up to 256 bytes that can be seen will do.';
  return (Object.hasOwn(WORDS, code) && WORDS[code]) || message || 'Something went wrong.';
}
