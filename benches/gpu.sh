#!/usr/bin/env bash
# Measures in one sitting what benches/RESULTS.md tells of a GPU: that every kernel is right there, the time of a step in f32 and
# mixed precision, fused and plain, tuned and not, launch by launch; ten trials beside one, the grid of 24, the start with and
# without cached pipelines, streamed data; and the peers, where they are installed. Every part's output is kept, and a part that
# fails does not end the sitting.
#
# GPUTRAIN names a program that is built already; without it, this builds one. DIR holds fashion-mnist/ (for the grid).
#
# usage: benches/gpu.sh [--backend vulkan|metal|dx12] [--seconds S] [--data DIR] [--out DIR] [WORKLOAD…]
set -uo pipefail
cd "$(dirname "$0")/.."

backend=vulkan seconds=1 data=data out=
while [ $# -gt 0 ]; do
    case $1 in
    --backend) backend=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    --data) data=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    -*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) break ;;
    esac
done
workloads=("$@")
[ ${#workloads[@]} -gt 0 ] || workloads=(fashion-mlp-10x3 fashion-mlp-40x5-l2 notmnist-mlp-1000 mnist-mlp-tanh mnist-mlp-adam
    fashion5-mlp1 fashion5-cnn3 fashion5-cnn5 wide-mlp-4096)
out=${out:-$(mktemp -d)}
mkdir -p "$out"
out=$(cd "$out" && pwd)
gputrain=${GPUTRAIN:-}
if [ -z "$gputrain" ]; then
    cargo build --release --quiet || exit 1
    gputrain=target/release/gputrain
fi
export GPUTRAIN=$gputrain
failed=()

# part NAME COMMAND…: its output goes to NAME.txt and to the screen.
part() {
    local name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" 2>&1 | tee "$out/$name.txt" || failed+=("$name")
}
run() { "$gputrain" --backend "$backend" "$@"; }
# What is cached and tuned in this sitting is this sitting's own.
XDG_CACHE_HOME=$(mktemp -d)
export XDG_CACHE_HOME
time_steps() { run bench --seconds "$seconds" --repeat 5 "$@" "${workloads[@]}"; }
trials() {
    printf '[data]\nvalidation = 0.1\n[model]\nlayers = "128,64:relu,10"\n[train]\nepochs = 5\nbatch = 128\n[sweep]\ntrials = %s\n' \
        "$1" >"$out/trials-$1.toml"
    rm -rf "$out/trials-$1"
    run sweep "$out/trials-$1.toml" --out "$out/trials-$1" | tail -n 3 || return 1
    # Models side by side share the time of their group.
    echo "$1 side by side, training: $(grep -ho '"seconds": *[0-9.]*' "$out/trials-$1"/runs/*/summary.json | head -n 1)"
}
start() { run train --epochs 1 --out "$(mktemp -d)/run" | grep 'first step'; }

part device run devices
part start-cold start
part start-cached start
part verify run verify
part steps time_steps --profile
part steps-mixed time_steps --precision mixed --profile
part steps-plain time_steps --unfused
part streamed time_steps --data-memory 10MiB
part tuned time_steps --tune
part tuned-mixed time_steps --tune --precision mixed
part one-trial trials 1
part ten-trials trials 10
if [ -d "$data/fashion-mnist" ]; then
    rm -rf "$out/grid"
    part grid run sweep fashion-grid --data "$data" --out "$out/grid"
else
    echo "no $data/fashion-mnist: the grid of 24 is left out"
fi
part peers benches/compare.sh --backend "$backend" --rounds 2 --seconds "$seconds" --out "$out/compare" "${workloads[@]}"

printf '\nall of it: %s\n' "$out"
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
