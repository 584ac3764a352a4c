#!/usr/bin/env bash
# Runs the Go benchmarks COUNT times and lets benchstat print medians and spread; with a commit as argument,
# in turn with those of that commit, built in a work tree that goes away again.
#   bench/microbench.sh [COMMIT]     COUNT=6 ONLY=. PKG=./... in the environment
set -euo pipefail
cd "$(dirname "$0")/.."
benchstat=golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
count=${COUNT:-6} only=${ONLY:-.} pkg=${PKG:-./...} go=${GO:-go}
mkdir -p bin
run() { (cd "$1" && "$go" test -run '^$' -bench "$only" -benchmem "${@:2}" "$pkg"); }
if [ $# = 0 ]; then
    run . -count "$count" | tee bin/micro.txt
    "$go" run "$benchstat" bin/micro.txt
    exit
fi
tree=$(mktemp -d)
trap 'git worktree remove --force "$tree/base"; rmdir "$tree"' EXIT
git worktree add --quiet --detach "$tree/base" "$1"
rm -f bin/micro-base.txt bin/micro.txt
for _ in $(seq "$count"); do # in turn: what disturbs the machine disturbs both
    run "$tree/base" | tee -a bin/micro-base.txt
    run . | tee -a bin/micro.txt
done
"$go" run "$benchstat" "base=bin/micro-base.txt" "this=bin/micro.txt"
