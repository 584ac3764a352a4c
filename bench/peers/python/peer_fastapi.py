"""FastAPI on uvicorn, uvloop and httptools: the stack that this project's design started from. No compression: uvicorn has
one switch for it, and neither a threshold nor a level.
"""
import fastapi
import options
import uvicorn

app = fastapi.FastAPI(openapi_url=None)
members = set()


@app.websocket('/ws')
async def echo(socket: fastapi.WebSocket):
    await socket.accept()
    try:
        while True:
            message = await socket.receive()
            if message['type'] != 'websocket.receive':
                return
            if message.get('text') is not None:
                await socket.send_text(message['text'])
            else:
                await socket.send_bytes(message['bytes'])
    except fastapi.WebSocketDisconnect:
        pass


@app.websocket('/fan')
async def fan(socket: fastapi.WebSocket):
    await socket.accept()
    members.add(socket)
    try:
        while True:
            message = await socket.receive()
            if message['type'] != 'websocket.receive':
                return
            if message.get('text') is not None:
                for member in list(members):
                    try:
                        await member.send_text(message['text'])
                    except (RuntimeError, fastapi.WebSocketDisconnect):
                        members.discard(member)  # it has gone
    except fastapi.WebSocketDisconnect:
        pass
    finally:
        members.discard(socket)


if __name__ == '__main__':
    o = options.read(__doc__, ws=['websockets-sansio', 'websockets', 'wsproto'])
    uvicorn.run(app, host=o.host, port=o.port, loop='uvloop', http='httptools', ws=o.ws, ws_per_message_deflate=False, ws_ping_interval=None,
                ws_max_size=options.MAX_MESSAGE, ws_max_queue=64, lifespan='off', access_log=False, log_level='warning', backlog=4096,
                server_header=False, date_header=False, ssl_certfile=o.tls_cert, ssl_keyfile=o.tls_key)
