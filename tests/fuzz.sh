#!/usr/bin/env bash
# Fuzzes the parsers for as long as is wished, each time with other inputs. What fails is kept; its path is printed.
# With ACCEPTED=DIR, changed files that were still read are noted there: tests/fuzz/compare.py holds them against NumPy and h5py.
#
# usage: tests/fuzz.sh [SECONDS PER TARGET] [TARGET]
#   TARGET: npy npz idx csv table columns gz hdf5 mat cifar pictures packed recipe gallery tuning model checkpoint run; all of them without one
set -euo pipefail
cd "$(dirname "$0")/.."

export GPUTRAIN_FUZZ_SECONDS=${1:-60} GPUTRAIN_FUZZ_SEED=${SEED:-$(date +%s)}
if [ -n "${ACCEPTED:-}" ]; then GPUTRAIN_FUZZ_ACCEPTED=$(realpath "$ACCEPTED"); export GPUTRAIN_FUZZ_ACCEPTED; fi
echo "seed $GPUTRAIN_FUZZ_SEED (SEED=… repeats it), $GPUTRAIN_FUZZ_SECONDS s for each target"
# The flags of tests/run.sh: sums that overflow and assertions that fail are failures.
checked=profile.release.package.gputrain
cargo test --release --features parquet --config $checked.overflow-checks=true --config $checked.debug-assertions=true \
    --test fuzz "target::${2:-}" -- --nocapture
