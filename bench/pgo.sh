#!/usr/bin/env bash
# Takes the profile that go build uses for perchbench and perchd (default.pgo in their folders, profile-guided
# optimisation): echo of both kinds, one at a time and 16 pipelined, connects and closes, fan-out.  Needs: make build baseline.
set -euo pipefail
cd "$(dirname "$0")/.."
load() { bench/baseline/wsload "$1" --port 7099 --warmup 0.3 --time 4 "${@:2}" >/dev/null; }
taskset -c 0 bin/perchbench serve --listen 127.0.0.1:7099 --loops 1 --cpuprofile cmd/perchbench/default.pgo 2>/dev/null &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
until (exec 3<>/dev/tcp/127.0.0.1/7099) 2>/dev/null; do sleep 0.05; done
for depth in 16 1; do
    for kind in --binary --text; do load echo --conns 200 --size 128 --depth $depth $kind; done
done
load storm --conns 64
load fanout --conns 2000 --size 128 --path /fan
kill $server
wait $server || true
cp cmd/perchbench/default.pgo cmd/perchd/default.pgo
ls -l cmd/*/default.pgo
