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
// Blocks of rows that are staged at a time.
const TILE_BLOCKS = 8u;
const HALF = TILE_BLOCKS / 2u;
// A thread takes four outputs of one input.
const THREADS = TILE_OUTPUTS / 4u * TILE_INPUTS;
const NONE = 0xffffffffu;

// include: dense_layers.wgsl
// include: finish.wgsl
// include: penalty.wgsl

// Gradients and inputs of blocks of rows, those in two halves of the blocks. The workgroup that does the bookkeeping has its
// sums where others have inputs.
var<workgroup> tile_deltas: array<vec4<f32>, TILE_BLOCKS * TILE_OUTPUTS>;
var<workgroup> tile_inputs: array<array<vec4<f32>, THREADS>, 2>;
// The next blocks, on their way from the trace while the staged ones are used.
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

// A block's gradients at an output; 0 outside.
fn deltas_at(tile: Tile, block: u32, output: u32) -> vec4<f32> {
    let l = tile.layer;
    let at = min(block, blocks() - 1u) * l.outputs + min(output, l.outputs - 1u);
    // Without a branch, as `&&` is one.
    let inside = (block < blocks()) & (output < l.outputs);
    return select(vec4<f32>(0.0), trace[delta_trace(l, tile.model) + at], inside);
}

// A block's values of an input, with the 1 behind them; blocks behind the last repeat it.
fn inputs_at(tile: Tile, block: u32, input: u32) -> vec4<f32> {
    let l = tile.layer;
    let at = min(block, blocks() - 1u) * l.inputs + min(input, l.inputs - 1u);
    return select(vec4<f32>(1.0), trace[input_trace(l, tile.model) + at], input < l.inputs);
}

// Asks for the blocks from `first` on.
fn fetch(tile: Tile, first: u32, thread: u32) {
    if thread < TILE_BLOCKS * TILE_OUTPUTS {
        let output = tile.first_output + thread % TILE_OUTPUTS;
        coming_deltas = deltas_at(tile, first + thread / TILE_OUTPUTS, output);
    }
    let input = tile.first_input + thread % TILE_INPUTS;
    coming_inputs[0] = inputs_at(tile, first + thread / TILE_INPUTS, input);
    coming_inputs[1] = inputs_at(tile, first + thread / TILE_INPUTS + HALF, input);
}

// Stages what was asked for.
fn stage(thread: u32) {
    if thread < TILE_BLOCKS * TILE_OUTPUTS {
        tile_deltas[thread] = coming_deltas;
    }
    tile_inputs[0][thread] = coming_inputs[0];
    tile_inputs[1][thread] = coming_inputs[1];
}

// The gradients of the thread's four weights; the first blocks were fetched. Contains barriers: call it in uniform control
// flow.
fn weight_gradients(tile: Tile, thread: u32) -> vec4<f32> {
    var gradient = vec4<f32>(0.0);
    for (var first = 0u; first < blocks(); first += TILE_BLOCKS) {
        stage(thread);
        workgroupBarrier();
        if first + TILE_BLOCKS < blocks() {
            fetch(tile, first + TILE_BLOCKS, thread);
        }
        // unroll
        for (var block = 0u; block < TILE_BLOCKS; block++) {
            let input = tile_inputs[block / HALF][block % HALF * TILE_INPUTS + thread % TILE_INPUTS];
            let at = block * TILE_OUTPUTS + thread / TILE_INPUTS * 4u;
            let deltas = transpose(mat4x4(tile_deltas[at], tile_deltas[at + 1u], tile_deltas[at + 2u], tile_deltas[at + 3u]));
            // Row after row.
            gradient += deltas[0] * input.x;
            gradient += deltas[1] * input.y;
            gradient += deltas[2] * input.z;
            gradient += deltas[3] * input.w;
        }
        workgroupBarrier();
    }
    return gradient;
}

// Where a weight lies among all parameters; NONE outside the matrix.
fn element_at(tile: Tile, output: u32, input: u32) -> u32 {
    let l = tile.layer;
    let at = select(l.bias + output, l.weight + output * l.inputs + input, input < l.inputs);
    let inside = (output < l.outputs) & (input < columns_of(l));
    return select(NONE, tile.model * params.parameter_stride + at, inside);
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
    fetch(tile, 0u, thread);
    // Loaded before the gradients are summed: they arrive meanwhile. Where there are fewer than four, the model's first.
    let own = select(at, vec4(tile.model * params.parameter_stride), at == vec4(NONE));
    load_state(own, tile.model);
    let parameter = vec4(parameters[own.x], parameters[own.y], parameters[own.z], parameters[own.w]);
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

// One of the model's scalars as it was before the step.
fn scalar_before(slot: u32, model: u32) -> f32 {
    return trace[scalar_trace(model) + slot / 4u][slot % 4u];
}

fn sum_of_four(half: u32, first: u32, apart: u32) -> vec4<f32> {
    let even = tile_inputs[half][first] + tile_inputs[half][first + 8u * apart];
    return even + (tile_inputs[half][first + 4u * apart] + tile_inputs[half][first + 12u * apart]);
}

// The sum of 16 sums in a half that are `apart` places from each other, in the order of lib/reduce.wgsl.
fn sum_of_sixteen(half: u32, first: u32, apart: u32) -> vec4<f32> {
    let even = sum_of_four(half, first, apart) + sum_of_four(half, first + 2u * apart, apart);
    return even + (sum_of_four(half, first + apart, apart) + sum_of_four(half, first + 3u * apart, apart));
}

fn finish(model: u32, thread: u32) {
    let results = result_trace(model);
    var sums = vec4<f32>(0.0);
    for (var row = thread; row < params.rows; row += THREADS) {
        let at = results + row / BLOCK * RESULT_COLUMNS;
        sums.x += trace[at][row % BLOCK];
        sums.y += trace[at + 1u][row % BLOCK];
    }
    for (var part = thread; part < params.penalty_parts; part += THREADS) {
        sums.z += trace[results + part * RESULT_COLUMNS + 2u].x;
    }
    // In two steps, of 16 sums each.
    tile_inputs[0][thread] = sums;
    workgroupBarrier();
    if thread < 16u {
        tile_inputs[1][thread] = sum_of_sixteen(0u, thread, 16u);
    }
    workgroupBarrier();
    if thread == 0u {
        let all = sum_of_sixteen(1u, 0u, 1u);
        finish_batch(model, all.x, all.y, all.z);
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
