#!/usr/bin/env bash
# Kills train, resume, sweep and gallery at so many random moments, and holds what they come to against undisturbed runs.
#
# usage: tests/kill.sh [KILLS] [SEED]
set -euo pipefail
cd "$(dirname "$0")/.."
export GPUTRAIN_KILLS=${1:-200} GPUTRAIN_KILL_SEED=${2:-1}
cargo test --release --test training kills:: -- --nocapture
