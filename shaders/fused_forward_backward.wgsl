// Forward pass, loss and backward pass of a network of dense layers with softmax cross-entropy, for BLOCK rows of a batch.
//
// A workgroup gathers its rows from the data set, takes them through all layers and the gradients back, and leaves in
// `trace` (lib/dense_layers.wgsl) what the weights' update needs. data, labels, subtract and divide are those of gather and
// softmax_cross_entropy; counters (models, COUNTERS), scalars (models, SCALARS), parameters of model z at
// z * parameter_stride, trace of model z from its element z * trace_stride on. Grid: linear over blocks of rows, z over models.
//
// All that matters here is latency. So loads that do not depend on each other come before what uses the first of them, and
// every thread has a part in every product: its depth is split over as many lanes as there are threads for an output.
struct Params {
    rows: u32,
    examples: u32,
    window: u32,
    row_words: u32,
    parameter_stride: u32,
    trace_stride: u32,
    // Multiply-adds per row: for the cost alone.
    multiply_adds: u32,
    add: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> subtract: array<f32>;
@group(0) @binding(4) var<storage, read> divide: array<f32>;
@group(0) @binding(5) var<storage, read> counters: array<u32>;
@group(0) @binding(6) var<storage, read> scalars: array<f32>;
@group(0) @binding(7) var<storage, read> parameters: array<f32>;
@group(0) @binding(8) var<storage, read_write> trace: array<vec4<f32>>;

const BYTES = 1u;
// 1: loops that are marked are written out.
const UNROLL = 0u;
// 1: the squared weights are summed.
const SQUARES = 0u;
// The last layer's activation.
const OUTPUT_ACTIVATION = 0u;

// include: activation.wgsl
// include: batch.wgsl
// include: dense_layers.wgsl
// include: examples.wgsl
// include: grid.wgsl
// include: lane_sums.wgsl
// include: reduce.wgsl
// include: softmax_loss.wgsl

// Features in a word of the data.
const PER_WORD = 1u + 3u * BYTES;
const REDUCE_THREADS = THREADS;
// From so many weights on a thread takes four outputs, so that a value read from workgroup memory serves four products.
const WIDE = 16384u;
// Most threads that share an output.
const MOST_LANES = 32u;

// Rows of the data.
var<workgroup> data_rows: array<u32, BLOCK>;
var<workgroup> block_labels: array<u32, BLOCK>;
// The rows' losses and hits.
var<workgroup> row_results: array<vec2<f32>, BLOCK>;
// Activations; on the way back gradients take their place.
var<workgroup> values: array<vec4<f32>, VALUES>;
var<workgroup> partials: array<vec4<f32>, THREADS>;
// Gradients at the network's outputs, output by output: single numbers, since threads that write components of one vector
// may undo each other's work.
var<workgroup> loss_gradients: array<f32, OUTPUTS * BLOCK>;
var<private> sums: array<vec4<f32>, 4>;
var<private> model: u32;
// The workgroup's first row, and the batch's number of real rows.
var<private> first_row: u32;
var<private> real_rows: u32;

// Puts one column of the block into a matrix of the trace.
fn store_column(matrix: u32, columns: u32, column: u32, value: vec4<f32>) {
    trace[matrix + first_row / BLOCK * columns + column] = value;
}

// Scales one feature of the block's rows.
fn set_input(feature: u32, raw: vec4<f32>) {
    let x = vec4(
        scaled(raw.x, feature),
        scaled(raw.y, feature),
        scaled(raw.z, feature),
        scaled(raw.w, feature),
    );
    let real = vec4(first_row) + vec4(0u, 1u, 2u, 3u) < vec4(real_rows);
    let value = select(vec4<f32>(0.0), x, real);
    values[feature] = value;
    store_column(input_trace(layer(1u), model), WIDTH_0, feature, value);
}

fn gather_block(thread: u32) {
    let state = model * COUNTERS;
    // A row that is not real takes the first example, which is then cleared.
    var example = 0u;
    if thread < BLOCK {
        var row = 0u;
        if first_row + thread < real_rows {
            let position = counters[state + BATCH] * params.rows + first_row + thread;
            example = example_at(position, counters[state + KEY], model);
            row = data_row(position, example, model);
        }
        data_rows[thread] = row;
    }
    workgroupBarrier();
    let starts = vec4(data_rows[0], data_rows[1], data_rows[2], data_rows[3]) * params.row_words;
    if thread < BLOCK {
        var label = OUTPUTS;
        if example < arrayLength(&labels) {
            label = labels[example];
        }
        block_labels[thread] = label;
    }
    for (var word = thread; word < params.row_words; word += THREADS) {
        let bits = vec4(data[starts.x + word], data[starts.y + word], data[starts.z + word], data[starts.w + word]);
        for (var part = 0u; part < PER_WORD; part++) {
            let feature = word * PER_WORD + part;
            var raw = bitcast<vec4<f32>>(bits);
            if BYTES == 1u {
                raw = vec4<f32>((bits >> vec4(8u * part)) & vec4(0xffu));
            }
            if feature < WIDTH_0 {
                set_input(feature, raw);
            }
        }
    }
    workgroupBarrier();
}

// Adds up the lanes of `count` outputs from `first` on and makes activations of them. A lane's part is `sum`; those of one
// output are side by side. Contains barriers: call it in uniform control flow.
fn store_outputs(l: Layer, first: u32, count: u32, lanes: u32, sum: vec4<f32>, thread: u32) {
    partials[thread] = sum;
    workgroupBarrier();
    if thread < count {
        var y = sum_of_parts(thread * lanes, lanes, 1u);
        // unroll
        for (var row = 0u; row < BLOCK; row++) {
            y[row] = activate(y[row], l.activation);
        }
        values[l.first_output + first + thread] = y;
        // The network's outputs are no layer's inputs.
        if l.first_output < INPUTS {
            store_column(trace_behind(l.first_output, model), l.outputs, first + thread, y);
        }
    }
    workgroupBarrier();
}

// A layer's outputs for the block.
fn forward(l: Layer, thread: u32) {
    let per_thread = select(1u, 4u, l.inputs * l.outputs >= WIDE);
    for (var first = 0u; first < l.outputs; first += per_thread * THREADS) {
        // A thread's outputs are `groups` apart.
        let outputs = min(l.outputs - first, per_thread * THREADS);
        let groups = (outputs + per_thread - 1u) / per_thread;
        let lanes = min(min(THREADS / groups, l.inputs), MOST_LANES);
        let lane = thread % lanes;
        let group = thread / lanes;
        sums[0] = vec4<f32>(0.0);
        sums[1] = vec4<f32>(0.0);
        sums[2] = vec4<f32>(0.0);
        sums[3] = vec4<f32>(0.0);
        if group < groups {
            let own = min(vec4(group) + vec4(0u, 1u, 2u, 3u) * groups, vec4(outputs - 1u)) + vec4(first);
            if l.bias != NO_BIAS && lane == 0u {
                let biases = model * params.parameter_stride + l.bias;
                sums[0] = vec4(parameters[biases + own.x]);
                if per_thread > 1u {
                    sums[1] = vec4(parameters[biases + own.y]);
                    sums[2] = vec4(parameters[biases + own.z]);
                    sums[3] = vec4(parameters[biases + own.w]);
                }
            }
            let starts = vec4(model * params.parameter_stride + l.weight) + own * l.inputs;
            if per_thread > 1u {
                lane_sums(starts, l.first_input, l.inputs, lane, lanes);
            } else {
                sums[0] += lane_sum(starts.x, 1u, l.first_input, l.inputs, lane, lanes);
            }
        }
        store_outputs(l, first, groups, lanes, sums[0], thread);
        if per_thread > 1u {
            store_outputs(l, first + groups, min(groups, outputs - min(groups, outputs)), lanes, sums[1], thread);
            store_outputs(l, first + 2u * groups, min(groups, outputs - min(2u * groups, outputs)), lanes, sums[2], thread);
            store_outputs(l, first + 3u * groups, min(groups, outputs - min(3u * groups, outputs)), lanes, sums[3], thread);
        }
    }
}

// Derivatives of an activation at its outputs.
fn slopes(y: vec4<f32>, kind: u32) -> vec4<f32> {
    var result = y;
    // unroll
    for (var row = 0u; row < BLOCK; row++) {
        result[row] = activation_gradient(y[row], kind);
    }
    return result;
}

// The gradients at the outputs of the layer before, in the place of those outputs.
fn backward(l: Layer, before: Layer, thread: u32) {
    for (var first = 0u; first < l.inputs; first += THREADS) {
        let count = min(l.inputs - first, THREADS);
        let lanes = min(min(THREADS / count, l.outputs), MOST_LANES);
        // Neighbours take neighbouring inputs, whose weights are neighbours too.
        let input = thread % count;
        let lane = thread / count;
        partials[thread] = vec4<f32>(0.0);
        if lane < lanes {
            let start = model * params.parameter_stride + l.weight + first + input;
            partials[thread] = lane_sum(start, l.inputs, l.first_output, l.outputs, lane, lanes);
        }
        workgroupBarrier();
        if thread < count {
            let gradient = sum_of_parts(thread, lanes, count);
            let place = l.first_input + first + thread;
            values[place] = gradient * slopes(values[place], before.activation);
            store_column(delta_trace(before, model), l.inputs, first + thread, values[place]);
        }
        workgroupBarrier();
    }
}

fn output_at(row: u32, c: u32) -> f32 {
    return values[INPUTS + c][row];
}

fn set_gradient(row: u32, c: u32, value: f32) {
    loss_gradients[c * BLOCK + row] = value;
}

// Losses, hits, and gradients at the network's outputs in their place.
fn loss(thread: u32) {
    let row = thread / LANES;
    let real = row < BLOCK && first_row + row < real_rows;
    let label = block_labels[min(row, BLOCK - 1u)];
    let stored = select(0u, OUTPUTS, row < BLOCK);
    let result = softmax_loss(row, real, OUTPUTS, stored, label, real_rows, thread);
    if thread % LANES == 0u && row < BLOCK {
        row_results[row] = vec2(result.loss, result.correct);
    }
    workgroupBarrier();
    if thread == 0u {
        let results = transpose(mat4x2(row_results[0], row_results[1], row_results[2], row_results[3]));
        store_column(result_trace(model), RESULT_COLUMNS, 0u, results[0]);
        store_column(result_trace(model), RESULT_COLUMNS, 1u, results[1]);
    }
    for (var c = thread; c < OUTPUTS; c += THREADS) {
        let at = c * BLOCK;
        let gradient = vec4(
            loss_gradients[at],
            loss_gradients[at + 1u],
            loss_gradients[at + 2u],
            loss_gradients[at + 3u],
        );
        values[INPUTS + c] = gradient * slopes(values[INPUTS + c], OUTPUT_ACTIVATION);
        store_column(delta_trace(layer(LAYERS), model), OUTPUTS, c, values[INPUTS + c]);
    }
    workgroupBarrier();
}

// This workgroup's part of the sum of the squared weights.
fn squares(block: u32, thread: u32) {
    var sum = 0.0;
    for (var number = 1u; number <= LAYERS; number++) {
        let l = layer(number);
        let start = model * params.parameter_stride + l.weight;
        for (var i = block * THREADS + thread; i < l.inputs * l.outputs; i += blocks() * THREADS) {
            sum += parameters[start + i] * parameters[start + i];
        }
    }
    sum = workgroup_sum(sum, thread);
    if thread == 0u {
        store_column(result_trace(model), RESULT_COLUMNS, 2u, vec4(sum, 0.0, 0.0, 0.0));
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    model = group.z;
    let block = linear_group(group, groups);
    first_row = block * BLOCK;
    // Behind the last block. Browsers see no private variable as uniform, and there are barriers ahead: not on first_row.
    if block * BLOCK >= params.rows {
        return;
    }
    real_rows = batch_rows(params.rows, params.examples, counters[model * COUNTERS + BATCH]);
    gather_block(thread);
    for (var number = 1u; number <= LAYERS; number++) {
        forward(layer(number), thread);
    }
    loss(thread);
    for (var number = LAYERS; number > 1u; number--) {
        backward(layer(number), layer(number - 1u), thread);
    }
    if SQUARES == 1u {
        squares(block, thread);
    }
    if block == 0u && thread < SCALARS / 4u {
        let first = model * SCALARS + thread * 4u;
        let four = vec4(scalars[first], scalars[first + 1u], scalars[first + 2u], scalars[first + 3u]);
        trace[scalar_trace(model) + thread] = four;
    }
}
