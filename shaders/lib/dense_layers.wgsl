// A network of dense layers as constants, and where a training step keeps what its layers hand on. The including shader
// declares params with rows and trace_stride.
//
// `trace`, an array<vec4<f32>>, holds for each model matrices with one row per row of the batch: the inputs of all layers, the
// gradients at their outputs before the activation, and the results, which are the rows' losses, their hits and, in the first
// row of a block, the block's part of the sum of the squared weights; then a copy of the model's scalars as they were before
// the step. Of a matrix, block after block of four rows, each column is a vector. Rows behind the last have gradients of 0.
const LAYERS = 1u;
// Outputs of each layer; 0: the network's inputs. Layers that are not there have none.
const WIDTH_0 = 1u;
const WIDTH_1 = 1u;
const WIDTH_2 = 0u;
const WIDTH_3 = 0u;
const WIDTH_4 = 0u;
const WIDTH_5 = 0u;
const WIDTH_6 = 0u;
const WIDTH_7 = 0u;
const WIDTH_8 = 0u;
const OUTPUTS = 1u;
// Where weights and biases begin among a model's parameters.
const NO_BIAS = 0xffffffffu;
const WEIGHT_1 = 0u;
const WEIGHT_2 = 0u;
const WEIGHT_3 = 0u;
const WEIGHT_4 = 0u;
const WEIGHT_5 = 0u;
const WEIGHT_6 = 0u;
const WEIGHT_7 = 0u;
const WEIGHT_8 = 0u;
const BIAS_1 = 1u;
const BIAS_2 = 0xffffffffu;
const BIAS_3 = 0xffffffffu;
const BIAS_4 = 0xffffffffu;
const BIAS_5 = 0xffffffffu;
const BIAS_6 = 0xffffffffu;
const BIAS_7 = 0xffffffffu;
const BIAS_8 = 0xffffffffu;
// Codes of lib/activation.wgsl.
const ACTIVATION_1 = 0u;
const ACTIVATION_2 = 0u;
const ACTIVATION_3 = 0u;
const ACTIVATION_4 = 0u;
const ACTIVATION_5 = 0u;
const ACTIVATION_6 = 0u;
const ACTIVATION_7 = 0u;
const ACTIVATION_8 = 0u;

// Values of one example: the network's inputs, then each layer's outputs.
const FIRST_1 = WIDTH_0;
const FIRST_2 = FIRST_1 + WIDTH_1;
const FIRST_3 = FIRST_2 + WIDTH_2;
const FIRST_4 = FIRST_3 + WIDTH_3;
const FIRST_5 = FIRST_4 + WIDTH_4;
const FIRST_6 = FIRST_5 + WIDTH_5;
const FIRST_7 = FIRST_6 + WIDTH_6;
const FIRST_8 = FIRST_7 + WIDTH_7;
const VALUES = FIRST_8 + WIDTH_8;
const INPUTS = VALUES - OUTPUTS;
// Columns of all matrices before the results, and of those.
const RESULTS = INPUTS + VALUES - WIDTH_0;
const RESULT_COLUMNS = 3u;
// Rows of a block: one to each component of a vector.
const BLOCK = 4u;

struct Layer {
    inputs: u32,
    outputs: u32,
    weight: u32,
    bias: u32,
    activation: u32,
    // Where its inputs and its outputs begin among the values of an example.
    first_input: u32,
    first_output: u32,
}

// Layers count from 1.
fn layer(number: u32) -> Layer {
    switch number {
        case 2u: { return Layer(WIDTH_1, WIDTH_2, WEIGHT_2, BIAS_2, ACTIVATION_2, FIRST_1, FIRST_2); }
        case 3u: { return Layer(WIDTH_2, WIDTH_3, WEIGHT_3, BIAS_3, ACTIVATION_3, FIRST_2, FIRST_3); }
        case 4u: { return Layer(WIDTH_3, WIDTH_4, WEIGHT_4, BIAS_4, ACTIVATION_4, FIRST_3, FIRST_4); }
        case 5u: { return Layer(WIDTH_4, WIDTH_5, WEIGHT_5, BIAS_5, ACTIVATION_5, FIRST_4, FIRST_5); }
        case 6u: { return Layer(WIDTH_5, WIDTH_6, WEIGHT_6, BIAS_6, ACTIVATION_6, FIRST_5, FIRST_6); }
        case 7u: { return Layer(WIDTH_6, WIDTH_7, WEIGHT_7, BIAS_7, ACTIVATION_7, FIRST_6, FIRST_7); }
        case 8u: { return Layer(WIDTH_7, WIDTH_8, WEIGHT_8, BIAS_8, ACTIVATION_8, FIRST_7, FIRST_8); }
        default: { return Layer(WIDTH_0, WIDTH_1, WEIGHT_1, BIAS_1, ACTIVATION_1, 0u, FIRST_1); }
    }
}

fn blocks() -> u32 {
    return (params.rows + BLOCK - 1u) / BLOCK;
}

// Where the trace goes on behind matrices of so many columns.
fn trace_behind(columns: u32, model: u32) -> u32 {
    return model * (params.trace_stride / BLOCK) + columns * blocks();
}

// The matrix of a layer's inputs in the trace.
fn input_trace(l: Layer, model: u32) -> u32 {
    return trace_behind(l.first_input, model);
}

// The matrix of the gradients at a layer's outputs, before its activation.
fn delta_trace(l: Layer, model: u32) -> u32 {
    return trace_behind(INPUTS + l.first_output - WIDTH_0, model);
}

fn result_trace(model: u32) -> u32 {
    return trace_behind(RESULTS, model);
}

fn scalar_trace(model: u32) -> u32 {
    return trace_behind(RESULTS + RESULT_COLUMNS, model);
}
