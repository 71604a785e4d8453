#!/usr/bin/env bash
# Runs every test. First makes sure that a Vulkan device answers: where none does, Mesa's software driver is installed
# with the system's package manager, and that is said. From then on a missing adapter is a failure, not a skipped test.
#
# usage: tests/run.sh [ARGUMENTS FOR cargo test]
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}

vulkan_answers() { "$target/ci/gputrain" devices --json 2>/dev/null | grep -q '"backend":"vulkan"'; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

install_software_driver() {
    if command -v apt-get >/dev/null; then as_root apt-get update -qq && as_root apt-get install -y -qq mesa-vulkan-drivers libvulkan1
    elif command -v dnf >/dev/null; then as_root dnf install -y -q mesa-vulkan-drivers vulkan-loader
    elif command -v pacman >/dev/null; then as_root pacman -S --noconfirm --needed vulkan-swrast vulkan-icd-loader
    elif command -v apk >/dev/null; then as_root apk add mesa-vulkan-swrast vulkan-loader
    else return 1
    fi
}

cargo test --profile ci --features parquet --no-run --quiet
if ! vulkan_answers; then
    echo "No Vulkan device answers: installing Mesa's software driver with the system's package manager."
    install_software_driver >/dev/null || { echo "error: install a Vulkan driver (Mesa's llvmpipe will do) and run this again" >&2; exit 1; }
    vulkan_answers || { echo "error: Mesa's driver is installed, but still no Vulkan device answers" >&2; exit 1; }
fi
export GPUTRAIN_REQUIRE_VULKAN=1
# Where Mesa keeps compiled shaders for the tests, which are not the user's.
mkdir -p "$target/tmp/mesa"
export MESA_SHADER_CACHE_DIR="$target/tmp/mesa"
cargo test --profile ci --features parquet "$@"
