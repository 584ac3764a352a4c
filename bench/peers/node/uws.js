// uWebSockets.js: the C++ server, and its publish for the room. No idle timeout
// and no pings; a member that does not keep up is closed, not skipped. Compression
// only if asked for, with the shared compressor, which keeps no context; it has no
// levels.
'use strict';

// Its author publishes it outside the registries; this is Truffle's copy. The
// native module by name, because the package falls back to another server.
const uWS = require(`@trufflesuite/uws-js-unofficial/binaries/uws_${process.platform}_${process.arch}_${process.versions.modules}.node`);
const { maxMessage, maxUnsent, read } = require('./options');

const o = read();
const settings = {
  compression: o.deflate ? uWS.SHARED_COMPRESSOR | uWS.SHARED_DECOMPRESSOR : uWS.DISABLED,
  maxPayloadLength: maxMessage,
  maxBackpressure: maxUnsent,
  closeOnBackpressureLimit: true,
  idleTimeout: 0,
  sendPingsAutomatically: false,
};

// long is whether to compress a message.
const long = (data) => o.deflate && data.byteLength >= o.threshold;

const app = o.cert ? uWS.SSLApp({ cert_file_name: o.cert, key_file_name: o.key }) : uWS.App();
app.ws('/ws', { ...settings, message: (ws, data, isBinary) => ws.send(data, isBinary, long(data)) });
app.ws('/fan', {
  ...settings,
  open: (ws) => ws.subscribe('fan'),
  message: (_, data, isBinary) => {
    if (!isBinary) app.publish('fan', data, false, long(data));
  },
});
app.any('/*', (res) => res.writeStatus('404 Not Found').end());
app.listen(o.host, o.port, (socket) => {
  if (!socket) {
    console.error(`peer: cannot listen on ${o.host}:${o.port}`);
    process.exit(1);
  }
});
