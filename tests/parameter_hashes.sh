#!/usr/bin/env bash
# Prints `CASE BACKEND parameter_hash losses` of short trainings that launch every kernel: the golden recipes, and the digits
# fused, plain, mixed, streamed, resumed, with dropout, and several models side by side. A change that only moves code prints
# the same lines before and after it, on one machine:
#
#   tests/parameter_hashes.sh cpu >before; …; tests/parameter_hashes.sh cpu | diff before -
#
# usage: tests/parameter_hashes.sh [BACKEND…]      cpu and vulkan, if none is named; GPUTRAIN names another binary
set -euo pipefail
cd "$(dirname "$0")/.."

program=${GPUTRAIN:-target/release/gputrain}
[ -x "$program" ] || cargo build --release --quiet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run CASE ARGUMENTS…: trains, and prints what the summary says.
run() {
    local case=$1 backend=$2
    shift 2
    rm -rf "$work/run"
    "$program" --backend "$backend" --json train "$@" --out "$work/run" >"$work/log" 2>"$work/errors" ||
        { echo "$case $backend failed: $(tail -n 1 "$work/errors")"; return; }
    echo "$case $backend $(fields "$work/run/summary.json")"
}

fields() { grep -oE '"(parameter_hash|test_loss|validation_loss)": ?("[^"]*"|[^,}]*)' "$1" | sed 's/.*: *//' | tr -d '"' | tr '\n' ' '; }

[ $# -gt 0 ] || set -- cpu vulkan
for backend in "$@"; do
    for recipe in tests/golden/*.toml; do
        case=$(basename "$recipe" .toml)
        run "$case" "$backend" "$recipe" --train-images "tests/golden/$case.npz#x" --train-labels "tests/golden/$case.npz#y" --epochs 2
    done
    short=(digits --set data.examples=1000 --set train.epochs=2)
    run digits "$backend" "${short[@]}"
    run digits-unfused "$backend" "${short[@]}" --unfused
    run digits-mixed "$backend" "${short[@]}" --precision mixed
    run digits-streamed "$backend" "${short[@]}" --data-memory 1MiB
    run digits-dropout "$backend" "${short[@]}" --set 'model.layers=[{dense=32,activation="relu"},{dropout=0.3},{dense=10}]'
    run digits-clip "$backend" "${short[@]}" --set optimizer.clip_norm=0.5 --unfused
    run digits-sgd-fused "$backend" "${short[@]}" --set optimizer.kind=sgd --set optimizer.momentum=0.9 --fused
    run digits-cnn "$backend" "${short[@]}" --set 'model.input=[28,28,1]' --set data.examples=300 \
        --set 'model.layers=[{conv2d=8,kernel=3,activation="relu"},{max_pool=2},{conv2d=16,kernel=3,padding="same",stride=2,activation="gelu"},{global_average_pool=true},{dense=10}]'
    # Gone on with after the first epoch, and recorded norms.
    "$program" --backend "$backend" --json train "${short[@]}" --epochs 1 --out "$work/going-on" >"$work/log" 2>"$work/errors"
    "$program" --backend "$backend" --json train --resume "$work/going-on" --epochs 3 >"$work/log" 2>"$work/errors"
    echo "digits-resumed $backend $(fields "$work/going-on/summary.json")"
    rm -rf "$work/going-on"
    run digits-norms "$backend" "${short[@]}" --set 'train.record=["gradient_norms"]' --set train.log_every=1
    cat >"$work/sweep.toml" <<'RECIPE'
name = "digits-sweep"
[data]
validation = 0.1
examples = 500
[model]
input = [784]
layers = [{ dense = 24, activation = "tanh" }, { dense = 10 }]
[optimizer]
kind = "adam"
learning_rate = 0.001
[train]
epochs = 2
batch = 64
[sweep]
"optimizer.learning_rate" = [0.01, 0.003]
seed = [0, 1]
RECIPE
    rm -rf "$work/sweep"
    "$program" --backend "$backend" --json sweep "$work/sweep.toml" --out "$work/sweep" >"$work/log" 2>"$work/errors" || tail -n 1 "$work/errors"
    find "$work/sweep" -name summary.json | sort | while read -r summary; do
        echo "sweep $backend $(fields "$summary")"
    done
done
