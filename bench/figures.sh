#!/usr/bin/env bash
# Takes the figures of bench/RESULTS.md: perchbench against rawecho, a bare C epoll server, one loop pinned to one core,
# messages per server-CPU-second, in alternating windows or rounds.  Needs: make build baseline; root for --netns.
#   bench/figures.sh echo|echo16|echo16k|echo9000|storm|fan|fanpubs|chatfan|idle|ping|light|deflateidle|deflatefan|abuse [private]
# light and deflateidle need the peers too: make -C bench/peers
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:?what to measure} flags=${2:+--private-fds}
M=bench/baseline/measure.py
raw="raw=$PWD/bench/baseline/rawecho --port {port}"
perch="perch=$PWD/bin/perchbench serve --listen 127.0.0.1:{port} --loops 1 $flags"
duel() { $M duel --netns --nice -5 --rounds "${ROUNDS:-60}" --server "$raw" --server "$perch" -- echo --warmup 0.03 --time 0.12 "$@"; }
compare() { $M compare --netns --nice -5 --wait-quiet 5 --rounds "${ROUNDS:-7}" "$@"; }
case $what in
echo) duel --conns 200 --size 128 ;;
echo16) duel --conns 200 --size 128 --depth 16 ;;
echo16k) duel --conns 200 --size 16384 --depth 4 ;;
echo9000) duel --conns 9000 --size 128 ;;
storm) compare --server "$raw" --server "$perch" -- storm --conns 64 --warmup 0.5 --time 2 ;;
fan | fanpubs)
    [ "$what" = fan ] && pubs=1 || pubs=8
    compare --server "$raw --fanout" --server "$perch" --args perch='--path /fan' -- \
        fanout --exact --conns 5000 --pubs $pubs --size 128 --warmup 0.5 --time 2 ;;
chatfan) # fan-out through perchd's chat and rooms, against the bare /fan
    perchd="$PWD/bin/perchd --listen 127.0.0.1:{port} --loops 1 --new-connections-per-second 0"
    compare --server "fan=$PWD/bin/perchbench serve --listen 127.0.0.1:{port} --loops 1" --args fan='--path /fan --exact' \
        --server "chat=$perchd" --args chat="--path /ws/chat --hello-ack room_joined --hello '{\"username\":\"u{id}\"}' \
            --pub-hello '{\"username\":\"publisher\"}' --template '{\"type\":\"chat_message\",\"content\":\"m={seq},{ts} {pad}\"}'" \
        --server "room=$perchd" --args room="--path /ws/room/general --hello-ack room_joined --hello '{\"type\":\"join\"}' \
            --pub-hello '{\"type\":\"join\"}' --template '{\"type\":\"chat_message\",\"message\":\"m={seq},{ts} {pad}\"}'" \
        -- fanout --conns 5000 --pubs 1 --size 128 --settle 3 --warmup 0.5 --time 2 ;;
idle) # 100,000 connections in one process: memory per connection above the empty server
    $M run --netns --idle-settle 5 --server-core any --client-core any \
        --server "perch=$PWD/bin/perchbench serve --listen 127.0.0.1:{port} --loops 6 --max-conns 110000" -- \
        idle --conns 100000 --open-pause 3 --time 5 ;;
ping) # the same, long enough to see every connection pinged: server CPU for it
    $M run --netns --idle-settle 5 --server-core any --client-core any \
        --server "perch=$PWD/bin/perchbench serve --listen 127.0.0.1:{port} --loops 6 --max-conns 110000" -- \
        idle --conns 100000 --open-pause 40 --warmup 1 --time 60 ;;
deflateidle) # 1,000 connections, each of which has sent and got one message of 2 KiB compressed, the same settings for all
    peer="$PWD/bench/peers/bin/peer" ws="$PWD/bench/peers/bin/node/ws.js"
    bench/rounds.py --netns --rounds "${ROUNDS:-7}" --server "perch=$PWD/bin/perchbench serve --loops 1 --listen 127.0.0.1:{port}" \
        --server "gorilla=$peer gorilla --deflate on --threshold 1024 --listen 127.0.0.1:{port}" \
        --server "gws=$peer gws --deflate on --threshold 1024 --listen 127.0.0.1:{port}" \
        --server "node-ws=node $ws --deflate on --threshold 1024 --listen 127.0.0.1:{port}" -- \
        idle --conns 1000 --deflate --hello "$(printf '{id} compressed %.0s' {1..150})" --hello-ack compressed --warmup 1s --time 2s ;;
light) # messages at a rate, the server mostly asleep
    bench/rounds.py --netns --rounds "${ROUNDS:-7}" --server "perch=$PWD/bin/perchbench serve --loops 1 --listen 127.0.0.1:{port}" \
        --server "uws=node $PWD/bench/peers/bin/node/uws.js --listen 127.0.0.1:{port}" --server "$raw" -- \
        echo --conns 1000 --size 128 --rate "${RATE:-500}" --warmup 500ms --time 2s ;;
deflatefan) # 5,000 members get one message compressed, or as it is: server CPU, plain / it asked <= 1.15
    bench/rounds.py --netns --rounds "${ROUNDS:-7}" --path /fan --args compressed=--deflate \
        --server "plain=$PWD/bin/perchbench serve --loops 1 --listen 127.0.0.1:{port}" \
        --server "compressed=$PWD/bin/perchbench serve --loops 1 --listen 127.0.0.1:{port}" -- \
        fanout --exact --conns 5000 --pubs 1 --size "${SIZE:-1400}" --words --warmup 0.5s --time 2s ;;
abuse) bin/perchbench abuse --markdown ;; # every attack in its long form: what a bystander notices, and what the server holds
*) echo "what? echo echo16 echo16k echo9000 storm fan fanpubs chatfan idle ping light deflateidle deflatefan abuse" >&2; exit 2 ;;
esac
