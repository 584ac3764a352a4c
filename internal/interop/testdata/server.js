// server.js: node's ws as an echo server; prints its port, and the code of every close it sees.
'use strict';
const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 2 << 20, perMessageDeflate: true }, () => {
  console.log('port', server.address().port);
});
server.on('connection', (ws) => {
  ws.on('message', (data, binary) => {
    if (data.toString() === 'close me') ws.close(4002, 'as asked');
    else ws.send(data, { binary });
  });
  ws.on('close', (code) => console.log('closed', code));
  ws.on('error', (err) => console.log('error', err.message));
});
