#!/usr/bin/env bash
# Builds the Python wheel and runs its tests in a virtual environment of its own, target/python. With --profile ci the
# libraries that the wheel shares with the program are not compiled twice.
#
# usage: tests/python.sh [--profile PROFILE]
set -euo pipefail
cd "$(dirname "$0")/.."
profile=release
if [ "${1:-}" = --profile ]; then profile=$2; fi
target=${CARGO_TARGET_DIR:-$PWD/target}
environment=$target/python

python=$(command -v python3) || { echo "error: install Python 3.11 or later" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "error: $("$python" --version) is too old: install Python 3.11 or later" >&2; exit 1; }
"$python" -m venv --clear "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check \
    "maturin>=1.9,<2" numpy "scikit-learn>=1.6" pandas pillow pytest onnxruntime nbclient nbformat ipykernel tensorboard
rm -rf "$target/wheels"
# The wheel's own compilation is the library's and the module's.
CARGO_TARGET_DIR=$target "$environment/bin/maturin" build --quiet --profile "$profile" --features parquet --manifest-path python/Cargo.toml \
    --interpreter "$environment/bin/python" --out "$target/wheels"
"$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps "$target"/wheels/gputrain-*.whl
"$environment/bin/gputrain" --version
# Not from beside the source: what is tested, also by the processes that the tests begin, is what is installed.
tests=$PWD/python/tests
cd "$environment"
bin/python -m pytest -q -rs -p no:cacheprovider "$tests"
