// The command line that all servers of this folder have:
//   --listen HOST:PORT [--deflate on|off] [--threshold BYTES] [--tls-cert FILE --tls-key FILE]
'use strict';

const { parseArgs } = require('node:util');

exports.maxMessage = (16 << 20) + (1 << 10); // as perchbench serve

// maxUnsent is how much may wait for a member of /fan that does not read; then it is closed.
exports.maxUnsent = 2 * exports.maxMessage;

exports.read = () => {
  let o;
  try {
    o = parseArgs({
      options: {
        listen: { type: 'string', default: '127.0.0.1:8000' },
        deflate: { type: 'string', default: 'off' },
        threshold: { type: 'string', default: '1024' },
        'tls-cert': { type: 'string', default: '' },
        'tls-key': { type: 'string', default: '' },
      },
    }).values;
    if (!['on', 'off'].includes(o.deflate)) throw new Error('--deflate: want on or off');
    if (!/^\d+$/.test(o.threshold)) throw new Error('--threshold: want a number of bytes');
    const cert = o['tls-cert'], key = o['tls-key'];
    if (!cert !== !key) throw new Error('--tls-cert and --tls-key go together');
    const at = o.listen.lastIndexOf(':');
    if (at < 0 || !/^\d+$/.test(o.listen.slice(at + 1))) throw new Error('--listen: want HOST:PORT');
    return { host: o.listen.slice(0, at), port: Number(o.listen.slice(at + 1)), deflate: o.deflate === 'on', threshold: Number(o.threshold), cert, key };
  } catch (err) {
    console.error('peer:', err.message);
    process.exit(2);
  }
};
