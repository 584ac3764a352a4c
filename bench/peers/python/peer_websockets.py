"""The websockets library on uvloop: no compression, no keepalive pings; its broadcast for the room."""
import asyncio
import http

import options
import uvloop
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

members = set()


async def handle(connection):
    try:
        if connection.request.path.partition('?')[0] == '/fan':
            members.add(connection)
            async for message in connection:
                if isinstance(message, str):
                    broadcast(members, message)
                    for member in members:
                        if member.transport.get_write_buffer_size() > options.MAX_UNSENT:
                            member.transport.abort()
        else:
            async for message in connection:
                await connection.send(message)
    except ConnectionClosed:
        pass
    finally:
        members.discard(connection)


def check(connection, request):
    if request.path.partition('?')[0] not in ('/ws', '/fan'):
        return connection.respond(http.HTTPStatus.NOT_FOUND, '')


async def main(o):
    async with serve(handle, o.host, o.port, process_request=check, compression=None, ping_interval=None,
                     max_size=options.MAX_MESSAGE, server_header=None, backlog=4096):
        await asyncio.get_running_loop().create_future()


if __name__ == '__main__':
    uvloop.run(main(options.read(__doc__)))
