#!/usr/bin/env bash
# Times gputrain and its peers (PyTorch, JAX) on the same workloads, on this machine and in one sitting, and prints how many
# times as fast gputrain is as each. Rounds alternate between them, and of each the fastest counts, so that a machine that
# is busy for a while slows no single one. Peers that are not installed (pip install torch jax) are left out, and that is said.
#
# GPUTRAIN names a program that is built already; without it, this builds one.
#
# usage: benches/compare.sh [--backend cpu|vulkan|…] [--rounds N] [--seconds S] [--out DIR] [WORKLOAD…]
set -euo pipefail
cd "$(dirname "$0")/.."

backend=cpu rounds=3 seconds=1 out=
while [ $# -gt 0 ]; do
    case $1 in
    --backend) backend=$2; shift 2 ;;
    --rounds) rounds=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    -*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) break ;;
    esac
done
workloads=("$@")
[ ${#workloads[@]} -gt 0 ] || workloads=(fashion-mlp-10x3 fashion-mlp-40x5-l2 notmnist-mlp-1000 mnist-mlp-tanh mnist-mlp-adam
    fashion5-mlp1 fashion5-cnn3 fashion5-cnn5)
only=$(IFS=,; echo "${workloads[*]}")
out=${out:-$(mktemp -d)}
mkdir -p "$out"
: >"$out/ours.jsonl"
: >"$out/peers.jsonl"

gputrain=${GPUTRAIN:-}
if [ -z "$gputrain" ]; then
    cargo build --release --quiet
    gputrain=target/release/gputrain
fi
# Several threads of one process must not fight for the cores with those of another, so nothing runs side by side.
peers=()
device=cpu
[ "$backend" = cpu ] || device=cuda
if python3 -c "import torch, sys; sys.exit('$device' == 'cuda' and not torch.cuda.is_available())" 2>/dev/null; then
    peers+=("torch_peer.py --device $device --mode eager")
    if [ "$device" = cuda ]; then
        peers+=("torch_peer.py --device cuda --mode graph")
    fi
else
    echo "PyTorch is not installed, or has no $device device: left out" >&2
fi
if python3 -c "import jax, sys; sys.exit('$device' == 'cuda' and jax.default_backend() == 'cpu')" 2>/dev/null; then
    peers+=("jax_peer.py")
else
    echo "JAX is not installed, or has no $device device: left out" >&2
fi

for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    "$gputrain" --backend "$backend" --json bench --seconds "$seconds" --repeat 3 "${workloads[@]}" >>"$out/ours.jsonl" 2>/dev/null
    for peer in "${peers[@]}"; do
        # Word splitting is wanted: a peer is a script and its options.
        python3 benches/peers/$peer --only "$only" --seconds "$seconds" >>"$out/peers.jsonl"
    done
done
python3 benches/peers/compare.py "$out/ours.jsonl" "$out/peers.jsonl"
echo "raw figures: $out" >&2
