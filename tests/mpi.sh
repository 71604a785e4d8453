#!/usr/bin/env bash
# Builds the program with the feature `mpi` and trains on 1, 2 and 3 ranks of this machine: their losses and weights are
# compared, a checkpoint goes on with another number of ranks, a sweep is spread over two, a rank is killed. What is missing is
# installed with the system's package manager, and that is said; where it cannot be had, this ends with code 77.
#
# usage: tests/mpi.sh [GPUTRAIN]        a program that was built with --features mpi already
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
has_libclang() { [ -n "${LIBCLANG_PATH:-}" ] || compgen -G "/usr/lib*/llvm*/lib/libclang*.so*" >/dev/null || compgen -G "/usr/lib*/libclang*.so*" >/dev/null; }
has_mpi() { command -v mpirun >/dev/null && command -v mpicc >/dev/null && has_libclang; }

if ! has_mpi; then
    echo "There is no MPI with its compiler, or no libclang: installing OpenMPI with the system's package manager."
    if command -v apt-get >/dev/null; then
        { as_root apt-get update -qq && as_root apt-get install -y -qq libopenmpi-dev openmpi-bin libclang-dev; } >/dev/null || true
    fi
    has_mpi || { echo "error: install an MPI 3.1 (mpirun and mpicc) and libclang, and run this again" >&2; exit 77; }
fi

if [ $# = 1 ]; then
    gputrain=$(realpath "$1")
else
    # Only the program itself is compiled anew, and not optimised: what is tested is what ranks tell each other.
    built=$SECONDS
    cargo build --quiet --profile ci --config profile.ci.package.gputrain.opt-level=0 --features mpi --target-dir "$target"
    # Beside the program without MPI, which the next build puts back.
    gputrain=$target/ci/gputrain-mpi
    rm -f "$gputrain" && mv "$target/ci/gputrain" "$gputrain"
    echo "== built in $((SECONDS - built)) s"
fi

started=$SECONDS
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# A thread for each rank: more would wait for each other. A rank that waits leaves its core to the others.
export RAYON_NUM_THREADS=1 OMPI_MCA_mpi_yield_when_idle=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fail() { echo "error: $*" >&2; exit 1; }
ranks() { local count=$1; shift; mpirun --oversubscribe -n "$count" "$gputrain" --backend cpu "$@"; }
number() { sed -n "s/.*\"$2\":\([^,}]*\).*/\1/p" "$1" | tail -n 1; }
close() { awk -v a="$1" -v b="$2" -v bound="$3" 'BEGIN { d = a - b; exit !((d < 0 ? -d : d) <= bound) }'; }

# To generate digits would take longer than to train on them.
awk 'BEGIN {
    srand(7)
    print "a,b,c,d,class"
    for (row = 0; row < 700; row++) {
        a = rand(); b = rand(); c = rand(); d = rand()
        printf "%.4f,%.4f,%.4f,%.4f,%s\n", a, b, c, d, (a + b * c > 0.9 ? "high" : b > d ? "middle" : "low")
    }
}' >rows.csv
cat >rows.toml <<'RECIPE'
name = "ranks"
seed = 5
[data]
train = { table = "rows.csv", target = "class" }
validation = 100
test = 100
[model]
layers = [{ dense = 32, activation = "relu" }, { dropout = 0.1 }, { dense = 3 }]
[optimizer]
kind = "adam"
learning_rate = 0.003
clip_norm = 1.0
[train]
epochs = 10
batch = 96
accumulate = 2
log_every = 1
RECIPE

echo "== one process and 1, 2, 3 ranks, the last batch short"
"$gputrain" --backend cpu --json train rows.toml --out alone >alone.log 2>/dev/null
# compare COUNT NAME ALONE BOUND: the losses of so many ranks, in NAME.log, and of one process, in ALONE.log.
compare() {
    local key
    for key in train_loss validation_loss test_loss; do
        close "$(number "$2.log" $key)" "$(number "$3.log" $key)" "$4" ||
            fail "$key of $1 ranks is $(number "$2.log" $key), of one process $(number "$3.log" $key)"
    done
    echo "$1 ranks: test loss $(number "$2.log" test_loss), parameter hash $(number "$2.log" parameter_hash)"
}
for count in 1 2 3; do
    ranks "$count" --json train rows.toml --out "ranks-$count" >"$count.log" 2>"$count.text" || { cat "$count.text" >&2; fail "$count ranks"; }
    compare "$count" "$count" alone 0.0001
done
ranks 3 --json train rows.toml --out again >again.log 2>/dev/null
[ "$(number again.log parameter_hash)" = "$(number 3.log parameter_hash)" ] || fail "3 ranks came to other bits than before"
grep -q "3 ranks share each batch of 96: at most 32 rows each, in 1 part" 3.text || fail "nobody said how a batch is shared"
[ "$(wc -l <ranks-3/steps.jsonl)" = "$(wc -l <alone/steps.jsonl)" ] || fail "steps are missing"

echo "== losses that are scaled"
"$gputrain" --backend cpu --json train rows.toml --precision mixed --out alone-mixed >alone-mixed.log 2>/dev/null
ranks 2 --json train rows.toml --precision mixed --out mixed >mixed.log 2>mixed.text || { cat mixed.text >&2; fail "2 ranks of mixed precision"; }
compare 2 mixed alone-mixed 0.005

echo "== norms over the whole batch, and the CPU beside each rank"
sed 's/{ dense = 32, activation = "relu" }/{ dense = 32, bias = false }, { batch_norm = true, activation = "relu" }/' rows.toml >norm.toml
"$gputrain" --backend cpu --json train norm.toml --out alone-norm >alone-norm.log 2>/dev/null
for count in 2 3; do
    ranks "$count" --json train norm.toml --shadow 5 --out "norm-$count" >"norm-$count.log" 2>"norm-$count.text" ||
        { cat "norm-$count.text" >&2; fail "$count ranks with a batch norm"; }
    compare "$count" "norm-$count" alone-norm 0.0001
    grep -q "steps were checked on the CPU: no launch differed" "norm-$count.text" || fail "nobody said what was checked"
    grep "each of the $count ranks sent the others" "norm-$count.text" || fail "nobody said how much ranks tell each other"
done

echo "== a rank is killed, and other numbers of ranks go on"
ranks 3 train rows.toml --epochs 100000 --out killed >killed.log 2>&1 &
job=$!
for _ in $(seq 300); do [ -s killed/checkpoint/state.safetensors ] && break; sleep 0.1; done
[ -s killed/checkpoint/state.safetensors ] || { cat killed.log >&2; fail "no checkpoint within 30 s"; }
killed_at=$SECONDS
victim=$(pgrep -P "$(pgrep -P "$job" -x mpirun || echo "$job")" | tail -n 1)
kill -9 "$victim"
code=0; wait "$job" || code=$?
took=$((SECONDS - killed_at))
[ "$code" != 0 ] || fail "a job whose rank was killed ended well"
[ "$took" -lt 30 ] || fail "the job ended $took s after its rank was killed"
grep -q "process rank 2 .*exited on signal 9" killed.log || { cat killed.log >&2; fail "nothing says that a rank was killed"; }
done_epochs=$(wc -l <killed/metrics.jsonl)
echo "ended with code $code $took s after; at least $done_epochs epochs are recorded"
cp -r killed killed-alone
epochs=$(($(sed -n 's/.*"epoch":\([0-9]*\),"step.*/\1/p' killed/metrics.jsonl | tail -n 1) + 2))
ranks 2 --json train --resume killed --epochs "$epochs" >two.log 2>two.text || { cat two.text >&2; fail "2 ranks did not go on with a checkpoint of 3"; }
"$gputrain" --backend cpu --json train --resume killed-alone --epochs "$epochs" >one.log 2>/dev/null
close "$(number two.log train_loss)" "$(number one.log train_loss)" 0.001 ||
    fail "2 ranks went on to a loss of $(number two.log train_loss), one process to $(number one.log train_loss)"

echo "== a sweep over 2 ranks"
cat >sweep.toml <<'RECIPE'
name = "spread"
[data]
train = { table = "rows.csv", target = "class" }
validation = 100
test = 100
[model]
layers = "16:relu,3"
[train]
epochs = 2
batch = 50
[sweep]
trials = 2
"model.layers" = ["16:relu,3", "3"]
"optimizer.learning_rate" = [0.01, 0.003]
RECIPE
"$gputrain" --backend cpu sweep sweep.toml --out one-sweep >/dev/null 2>&1
ranks 2 sweep sweep.toml --out two-sweep >sweep.log 2>&1 || { cat sweep.log >&2; fail "a sweep over 2 ranks"; }
hashes() { sed 's/.*"index":\([0-9]*\),.*"parameter_hash":"\([0-9a-f]*\)".*/\1 \2/' "$1/results.jsonl" | sort -n; }
[ "$(hashes one-sweep | wc -l)" = 8 ] || fail "a sweep has not 8 results"
[ "$(hashes one-sweep)" = "$(hashes two-sweep)" ] || fail "2 ranks came to other weights than one process"

echo "== what is refused"
refused() { local said=$1; shift; ! ranks 2 "$@" >refused.log 2>&1 || fail "not refused: $*"; grep -q "$said" refused.log || { cat refused.log >&2; fail "$* does not say: $said"; }; }
refused "leave it out" train rows.toml --fused --out refused
refused "a multiple of 2, such as 96" train norm.toml --batch 95 --out refused
refused "share the work of train and sweep alone" eval ranks-1
refused "already holds a run" train rows.toml --out ranks-1
echo "== done: $((SECONDS - started)) s"
