// The training loop over an exported plan: what src/train/trainer.rs does, without anything that watches metrics.

import { Machine, type Evaluation, type Plan, type TrainingIo } from './machine';
import { unpackJson, unpackWords, type TrainingData } from './page_data';

export interface Score {
    loss: number;
    /// The share of right answers.
    accuracy: number;
}

export interface Epoch {
    /// From 1.
    epoch: number;
    train: Score;
    validation: Score | null;
}

/// How far training is.
export interface Progress {
    step: number;
    steps: number;
    /// Epochs finished, and their scores.
    epochs: Epoch[];
    /// The mean loss of each batch since the last call.
    losses: number[];
    /// Over the last second or so.
    stepsPerSecond: number;
}

export interface Result {
    epochs: Epoch[];
    test: Score | null;
    stopped: boolean;
}

const floats = (words: Uint32Array) => new Float32Array(words.buffer, words.byteOffset, words.length);

/// Whether a device has the memory for fused steps that need more than every browser offers.
export function canFuse(device: GPUDevice, { fused }: TrainingData): boolean {
    return fused !== null && device.limits.maxComputeWorkgroupStorageSize >= fused.workgroup_bytes;
}

export class Trainer {
    private constructor(
        private readonly machine: Machine, private readonly io: TrainingIo,
        /// Whether a step is two launches.
        readonly isFused: boolean,
    ) {}

    /// Allocates the plan with its examples and initial weights, and compiles its shaders. Steps that every browser has the memory
    /// for are fused anyway; `fuses` says whether those are that need more.
    static async create(device: GPUDevice, data: TrainingData, fuses: boolean): Promise<Trainer> {
        const { json } = fuses && data.fused ? data.fused : data;
        const [plan, words] = await Promise.all([unpackJson<Plan>(json), unpackWords(data.words)]);
        const io = plan.io.training;
        if (!io) throw new Error('the plan trains nothing');
        const machine = await Machine.create(device, plan, words);
        const batch = io.accumulation ? [io.accumulation.batch] : [];
        const evaluations = plan.io.evaluations.flatMap(({ begin, step }) => [begin, step]);
        await machine.prepare(io.begin_epoch, io.step, ...batch, ...evaluations);
        return new Trainer(machine, io, data.is_fused || json !== data.json);
    }

    get epochs(): number {
        return this.io.epochs;
    }

    /// The weights as they are.
    tensors(): Promise<Map<string, Float32Array>> {
        return this.machine.tensors();
    }

    destroy(): void {
        this.machine.destroy();
    }

    /// Trains to the end, or until it is told to stop; tells how far it is after each handful of steps. `epochs` trains fewer.
    async train(report: (progress: Progress) => void | Promise<void>, isStopped: () => boolean, epochs = this.io.epochs): Promise<Result> {
        const { io, machine } = this;
        const slots = machine.io.slots;
        const done: Epoch[] = [];
        let [step, perLaunch, stepsPerSecond] = [0, 1, 0];
        for (let epoch = 0; epoch < epochs; epoch++) {
            const rates = io.learning_rates?.find(found => found.epoch === epoch);
            if (rates) machine.write(machine.io.hyper, Uint32Array.from(rates.bits), slots.hyper.learning_rate);
            machine.run(io.begin_epoch);
            let inEpoch = 0;
            while (inEpoch < io.steps_per_epoch) {
                if (isStopped()) return { epochs: done, test: null, stopped: true };
                const count = Math.min(perLaunch, io.steps_per_epoch - inEpoch, io.log_steps);
                const begun = performance.now();
                this.steps(inEpoch, count);
                const losses = await this.losses(count);
                const seconds = (performance.now() - begun) / 1000;
                [step, inEpoch] = [step + count, inEpoch + count];
                const now = count / seconds;
                stepsPerSecond = stepsPerSecond === 0 ? now : stepsPerSecond + (now - stepsPerSecond) * Math.min(1, seconds);
                // As many steps as take about a twentieth of a second: the page stays lively.
                perLaunch = seconds < 0.04 ? perLaunch * 2 : seconds > 0.12 ? Math.max(1, perLaunch >> 1) : perLaunch;
                await report({ step, steps: epochs * io.steps_per_epoch, epochs: done, losses, stepsPerSecond });
            }
            const train = await this.score(io.counters, io.scalars);
            done.push({ epoch: epoch + 1, train, validation: await this.evaluate('validation') });
            await report({ step, steps: epochs * io.steps_per_epoch, epochs: done, losses: [], stepsPerSecond });
        }
        return { epochs: done, test: await this.evaluate('test'), stopped: false };
    }

    /// Loss and accuracy over a held-out set with the weights as they are; null where there is none.
    async evaluate(set: string): Promise<Score | null> {
        const evaluation: Evaluation | undefined = this.machine.io.evaluations.find(({ name }) => name === set);
        if (!evaluation) return null;
        this.machine.run(evaluation.begin);
        this.machine.run(evaluation.step, evaluation.steps);
        return this.score(evaluation.counters, evaluation.scalars);
    }

    /// Hands steps of an epoch that has taken `first` to the device.
    private steps(first: number, count: number): void {
        const { accumulation, step } = this.io;
        if (!accumulation) return this.machine.run(step, count);
        for (let at = first; at < first + count; at++) {
            const end = Math.min((at + 1) * accumulation.batches, accumulation.batches_per_epoch);
            const before = end - at * accumulation.batches - 1;
            if (before > 0) this.machine.run(accumulation.batch, before);
            this.machine.run(step);
        }
    }

    /// The losses of the last steps.
    private async losses(count: number): Promise<number[]> {
        const [log, counters] = await this.machine.read(this.machine.whole(this.io.log), this.machine.whole(this.io.counters));
        const notFinite = counters[this.machine.io.slots.counters.not_finite];
        if (notFinite > 0) throw new Error(`the loss was not finite at step ${notFinite}: lower optimizer.learning_rate and export the page anew`);
        const losses = floats(log);
        const first = counters[this.machine.io.slots.counters.step] - count;
        return Array.from({ length: count }, (_, at) => losses[((first + at) % this.io.log_steps) * 2]);
    }

    private async score(counters: number, scalars: number): Promise<Score> {
        const slots = this.machine.io.slots;
        const [counts, sums] = await this.machine.read(this.machine.whole(counters), this.machine.whole(scalars));
        const seen = Math.max(counts[slots.counters.seen], 1);
        const of = (slot: string) => floats(sums)[slots.scalars[slot]] / seen;
        return { loss: of('loss_sum'), accuracy: of('correct_sum') };
    }
}
