#!/usr/bin/env python3
"""Gives perchbench's load to several servers, round by round in turn, and prints medians and the ratios to the first.

rounds.py [--rounds N] [--netns] --server NAME='CMD --listen 127.0.0.1:{port}' … [--args NAME='--deflate'] -- echo --conns 50 …

The server has core 0, the load core 1, both before other work (root). Ratios are of one round each: what slows a machine down slows both sides of one.
"""
import argparse
import json
import os
import random
import shlex
import socket
import statistics
import subprocess
import sys
import time

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'bin', 'perchbench')


def free_port():
    """Below those that the kernel gives to clients."""
    while True:
        port = random.randint(20000, 30000)
        with socket.socket() as s:
            try:
                s.bind(('127.0.0.1', port))
                return port
            except OSError:
                continue


def wait_for(server, port):
    for _ in range(200):
        if server.poll() is not None:
            sys.exit(f'{shlex.join(server.args)}: exit status {server.returncode}')
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f'{shlex.join(server.args)}: does not listen')


def measure(command, mode, args, path, again=2):
    """One result of perchbench, against a server of its own."""
    port = free_port()
    server = subprocess.Popen(['nice', '-n', '-5', 'taskset', '-c', '0', *shlex.split(command.format(port=port))],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(server, port)
        run = subprocess.run(['nice', '-n', '-5', 'taskset', '-c', '1', BENCH, mode, '--url', f'ws://127.0.0.1:{port}{path}', '--pid', str(server.pid), '--json', *args],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if run.returncode == 0:
            return json.loads(run.stdout)
        if again == 0:
            sys.exit(f'{command}: {run.stdout}{run.stderr}')
        print(f'once more, because of {run.stderr.strip()}', file=sys.stderr)
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    return measure(command, mode, args, path, again - 1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--server', action='append', required=True, metavar='NAME=CMD')
    p.add_argument('--args', action='append', default=[], metavar='NAME=ARGS', help='more options of perchbench for one server')
    p.add_argument('--rounds', type=int, default=7)
    p.add_argument('--path', default='/ws')
    p.add_argument('--netns', action='store_true', help='in a network namespace of its own')
    p.add_argument('load', nargs='+', help='mode and options of perchbench')
    o = p.parse_args()
    if o.netns and not os.environ.get('ROUNDS_NETNS'):
        os.environ['ROUNDS_NETNS'] = '1'
        os.execvp('unshare', ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', sys.executable, *sys.argv])
    servers = dict(s.split('=', 1) for s in o.server)
    more = dict(s.split('=', 1) for s in o.args)
    mode, *load = o.load
    figure, unit = ('rss_per_conn', 'bytes/connection') if mode == 'idle' else ('per_cpu_second', 'messages/CPU-second')
    seen = {name: [] for name in servers}
    for i in range(o.rounds):
        for name in sorted(servers, reverse=bool(i % 2)):
            r = measure(servers[name], mode, load + shlex.split(more.get(name, '')), o.path)
            seen[name].append(r['server'][figure])
            print(f'round {i + 1} {name}: {r["server"][figure]:.0f} {unit}, {100 * r.get("compressed", 0):.0f} % compressed', file=sys.stderr)
    first = next(iter(servers))
    for name, values in seen.items():
        ratios = sorted(a / b for a, b in zip(seen[first], values))
        print(f'{name:20} {statistics.median(values):12.0f} {unit} ({min(values):.0f} to {max(values):.0f});'
              f'  {first} / it = {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})')


main()
