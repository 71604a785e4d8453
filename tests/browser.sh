#!/usr/bin/env bash
# Every shader through the compiler of browsers: Tint, from the npm package `webgpu`, which needs no browser and no driver.
# Where the package cannot be had this fails.
#
# usage: tests/browser.sh [ARGUMENTS FOR cargo run]
set -euo pipefail
cd "$(dirname "$0")/.."

command -v npm >/dev/null || { echo "error: Tint comes with npm; install Node.js 20 or later" >&2; exit 1; }
npm ci --prefix tests/browser --ignore-scripts --no-audit --no-fund --silent ||
    { echo "error: npm could not install the package webgpu, which brings Tint" >&2; exit 1; }
shaders=$(mktemp -d)
trap 'rm -r "$shaders"' EXIT
cargo run --quiet "$@" --example write_shaders -- "$shaders"
node tests/browser/check.mjs "$shaders"
