// ws (npm), with its native mask (bufferutil). No list of clients, since nobody
// asks for it; compression only if asked for.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { WebSocketServer } = require('ws');
const { maxMessage, maxUnsent, read } = require('./options');

const o = read();
const wss = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  maxPayload: maxMessage,
  perMessageDeflate: o.deflate && {
    threshold: o.threshold,
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    zlibDeflateOptions: { level: 1 },
  },
});
const members = new Set();

const ignore = () => {}; // a protocol error: the library has closed the connection

function echo(ws) {
  ws.on('error', ignore);
  ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
}

function fan(ws) {
  ws.on('error', ignore);
  members.add(ws);
  ws.on('close', () => members.delete(ws));
  ws.on('message', (data, isBinary) => {
    if (isBinary) return;
    for (const to of members) {
      to.send(data, { binary: false });
      if (to.bufferedAmount > maxUnsent) to.terminate();
    }
  });
}

const limits = { headersTimeout: 5000, connectionsCheckingInterval: 1000 };
const refuse = (_, res) => res.writeHead(426).end();
const server = o.cert
  ? https.createServer({ ...limits, handshakeTimeout: 5000, cert: fs.readFileSync(o.cert), key: fs.readFileSync(o.key) }, refuse)
  : http.createServer(limits, refuse);
server.on('upgrade', (req, socket, head) => {
  const open = { '/ws': echo, '/fan': fan }[req.url.split('?', 1)[0]];
  if (!open) return socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  wss.handleUpgrade(req, socket, head, open);
});
server.on('error', (err) => {
  console.error('peer:', err.message);
  process.exit(1);
});
server.listen({ host: o.host, port: o.port, backlog: 4096 });
