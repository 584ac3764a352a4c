// uWebSockets.js: the C++ server, and its publish for the room. No idle timeout
// and no pings; a member that does not keep up is closed, not skipped.
'use strict';

// Its author publishes it outside the registries; this is Truffle's copy. The
// native module by name, because the package falls back to another server.
const uWS = require(`@trufflesuite/uws-js-unofficial/binaries/uws_${process.platform}_${process.arch}_${process.versions.modules}.node`);
const { maxMessage, maxUnsent, read } = require('./options');

const o = read();
if (o.deflate) {
  console.error('peer: uws has no threshold for messages; use ws');
  process.exit(2);
}
const settings = {
  compression: uWS.DISABLED,
  maxPayloadLength: maxMessage,
  maxBackpressure: maxUnsent,
  closeOnBackpressureLimit: true,
  idleTimeout: 0,
  sendPingsAutomatically: false,
};

const app = uWS.App();
app.ws('/ws', { ...settings, message: (ws, data, isBinary) => ws.send(data, isBinary, false) });
app.ws('/fan', {
  ...settings,
  open: (ws) => ws.subscribe('fan'),
  message: (_, data, isBinary) => {
    if (!isBinary) app.publish('fan', data, false, false);
  },
});
app.any('/*', (res) => res.writeStatus('404 Not Found').end());
app.listen(o.host, o.port, (socket) => {
  if (!socket) {
    console.error(`peer: cannot listen on ${o.host}:${o.port}`);
    process.exit(1);
  }
});
