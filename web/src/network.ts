// A network of ONNX operations in plain JavaScript, for one example: what `export --to onnx` writes, which needs no GPU.
// Values are kept in single precision, sums are taken in double precision.

export interface Node {
    op: string;
    inputs: string[];
    output: string;
    attributes: Record<string, number | number[] | string>;
}

export interface Network {
    input: { name: string; dims: number[] };
    output: string;
    nodes: Node[];
    /// Without values: a tensor of the model, which is looked up by its name.
    constants: { name: string; dims: number[]; values: number[] | null }[];
}

interface Tensor {
    dims: number[];
    data: Float32Array;
}

type Attributes = Node['attributes'];
type Operation = (inputs: Tensor[], attributes: Attributes) => Tensor;

const size = (dims: number[]) => dims.reduce((product, side) => product * side, 1);
const tensor = (dims: number[], data: Float32Array = new Float32Array(size(dims))): Tensor => ({ dims, data });
const pair = (attributes: Attributes, name: string, otherwise: number[]) => (attributes[name] as number[] | undefined) ?? otherwise;
const number = (attributes: Attributes, name: string, otherwise: number) => (attributes[name] as number | undefined) ?? otherwise;

/// A function of each value.
const each = (f: (x: number, attributes: Attributes) => number): Operation => ([input], attributes) =>
    tensor(input.dims, input.data.map(x => f(x, attributes)));

/// A function of two values; sides of 1, and those that a shape lacks in front, stretch.
const both = (f: (a: number, b: number) => number): Operation => ([a, b]) => {
    const rank = Math.max(a.dims.length, b.dims.length);
    const whole = (dims: number[]) => [...new Array(rank - dims.length).fill(1), ...dims];
    const [left, right] = [whole(a.dims), whole(b.dims)];
    const dims = left.map((side, axis) => Math.max(side, right[axis]));
    const result = tensor(dims);
    const strides = (sides: number[]) => sides.map((side, axis) => (side === 1 ? 0 : size(sides.slice(axis + 1))));
    const [step, other] = [strides(left), strides(right)];
    for (let at = 0; at < result.data.length; at++) {
        let [rest, i, j] = [at, 0, 0];
        for (let axis = rank - 1; axis >= 0; axis--) {
            const place = rest % dims[axis];
            rest = (rest - place) / dims[axis];
            i += place * step[axis];
            j += place * other[axis];
        }
        result.data[at] = f(a.data[i], b.data[j]);
    }
    return result;
};

interface Window { size: number[]; stride: number[]; before: number[]; dilation: number[]; output: number[] }

function windowOver([, , height, width]: number[], attributes: Attributes): Window {
    const kernel = attributes.kernel_shape as number[];
    const stride = pair(attributes, 'strides', [1, 1]);
    const dilation = pair(attributes, 'dilations', [1, 1]);
    const pads = pair(attributes, 'pads', [0, 0, 0, 0]);
    const output = [height, width].map((side, axis) =>
        Math.floor((side + pads[axis] + pads[axis + 2] - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis]) + 1);
    return { size: kernel, stride, before: pads.slice(0, 2), dilation, output };
}

const convolution: Operation = ([input, weight, bias], attributes) => {
    const { size: [kh, kw], stride, before, dilation, output: [oh, ow] } = windowOver(input.dims, attributes);
    const [, channels, height, width] = input.dims;
    const [filters, perGroup] = weight.dims;
    const ofGroup = filters / number(attributes, 'group', 1);
    const result = tensor([1, filters, oh, ow]);
    for (let filter = 0; filter < filters; filter++) {
        const first = Math.floor(filter / ofGroup) * perGroup;
        for (let y = 0; y < oh; y++) {
            for (let x = 0; x < ow; x++) {
                let sum = bias ? bias.data[filter] : 0;
                for (let channel = 0; channel < perGroup && first + channel < channels; channel++) {
                    for (let i = 0; i < kh; i++) {
                        const row = y * stride[0] - before[0] + i * dilation[0];
                        if (row < 0 || row >= height) continue;
                        for (let j = 0; j < kw; j++) {
                            const column = x * stride[1] - before[1] + j * dilation[1];
                            if (column < 0 || column >= width) continue;
                            sum += input.data[((first + channel) * height + row) * width + column]
                                * weight.data[((filter * perGroup + channel) * kh + i) * kw + j];
                        }
                    }
                }
                result.data[(filter * oh + y) * ow + x] = sum;
            }
        }
    }
    return result;
};

const transposedConvolution: Operation = ([input, weight, bias], attributes) => {
    const [, channels, height, width] = input.dims;
    const [, perGroup, kh, kw] = weight.dims;
    const groups = number(attributes, 'group', 1);
    const stride = pair(attributes, 'strides', [1, 1]);
    const dilation = pair(attributes, 'dilations', [1, 1]);
    const pads = pair(attributes, 'pads', [0, 0, 0, 0]);
    const added = pair(attributes, 'output_padding', [0, 0]);
    const [oh, ow] = [height, width].map((side, axis) =>
        stride[axis] * (side - 1) + added[axis] + (weight.dims[axis + 2] - 1) * dilation[axis] + 1 - pads[axis] - pads[axis + 2]);
    const filters = perGroup * groups;
    const sums = new Float64Array(filters * oh * ow);
    if (bias) for (let filter = 0; filter < filters; filter++) sums.fill(bias.data[filter], filter * oh * ow, (filter + 1) * oh * ow);
    for (let channel = 0; channel < channels; channel++) {
        const first = Math.floor(channel / (channels / groups)) * perGroup;
        for (let y = 0; y < height; y++) {
            for (let x = 0; x < width; x++) {
                const value = input.data[(channel * height + y) * width + x];
                for (let filter = 0; filter < perGroup; filter++) {
                    for (let i = 0; i < kh; i++) {
                        const row = y * stride[0] - pads[0] + i * dilation[0];
                        if (row < 0 || row >= oh) continue;
                        for (let j = 0; j < kw; j++) {
                            const column = x * stride[1] - pads[1] + j * dilation[1];
                            if (column < 0 || column >= ow) continue;
                            sums[((first + filter) * oh + row) * ow + column] +=
                                value * weight.data[((channel * perGroup + filter) * kh + i) * kw + j];
                        }
                    }
                }
            }
        }
    }
    return tensor([1, filters, oh, ow], Float32Array.from(sums));
};

/// The largest value of each window, or the mean of those that are no padding.
const pool = (isMean: boolean): Operation => ([input], attributes) => {
    const { size: [kh, kw], stride, before, dilation, output: [oh, ow] } = windowOver(input.dims, attributes);
    const [, channels, height, width] = input.dims;
    const result = tensor([1, channels, oh, ow]);
    for (let channel = 0; channel < channels; channel++) {
        for (let y = 0; y < oh; y++) {
            for (let x = 0; x < ow; x++) {
                let [most, sum, count] = [-Infinity, 0, 0];
                for (let i = 0; i < kh; i++) {
                    const row = y * stride[0] - before[0] + i * dilation[0];
                    if (row < 0 || row >= height) continue;
                    for (let j = 0; j < kw; j++) {
                        const column = x * stride[1] - before[1] + j * dilation[1];
                        if (column < 0 || column >= width) continue;
                        const value = input.data[(channel * height + row) * width + column];
                        most = Math.max(most, value);
                        sum += value;
                        count++;
                    }
                }
                result.data[(channel * oh + y) * ow + x] = isMean ? sum / count : most;
            }
        }
    }
    return result;
};

/// The largest value of each channel, or the mean.
const globalPool = (isMean: boolean): Operation => ([input]) => {
    const [, channels] = input.dims;
    const plane = input.data.length / channels;
    const result = tensor([1, channels, ...input.dims.slice(2).map(() => 1)]);
    for (let channel = 0; channel < channels; channel++) {
        const values = input.data.subarray(channel * plane, (channel + 1) * plane);
        result.data[channel] = values.reduce((a, b) => (isMean ? a + b / plane : Math.max(a, b)), isMean ? 0 : -Infinity);
    }
    return result;
};

const product: Operation = ([input, weight, bias]) => {
    const [outputs, inputs] = weight.dims;
    const result = tensor([1, outputs]);
    for (let output = 0; output < outputs; output++) {
        let sum = bias ? bias.data[output] : 0;
        for (let at = 0; at < inputs; at++) sum += input.data[at] * weight.data[output * inputs + at];
        result.data[output] = sum;
    }
    return result;
};

const batchNorm: Operation = ([input, scale, bias, mean, variance], attributes) => {
    const plane = input.data.length / input.dims[1];
    const epsilon = number(attributes, 'epsilon', 1e-5);
    return tensor(input.dims, input.data.map((x, at) => {
        const channel = Math.floor(at / plane);
        return (x - mean.data[channel]) / Math.sqrt(variance.data[channel] + epsilon) * scale.data[channel] + bias.data[channel];
    }));
};

/// Each part of the values less its mean, by its deviation.
function normalised(data: Float32Array, parts: number, epsilon: number): Float32Array {
    const length = data.length / parts;
    const result = new Float32Array(data.length);
    for (let part = 0; part < parts; part++) {
        const values = data.subarray(part * length, (part + 1) * length);
        const mean = values.reduce((sum, x) => sum + x, 0) / length;
        const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / length;
        values.forEach((x, at) => { result[part * length + at] = (x - mean) / Math.sqrt(variance + epsilon); });
    }
    return result;
}

const instanceNorm: Operation = ([input, scale, bias], attributes) => {
    const parts = input.dims[1];
    const plane = input.data.length / parts;
    const data = normalised(input.data, parts, number(attributes, 'epsilon', 1e-5));
    return tensor(input.dims, data.map((x, at) => x * scale.data[Math.floor(at / plane)] + bias.data[Math.floor(at / plane)]));
};

const layerNorm: Operation = ([input, scale, bias], attributes) => {
    const data = normalised(input.data, 1, number(attributes, 'epsilon', 1e-5));
    return tensor(input.dims, data.map((x, at) => x * scale.data[at] + bias.data[at]));
};

const reshape: Operation = ([input, shape]) => {
    const dims = Array.from(shape.data, (side, axis) => (side === 0 ? input.dims[axis] : side));
    const known = size(dims.filter(side => side > 0));
    return tensor(dims.map(side => (side < 0 ? input.data.length / known : side)), input.data);
};

const enlarge: Operation = ([input, , scales]) => {
    const [, channels, height, width] = input.dims;
    const [down, across] = [scales.data[2], scales.data[3]];
    const result = tensor([1, channels, height * down, width * across]);
    for (let at = 0; at < result.data.length; at++) {
        const column = at % (width * across);
        const row = Math.floor(at / (width * across)) % (height * down);
        const channel = Math.floor(at / (width * across * height * down));
        result.data[at] = input.data[(channel * height + Math.floor(row / down)) * width + Math.floor(column / across)];
    }
    return result;
};

/// Sides before the axis are 1, since there is one example.
const concat: Operation = (inputs, attributes) => {
    const axis = number(attributes, 'axis', 1);
    const dims = [...inputs[0].dims];
    dims[axis] = inputs.reduce((sum, input) => sum + input.dims[axis], 0);
    const result = tensor(dims);
    let at = 0;
    for (const { data } of inputs) {
        result.data.set(data, at);
        at += data.length;
    }
    return result;
};

/// Some values of an example.
const slice: Operation = ([input, first, end]) => {
    const data = input.data.subarray(first.data[0], end.data[0]);
    return tensor([1, data.length], data);
};

/// Rows of a matrix by their numbers; those below 0 count from the last.
const rows: Operation = ([matrix, numbers]) => {
    const [count, width] = matrix.dims;
    const result = tensor([...numbers.dims, width]);
    numbers.data.forEach((row, at) => {
        const first = (row < 0 ? row + count : row) * width;
        result.data.set(matrix.data.subarray(first, first + width), at * width);
    });
    return result;
};

export function softmax(values: Float32Array): Float32Array {
    const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
    const powers = Array.from(values, x => Math.exp(x - largest));
    const sum = powers.reduce((a, b) => a + b, 0);
    return Float32Array.from(powers, power => power / sum);
}

export const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/// The error function, to 2e-16: its series, and for large values the continued fraction of its complement.
export function erf(x: number): number {
    const z = Math.abs(x);
    if (z > 6) return Math.sign(x);
    if (z < 2.5) {
        let [term, sum] = [z, z];
        for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
            term *= -z * z / n;
            sum += term / (2 * n + 1);
        }
        return Math.sign(x) * 2 / Math.sqrt(Math.PI) * sum;
    }
    let fraction = 0;
    for (let n = 60; n > 0; n--) fraction = n / 2 / (z + fraction);
    return Math.sign(x) * (1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction));
}

/// Every operation that a page knows: src/web/network.rs refuses to export a model that has others.
export const OPERATIONS: Record<string, Operation> = {
    Add: both((a, b) => a + b),
    AveragePool: pool(true),
    BatchNormalization: batchNorm,
    Cast: each(Math.trunc),
    Concat: concat,
    Conv: convolution,
    ConvTranspose: transposedConvolution,
    Div: both((a, b) => a / b),
    Elu: each((x, { alpha }) => (x > 0 ? x : (alpha as number) * Math.expm1(x))),
    Erf: each(erf),
    Flatten: ([input]) => tensor([1, input.data.length], input.data),
    Gather: rows,
    Gemm: product,
    GlobalAveragePool: globalPool(true),
    GlobalMaxPool: globalPool(false),
    HardSwish: each(x => x * Math.min(Math.max(x / 6 + 0.5, 0), 1)),
    Identity: ([input]) => input,
    InstanceNormalization: instanceNorm,
    LayerNormalization: layerNorm,
    LeakyRelu: each((x, { alpha }) => (x > 0 ? x : (alpha as number) * x)),
    MaxPool: pool(false),
    Min: both(Math.min),
    Mul: both((a, b) => a * b),
    Relu: each(x => Math.max(x, 0)),
    Reshape: reshape,
    Resize: enlarge,
    Sigmoid: each(sigmoid),
    Slice: slice,
    Softmax: ([input]) => tensor(input.dims, softmax(input.data)),
    Softplus: each(x => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
    Sub: both((a, b) => a - b),
    Tanh: each(Math.tanh),
};

/// The network's outputs for one example.
export function evaluate(network: Network, tensors: Map<string, Float32Array>, values: Float32Array): Float32Array {
    const known = new Map<string, Tensor>();
    known.set(network.input.name, tensor(network.input.dims, values));
    for (const { name, dims, values: own } of network.constants) {
        const data = own ? Float32Array.from(own) : tensors.get(name);
        if (!data) throw new Error(`the page has no ${name}`);
        known.set(name, tensor(dims, data));
    }
    // An input that an operation has no use for has no name.
    const nothing = tensor([0]);
    for (const { op, inputs, output, attributes } of network.nodes) {
        const operation = OPERATIONS[op];
        if (!operation) throw new Error(`the operation ${op} is not known here`);
        known.set(output, operation(inputs.map(name => known.get(name) ?? nothing), attributes));
    }
    return known.get(network.output)!.data;
}
