#!/usr/bin/env python3
"""A hand-made WebSocket echo server (stdlib only) that is legal but nasty, or breaks the protocol on purpose.

legal:   bytewise  split  coalesce  fragment  (fragment also sends pings in between and checks the pongs)
illegal: every other name in BAD, plus the answers in BAD_ANSWER
It also checks the client: key length and freshness, masks, mask keys that change, minimal lengths, pongs, Close code.
"""
import asyncio, base64, hashlib, os, random, struct, sys
port, mode = int(sys.argv[1]), sys.argv[2]
GUID = b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
keys, masks, faults, stats = set(), {}, [], {'conns': 0, 'pongs': 0, 'closes': 0, 'messages': 0}

def fault(text):
    if len(faults) < 5:
        print('torture: CLIENT FAULT:', text, file=sys.stderr, flush=True)
    faults.append(text)

def frame(op, data, fin=True, rsv=0, mask=False, nonminimal=False):
    n = len(data)
    b1 = (0x80 if fin else 0) | rsv | op
    m = 0x80 if mask else 0
    if nonminimal: h = struct.pack('>BBH', b1, m | 126, n) if n < 126 else struct.pack('>BBQ', b1, m | 127, n)
    elif n < 126: h = struct.pack('>BB', b1, m | n)
    elif n < 65536: h = struct.pack('>BBH', b1, m | 126, n)
    else: h = struct.pack('>BBQ', b1, m | 127, n)
    return h + (b'\1\2\3\4' if mask else b'') + data

async def read_frame(r):
    h = await r.readexactly(2)
    op, n = h[0] & 15, h[1] & 127
    if not h[1] & 0x80: fault('frame not masked')
    if h[0] & 0x70: fault('RSV bits')
    if n == 126:
        n, = struct.unpack('>H', await r.readexactly(2))
        if n < 126: fault('length not minimal')
    elif n == 127:
        n, = struct.unpack('>Q', await r.readexactly(8))
        if n < 65536: fault('length not minimal')
    key = await r.readexactly(4)
    masks[key] = masks.get(key, 0) + 1
    data = await r.readexactly(n)
    full = int.from_bytes((key * (n // 4 + 1))[:n], 'big') ^ int.from_bytes(data, 'big')
    return op, h[0] >> 7, full.to_bytes(n, 'big')

async def emit(w, data, how):
    if how == 'bytewise':
        for b in data:
            w.write(bytes([b])); await asyncio.sleep(0)
    elif how == 'split':
        while data:
            k = random.randint(1, max(1, len(data) // 2))
            w.write(data[:k]); data = data[k:]; await asyncio.sleep(0)
    else:
        w.write(data)
    await w.drain()

async def client(r, w):
    stats['conns'] += 1
    req = await r.readuntil(b'\r\n\r\n')
    h = {k.strip().lower(): v.strip() for k, v in (l.split(b':', 1) for l in req.split(b'\r\n')[1:] if b':' in l)}
    key = h.get(b'sec-websocket-key', b'')
    if len(base64.b64decode(key)) != 16: fault('key is not 16 bytes')
    if key in keys: fault('key used twice')
    keys.add(key)
    if not req.startswith(b'GET ') or h.get(b'sec-websocket-version') != b'13' or h.get(b'upgrade', b'').lower() != b'websocket' \
       or b'upgrade' not in h.get(b'connection', b'').lower() or b'host' not in h:
        fault('bad request')
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    lines = [b'HTTP/1.1 101 Switching Protocols', b'uPgRaDe:  WebSocket ', b'connection: keep-alive, Upgrade', b'Sec-Websocket-accept:' + accept]
    if mode == 'status200': lines[0] = b'HTTP/1.1 200 OK'
    if mode == 'noupgrade': del lines[1]
    if mode == 'noconnection': del lines[2]
    if mode == 'noaccept': del lines[3]
    if mode == 'extension': lines.append(b'Sec-WebSocket-Extensions: permessage-deflate')
    if mode == 'protocol': lines.append(b'Sec-WebSocket-Protocol: other')
    if mode == 'swappedcase': lines[3] = lines[3].swapcase()
    answer = b'\r\n'.join(lines) + b'\r\n\r\n'
    if mode in ('bytewise', 'split', 'coalesce', 'fragment'):
        answer += frame(9, b'greeting') if mode == 'coalesce' else b''
    await emit(w, answer, mode)
    sent = 0
    held, pings = b'', []
    try:
        while True:
            op, fin, data = await read_frame(r)
            if op == 8:
                stats['closes'] += 1
                if data[:2] != struct.pack('>H', 1000): fault('close code %r' % data[:2])
                if held: await emit(w, held, mode); held = b''
                if mode == 'badclose': await emit(w, frame(8, b'\x03'), '')
                elif mode == 'closecode': await emit(w, frame(8, struct.pack('>H', 1005)), '')
                elif mode == 'noclose': pass
                else: await emit(w, frame(8, data), mode)
                break
            if op == 10:
                if not pings or data != pings.pop(0):
                    if data != b'greeting': fault('pong does not match a ping')
                else: stats['pongs'] += 1
                continue
            stats['messages'] += 1
            sent += 1
            bad = sent == 20
            if mode == 'fragment':
                out = b''
                cuts = sorted(random.randint(0, len(data)) for _ in range(random.randint(0, 4)))
                parts = [data[i:j] for i, j in zip([0] + cuts, cuts + [len(data)])]
                for i, p in enumerate(parts):
                    if random.random() < .5:
                        ping = os.urandom(random.choice([0, 1, 125])); pings.append(ping); out += frame(9, ping)
                    if random.random() < .2: out += frame(10, b'unsolicited')
                    out += frame(op if i == 0 else 0, p, fin=i == len(parts) - 1)
                await emit(w, out, random.choice(['split', 'whole']))
            elif mode == 'coalesce':
                held += frame(op, data)
                if r._buffer[:1] == b'':     # nothing more has come: send all of it in one go
                    await emit(w, held, ''); held = b''
            elif bad and mode in BAD:
                await emit(w, BAD[mode](op, data), '')
                if mode == 'eof': break
            else:
                await emit(w, frame(op, data), mode)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    w.close()

BAD = {
    'masked': lambda op, d: frame(op, d, mask=True),
    'rsv': lambda op, d: frame(op, d, rsv=0x40),
    'nonminimal': lambda op, d: frame(op, d, nonminimal=True),
    'wrongop': lambda op, d: frame(3 - op, d),
    'reservedop': lambda op, d: frame(5, d),
    'longer': lambda op, d: frame(op, d + b'x'),
    'shorter': lambda op, d: frame(op, d[:-1]),
    'lastbyte': lambda op, d: frame(op, d[:-1] + bytes([d[-1] ^ 1])),
    'firstbyte': lambda op, d: frame(op, bytes([d[0] ^ 0x80]) + d[1:]),
    'empty': lambda op, d: frame(op, b''),
    'orphan': lambda op, d: frame(0, d),
    'nested': lambda op, d: frame(op, d[:3], fin=False) + frame(op, d[3:]),
    'bigping': lambda op, d: frame(9, b'x' * 126) + frame(op, d),
    'fragping': lambda op, d: frame(9, b'x', fin=False) + frame(op, d),
    'servclose': lambda op, d: frame(8, struct.pack('>H', 1011) + b'tired'),
    'eof': lambda op, d: b'',
    'twice': lambda op, d: frame(op, d) * 2,
    'missing': lambda op, d: b'',
}

async def main():
    s = await asyncio.start_server(client, '127.0.0.1', port, backlog=1024, limit=1 << 20)
    import signal
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    n = sum(masks.values())
    if n > 100 and len(masks) < n * .99: fault('mask keys repeat: %d of %d' % (len(masks), n))
    print('torture:', stats, 'distinct masks %d of %d' % (len(masks), n), 'client faults', len(faults), file=sys.stderr, flush=True)
    os._exit(3 if faults else 0)
asyncio.run(main())
