// Trains a page's recipe and holds it beside a run of the CPU backend. usage: node train.mjs PAGE METRICS WEIGHTS
//   METRICS: the run's metrics.jsonl; WEIGHTS: its model.safetensors
import { readFileSync } from 'node:fs';
import { load, open } from './page.mjs';

const [page, metricsFile, weightsFile] = process.argv.slice(2);
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

const { device, name } = await open();
const trainer = await globalThis.gputrain.Trainer.create(device, data.training);
let last = null;
const steps = [];
const begun = performance.now();
const result = await trainer.train(progress => { last = progress; steps.push(...progress.losses); }, () => false);
const seconds = (performance.now() - begun) / 1000;
const found = await trainer.tensors();

const differences = { losses: 0, accuracies: 0, weights: 0 };
const worse = (what, error) => { if (!(error <= differences[what])) differences[what] = error; };
if (result.epochs.length !== epochs.length) throw new Error(`${result.epochs.length} epochs, not ${epochs.length}`);
epochs.forEach((expected, at) => {
    const { train, validation } = result.epochs[at];
    worse('losses', Math.abs(train.loss - expected.train_loss));
    worse('accuracies', Math.abs(train.accuracy - (expected.train_accuracy ?? train.accuracy)));
    if (expected.validation_loss === null) return;
    worse('losses', Math.abs(validation.loss - expected.validation_loss));
    worse('accuracies', Math.abs(validation.accuracy - (expected.validation_accuracy ?? validation.accuracy)));
});
const expected = tensors(weightsFile);
if (expected.length !== found.size) throw new Error(`${found.size} tensors, not ${expected.length}`);
for (const [tensor, values] of expected) {
    const ours = found.get(tensor);
    if (ours?.length !== values.length) throw new Error(`${tensor} is another`);
    values.forEach((value, at) => worse('weights', Math.abs(value - ours[at])));
}
if (steps.length !== last.steps || !steps.every(Number.isFinite)) throw new Error(`the curve has ${steps.length} of ${last.steps} steps`);
console.log(`${data.name}: ${last.steps} steps on ${name} in ${seconds.toFixed(1)} s; differences from the CPU backend: ` +
    Object.entries(differences).map(([what, error]) => `${what} ${error.toExponential(1)}`).join(', '));

// A second run that is told to stop.
let told = 0;
const stopped = await trainer.train(() => { told++; }, () => told > 1);
if (!stopped.stopped || stopped.test !== null) throw new Error('a run that was told to stop went on');
device.destroy();
const fails = differences.losses > 1e-5 || differences.weights > 1e-4 || !(differences.accuracies <= 1e-3);
if (fails) console.error('error: the page trains otherwise than the CPU backend');
process.exit(fails ? 1 : 0);
