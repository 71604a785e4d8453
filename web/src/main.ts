// The page: opens a device, asks, answers. Everything that computes is also to be had without a document, for tests.

import { answerPanel } from './answer';
import { byId, element } from './element';
import type { PageData } from './page_data';
import { fitted, opaque, placed, valuesOf } from './picture';
import { encodeRow, inJavaScript, onDevice, type Predictor } from './predict';
import { askForPicture, askForRow } from './question';
import { Trainer } from './train';
import { trainingPanel } from './training';

/// A device with WebGPU's default limits, or why there is none.
export async function openDevice(gpu: GPU | undefined): Promise<{ device: GPUDevice; name: string } | string> {
    if (!gpu) return 'it offers no WebGPU';
    try {
        const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
        if (!adapter) return 'its WebGPU finds no GPU';
        const device = await adapter.requestDevice();
        const { description, vendor, architecture } = adapter.info;
        return { device, name: description || [vendor, architecture].filter(word => word).join(' ') || 'the GPU' };
    } catch (error) {
        return `its WebGPU opens no device (${error instanceof Error ? error.message : error})`;
    }
}

/// Predicts by the plan where there is a device that takes it, else in plain JavaScript; and says which.
async function predictor(data: PageData): Promise<{ predictor: Predictor; device: GPUDevice | null; words: string }> {
    const opened = await openDevice(navigator.gpu);
    let why = opened;
    if (typeof opened !== 'string') {
        try {
            const { device, name } = opened;
            return { predictor: await onDevice(device, data), device, words: `Computes on ${name} through WebGPU, by the model's own shaders.` };
        } catch (error) {
            why = `its WebGPU refuses the model's shaders (${error instanceof Error ? error.message : error})`;
        }
    }
    return { predictor: await inJavaScript(data), device: null, words: `This browser computes in plain JavaScript: ${why}.` };
}

async function start(): Promise<void> {
    const data = JSON.parse(byId('data').textContent!) as PageData;
    const { predictor: model, device, words } = await predictor(data);
    byId('device').textContent = words;
    const show = answerPanel(data.answer);
    let asked: Float32Array | null = null;
    // While one answer is computed, only the last question waits.
    let [isBusy, isWaiting] = [false, false];
    const answer = async () => {
        if (!asked) return;
        if (isBusy) {
            isWaiting = true;
            return;
        }
        isBusy = true;
        do {
            isWaiting = false;
            try {
                show(await model.predict(asked));
            } catch (error) {
                show(null, error instanceof Error ? error.message : String(error));
            }
        } while (isWaiting && asked);
        isBusy = false;
    };
    const ask = (values: Float32Array | null, problem?: string) => {
        asked = values;
        if (values) void answer();
        else show(null, problem);
    };
    if (data.input.kind === 'picture') askForPicture(data.input, ask);
    else askForRow(data.input.columns, ask);
    if (data.training) trainingPanel(data.training, device, model, () => void answer());
    byId('about').append(element('p', {}, `Made by gputrain ${data.gputrain}. All of it is in this file: nothing is sent or fetched.`));
    document.documentElement.dataset.ready = device ? 'webgpu' : 'javascript';
}

/// For tests, in Node or in a page.
Object.assign(globalThis, { gputrain: { Trainer, encodeRow, fitted, inJavaScript, onDevice, opaque, openDevice, placed, valuesOf } });

if (typeof document !== 'undefined') {
    start().catch(error => {
        byId('device').textContent = `The page could not start: ${error instanceof Error ? error.message : error}`;
        byId('device').className = 'error';
    });
}
