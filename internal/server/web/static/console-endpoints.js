// The endpoints of perchd, and examples of messages to each. docs/protocol.md has everything.

const json = (object) => JSON.stringify(object);

const ENDPOINTS = [
  { path: '/ws', about: 'An echo: text comes back behind “Echo: ”.', examples: { Hello: 'Hello' } },
  { path: '/ws?raw=1', about: 'An echo that adds nothing.', examples: { Hello: 'Hello' } },
  {
    path: '/ws/chat', about: 'The chat. The first message says who you are.',
    examples: {
      Enter: json({ username: 'Ada' }), Say: json({ type: 'chat_message', content: 'Hello', id: 1 }), Rooms: json({ type: 'list_rooms', watch: true }),
      History: json({ type: 'history', limit: 10 }), Users: json({ type: 'list_users' }),
    },
  },
  {
    path: '/ws/room/general', about: 'One room, for programs. The first message joins.',
    examples: { Join: json({ type: 'join', username: 'Ada' }), Say: json({ type: 'chat_message', message: 'Hello', id: 1 }) },
  },
  {
    path: '/ws/with-session', about: 'A session that keeps data across connections.',
    examples: { Get: json({ type: 'get_session' }), Update: json({ type: 'update_session', data: { colour: 'green' } }) },
  },
  { path: '/ws/reliable?client_id=console', about: 'Heartbeats, acknowledgements and resume.', examples: { Say: json({ type: 'reading', value: 21.5, id: 1 }) } },
  {
    path: '/ws/7', about: 'A numbered client that subscribes to rooms.',
    examples: { Chat: json({ type: 'chat', message: 'Hello' }), Subscribe: json({ type: 'subscribe', channel: 'general' }) },
  },
  { path: '/ws/safe', about: 'Errors in a shape of their own.', examples: { Order: json({ type: 'order', items: [1, 2] }), Dangerous: json({ type: 'dangerous' }) } },
  { path: '/ws/monitored?client_id=console', about: 'Every message is acknowledged and measured.', examples: { Reading: json({ type: 'reading', value: 21.5 }) } },
];

export const paths = ENDPOINTS.map((e) => e.path);

// known returns the description of a path, and examples of messages by a short name.
export function known(path) {
  return ENDPOINTS.find((e) => e.path === path) ?? { path, about: '', examples: {} };
}
