#!/usr/bin/env bash
# What GPUs' compilers make of the shaders: Mesa's drivers for AMD (RADV), NVIDIA (NVK) and Apple (Honeykrisp), over devices that
# are not there. benches/compilers.json has what they said of each shader; what has changed since is compiled again. Fails on a
# planned shader that spills registers to memory; and, where the drivers are of the recorded version, on one that lost waves or
# grew by more than a tenth.
# Where the drivers cannot be had (they come with Debian's apt) this says so and exits with 77.
#
# usage: tests/compilers.sh [--all] [--record] [ARGUMENTS FOR cargo run]
#   --all     more GPUs: RDNA2, RDNA4, Ada
#   --record  writes benches/compilers.json and benches/COMPILERS.md anew, with --all and with what only the tuner tries
set -euo pipefail
cd "$(dirname "$0")/.."
# What each is called, its driver, its shim, and how the shim is told.
gpus=("rdna3 radeon amdgpu navi31" "ampere nouveau nouveau 0x172" "m1 asahi asahi -")
more=("rdna2 radeon amdgpu navi21" "rdna4 radeon amdgpu gfx1201" "ada nouveau nouveau 0x192")
record= every=
while [ $# -gt 0 ]; do
    case $1 in
        --all) gpus+=("${more[@]}") ;;
        --record) record=--record every=--every; gpus+=("${more[@]}") ;;
        *) break ;;
    esac
    shift
done

drivers=${CARGO_TARGET_DIR:-$PWD/target}/compilers
problem=$(tests/compilers/drivers.sh "$drivers" 2>&1 >/dev/null) || { echo "compilers: skipped: ${problem##*$'\n'}"; exit 77; }
root=$drivers/root
libraries=$root/usr/lib/x86_64-linux-gnu
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cargo run --quiet "$@" --example write_shaders -- "$work" --spirv
# The loader wants a newer C library than the system's: it is there when the program runs.
cc -O1 -Wall -Werror -I "$root/usr/include" tests/compilers/statistics.c -o "$work/statistics" \
    "$libraries/libvulkan.so.1" -Wl,--allow-shlib-undefined

statistics() { # DRIVER SHIM CHIP <LIST
    AMDGPU_GPU_ID=$3 NOUVEAU_CHIPSET=$3 VK_ICD_FILENAMES=$root/usr/share/vulkan/icd.d/$1_icd.json \
        MESA_SHADER_CACHE_DISABLE=true XDG_RUNTIME_DIR=$work \
        "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" --preload "$libraries/lib$2_noop_drm_shim.so" "$work/statistics"
}
compile() { # GPU DRIVER SHIM CHIP
    { statistics "${@:2}" </dev/null >"$work/$1.device" &&
        node tests/compilers/table.mjs list "$work" "$1" $every >"$work/$1.list" &&
        statistics "${@:2}" <"$work/$1.list" >"$work/$1.jsonl"; } 2>"$work/$1.log" || { cat "$work/$1.log" >&2; return 1; }
}
# Two at a time.
failed=0
for gpu in "${gpus[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || failed=1; done
    # shellcheck disable=SC2086
    compile $gpu &
done
while [ -n "$(jobs -p)" ]; do wait -n || failed=1; done
[ $failed = 0 ] || { echo "error: a driver did not compile the shaders" >&2; exit 1; }
node tests/compilers/table.mjs check "$work" $record
