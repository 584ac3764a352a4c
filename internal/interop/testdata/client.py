"""client.py echo|idle URL: python websockets as a client of our server. Exit status 0: all as it should be."""
import asyncio
import sys

import websockets
from websockets.asyncio.client import connect

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 1 << 20)


async def echo(url):
    async with connect(url, max_size=2 << 20, ping_interval=None, subprotocols=["other", "perch.v1"]) as ws:
        assert ws.subprotocol == "perch.v1", ws.subprotocol
        assert [e.name for e in ws.protocol.extensions] == ["permessage-deflate"], ws.protocol.extensions
        for n in SIZES:
            for message in ("a" * n, bytes(i & 255 for i in range(n))):
                await ws.send(message)
                got = await ws.recv()
                assert got == message, f"{n}: {got[:20]!r}"
        await ws.send("häuser, 東京, 🦜")
        assert await ws.recv() == "häuser, 東京, 🦜"
        await ws.send(["frag", "ments, ", "", "東", "京"])
        assert await ws.recv() == "fragments, 東京"
        for n in range(50):  # pipelined
            await ws.send(str(n))
        for n in range(50):
            assert await ws.recv() == str(n)
        await asyncio.wait_for(await ws.ping(b"beat"), 30)
        await ws.close(1000, "done")
        assert ws.close_code == 1000, ws.close_code

    async with connect(url) as ws:
        await ws.send("close me")
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (4002, "as asked"), (ws.close_code, ws.close_reason)


async def idle(url):
    """Answers pings, which the library does by itself, until the server goes away."""
    async with connect(url, ping_interval=None) as ws:
        try:
            await ws.recv()
        except websockets.ConnectionClosed:
            pass
        assert ws.close_code == 1001, ws.close_code


asyncio.run({"echo": echo, "idle": idle}[sys.argv[1]](sys.argv[2]))
print("ok")
