#!/usr/bin/env bash
# The pages that `export --to web` writes, and the panels of reports: their script is that of its source; without a browser, in
# Node by Dawn on a software Vulkan device, they answer as `predict` does, by shaders and in plain JavaScript, and pages train as
# the CPU backend does.
#
# usage: tests/web.sh [--browser FOLDER] [ARGUMENTS FOR cargo run]
#   --browser  also opens pages and reports in Chromium, headless, and puts screenshots into the folder
set -euo pipefail
cd "$(dirname "$0")/.."
screenshots=
if [ "${1:-}" = --browser ]; then screenshots=$2; shift 2; fi
arguments=("$@")
gputrain() { "$program" --backend cpu --quiet "$@"; }
node_run() { node --no-warnings "web/test/$1.mjs" "${@:2}" 2>"$work/stderr" || { cat "$work/stderr" >&2; return 1; }; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

command -v npm >/dev/null || { echo "error: the page's script is built with npm; install Node.js 20.15 or later" >&2; exit 1; }
npm ci --prefix web --ignore-scripts --no-audit --no-fund --silent ||
    { echo "error: npm could not install what web/package.json lists" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

cp -p web/built/page.js "$work/committed.js"
npm run --prefix web --silent check
imports() { (cd web/src && grep -o "from './[a-z_]*'" -- *.ts | sed "s/\.ts:from '\.\// /; s/'$//"); }
imports | tsort >/dev/null || { echo "error: files of web/src import each other in a circle" >&2; exit 1; }
npm run --prefix web --silent build
cmp --silent web/built/page.js "$work/committed.js" ||
    { echo "error: web/built/page.js was not what web/src makes; it is now: commit it" >&2; exit 1; }
# With its old time, so that nothing that holds it is compiled again.
cp -p "$work/committed.js" web/built/page.js

# Dawn asks more of Vulkan than old software drivers of Mesa have; SwiftShader, which comes with Chromium, has it.
dawn_runs() { XDG_RUNTIME_DIR=$work node web/test/device.mjs >"$work/device" 2>&1; }
swiftshader() { ls /usr/lib*/chromium*/vk_swiftshader_icd.json 2>/dev/null | head -n 1 || true; }
export XDG_RUNTIME_DIR=$work
if ! dawn_runs; then
    if [ -z "$(swiftshader)" ] && command -v apt-get >/dev/null; then
        echo "Dawn finds no Vulkan device: installing chromium-common, which brings SwiftShader."
        { as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends chromium-common; } >/dev/null || true
    fi
    VK_ICD_FILENAMES=$(swiftshader)
    export VK_ICD_FILENAMES
    dawn_runs || {
        cat "$work/device" >&2
        echo "error: no Vulkan device that Dawn takes: install Chromium (its SwiftShader will do) or Mesa 24 or later" >&2
        exit 1
    }
fi

program=$(cargo build --quiet "${arguments[@]}" --bin gputrain --message-format json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
node web/test/examples.mjs "$work"
# The default recipe, as it is.
gputrain train digits --out "$work/digits"
gputrain predict "$work/digits" --images "$work/digits.csv" --out "$work/digits-answers.csv"
node_run predict "$work/digits/report.html" "$work/digits.json" "$work/digits-answers.csv"
# The same on few examples: software devices take a second and more for a step.
few=(--set train.epochs=2 --set train.batch=16 --set data.examples=48 --set data.validation=20 --set data.test=20)
gputrain train digits "${few[@]}" --out "$work/few"
gputrain export "$work/few" --to web "$work/few.html" --train
node_run train "$work/few.html" "$work/few/metrics.jsonl" "$work/few/model.safetensors"
# Fused steps, by gradient descent: Adam enlarges what is rounded otherwise where gradients are as small as its epsilon.
gputrain train digits --layers 16:relu,10 --optimizer sgd "${few[@]}" --out "$work/fused"
gputrain export "$work/fused" --to web "$work/fused.html" --train
node_run train "$work/fused.html" "$work/fused/metrics.jsonl" "$work/fused/model.safetensors" fused
# Every kind of layer, with pictures.
gputrain train web/test/layers.toml --out "$work/layers"
gputrain export "$work/layers" --to web "$work/layers.html" --train
gputrain predict "$work/layers" "$work/picture.png" --out "$work/layers-answers.csv"
node_run predict "$work/layers.html" "$work/picture.json" "$work/layers-answers.csv"
node_run train "$work/layers.html" "$work/layers/metrics.jsonl" "$work/layers/model.safetensors"
# A table with categories and gaps: values in their own units.
gputrain train --train "$work/table.csv" --target price --set train.epochs=2 --set data.missing=indicator \
    --out "$work/table" 2>"$work/stderr" || { cat "$work/stderr" >&2; exit 1; }
gputrain export "$work/table" --to web "$work/table.html" --train
gputrain predict "$work/table" "$work/questions.csv" --out "$work/table-answers.csv"
node_run predict "$work/table.html" "$work/questions.json" "$work/table-answers.csv"
node_run train "$work/table.html" "$work/table/metrics.jsonl" "$work/table/model.safetensors"
# The same with categories that are looked up, and words by their numbers, of which there are as many as a picture may have pixels.
gputrain train --train "$work/table.csv" --target price --set train.epochs=2 --set data.missing=mean --out "$work/looked-up" \
    --set 'model.layers=[{ embedding = 3 }, { dense = 8, activation = "relu" }, { dense = 1 }]' 2>"$work/stderr" ||
    { cat "$work/stderr" >&2; exit 1; }
gputrain export "$work/looked-up" --to web "$work/looked-up.html" --train
gputrain predict "$work/looked-up" "$work/questions.csv" --out "$work/looked-up-answers.csv"
node_run predict "$work/looked-up.html" "$work/questions.json" "$work/looked-up-answers.csv"
node_run train "$work/looked-up.html" "$work/looked-up/metrics.jsonl" "$work/looked-up/model.safetensors"
gputrain train --train-images "$work/sentences.csv#0..64" --train-labels "$work/sentences.csv#64" --scale none --epochs 2 \
    --set 'model.layers=[{ embedding = 4, levels = 30 }, { dense = 2 }]' --out "$work/words"
gputrain predict "$work/words" --images "$work/words.csv" --out "$work/words-answers.csv"
node_run predict "$work/words/report.html" "$work/words.json" "$work/words-answers.csv"

if [ -n "$screenshots" ]; then
    mkdir -p "$screenshots"
    gputrain export "$work/digits" --to web "$work/digits.html"
    unset VK_ICD_FILENAMES
    gputrain train digits --set data.examples=1000 --set 'data.targets="inputs"' --set 'model.loss="mse"' --set train.batch=16 \
        --layers 64:relu,16:relu,64:relu,784:sigmoid --out "$work/pictures"
    node web/test/browser.mjs "$screenshots" "$work/digits.html" "$work/digits/report.html" "$work/few.html" "$work/table.html" \
        "$work/table/report.html" "$work/pictures/report.html"
fi
