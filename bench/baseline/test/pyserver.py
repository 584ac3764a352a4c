#!/usr/bin/env python3
"""An independent WebSocket server (python, pip install websockets): echo, or fan-out of texts that start with "PUB "."""
import argparse, asyncio, websockets
ap = argparse.ArgumentParser()
ap.add_argument('--port', type=int, required=True)
ap.add_argument('--fanout', action='store_true')
ap.add_argument('--ping', type=float, default=None, help='seconds between keepalive pings (a missing pong closes)')
ap.add_argument('--subprotocol', action='append')
ap.add_argument('--need-header', help='NAME=VALUE; refuse (403) without it')
a = ap.parse_args()
everyone = set()

async def serve(ws):
    everyone.add(ws)
    try:
        async for m in ws:
            if a.fanout and isinstance(m, str) and m.startswith('PUB '):
                websockets.broadcast(everyone, m)
            elif a.fanout:
                await ws.send('ack ' + m)
            else:
                await ws.send(m)
    except websockets.ConnectionClosed:
        pass
    finally:
        everyone.discard(ws)

def check(ws, request):
    if a.need_header:
        k, v = a.need_header.split('=')
        if request.headers.get(k) != v:
            return ws.respond(403, 'no\n')

async def main():
    async with websockets.serve(serve, '127.0.0.1', a.port, compression=None, max_size=2**26, backlog=4096,
                                ping_interval=a.ping, ping_timeout=a.ping, subprotocols=a.subprotocol, process_request=check):
        await asyncio.Future()
asyncio.run(main())
