"""server.py: python websockets as an echo server; prints its port, and the code of every close it sees."""
import asyncio

import websockets
from websockets.asyncio.server import serve


async def echo(ws):
    try:
        async for message in ws:
            if message == "close me":
                await ws.close(4002, "as asked")
            else:
                await ws.send(message)
    except websockets.ConnectionClosed:
        pass
    await ws.wait_closed()
    print("closed", ws.close_code, flush=True)


async def main():
    async with serve(echo, "127.0.0.1", 0, max_size=2 << 20) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
