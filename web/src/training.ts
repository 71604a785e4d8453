// The panel that trains the recipe again: a curve, how fast, and a button that stops.

import { Curve } from './curve';
import type { Opened } from './device';
import { byId, element, wordsOf } from './element';
import type { TrainingData } from './page_data';
import type { Predictor } from './predict';
import { Trainer, canFuse, type Progress, type Result, type Score } from './train';

const number = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(4));
const share = (score: Score | null) => (score ? `${(score.accuracy * 100).toFixed(2)} %` : '–');
/// Milliseconds between two looks at the weights within an epoch.
const LOOKS = 500;

/// Fills the panel. `changed` is called after the predictor took other weights.
export function trainingPanel(data: TrainingData, opened: Opened | null, predictor: Predictor, changed: () => void): void {
    byId('training').hidden = false;
    const panel = new TrainingPanel(data, predictor, changed);
    if (opened) panel.offer(opened);
    else panel.refuse('Training needs WebGPU, which this browser does not offer here.');
}

class TrainingPanel {
    private readonly said = element('p', { id: 'said', role: 'status' });
    private readonly start = element('button', { type: 'button', class: 'main', id: 'train' }, 'Train from the beginning');
    private readonly stop = element('button', { type: 'button', id: 'stop', disabled: true }, 'Stop');
    private readonly back = element('button', { type: 'button', id: 'back', disabled: true }, 'Exported weights again');
    private readonly fuses = element('input', { type: 'checkbox', id: 'fused' });
    private readonly bar = element('progress', { max: 1, value: 0, 'aria-label': 'Progress of the training', hidden: true });
    private readonly figure = element('div');
    private readonly table = element('tbody');
    private readonly details: HTMLElement;
    private isStopped = false;
    /// Epochs in the table, and when the weights were last looked at.
    private shown = 0;
    private looked = 0;

    constructor(private readonly data: TrainingData, private readonly predictor: Predictor, private readonly changed: () => void) {
        const { accuracy, examples, notes } = data;
        const names = ['epoch', 'train loss', 'validation loss', ...(accuracy ? [`train ${accuracy}`, `validation ${accuracy}`] : [])];
        const heads = element('tr', {}, ...names.map(name => element('th', { scope: 'col' }, name)));
        this.details = element('details', { hidden: true }, element('summary', {}, 'Every epoch'),
            element('div', { class: 'wide' }, element('table', {}, element('thead', {}, heads), this.table)));
        const what = `The page holds the ${examples} training examples and the recipe's plan: it trains here, on your device, `
            + 'from the recipe\'s initial weights, and the answers above are those of the weights as they come to be.';
        byId('training').append(...[what, ...notes].map(words => element('p', { class: 'hint' }, words)),
            element('div', { class: 'row' }, this.start, this.stop, this.back), this.said, this.bar, this.figure, this.details);
    }

    refuse(why: string): void {
        this.start.disabled = true;
        this.said.textContent = why;
    }

    offer({ device, isSoftware }: Opened): void {
        if (canFuse(device, this.data)) {
            // Fusing saves launches, which cost software nothing.
            this.fuses.checked = !isSoftware;
            this.back.after(element('label', {}, this.fuses, ' Fused steps: two launches each, the same to rounding'));
        }
        this.stop.addEventListener('click', () => { this.isStopped = true; });
        this.back.addEventListener('click', () => {
            this.take(this.predictor.exported);
            this.said.textContent = 'The answers are those of the exported weights again.';
            this.back.disabled = true;
        });
        this.start.addEventListener('click', () => void this.begin(device));
    }

    private async begin(device: GPUDevice): Promise<void> {
        this.isStopped = false;
        this.said.classList.remove('error');
        [this.start.disabled, this.stop.disabled, this.back.disabled, this.fuses.disabled] = [true, false, true, true];
        try {
            await this.train(device);
        } catch (error) {
            this.said.classList.add('error');
            this.said.textContent = `Training failed: ${wordsOf(error)}`;
        }
        [this.start.disabled, this.stop.disabled, this.fuses.disabled] = [false, true, false];
    }

    private async train(device: GPUDevice): Promise<void> {
        this.said.textContent = 'Compiling the shaders…';
        [this.bar.hidden, this.details.hidden] = [false, false];
        const trainer = await Trainer.create(device, this.data, this.fuses.checked);
        try {
            const curve = this.fresh(trainer);
            const begun = performance.now();
            const result = await trainer.train(progress => this.report(progress, curve, trainer), () => this.isStopped);
            this.take(await trainer.tensors());
            this.conclude(result, (performance.now() - begun) / 1000);
        } finally {
            trainer.destroy();
        }
    }

    /// An empty curve and table.
    private fresh(trainer: Trainer): Curve {
        const curve = new Curve(trainer.epochs);
        const lines = [['train', 'training, each batch and each epoch'], ['link', 'validation']];
        const key = lines.map(([colour, words]) => element('span', {}, element('i', { style: `background:var(--${colour})` }), words));
        const kind = trainer.isFused ? 'Steps are fused: two launches each.' : 'Steps are plain: a launch for each operation.';
        this.figure.replaceChildren(curve.svg, element('p', { class: 'key' }, ...key), element('p', { id: 'steps', class: 'hint' }, kind));
        this.table.replaceChildren();
        [this.shown, this.looked] = [0, 0];
        return curve;
    }

    private async report(progress: Progress, curve: Curve, trainer: Trainer): Promise<void> {
        curve.add(progress);
        this.bar.value = progress.step / progress.steps;
        const isNew = progress.epochs.length > this.shown;
        this.list(progress);
        this.said.textContent = this.words(progress);
        const now = performance.now();
        if (isNew || now - this.looked > LOOKS) {
            this.looked = now;
            this.take(await trainer.tensors());
        }
        await new Promise(resolve => setTimeout(resolve));
    }

    /// The epochs that are not in the table yet.
    private list({ epochs }: Progress): void {
        for (const { epoch, train, validation } of epochs.slice(this.shown)) {
            const cells = [String(epoch), number(train.loss), number(validation?.loss), ...(this.data.accuracy ? [share(train), share(validation)] : [])];
            this.table.append(element('tr', {}, ...cells.map(cell => element('td', {}, cell))));
        }
        this.shown = epochs.length;
    }

    private words({ step, steps, stepsPerSecond, epochs }: Progress): string {
        const last = epochs.at(-1);
        const words = `Step ${step} of ${steps}, ${stepsPerSecond.toPrecision(3)} steps/s`;
        return last ? `${words}; epoch ${last.epoch}: loss ${number(last.train.loss)}${this.scored(', validation', last.validation)}` : words;
    }

    /// A set's loss and accuracy; nothing where there is no such set.
    private scored(set: string, score: Score | null): string {
        if (!score) return '';
        return `${set} loss ${number(score.loss)}${this.data.accuracy ? ` (${share(score)})` : ''}`;
    }

    private conclude({ test, stopped }: Result, seconds: number): void {
        const took = `${seconds.toFixed(1)} s`;
        this.said.textContent = stopped ? `Stopped after ${took}; the answers are those of the weights so far.`
            : `Trained in ${took}.${this.scored(' Test', test)}${test ? '.' : ''} The answers are those of these weights.`;
        this.back.disabled = false;
    }

    private take(tensors: Map<string, Float32Array>): void {
        this.predictor.setTensors(tensors);
        this.changed();
    }
}
