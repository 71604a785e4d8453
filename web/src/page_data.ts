// What the program writes into a page: src/web/mod.rs has the same.

/// A plan: its JSON and its words, each packed by gzip and written in base64.
export interface PackedPlan {
    json: string;
    words: string;
}

/// Where a drawing lies: as it was drawn, or 20 of 28 pixels large with its box or its centre of mass in the middle.
export type Place = 'drawn' | 'box' | 'mass';

/// A picture: channel after channel, each row after row.
export interface PictureInput {
    kind: 'picture';
    height: number;
    width: number;
    channels: number;
    /// What becomes of a picture of another ratio of sides.
    fit: 'crop' | 'pad' | 'stretch';
    /// How drawings are placed at first.
    place: Place;
    /// The values that stand for black and for white in the data.
    black: number;
    white: number;
}

/// A column of a table.
export interface Column {
    name: string;
    /// The levels of a category; a number has none.
    levels: string[] | null;
    /// Where the model looks levels up: the number of the first. The column is one feature then, the number of its level, or -1 for none.
    first_level: number | null;
    /// The whole numbers that a number must be one of, where the model looks it up; the end is none of them.
    whole: { start: number; end: number } | null;
    /// What a missing number becomes; where it is null, none may be missing.
    fill: number | null;
    /// Whether a feature of the column's own says that it is missing.
    indicator: boolean;
    /// What the form shows first.
    start: number | null;
}

export interface RowInput {
    kind: 'row';
    columns: Column[];
}

/// What the outputs mean.
export interface Answer {
    kind: 'classes' | 'bits' | 'values' | 'picture';
    /// Of each class (two of a single output), bit or value; pixels have none.
    names: string[];
    /// Applied to the network's outputs.
    activation: 'linear' | 'softmax' | 'sigmoid';
    /// Values in the units of the data: output * deviation + mean; one for each output or for all.
    units: { mean: number; deviation: number }[] | null;
}

export interface TrainingData extends PackedPlan {
    /// Whether a step of it is two launches, which every browser has the memory for.
    is_fused: boolean;
    /// The plan with fused steps where they take more workgroup memory, and how much. It begins with the same words.
    fused: { json: string; workgroup_bytes: number } | null;
    examples: number;
    /// In which way the training is another than the recipe's.
    notes: string[];
    /// What the accuracy is called; null where answers are neither right nor wrong.
    accuracy: string | null;
}

export interface PageData {
    format: string;
    version: number;
    name: string;
    input: PictureInput | RowInput;
    answer: Answer;
    predict: PackedPlan;
    /// The network as operations of ONNX, for a browser without WebGPU; packed.
    network: string;
    training: TrainingData | null;
}

/// Bytes from base64.
export function fromBase64(text: string): Uint8Array {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
    return bytes;
}

/// What was packed by gzip and written in base64.
export async function unpack(text: string): Promise<Uint8Array> {
    const stream = new Blob([fromBase64(text) as BlobPart]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

export async function unpackJson<T>(text: string): Promise<T> {
    return JSON.parse(new TextDecoder().decode(await unpack(text))) as T;
}

/// Words that were written little-endian, as all machines with a browser have them.
export async function unpackWords(text: string): Promise<Uint32Array> {
    const bytes = await unpack(text);
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}
