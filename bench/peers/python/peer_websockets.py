"""The websockets library on uvloop: no keepalive pings, compression only if asked for; its broadcast for the room."""
import asyncio
import http
import ssl

import options
import uvloop
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

members = set()


class LongOnly(Extension):
    """permessage-deflate for messages of threshold bytes or more; the library's compresses all. All are sent as one frame here."""

    def __init__(self, deflate, threshold):
        self.name, self.decode, self.deflate, self.threshold = deflate.name, deflate.decode, deflate.encode, threshold

    def encode(self, frame):
        return self.deflate(frame) if len(frame.data) >= self.threshold else frame


class DeflateFactory(ServerPerMessageDeflateFactory):
    def __init__(self, threshold):
        super().__init__(server_no_context_takeover=True, client_no_context_takeover=True, compress_settings={'level': 1})
        self.threshold = threshold

    def process_request_params(self, params, accepted_extensions):
        params, deflate = super().process_request_params(params, accepted_extensions)
        return params, LongOnly(deflate, self.threshold)


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
    tls = None
    if o.tls_cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(o.tls_cert, o.tls_key)
    extensions = [DeflateFactory(o.threshold)] if o.deflate else None
    async with serve(handle, o.host, o.port, ssl=tls, process_request=check, compression=None, extensions=extensions, ping_interval=None,
                     max_size=options.MAX_MESSAGE, server_header=None, backlog=4096):
        await asyncio.get_running_loop().create_future()


if __name__ == '__main__':
    uvloop.run(main(options.read(__doc__, deflate=['off', 'on'])))
