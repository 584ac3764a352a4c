#!/usr/bin/env bash
# Takes the figures of bench/RESULTS.md for wss: perchbench serve against a goroutine per connection (gorilla on crypto/tls,
# bench/peers), each pinned to one core, loaded and verified by perchbench from another, in alternating rounds.
#   bench/wss.sh echo [ROUNDS]   128 B one at a time, 200 connections: messages per CPU second of the server, ratio
#   bench/wss.sh idle [CONNS]    memory of 8,000 idle connections that have echoed once, TLS 1.3 and 1.2
# Needs: make build, make -C bench/peers, openssl, python3.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:?echo or idle} n=${2:-}
dir=$(mktemp -d) pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
port=$((20000 + RANDOM % 10000))
serve() { # serve COMMAND...: in pid, pinned, when it listens
    taskset -c 0 "$@" >"$dir/log" 2>&1 &
    pid=$! && pids+=($pid)
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do kill -0 $pid; done
}
perch() { serve bin/perchbench serve --listen 127.0.0.1:$((++port)) --loops "$1" --tls-cert "$dir/cert.pem" --tls-key "$dir/key.pem"; }
gorilla() { serve bench/peers/bin/peer gorilla --listen 127.0.0.1:$((++port)) --tls-cert "$dir/cert.pem" --tls-key "$dir/key.pem"; }
load() { taskset -c 1 bin/perchbench "$1" --url "wss://127.0.0.1:$port/ws" --ca "$dir/cert.pem" --json "${@:2}"; }
case $what in
echo)
    perch 1 && perch_pid=$pid perch_port=$port
    gorilla && gorilla_pid=$pid gorilla_port=$port
    for version in 1.3 1.2; do
        for round in $(seq "${n:-9}"); do
            for server in perch gorilla; do
                port=${server}_port pid=${server}_pid
                port=${!port} && load echo --conns 200 --size 128 --warmup 300ms --time 1s --tls-version $version --pid "${!pid}"
            done
        done | python3 -c '
import json, statistics, sys
rates = [json.loads(line)["server"]["per_cpu_second"] for line in sys.stdin]
perch, gorilla = rates[::2], rates[1::2]
ratios = sorted(p / g for p, g in zip(perch, gorilla))
print("TLS '$version': %d rounds, per CPU second: perch %.0f, gorilla %.0f; ratio %.2f (%.2f-%.2f)" % (
    len(ratios), statistics.median(perch), statistics.median(gorilla), statistics.median(ratios), ratios[0], ratios[-1]))'
    done ;;
idle)
    for version in 1.3 1.2; do
        for server in "perch 1" gorilla; do
            $server
            load idle --conns "${n:-8000}" --hello x --hello-ack x --warmup 5s --time 5s --tls-version $version --pid $pid | python3 -c '
import json, sys
r = json.load(sys.stdin)
print("TLS '$version' '"${server% *}"': RSS", r["server"])'
            kill $pid
        done
    done ;;
*) echo "what? echo idle" >&2; exit 2 ;;
esac
