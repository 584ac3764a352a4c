"""The command line that all servers of this folder have:
    --listen HOST:PORT [--deflate on|off] [--threshold BYTES] [--tls-cert FILE --tls-key FILE]
"""
import argparse

MAX_MESSAGE = (16 << 20) + (1 << 10)  # as perchbench serve
MAX_UNSENT = 2 * MAX_MESSAGE  # what may wait for a member of /fan that does not read; then it is closed


def read(description, **more):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--listen', default='127.0.0.1:8000', metavar='HOST:PORT')
    parser.add_argument('--threshold', default=1024, type=int, metavar='BYTES')
    parser.add_argument('--tls-cert', metavar='FILE')
    parser.add_argument('--tls-key', metavar='FILE')
    for name, choices in {'deflate': ['off'], **more}.items():
        parser.add_argument('--' + name, default=choices[0], choices=choices)
    options = parser.parse_args()
    host, colon, port = options.listen.rpartition(':')
    if not colon or not port.isdigit():
        parser.error('--listen: want HOST:PORT')
    if options.threshold < 0:
        parser.error('--threshold: want a number of bytes')
    if (not options.tls_cert) != (not options.tls_key):
        parser.error('--tls-cert and --tls-key go together')
    options.deflate = options.deflate == 'on'
    options.host, options.port = host, int(port)
    return options
