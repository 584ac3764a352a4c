#!/usr/bin/env python3
"""Runs wsload against rawecho, pyserver.py and torture.py; checks exit codes and error counts.
   selftest.py [--asan] [PATTERN]      (the cases named py need: pip install websockets)"""
import json, os, re, signal, socket, subprocess, sys, time
here = os.path.dirname(os.path.abspath(__file__)); top = os.path.dirname(here)
asan = '.asan' if '--asan' in sys.argv else ''
pattern = next((a for a in sys.argv[1:] if not a.startswith('--')), '')
WS, RAW = f'{top}/wsload{asan}', f'{top}/rawecho{asan}'
PY, TORT = f'{sys.executable} {here}/pyserver.py', f'{sys.executable} {here}/torture.py'
nextport = 700
def port():
    global nextport
    while True:
        nextport += 1
        s = socket.socket()
        try: s.bind(('127.0.0.1', nextport)); s.close(); return nextport
        except OSError: pass

cases = []
def case(name, server, args, rc=0, err=None, server_rc=None, check=None):
    cases.append((name, server, args, rc, err, server_rc, check))

Q = '--warmup 0.1 --time 0.4 '
raw, py = RAW + ' --port {port} ', PY + ' --port {port} '
for size in (0, 1, 5, 8, 16, 125, 126, 127, 1000, 65535, 65536, 300000):
    for kind in ('--binary', '--text', '--utf8'):
        case(f'raw echo {size} {kind}', raw, f'echo --conns 7 --depth 3 --size {size} {kind} --full-verify ' + Q)
case('raw echo threads procs', raw + '--threads 3', 'echo --conns 50 --depth 16 --size 1024 --procs 3 ' + Q)
case('raw echo deep', raw, 'echo --conns 20 --depth 200 --size 16384 ' + Q)
case('raw echo 10M', raw, 'echo --conns 2 --depth 2 --size 10000000 --drain 10 --warmup 0.1 --time 2')
case('raw idle pings', raw + '--ping-every 1', 'idle --conns 500 --warmup 0.1 --time 2.5', check=lambda j: j['pings'] >= 1000)
case('raw idle 2 procs', raw + '--threads 2', 'idle --conns 3000 --procs 2 --connect-rate 5000 --close fin ' + Q, check=lambda j: j['opened'] == 3000)
for c in ('proper', 'fin', 'abrupt'):
    case(f'raw storm {c}', raw, f'storm --conns 30 --close {c} ' + Q, check=lambda j: j['closed_rate'] > 100)
    case(f'py storm {c}', py, f'storm --conns 10 --close {c} ' + Q, check=lambda j: j['closed_rate'] > 10)
for extra in ('', '--pubs 3', '--rate 200', '--procs 3', '--procs 3 --pubs 4 --rate 300', '--size 5000 --pubs 2', '--size 200000'):
    case(f'raw fanout {extra}', raw + '--fanout', f'fanout --conns 60 --exact --full-verify {extra} ' + Q, check=lambda j: j['rate'] > 1000)
    case(f'py fanout {extra}', py + '--fanout', f"fanout --conns 20 {extra} --hello 'join {{id}}' --hello-ack 'ack join' " + Q, check=lambda j: j['rate'] > 100 and j['other'] >= 20)
case('raw fanout threads', raw + '--fanout --threads 3', 'fanout --conns 300 --exact --procs 2 --pubs 2 ' + Q)
case('raw fanout template', raw + '--fanout', "fanout --conns 20 --size 300 --exact --full-verify --template 'PUB room=1 {\"t\":\"m={seq}, {ts} {pad}\",\"again\":{seq}}' " + Q)
for extra in ('--size 16', '--size 1000 --text --depth 5', '--size 70000 --depth 3', '--utf8 --size 500 --depth 4'):
    case(f'py echo {extra}', py, f'echo --conns 10 --full-verify {extra} ' + Q)
case('py idle pings', py + '--ping 0.5', 'idle --conns 50 --warmup 0.1 --time 2', check=lambda j: j['pings'] >= 150)
case('py header', py + '--need-header X-Token=abc', "echo --conns 3 --header 'X-Other: 1' --header 'X-Token: abc' " + Q)
case('py header missing', py + '--need-header X-Token=abc', 'echo --conns 3 ' + Q, rc=1, err='handshake')
case('py subprotocol', py + '--subprotocol chat', 'echo --conns 3 --subprotocol chat ' + Q)
case('py subprotocol refused', py + '--subprotocol chat', 'echo --conns 3 --subprotocol other ' + Q, rc=1, err='handshake')
for m in ('bytewise', 'split', 'coalesce', 'fragment'):
    case(f'torture {m}', TORT + f' {{port}} {m}', 'echo --conns 5 --depth 4 --size 300 --full-verify --drain 10 ' + Q, server_rc=0)
    case(f'torture {m} small', TORT + f' {{port}} {m}', 'echo --conns 5 --depth 8 --size 9 --full-verify --drain 10 ' + Q, server_rc=0)
    case(f'torture {m} big', TORT + f' {{port}} {m}', 'echo --conns 2 --depth 2 --size 70000 --full-verify --drain 20 ' + Q, server_rc=0)
    case(f'torture {m} storm', TORT + f' {{port}} {m}', 'storm --conns 5 ' + Q, server_rc=0)
E = 'echo --conns 3 --depth 4 --size 200 --full-verify --drain 1 ' + Q
for m, err in {'masked': 'protocol', 'rsv': 'protocol', 'nonminimal': 'protocol', 'wrongop': 'corrupt', 'reservedop': 'protocol', 'longer': 'corrupt',
               'shorter': 'corrupt', 'lastbyte': 'corrupt', 'firstbyte': 'corrupt', 'empty': 'corrupt', 'orphan': 'protocol', 'nested': 'protocol',
               'bigping': 'protocol', 'fragping': 'protocol', 'servclose': 'closed', 'eof': 'closed', 'twice': 'duplicate', 'missing': 'lost',
               'status200': 'handshake', 'noupgrade': 'handshake', 'noconnection': 'handshake', 'noaccept': 'handshake', 'extension': 'handshake',
               'protocol': 'handshake', 'swappedcase': 'handshake', 'badclose': 'protocol', 'closecode': 'protocol', 'noclose': 'closing'}.items():
    case(f'torture bad {m}', TORT + f' {{port}} {m}', E, rc=1, err=err)
case('torture bad missing depth 1', TORT + ' {port} missing', 'echo --conns 3 --size 200 --drain 1 ' + Q, rc=1, err='lost')
for f, err in {'corrupt': 'corrupt', 'drop': 'lost', 'reorder': 'reordered', 'duplicate': 'duplicate', 'close': 'closed', 'badaccept': 'handshake', 'noclose': 'closing'}.items():
    n = 5 if f in ('badaccept', 'noclose') else 1000
    case(f'fault echo {f}', raw + f'--fault {f} --fault-every {n}', 'echo --conns 20 --depth 8 --size 64 --drain 1 ' + Q, rc=1, err=err)
for f, err in {'corrupt': 'corrupt', 'drop': 'lost', 'reorder': 'reordered', 'duplicate': 'duplicate', 'close': 'closed'}.items():
    case(f'fault fanout {f}', raw + f'--fanout --fault {f} --fault-every 503', 'fanout --conns 50 --size 100 --rate 300 --drain 1 ' + Q, rc=1, err=err)
case('fault idle close', raw + '--fault close --fault-every 100', 'idle --conns 300 ' + Q, rc=1, err='closed')
case('fault storm badaccept', raw + '--fault badaccept --fault-every 50', 'storm --conns 10 ' + Q, rc=1, err='handshake')
case('fault storm noclose', raw + '--fault noclose --fault-every 50', 'storm --conns 10 ' + Q, rc=1, err='closing')
case('nobody listens', 'sleep 100', 'echo --conns 3 --connect-timeout 0.3 ' + Q, rc=1, err='connect')

import shlex
bad = 0
for name, server, args, rc, err, server_rc, check in cases:
    if pattern not in name: continue
    p = port()
    s = subprocess.Popen(shlex.split(server.format(port=p)), stderr=subprocess.PIPE)
    if not server.startswith('sleep'):
        for _ in range(500):
            try: socket.create_connection(('127.0.0.1', p)).close(); break
            except OSError: time.sleep(.02)
    r = subprocess.run([WS] + shlex.split(args) + ['--port', str(p)], capture_output=True, text=True, timeout=120)
    s.send_signal(signal.SIGTERM)
    try: serr = s.communicate(timeout=10)[1].decode()
    except subprocess.TimeoutExpired: s.kill(); serr = s.communicate()[1].decode() + ' (had to be killed)'
    try: j = json.loads(r.stdout.strip().splitlines()[-1])
    except Exception: j = None
    errs = {k: v for k, v in j['errors'].items() if v} if j else None
    ok = (r.returncode == rc and j is not None and (rc != 0 or not errs) and (err is None or j['errors'][err] > 0)
          and (server_rc is None or s.returncode == server_rc) and (check is None or check(j)) and 'Sanitizer' not in r.stderr + serr and 'runtime error' not in r.stderr + serr)
    bad += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {name:40s} exit {r.returncode}  rate {j and j['rate']:>10}  errors {errs}", flush=True)
    if not ok:
        print(r.stdout[-1500:], r.stderr[-1500:], serr[-1500:], s.returncode)
print('FAILED' if bad else 'all passed', bad)
sys.exit(1 if bad else 0)
