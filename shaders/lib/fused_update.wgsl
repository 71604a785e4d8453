// Gradients of all weights and biases of a network of dense layers, their update, and what follows a batch, from what
// fused_forward_backward left in `trace`.
//
// The weights of a layer are a matrix with a row per output and a column per input; a bias is the weight of a further input
// that is always 1. A workgroup takes a tile of one layer's matrix: the tiles of all layers are counted through, and behind
// them comes one workgroup that does the bookkeeping. No workgroup reads what another writes: what the update takes from
// the step's state is the copy in the trace. Grid: x over tiles, z over models.
//
// The including shader declares the bindings trace, hyper, counters, scalars, log and parameters, and defines
// `load_state(at, model)`, which loads what the optimizer keeps for four elements, and `update(at, parameter, gradient,
// model)`, which makes a step for those of the four that are not NONE.
struct Params {
    rows: u32,
    examples: u32,
    parameter_stride: u32,
    trace_stride: u32,
    penalty_parts: u32,
    log_steps: u32,
    // Multiply-adds per row: for the cost alone.
    multiply_adds: u32,
}

// 1: loops that are marked are written out.
const UNROLL = 0u;
// 1: there is an L2 penalty.
const PENALTY = 0u;
// Tiles up to the end of each layer; after the last layer the number of them all.
const END_1 = 1u;
const END_2 = 1u;
const END_3 = 1u;
const END_4 = 1u;
const END_5 = 1u;
const END_6 = 1u;
const END_7 = 1u;
const END_8 = 1u;

const TILE_OUTPUTS = 16u;
const TILE_INPUTS = 64u;
// Rows of the batch that are staged at a time.
const TILE_ROWS = 32u;
// A thread takes four outputs of one input.
const THREADS = TILE_OUTPUTS / 4u * TILE_INPUTS;
const REDUCE_THREADS = THREADS;
const NONE = 0xffffffffu;

// include: dense_layers.wgsl
// include: finish.wgsl
// include: penalty.wgsl
// include: reduce.wgsl

// Gradients by row, four outputs to a vector, and inputs by row.
var<workgroup> tile_deltas: array<vec4<f32>, TILE_ROWS * TILE_OUTPUTS / 4u>;
var<workgroup> tile_inputs: array<f32, TILE_ROWS * TILE_INPUTS>;
// The next rows, on their way from the trace while the staged ones are used.
var<private> coming_deltas: vec4<f32>;
var<private> coming_inputs: array<vec4<f32>, 2>;

// A tile's layer and first row and column in that layer's matrix.
struct Tile {
    layer: Layer,
    first_output: u32,
    first_input: u32,
    model: u32,
}

fn columns_of(l: Layer) -> u32 {
    return l.inputs + select(1u, 0u, l.bias == NO_BIAS);
}

fn tile_at(number: u32, model: u32) -> Tile {
    var l = 1u;
    var first = 0u;
    if number >= END_1 { l = 2u; first = END_1; }
    if number >= END_2 { l = 3u; first = END_2; }
    if number >= END_3 { l = 4u; first = END_3; }
    if number >= END_4 { l = 5u; first = END_4; }
    if number >= END_5 { l = 6u; first = END_5; }
    if number >= END_6 { l = 7u; first = END_6; }
    if number >= END_7 { l = 8u; first = END_7; }
    let found = layer(l);
    let across = (columns_of(found) + TILE_INPUTS - 1u) / TILE_INPUTS;
    let place = number - first;
    return Tile(found, place / across * TILE_OUTPUTS, place % across * TILE_INPUTS, model);
}

// An element of the gradients at the outputs; 0 outside.
fn delta_at(tile: Tile, row: u32, output: u32) -> f32 {
    let l = tile.layer;
    let at = min(row, params.rows - 1u) * l.outputs + min(output, l.outputs - 1u);
    return select(0.0, trace[delta_trace(l, tile.model) + at], row < params.rows && output < l.outputs);
}

// An element of the inputs, with the 1 behind them; rows behind the last repeat it.
fn input_at(tile: Tile, row: u32, input: u32) -> f32 {
    let l = tile.layer;
    let at = min(row, params.rows - 1u) * l.inputs + min(input, l.inputs - 1u);
    return select(1.0, trace[input_trace(l, tile.model) + at], input < l.inputs);
}

fn fetch_inputs(tile: Tile, row: u32, input: u32) -> vec4<f32> {
    return vec4(
        input_at(tile, row, input),
        input_at(tile, row + 4u, input),
        input_at(tile, row + 8u, input),
        input_at(tile, row + 12u, input),
    );
}

// Asks for the rows from `first` on.
fn fetch(tile: Tile, first: u32, thread: u32) {
    if thread < TILE_ROWS * TILE_OUTPUTS / 4u {
        let output = tile.first_output + thread % (TILE_OUTPUTS / 4u) * 4u;
        let row = first + thread / (TILE_OUTPUTS / 4u);
        coming_deltas = vec4(
            delta_at(tile, row, output),
            delta_at(tile, row, output + 1u),
            delta_at(tile, row, output + 2u),
            delta_at(tile, row, output + 3u),
        );
    }
    let input = tile.first_input + thread % TILE_INPUTS;
    coming_inputs[0] = fetch_inputs(tile, first + thread / TILE_INPUTS, input);
    coming_inputs[1] = fetch_inputs(tile, first + thread / TILE_INPUTS + 16u, input);
}

// Stages what was asked for.
fn stage(thread: u32) {
    if thread < TILE_ROWS * TILE_OUTPUTS / 4u {
        tile_deltas[thread] = coming_deltas;
    }
    for (var i = 0u; i < 8u; i++) {
        tile_inputs[thread + i * THREADS] = coming_inputs[i / 4u][i % 4u];
    }
}

// The gradients of the thread's four weights. Contains barriers: call it in uniform control flow.
fn weight_gradients(tile: Tile, thread: u32) -> vec4<f32> {
    var gradient = vec4<f32>(0.0);
    fetch(tile, 0u, thread);
    for (var first = 0u; first < params.rows; first += TILE_ROWS) {
        stage(thread);
        workgroupBarrier();
        if first + TILE_ROWS < params.rows {
            fetch(tile, first + TILE_ROWS, thread);
        }
        // unroll
        for (var row = 0u; row < TILE_ROWS; row++) {
            let delta = tile_deltas[row * (TILE_OUTPUTS / 4u) + thread / TILE_INPUTS];
            gradient += delta * tile_inputs[row * TILE_INPUTS + thread % TILE_INPUTS];
        }
        workgroupBarrier();
    }
    return gradient;
}

// Where a weight lies among all parameters; NONE outside the matrix.
fn element_at(tile: Tile, output: u32, input: u32) -> u32 {
    let l = tile.layer;
    if output >= l.outputs || input >= columns_of(l) {
        return NONE;
    }
    let first = tile.model * params.parameter_stride;
    return first + select(l.bias + output, l.weight + output * l.inputs + input, input < l.inputs);
}

fn update_tile(tile: Tile, thread: u32) {
    let output = tile.first_output + thread / TILE_INPUTS * 4u;
    let input = tile.first_input + thread % TILE_INPUTS;
    let at = vec4(
        element_at(tile, output, input),
        element_at(tile, output + 1u, input),
        element_at(tile, output + 2u, input),
        element_at(tile, output + 3u, input),
    );
    // Loaded before the gradients are summed: they arrive meanwhile. Where there are fewer than four, the first again.
    var parameter = vec4<f32>(0.0);
    if at.x != NONE {
        let own = select(at, vec4(at.x), at == vec4(NONE));
        load_state(own, tile.model);
        parameter = vec4(parameters[own.x], parameters[own.y], parameters[own.z], parameters[own.w]);
    }
    var gradient = weight_gradients(tile, thread);
    if PENALTY == 1u && input < tile.layer.inputs {
        gradient += vec4(
            penalty_gradient(parameter.x, tile.model),
            penalty_gradient(parameter.y, tile.model),
            penalty_gradient(parameter.z, tile.model),
            penalty_gradient(parameter.w, tile.model),
        );
    }
    update(at, parameter, gradient, tile.model);
}

// The sum of `count` numbers in the trace, on the first thread.
fn trace_sum(first: u32, count: u32, thread: u32) -> f32 {
    var sum = 0.0;
    for (var i = thread; i < count; i += THREADS) {
        sum += trace[first + i];
    }
    return workgroup_sum(sum, thread);
}

fn finish(model: u32, thread: u32) {
    let results = result_trace(model);
    let loss = trace_sum(results, params.rows, thread);
    let correct = trace_sum(results + params.rows, params.rows, thread);
    let squares = trace_sum(scalar_trace(model) + SCALARS, params.penalty_parts, thread);
    if thread == 0u {
        finish_batch(model, loss, correct, squares);
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if group.x < END_8 {
        update_tile(tile_at(group.x, group.z), thread);
    } else {
        finish(group.z, thread);
    }
}
