// The loss over the steps of a training.

import type { Epoch, Progress, Score } from './train';

const [HEIGHT, LEFT, BOTTOM, TOP] = [260, 48, 24, 8];
/// The curve of steps has about so many points.
const POINTS = 400;

/// Steps taken, and the loss there.
type Point = [number, number];

/// The largest of 1, 2 and 5 times a power of ten that is not above a number.
function roundStep(most: number): number {
    const power = 10 ** Math.floor(Math.log10(most));
    return power * (most >= 5 * power ? 5 : most >= 2 * power ? 2 : 1);
}

const tenth = (value: number) => Math.round(value * 10) / 10;

/// As few points as can be seen, each the mean of those it stands for.
export class Curve {
    readonly svg: SVGSVGElement;
    private readonly losses: number[] = [];
    private last: Progress = { step: 0, steps: 1, epochs: [], losses: [], stepsPerSecond: 0 };
    /// In pixels, and the largest loss that is shown.
    private width = 720;
    private most = 1;

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
        const means = this.means();
        // Its own pixels, so that its words are as large on a phone.
        this.width = Math.max(this.svg.clientWidth, 240);
        this.most = Math.max(...means.map(([, loss]) => loss), ...epochs.map(({ validation }) => validation?.loss ?? 0), 1e-9);
        this.svg.setAttribute('viewBox', `0 0 ${this.width} ${HEIGHT}`);
        this.svg.innerHTML = this.axes() + this.path('steps', means) + this.path('train', this.perEpoch(epoch => epoch.train))
            + this.path('validation', this.perEpoch(epoch => epoch.validation));
        const last = means.at(-1)?.[1].toPrecision(3) ?? '';
        this.svg.setAttribute('aria-label', `Loss over ${this.losses.length} of ${steps} steps; the last batches: ${last}`);
    }

    private means(): Point[] {
        const every = Math.max(1, Math.floor(this.losses.length / POINTS));
        const means: Point[] = [];
        for (let at = 0; at + every <= this.losses.length; at += every) {
            const sum = this.losses.slice(at, at + every).reduce((a, b) => a + b, 0);
            means.push([at + every / 2, sum / every]);
        }
        return means;
    }

    /// The losses of a set after each epoch that is over.
    private perEpoch(of: (epoch: Epoch) => Score | null): Point[] {
        const steps = this.last.steps / Math.max(this.epochs, 1);
        return this.last.epochs.flatMap((epoch, at): Point[] => {
            const score = of(epoch);
            return score ? [[(at + 1) * steps, score.loss]] : [];
        });
    }

    private axes(): string {
        const step = roundStep(this.most / 4);
        const lines = Array.from({ length: Math.floor(this.most / step) + 1 }, (_, at) => {
            const y = this.y(at * step);
            return `<line class="grid" x1="${LEFT}" x2="${this.width}" y1="${y}" y2="${y}"/>`
                + `<text x="${LEFT - 6}" y="${y + 4}" text-anchor="end">${Number((at * step).toPrecision(2))}</text>`;
        });
        return `${lines.join('')}<text x="${this.width}" y="${HEIGHT - 6}" text-anchor="end">${this.last.steps} steps</text>`;
    }

    private y(loss: number): number {
        return tenth(TOP + (1 - Math.min(loss / this.most, 1)) * (HEIGHT - BOTTOM - TOP));
    }

    private path(name: string, points: Point[]): string {
        const x = (step: number) => tenth(LEFT + step / this.last.steps * (this.width - LEFT));
        const places = points.map(([step, loss]) => `${x(step)} ${this.y(loss)}`);
        return places.length > 1 ? `<path class="${name}" d="M${places.join('L')}"/>` : '';
    }
}
