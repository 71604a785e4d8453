// Trains a page's recipe and holds it beside a run of the CPU backend. usage: node train.mjs PAGE METRICS WEIGHTS [KIND]
//   METRICS: the run's metrics.jsonl; WEIGHTS: its model.safetensors; KIND: fused, where the page has a plan for that
import { readFileSync } from 'node:fs';
import { load, open } from './page.mjs';

const [page, metricsFile, weightsFile, kind] = process.argv.slice(2);
const data = load(page);
const epochs = readFileSync(metricsFile, 'utf8').trim().split('\n').map(line => JSON.parse(line));

/// The tensors of a safetensors file.
function tensors(file) {
    const bytes = readFileSync(file);
    const length = Number(bytes.readBigUInt64LE(0));
    const head = JSON.parse(bytes.subarray(8, 8 + length).toString('utf8'));
    delete head.__metadata__;
    return Object.entries(head).map(([name, { data_offsets: [from, to] }]) =>
        [name, new Float32Array(Uint8Array.from(bytes.subarray(8 + length + from, 8 + length + to)).buffer)]);
}

/// How far scores and weights are from those of the CPU backend.
function differences(result, found) {
    const worst = { losses: 0, accuracies: 0, weights: 0 };
    const worse = (what, error) => { if (!(error <= worst[what])) worst[what] = error; };
    if (result.epochs.length !== epochs.length) throw new Error(`${result.epochs.length} epochs, not ${epochs.length}`);
    epochs.forEach((expected, at) => {
        for (const set of ['train', 'validation']) {
            if (expected[`${set}_loss`] === null) continue;
            const score = result.epochs[at][set];
            worse('losses', Math.abs(score.loss - expected[`${set}_loss`]));
            worse('accuracies', Math.abs(score.accuracy - (expected[`${set}_accuracy`] ?? score.accuracy)));
        }
    });
    const expected = tensors(weightsFile);
    if (expected.length !== found.size) throw new Error(`${found.size} tensors, not ${expected.length}`);
    for (const [tensor, values] of expected) {
        const ours = found.get(tensor);
        if (ours?.length !== values.length) throw new Error(`${tensor} is another`);
        values.forEach((value, at) => worse('weights', Math.abs(value - ours[at])));
    }
    return worst;
}

const { fused } = data.training;
const fuses = kind === 'fused';
if (fuses && !fused) throw new Error('the page has no fused plan');
const { device, name } = await open(fuses ? fused.workgroup_bytes : undefined);
const begun = performance.now();
const trainer = await globalThis.gputrain.Trainer.create(device, data.training, fuses);
if (trainer.isFused !== (fuses || data.training.is_fused)) throw new Error(`the steps are ${trainer.isFused ? '' : 'not '}fused`);
const ready = performance.now();
let last = null;
const steps = [];
const result = await trainer.train(progress => { last = progress; steps.push(...progress.losses); }, () => false);
const [compiled, trained] = [ready - begun, performance.now() - ready].map(time => (time / 1000).toFixed(1));
const worst = differences(result, await trainer.tensors());
if (steps.length !== last.steps || !steps.every(Number.isFinite)) throw new Error(`the curve has ${steps.length} of ${last.steps} steps`);
console.log(`${data.name}: ${last.steps} ${trainer.isFused ? 'fused' : 'plain'} steps on ${name} in ${trained} s, compiled in ${compiled} s; `
    + `differences from the CPU backend: ${Object.entries(worst).map(([what, error]) => `${what} ${error.toExponential(1)}`).join(', ')}`);

// A second run that is told to stop.
let told = 0;
const stopped = await trainer.train(() => { told++; }, () => told > 0);
if (!stopped.stopped || stopped.test !== null || told !== 1) throw new Error('a run that was told to stop went on');
device.destroy();
const isAlike = worst.losses <= 1e-5 && worst.weights <= 1e-4 && worst.accuracies <= 1e-3;
if (!isAlike) console.error('error: the page trains otherwise than the CPU backend');
process.exit(isAlike ? 0 : 1);
