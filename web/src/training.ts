// The panel that trains the recipe again: a curve, how fast, and a button that stops.

import { byId, element } from './element';
import type { TrainingData } from './page_data';
import type { Predictor } from './predict';
import { Trainer, type Epoch, type Progress, type Score } from './train';

const [HEIGHT, LEFT, BOTTOM] = [260, 48, 24];
/// The curve of steps has about so many points.
const POINTS = 400;

/// The loss over the steps: as few points as can be seen, each the mean of those it stands for.
class Curve {
    readonly svg: SVGSVGElement;
    private losses: number[] = [];
    private last: Progress = { step: 0, steps: 1, epochs: [], losses: [], stepsPerSecond: 0 };
    private width = 720;

    constructor(private readonly epochs: number) {
        this.svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
        this.svg.setAttribute('role', 'img');
        this.svg.id = 'curve';
        new ResizeObserver(() => this.draw()).observe(this.svg);
    }

    add(progress: Progress): void {
        for (const loss of progress.losses) this.losses.push(loss);
        this.last = progress;
        this.draw();
    }

    private draw(): void {
        const { epochs, steps } = this.last;
        // Its own pixels, so that its words are as large on a phone.
        this.width = Math.max(this.svg.clientWidth, 240);
        this.svg.setAttribute('viewBox', `0 0 ${this.width} ${HEIGHT}`);
        const every = Math.max(1, Math.floor(this.losses.length / POINTS));
        const means: [number, number][] = [];
        for (let at = 0; at + every <= this.losses.length; at += every) {
            const part = this.losses.slice(at, at + every);
            means.push([at + every / 2, part.reduce((a, b) => a + b, 0) / every]);
        }
        const most = Math.max(...means.map(([, loss]) => loss), ...epochs.map(({ validation }) => validation?.loss ?? 0), 1e-9);
        const perEpoch = (at: number) => (at + 1) * steps / Math.max(this.epochs, 1);
        const of = (score: (epoch: Epoch) => Score | null) =>
            epochs.flatMap((epoch, at): [number, number][] => { const found = score(epoch); return found ? [[perEpoch(at), found.loss]] : []; });
        const lines = [0, 0.25, 0.5, 0.75, 1].map(share => {
            const y = this.y(share * most, most);
            return `<line class="grid" x1="${LEFT}" x2="${this.width}" y1="${y}" y2="${y}"/><text x="${LEFT - 6}" y="${y + 4}" text-anchor="end">${(share * most).toPrecision(2)}</text>`;
        });
        this.svg.innerHTML = `${lines.join('')}<text x="${this.width}" y="${HEIGHT - 6}" text-anchor="end">${steps} steps</text>`
            + this.path('steps', means, most) + this.path('train', of(epoch => epoch.train), most)
            + this.path('validation', of(epoch => epoch.validation), most);
        this.svg.setAttribute('aria-label', `Loss over ${this.losses.length} of ${steps} steps; the last batches: ${means.at(-1)?.[1].toPrecision(3) ?? ''}`);
    }

    private y(loss: number, most: number): number {
        return Math.round((8 + (1 - loss / most) * (HEIGHT - BOTTOM - 8)) * 10) / 10;
    }

    private path(name: string, points: [number, number][], most: number): string {
        const x = (step: number) => Math.round((LEFT + step / this.last.steps * (this.width - LEFT)) * 10) / 10;
        const places = points.map(([step, loss]) => `${x(step)} ${this.y(Math.min(loss, most), most)}`);
        return places.length > 1 ? `<path class="${name}" d="M${places.join('L')}"/>` : '';
    }
}

/// Fills the panel. `changed` is called after the predictor took other weights.
export function trainingPanel(data: TrainingData, device: GPUDevice | null, predictor: Predictor, changed: () => void): void {
    const section = byId('training');
    section.hidden = false;
    const said = element('p', { id: 'said', role: 'status' });
    const start = element('button', { type: 'button', class: 'main', id: 'train' }, 'Train from the beginning');
    const stop = element('button', { type: 'button', id: 'stop', disabled: true }, 'Stop');
    const back = element('button', { type: 'button', id: 'back', disabled: true }, 'Exported weights again');
    const bar = element('progress', { max: 1, value: 0, 'aria-label': 'Progress of the training', hidden: true });
    const figure = element('div');
    const table = element('tbody');
    const names = ['epoch', 'train loss', 'validation loss', ...(data.accuracy ? [`train ${data.accuracy}`, `validation ${data.accuracy}`] : [])];
    const heads = element('tr', {}, ...names.map(name => element('th', { scope: 'col' }, name)));
    const details = element('details', { hidden: true }, element('summary', {}, 'Every epoch'),
        element('div', { class: 'wide' }, element('table', {}, element('thead', {}, heads), table)));
    section.append(element('p', { class: 'hint' }, `The page holds the ${data.examples} training examples and the recipe's plan: it trains here, on your device, `
        + 'from the recipe\'s initial weights, and the answers above are those of the weights as they come to be.'));
    for (const note of data.notes) section.append(element('p', { class: 'hint' }, note));
    section.append(element('div', { class: 'row' }, start, stop, back), said, bar, figure, details);
    if (!device) {
        start.disabled = true;
        said.textContent = 'Training needs WebGPU, which this browser does not offer here.';
        return;
    }
    let isStopped = false;
    const take = (tensors: Map<string, Float32Array>) => {
        predictor.setTensors(tensors);
        changed();
    };
    const number = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(4));
    const share = (score: Score | null) => (score ? `${(score.accuracy * 100).toFixed(2)} %` : '–');
    stop.addEventListener('click', () => { isStopped = true; });
    back.addEventListener('click', () => {
        take(predictor.exported);
        said.textContent = 'The answers are those of the exported weights again.';
        back.disabled = true;
    });
    const train = async () => {
        said.textContent = 'Compiling the shaders…';
        [bar.hidden, details.hidden] = [false, false];
        const trainer = await Trainer.create(device, data);
        try {
            const curve = new Curve(trainer.epochs);
            figure.replaceChildren(curve.svg, element('p', { class: 'key' }, ...[['train', 'training, each batch and each epoch'], ['best', 'validation']].map(([colour, words]) =>
                element('span', {}, element('i', { style: `background:var(--${colour})` }), words))));
            table.replaceChildren();
            let [shown, drawn] = [0, 0];
            const report = async (progress: Progress) => {
                curve.add(progress);
                bar.value = progress.step / progress.steps;
                for (const { epoch, train: score, validation } of progress.epochs.slice(shown)) {
                    const cells = [String(epoch), number(score.loss), number(validation?.loss), ...(data.accuracy ? [share(score), share(validation)] : [])];
                    table.append(element('tr', {}, ...cells.map(cell => element('td', {}, cell))));
                }
                const last = progress.epochs.at(-1);
                const isNew = progress.epochs.length > shown;
                shown = progress.epochs.length;
                said.textContent = `Step ${progress.step} of ${progress.steps}, ${progress.stepsPerSecond.toPrecision(3)} steps/s`
                    + (last ? `; epoch ${last.epoch}: loss ${number(last.train.loss)}${last.validation ? `, validation ${number(last.validation.loss)}${data.accuracy ? ` (${share(last.validation)})` : ''}` : ''}` : '');
                const now = performance.now();
                if (isNew || now - drawn > 500) {
                    drawn = now;
                    take(await trainer.tensors());
                }
                await new Promise(resolve => setTimeout(resolve));
            };
            const begun = performance.now();
            const result = await trainer.train(report, () => isStopped);
            take(await trainer.tensors());
            const seconds = ((performance.now() - begun) / 1000).toFixed(1);
            const test = result.test ? ` Test: loss ${number(result.test.loss)}${data.accuracy ? `, ${share(result.test)}` : ''}.` : '';
            said.textContent = result.stopped ? `Stopped after ${seconds} s; the answers are those of the weights so far.`
                : `Trained in ${seconds} s.${test} The answers are those of these weights.`;
            back.disabled = false;
        } finally {
            trainer.destroy();
        }
    };
    start.addEventListener('click', async () => {
        isStopped = false;
        said.classList.remove('error');
        [start.disabled, stop.disabled, back.disabled] = [true, false, true];
        try {
            await train();
        } catch (error) {
            said.classList.add('error');
            said.textContent = `Training failed: ${error instanceof Error ? error.message : error}`;
        }
        [start.disabled, stop.disabled] = [false, true];
    });
}
