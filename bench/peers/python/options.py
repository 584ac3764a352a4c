"""The command line that all servers of this folder have: --listen HOST:PORT [--deflate off]."""
import argparse

MAX_MESSAGE = (16 << 20) + (1 << 10)  # as perchbench serve
MAX_UNSENT = 2 * MAX_MESSAGE  # what may wait for a member of /fan that does not read; then it is closed


def read(description, **more):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--listen', default='127.0.0.1:8000', metavar='HOST:PORT')
    for name, choices in more.items():
        parser.add_argument('--' + name, default=choices[0], choices=choices)
    options = parser.parse_args()
    host, colon, port = options.listen.rpartition(':')
    if not colon or not port.isdigit():
        parser.error('--listen: want HOST:PORT')
    options.host, options.port = host, int(port)
    return options
