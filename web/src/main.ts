// A page, or the panel of a report: opens a device, asks, answers. Everything that computes is also to be had without a
// document, for tests.

import { answerPanel, type Show } from './answer';
import { openDevice, type Opened } from './device';
import { byId, wordsOf } from './element';
import type { PageData } from './page_data';
import { fitted, opaque, placed, valuesOf } from './picture';
import { encodeRow, inJavaScript, onDevice, type Predictor } from './predict';
import { questionPanel } from './question';
import { Trainer } from './train';
import { trainingPanel } from './training';

/// Predicts by the plan where there is a device that takes it, else in plain JavaScript; and says which.
async function predictor(data: PageData): Promise<{ predictor: Predictor; opened: Opened | null; words: string }> {
    const opened = await openDevice(navigator.gpu, data.training?.fused?.workgroup_bytes);
    let why = opened;
    if (typeof opened !== 'string') {
        try {
            const words = `Computes on ${opened.name} through WebGPU, by the model's own shaders.`;
            return { predictor: await onDevice(opened.device, data), opened, words };
        } catch (error) {
            why = `its WebGPU refuses the model's shaders (${wordsOf(error)})`;
        }
    }
    return { predictor: await inJavaScript(data), opened: null, words: `This browser computes in plain JavaScript: ${why}.` };
}

/// Questions and their answers. While one answer is computed, only the last question waits.
class Conversation {
    private asked: Float32Array | null = null;
    private isBusy = false;
    private isWaiting = false;

    constructor(private readonly model: Predictor, private readonly show: Show) {}

    ask(values: Float32Array | null, problem?: string): void {
        this.asked = values;
        if (values) void this.answer();
        else this.show(null, problem);
    }

    /// Answers the last question once more.
    async answer(): Promise<void> {
        this.isWaiting = true;
        if (this.isBusy) return;
        this.isBusy = true;
        while (this.isWaiting && this.asked) {
            this.isWaiting = false;
            await this.model.predict(this.asked).then(outputs => this.tell(outputs), error => this.tell(null, wordsOf(error)));
        }
        this.isBusy = false;
    }

    /// What was taken back meanwhile needs no answer.
    private tell(outputs: Float32Array | null, problem?: string): void {
        if (this.asked) this.show(outputs, problem);
    }
}

async function start(): Promise<void> {
    byId('device').textContent = 'Loading the model…';
    const data = JSON.parse(byId('data').textContent!) as PageData;
    const { predictor: model, opened, words } = await predictor(data);
    byId('device').textContent = words;
    const conversation = new Conversation(model, answerPanel(data.answer, data.input.kind === 'picture' ? data.input : null));
    questionPanel(data.input, (values, problem) => conversation.ask(values, problem));
    if (data.training) trainingPanel(data.training, opened, model, () => void conversation.answer());
    document.documentElement.dataset.ready = opened ? 'webgpu' : 'javascript';
}

/// Starts once the panel comes into view: a report that is not read so far wakes no GPU.
function startInView(): void {
    const observer = new IntersectionObserver(entries => {
        if (!entries.some(entry => entry.isIntersecting)) return;
        observer.disconnect();
        start().catch(error => {
            byId('device').textContent = `The model could not start: ${wordsOf(error)}`;
            byId('device').className = 'error';
        });
    }, { rootMargin: '200px' });
    observer.observe(byId('device'));
}

/// For tests, in Node or in a page.
Object.assign(globalThis, { gputrain: { Trainer, encodeRow, fitted, inJavaScript, onDevice, opaque, openDevice, placed, valuesOf } });

if (typeof document !== 'undefined') startInView();
