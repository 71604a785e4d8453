// What the model answers: on the GPU by the plan, or in plain JavaScript.

import { Machine, initial, tensorsOf, type Plan } from './machine';
import { evaluate, sigmoid, softmax, type Network } from './network';
import { unpackJson, unpackWords, type Answer, type Column, type PageData } from './page_data';

/// Answers for one example of raw values, as the data files hold them.
export interface Predictor {
    /// Probabilities, or values in the units of the data.
    predict(values: Float32Array): Promise<Float32Array>;
    /// Takes other weights.
    setTensors(tensors: Map<string, Float32Array>): void;
    /// The weights that the page was exported with.
    readonly exported: Map<string, Float32Array>;
}

/// What is reported of the network's outputs.
export function reported(answer: Answer, outputs: Float32Array): Float32Array {
    const { activation, units } = answer;
    if (activation === 'softmax') return softmax(outputs);
    if (activation === 'sigmoid') return outputs.map(sigmoid);
    return units ? outputs.map((y, at) => y * units[at % units.length].deviation + units[at % units.length].mean) : outputs;
}

async function planOf(data: PageData): Promise<[Plan, Uint32Array, Map<string, Float32Array>]> {
    const [plan, words] = await Promise.all([unpackJson<Plan>(data.predict.json), unpackWords(data.predict.words)]);
    const written = new Map(initial(plan, words));
    return [plan, words, tensorsOf(plan.io, buffer => written.get(buffer)!.slice())];
}

/// Answers by the plan.
export async function onDevice(device: GPUDevice, data: PageData): Promise<Predictor> {
    const [plan, words, exported] = await planOf(data);
    const machine = await Machine.create(device, plan, words);
    const [evaluation] = plan.io.evaluations;
    await machine.prepare(evaluation.begin, evaluation.step);
    return {
        exported,
        setTensors: tensors => machine.setTensors(tensors),
        async predict(values) {
            machine.write(plan.io.sources[0].data, values);
            machine.run(evaluation.begin);
            machine.run(evaluation.step);
            const [outputs] = await machine.read(evaluation.outputs);
            return reported(data.answer, new Float32Array(outputs.buffer));
        },
    };
}

/// Answers by the network's operations, without a GPU.
export async function inJavaScript(data: PageData): Promise<Predictor> {
    const [[, , exported], network] = await Promise.all([planOf(data), unpackJson<Network>(data.network)]);
    let tensors = exported;
    return {
        exported,
        setTensors: other => { tensors = other; },
        predict: async values => evaluate(network, tensors, values),
    };
}

/// A row of a table as features, or what is wrong with a cell. Cells are texts; an empty one is missing. A category whose
/// text is none of its levels has none of them.
export function encodeRow(columns: Column[], cells: string[]): Float32Array {
    const values: number[] = [];
    columns.forEach(({ name, levels, first_level, whole, fill, indicator }, at) => {
        const cell = cells[at].trim();
        const isMissing = cell === '';
        if (levels) {
            const found = isMissing ? -1 : levels.indexOf(cells[at]);
            if (first_level === null) values.push(...levels.map((_, level) => (level === found ? 1 : 0)));
            else values.push(found < 0 ? -1 : first_level + found);
        } else if (isMissing) {
            if (fill === null) throw new Error(`${name}: fill in a number; none was missing in the training data`);
            values.push(fill);
        } else {
            const value = Number(cell);
            if (!Number.isFinite(value)) throw new Error(`${name}: ${cell} is no number`);
            if (whole && !(Number.isInteger(value) && value >= whole.start && value < whole.end)) {
                throw new Error(`${name}: ${cell} is none of the levels, which are whole numbers from ${whole.start} to ${whole.end - 1}`);
            }
            values.push(value);
        }
        if (indicator) values.push(isMissing ? 1 : 0);
    });
    return Float32Array.from(values);
}

export interface Named {
    name: string;
    value: number;
}

/// Each class, bit or value with its number. A single output of two classes is the probability of the second.
export function named(answer: Answer, outputs: Float32Array): Named[] {
    const values = answer.kind === 'classes' && outputs.length === 1 ? [1 - outputs[0], outputs[0]] : Array.from(outputs);
    return values.map((value, at) => ({ name: answer.names[at] ?? String(at), value }));
}
