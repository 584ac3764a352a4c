#!/usr/bin/env python3
"""Drives one WebSocket server and wsload, and says what the server cost.

  measure.py run     --server 'CMD --port {port}'                    [options] -- MODE [wsload options]
  measure.py compare --server A='CMD {port}' --server B='CMD {port}' [options] -- MODE [wsload options]
  measure.py duel    --server A='CMD {port}' --server B='CMD {port}' [options] -- MODE [wsload options]

`run` prints one measurement; `compare` runs the servers in turn, A B A B ..., for --rounds rounds and prints medians
and, round by round, the ratio of each server to the first.  `duel` keeps all servers and their clients running at once and
gives the load to one after the other in short windows (A B, B A, A B ...; wsload --gate): on a machine whose speed
drifts this is the sharpest comparison; --time and --warmup are per window there.  {port} is replaced in the command; --port is passed to
wsload.  The server is pinned to --server-core, wsload (and this driver) to --client-core; each measurement holds
an exclusive flock on --lock.  Exit status 1 if any wsload run reported an error.

CPU time is that of the server's process tree between wsload's START and END lines.  With loopback the kernel does
the receiver's TCP work in the sender's context, so it covers "server sends" plus "client receives that segment".
What the kernel moves from there to the ksoftirqd thread of the server's core is added to it (if it is one core).
"""
import argparse, ctypes, fcntl, json, os, shlex, signal, socket, statistics, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf('SC_CLK_TCK')


# ------------------------------------------------------------------ reading /proc

def proc_stat(pid):
    """ppid, user, system, reaped children: seconds; None if the process is gone."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            v = f.read().rsplit(')', 1)[1].split()
        return int(v[1]), int(v[11]) / TICK, int(v[12]) / TICK, (int(v[13]) + int(v[14])) / TICK
    except (OSError, IndexError):
        return None


def tree(root):
    parent = {}
    for d in os.listdir('/proc'):
        if d.isdigit():
            s = proc_stat(int(d))
            if s:
                parent[int(d)] = s[0]
    pids, todo = [], [root]
    while todo:
        p = todo.pop()
        if p in parent:
            pids.append(p)
            todo += [c for c, pp in parent.items() if pp == p]
    return pids


def ksoftirqd(core):
    """The kernel thread that takes over when a core's network work does not fit into the context that caused it."""
    for d in os.listdir('/proc'):
        if d.isdigit():
            try:
                with open(f'/proc/{d}/comm') as f:
                    if f.read() == f'ksoftirqd/{core}\n':
                        return int(d)
            except OSError:
                pass
    return None


def cpu_sample(pids, core, softirq):
    """CPU seconds of these processes so far (exact: their CPU clocks), its user and system parts (ticks), core times."""
    t, exact, user, system = time.monotonic(), 0.0, 0.0, 0.0
    for p in pids:
        s = proc_stat(p)
        if not s:
            continue
        try:
            exact += time.clock_gettime((~p << 3) | 2) + s[3]
        except OSError:
            exact += s[1] + s[2] + s[3]
        user, system = user + s[1], system + s[2]
    busy = steal = 0
    with open('/proc/stat') as f:
        for line in f:
            v = line.split()
            if v[0] == f'cpu{core}':
                n = [int(x) for x in v[1:9]]
                busy, steal = (sum(n) - n[3] - n[4] - n[7]) / TICK, n[7] / TICK
    soft = time.clock_gettime((~softirq << 3) | 2) if softirq else 0.0
    return dict(t=t, cpu=exact + soft, softirq=soft, user=user, system=system + soft, busy=busy, steal=steal)


def mem_sample(pids):
    """Bytes: resident and proportional of the process tree; slab, free and socket memory of the machine."""
    m = dict(rss=0, pss=0)
    for p in pids:
        try:
            with open(f'/proc/{p}/status') as f:
                m['rss'] += sum(int(l.split()[1]) for l in f if l.startswith('VmRSS:')) * 1024
            with open(f'/proc/{p}/smaps_rollup') as f:
                m['pss'] += sum(int(l.split()[1]) for l in f if l.startswith('Pss:')) * 1024
        except OSError:
            pass
    with open('/proc/meminfo') as f:
        info = {l.split(':')[0]: int(l.split()[1]) * 1024 for l in f}
    m['slab'], m['free'] = info['Slab'], info['MemFree'] + info['Buffers'] + info['Cached']
    m['kernel_other'] = info['KernelStack'] + info['PageTables'] + info.get('Percpu', 0)
    with open('/proc/net/sockstat') as f:
        for l in f:
            if l.startswith('TCP:'):
                v = l.split()
                m['tcp_mem'] = int(v[v.index('mem') + 1]) * 4096
    return m


# ------------------------------------------------------------------ one measurement

def free_port():
    """Below 1024 where allowed: the ephemeral range may start at 1024, and a client may own any port in it."""
    for p in list(range(600, 1000)) + [0]:
        s = socket.socket()
        try:
            s.bind(('127.0.0.1', p))
            return s.getsockname()[1]
        except OSError:
            continue
        finally:
            s.close()
    sys.exit('no free port')


def private_network(cc):
    """A network namespace of our own: nobody else's ports or sysctls.  The machine's settings stay as they are."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:      # CLONE_NEWNET
        sys.exit('unshare: ' + os.strerror(ctypes.get_errno()))
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    for k, v in {'ipv4/ip_local_port_range': '1024 65535', 'core/somaxconn': '65535', 'ipv4/tcp_max_syn_backlog': '65535',
                 'ipv4/tcp_congestion_control': cc}.items():
        if v:
            with open('/proc/sys/net/' + k, 'w') as f:
                f.write(v)


def cores(text):
    return None if text in ('', 'any') else {int(c) for c in text.split(',')}


def pin(text, nice):
    c = cores(text)

    def before_exec():
        if c:
            os.sched_setaffinity(0, c)
        if nice:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
    return before_exec


def take_lock(o):
    if not o.lock:
        return None
    f = open(o.lock, 'a')
    fcntl.flock(f, fcntl.LOCK_EX)
    return f


def wait_until_quiet(limit):
    """Waits, at most `limit` seconds, for a second in which the machine's cores together do less than 0.1 core of work."""
    def busy():
        with open('/proc/stat') as f:
            n = [int(x) for x in f.readline().split()[1:9]]
        return (sum(n) - n[3] - n[4]) / TICK
    end = time.monotonic() + limit
    while time.monotonic() < end:
        a = busy()
        time.sleep(1)
        if busy() - a < 0.1:
            return


class Server:
    """A server process (and its children), listening."""

    def __init__(self, o, command):
        self.port = free_port()
        log = open(o.server_log, 'a') if o.server_log else subprocess.DEVNULL
        self.proc = subprocess.Popen(shlex.split(command.replace('{port}', str(self.port))), stdin=subprocess.DEVNULL, stdout=log,
                                     stderr=log, start_new_session=True, preexec_fn=pin(o.server_core, o.nice), cwd=o.cwd)
        pinned = cores(o.server_core) or set()
        self.core = min(pinned or {0})
        self.softirq = ksoftirqd(self.core) if len(pinned) == 1 else None
        deadline = time.monotonic() + o.startup
        while True:
            try:
                socket.create_connection(('127.0.0.1', self.port), 1).close()
                break
            except OSError:
                if self.proc.poll() is not None or time.monotonic() > deadline:
                    status = self.proc.poll()
                    self.stop()
                    raise Failed(f'server did not listen on {self.port} (exit status {status}): {command}')
                time.sleep(0.02)
        time.sleep(o.settle)

    def pids(self):
        return tree(self.proc.pid)

    def cpu(self):
        return cpu_sample(self.pids(), self.core, self.softirq)

    def stop(self):
        pids = set(self.pids()) | {self.proc.pid}
        for sig, wait in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
            pids |= set(self.pids())
            for p in pids:
                try:
                    if p == self.proc.pid or os.getsid(p) == self.proc.pid:     # still ours
                        os.kill(p, sig)
                except ProcessLookupError:
                    pass
            end = time.monotonic() + wait
            while time.monotonic() < end:
                self.proc.poll()
                if self.proc.returncode is not None and not any(proc_stat(p) for p in pids):
                    return
                time.sleep(0.02)


class Failed(Exception):
    pass


def start_wsload(o, server, extra, mode_args, **more):
    cmd = [os.path.join(HERE, 'wsload'), mode_args[0], '--port', str(server.port)] + mode_args[1:] + extra
    return subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if o.quiet else None, text=True,
                            preexec_fn=pin(o.client_core, o.nice), **more)


def measure(o, command, extra, mode_args):
    """Starts the server, runs wsload once, returns a dict."""
    wait_until_quiet(o.wait_quiet)
    lock = take_lock(o)
    srv = None
    try:
        srv = Server(o, command)
        r = dict(mem_before=mem_sample(srv.pids()))
        cli = start_wsload(o, srv, extra, mode_args)
        lines, opened = [], 0
        for line in cli.stdout:
            line = line.rstrip('\n')
            if line.startswith('OPEN '):
                opened = int(line.split()[1])
                if mode_args[0] == 'idle':
                    time.sleep(o.idle_settle)
                r['mem_open'] = mem_sample(srv.pids())
            elif line == 'START':
                a = srv.cpu()
            elif line == 'END':
                b = srv.cpu()
                r['mem_after'] = mem_sample(srv.pids())
            else:
                lines.append(line)
        r['status'] = cli.wait()
        if srv.proc.poll() is not None:
            r['server_died'] = srv.proc.returncode
        try:
            r['wsload'] = w = json.loads(lines[-1])
        except (IndexError, ValueError):
            raise Failed(f'wsload exit status {cli.returncode}: {lines[-3:]}')
        r['human'] = lines[:-1]
        dt = b['t'] - a['t']
        d = {k: b[k] - a[k] for k in a}
        r['secs'] = dt
        r['opened'] = opened
        r['cpu_s'] = d['cpu']
        r['cpu'] = d['cpu'] / dt                                     # of one core
        r['softirq'] = d['softirq'] / dt
        ticks = d['user'] + d['system']
        r['user_share'] = d['user'] / ticks if ticks else 0
        r['core_busy'], r['steal'] = d['busy'] / dt, d['steal'] / dt
        r['rate'] = w['rate']
        r['per_cpu_s'] = w['rate'] / r['cpu'] if r['cpu'] > 0 else 0    # rates: the two clocks need not start together
        r['client_cpu'] = w['client_cpu']
        n = max(opened, 1)
        for k in ('rss', 'pss'):
            r[k + '_per_conn'] = (r['mem_open'][k] - r['mem_before'][k]) / n
            r[k + '_per_conn_after'] = (r['mem_after'][k] - r['mem_before'][k]) / n
        r['slab_per_conn_end'] = (r['mem_open']['slab'] - r['mem_before']['slab']) / n / 2
        r['all_per_conn'] = (r['mem_before']['free'] - r['mem_open']['free']) / n
        return r
    except Failed as e:
        return dict(failed=str(e))
    finally:
        if srv:
            srv.stop()
        if lock:
            lock.close()


def duel(o, servers, extra, mode_args):
    """Windows of load on one server after the other, all of them running."""
    names = list(servers)
    got = {n: [] for n in names}
    final, running, client = {}, {}, {}
    wait_until_quiet(o.wait_quiet)
    lock = take_lock(o)

    def until(n, wanted):
        for line in client[n].stdout:
            if line.startswith(wanted):
                return line
        raise Failed(f'{n}: wsload ended, status {client[n].wait()}')

    try:
        for n in names:
            running[n] = Server(o, servers[n])
            client[n] = start_wsload(o, running[n], extra.get(n, []) + ['--gate'], mode_args, stdin=subprocess.PIPE)
            until(n, 'OPEN')
        time.sleep(0.5)
        for i in range(o.rounds):
            for n in names if i % 2 == 0 else names[::-1]:
                client[n].stdin.write('go\n')
                client[n].stdin.flush()
                until(n, 'START')
                a = running[n].cpu()
                until(n, 'END')
                b = running[n].cpu()
                rate = float(until(n, 'WINDOW').split()[1])
                cpu = (b['cpu'] - a['cpu']) / (b['t'] - a['t'])
                got[n].append((rate, rate / cpu if cpu else 0, cpu))
        for n in names:
            client[n].stdin.close()
            lines = client[n].stdout.read().splitlines()
            client[n].wait()
            final[n] = json.loads(lines[-1])
    except Failed as e:
        print('FAILED:', e)
        return 1
    finally:
        for n in running:
            running[n].stop()
        for n in client:
            if client[n].poll() is None:
                client[n].kill()
                client[n].wait()
        if lock:
            lock.close()
    print(f'{o.rounds} windows each, in turn: ' + ' '.join(mode_args))
    print(f'{"server":16s} {"per second":>12s} {"per cpu-s":>12s} {"srv":>5s} {"cli":>5s} {"p50us":>8s} {"p99us":>8s} {"errors":>6s}   (medians)')
    for n in names:
        med = [statistics.median(x[k] for x in got[n]) for k in range(3)]
        f = final[n]
        print(f'{n:16s} {med[0]:>12,.0f} {med[1]:>12,.0f} {med[2]:>5.2f} {f["client_cpu"]:>5.2f} {f["lat_us"]["p50"]:>8.0f} {f["lat_us"]["p99"]:>8.0f} {f["errors_total"]:>6d}')
    for n in names[1:]:
        for k, what in ((1, 'per server-CPU-second'), (0, 'per second')):
            q = sorted(b[k] / a[k] for a, b in zip(got[names[0]], got[n]) if a[k])
            if q:
                lo, hi = median_interval(q)
                print(f'{n} / {names[0]}: {what}: median of {len(q)} ratios {statistics.median(q):.3f}  (95 % confidence {lo:.3f} to {hi:.3f})')
    if o.json:
        json.dump(dict(mode=mode_args, servers=servers, windows=got, final=final), open(o.json, 'w'))
    return 1 if any(f['errors_total'] for f in final.values()) else 0


def median_interval(q):
    """95 % confidence interval of the median of sorted q: order statistics of a fair coin."""
    n, k, p, c = len(q), 0, 0.5 ** len(q), 0.0
    while c + p <= 0.025:
        c += p
        p = p * (n - k) / (k + 1)
        k += 1
    return q[max(k - 1, 0)], q[min(n - k, n - 1)]


# ------------------------------------------------------------------ printing

def mb(n):
    return f'{n / 1e6:.1f}'


def describe(name, r):
    if 'failed' in r:
        return f'{name}: FAILED: {r["failed"]}'
    w = r['wsload']
    unit = {'echo': 'messages', 'fanout': 'deliveries', 'storm': 'handshakes', 'idle': 'messages'}[w['mode']]
    out = [f'{name}: ' + r['human'][0]] + r['human'][1:]
    if w['mode'] != 'idle':
        out.append(f"  server: {r['rate']:,.0f} {unit}/s  {r['per_cpu_s']:,.0f} {unit} per CPU second")
    out.append(f"  server CPU {r['cpu_s']:.3f} s in {r['secs']:.2f} s = {r['cpu']:.2f} core (user {r['user_share']:.0%}, system {1 - r['user_share']:.0%}, of it ksoftirqd {r['softirq']:.2f} core); "
               f"others on its core {max(0, r['core_busy'] - r['cpu']):.2f}, stolen {r['steal']:.3f}; client {r['client_cpu']:.2f} core")
    m = [r['mem_before'], r['mem_open'], r['mem_after']]
    out.append(f"  server RSS before / all open / end: {mb(m[0]['rss'])} / {mb(m[1]['rss'])} / {mb(m[2]['rss'])} MB "
               f"(PSS {mb(m[0]['pss'])} / {mb(m[1]['pss'])} / {mb(m[2]['pss'])})")
    if r['opened'] >= 100:
        out.append(f"  per connection, all open: RSS {r['rss_per_conn']:.0f} B, PSS {r['pss_per_conn']:.0f} B (end: RSS {r['rss_per_conn_after']:.0f} B); "
                   f"kernel slab {r['slab_per_conn_end']:.0f} B per end; whole machine {r['all_per_conn']:.0f} B for both ends with client")
    bound = ''
    if w['mode'] != 'idle' and r['cpu'] < 0.93 and r['client_cpu'] > 0.93:
        bound = '   <- the CLIENT is the bottleneck: compare per CPU second, not per second'
    out.append(f"  exit status {r['status']}, errors {({k: v for k, v in w['errors'].items() if v}) or 0}{bound}")
    if 'server_died' in r:
        out.append(f"  THE SERVER ENDED DURING THE RUN, status {r['server_died']}")
    return '\n'.join(out)


def compare(o, servers, extra, mode_args):
    names = list(servers)
    got = {n: [] for n in names}
    bad = False
    for i in range(o.rounds):
        for n in names:
            r = measure(o, servers[n], extra.get(n, []), mode_args)
            got[n].append(r)
            bad |= 'failed' in r or r['status'] != 0 or 'server_died' in r
            if 'failed' in r:
                print(f'round {i + 1} {n}: FAILED: {r["failed"]}', flush=True)
            else:
                print(f"round {i + 1} {n:16s} {r['rate']:>12,.0f}/s {r['per_cpu_s']:>12,.0f}/cpu-s  server {r['cpu']:.2f} client {r['client_cpu']:.2f} "
                      f"p50 {r['wsload']['lat_us']['p50']:.0f} p99 {r['wsload']['lat_us']['p99']:.0f} us  others {max(0, r['core_busy'] - r['cpu']):.2f} steal {r['steal']:.3f}  errors {r['wsload']['errors_total']}",
                      flush=True)
    med = lambda n, f: statistics.median([f(r) for r in got[n] if 'failed' not in r] or [0])
    print(f'\n{"medians of " + str(o.rounds) + " rounds: " + " ".join(mode_args)}')
    print(f'{"server":16s} {"per second":>12s} {"per cpu-s":>12s} {"+-%":>5s} {"user%":>5s} {"srv":>5s} {"cli":>5s} {"p50us":>8s} {"p99us":>8s} {"p99.9us":>8s} '
          f'{"RSS MB":>8s} {"B/conn":>8s} {"errors":>6s}')
    for n in names:
        ok = [r for r in got[n] if 'failed' not in r]
        if not ok:
            print(f'{n:16s} no result')
            continue
        p = sorted(r['per_cpu_s'] for r in ok)
        spread = (p[-1] - p[0]) / 2 / p[len(p) // 2] * 100 if p[len(p) // 2] else 0
        lat = lambda k: med(n, lambda r: r['wsload']['lat_us'][k])
        print(f"{n:16s} {med(n, lambda r: r['rate']):>12,.0f} {med(n, lambda r: r['per_cpu_s']):>12,.0f} {spread:>5.1f} {med(n, lambda r: r['user_share']) * 100:>5.0f} "
              f"{med(n, lambda r: r['cpu']):>5.2f} {med(n, lambda r: r['client_cpu']):>5.2f} {lat('p50'):>8.0f} {lat('p99'):>8.0f} {lat('p999'):>8.0f} "
              f"{med(n, lambda r: r['mem_after']['rss']) / 1e6:>8.1f} {med(n, lambda r: r['rss_per_conn']):>8.0f} {sum(r['wsload']['errors_total'] for r in ok):>6d}")
    for n in names[1:]:
        pairs = [(a, b) for a, b in zip(got[names[0]], got[n]) if 'failed' not in a and 'failed' not in b]
        if not pairs:
            continue
        for key, what in (('per_cpu_s', 'per server-CPU-second'), ('rate', 'per second')):
            q = [b[key] / a[key] for a, b in pairs if a[key]]
            if q:
                print(f'{n} / {names[0]}: {what}: median of ratios {statistics.median(q):.3f}  (from {min(q):.3f} to {max(q):.3f})')
    if o.json:
        json.dump(dict(mode=mode_args, servers=servers, results=got), open(o.json, 'w'))
    return 1 if bad else 0


def main():
    argv = sys.argv[1:]
    cut = argv.index('--') if '--' in argv else len(argv)
    argv, mode_args = argv[:cut], argv[cut + 1:]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('command', choices=['run', 'compare', 'duel'])
    p.add_argument('--server', action='append', required=True, metavar='[NAME=]CMD')
    p.add_argument('--args', action='append', default=[], metavar='NAME=ARGS', help='more wsload options for one server (--path ...)')
    p.add_argument('--rounds', type=int, default=5, help='compare: rounds; duel: windows for each server')
    p.add_argument('--server-core', default='0', help="'0', '0,1' or 'any'")
    p.add_argument('--client-core', default='1')
    p.add_argument('--lock', default='', help="'' for none")
    p.add_argument('--startup', type=float, default=20, help='seconds the server may take to listen')
    p.add_argument('--settle', type=float, default=0.3, help='seconds between listening and the first sample')
    p.add_argument('--idle-settle', type=float, default=0.0, help='idle: seconds after OPEN before memory is sampled')
    p.add_argument('--netns', action='store_true', help='run in a network namespace of its own')
    p.add_argument('--cc', help='TCP congestion control there (with --netns)')
    p.add_argument('--nice', type=int, default=0, help='priority of server and client, e.g. -10 on a machine with other work')
    p.add_argument('--wait-quiet', type=float, default=0, help='before each measurement wait up to S seconds for an idle machine')
    p.add_argument('--cwd')
    p.add_argument('--server-log', help='file for what the server prints')
    p.add_argument('--json', help='file for all results')
    p.add_argument('--quiet', action='store_true', help="drop wsload's stderr")
    o = p.parse_args(argv)
    if not mode_args:
        p.error("wsload's mode and options go after --")
    if o.cc and not o.netns:
        p.error('--cc needs --netns')
    if o.netns:
        private_network(o.cc)
    if cores(o.client_core):
        os.sched_setaffinity(0, cores(o.client_core))
    servers = {}
    for i, s in enumerate(o.server):
        name, eq, cmd = s.partition('=')
        if not eq or ' ' in name or '/' in name:
            name, cmd = f'server{i + 1}', s
        servers[name] = cmd
    extra = {n: shlex.split(a) for n, _, a in (x.partition('=') for x in o.args)}
    for n in extra:
        if n not in servers:
            p.error(f'--args {n}=...: no such server')
    if o.command != 'run':
        return (compare if o.command == 'compare' else duel)(o, servers, extra, mode_args)
    bad, results = False, {}
    for n, cmd in servers.items():
        r = results[n] = measure(o, cmd, extra.get(n, []), mode_args)
        print(describe(n, r), flush=True)
        bad |= 'failed' in r or r['status'] != 0 or 'server_died' in r
    if o.json:
        json.dump(dict(mode=mode_args, servers=servers, results=results), open(o.json, 'w'))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
