// Answers of a page, by the plan and in plain JavaScript, beside those of `gputrain predict`.
// usage: node predict.mjs PAGE EXAMPLES ANSWERS
//   EXAMPLES: JSON lists of raw values, an example each (or of a table's cells); or a picture: {"rgba": base64, "width": …, "height": …}
//   ANSWERS: the .csv that `predict --out` wrote; its last columns are the outputs
import { readFileSync } from 'node:fs';
import { load, open } from './page.mjs';

const [page, examplesFile, answersFile] = process.argv.slice(2);
const data = load(page);
const { encodeRow, fitted, inJavaScript, onDevice, opaque, valuesOf } = globalThis.gputrain;
const examples = JSON.parse(readFileSync(examplesFile, 'utf8'));
const answers = readFileSync(answersFile, 'utf8').trim().split('\n').slice(1).map(line => line.split(','));
if (examples.length !== answers.length || examples.length === 0) throw new Error(`${examples.length} examples, ${answers.length} answers`);

/// Raw values of an example.
function values(example) {
    if (!Array.isArray(example)) {
        const rgba = new Uint8Array(Buffer.from(example.rgba, 'base64'));
        return valuesOf(fitted(opaque(rgba, example.width, example.height, data.input.channels === 1), data.input), data.input);
    }
    return data.input.kind === 'row' ? encodeRow(data.input.columns, example.map(String)) : Float32Array.from(example);
}

// What the model cannot look up is refused, as `predict` refuses it.
for (const [at, { name, whole }] of (data.input.columns ?? []).entries()) {
    for (const odd of whole ? [whole.start - 1, whole.end, whole.start + 0.5] : []) {
        let problem = '';
        try {
            encodeRow(data.input.columns, examples[0].map((cell, place) => String(place === at ? odd : cell)));
        } catch (error) {
            problem = error.message;
        }
        if (!problem.startsWith(`${name}: ${odd} is none of the levels`)) throw new Error(`${name} takes ${odd} (${problem})`);
    }
}

const { device, name } = await open();
const predictors = { [name]: await onDevice(device, data), JavaScript: await inJavaScript(data) };
let failed = false;
for (const [kind, predictor] of Object.entries(predictors)) {
    let worst = 0;
    for (const [at, example] of examples.entries()) {
        const outputs = await predictor.predict(values(example));
        const expected = answers[at].slice(-outputs.length).map(Number);
        outputs.forEach((output, place) => {
            const error = Math.abs(output - expected[place]) / Math.max(1, Math.abs(expected[place]));
            if (!(error <= worst)) worst = error;
        });
    }
    failed ||= !(worst <= 1e-4);
    console.log(`${data.name}: ${examples.length} answers on ${kind}, worst difference from the CPU backend's ${worst.toExponential(1)}`);
}
device.destroy();
if (failed) console.error('error: a page answers otherwise than gputrain predict');
process.exit(failed ? 1 : 0);
