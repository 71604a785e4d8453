// output[r, o] = activation(bias[o] + sum over i of input[r, i] * weight[o, i])
//
// input (models, rows, inputs), weight (outputs, inputs), bias (outputs), output (models, rows, outputs); the parameters
// of model z start at z * parameter_stride. Grid: linear over tiles (see rastered), z over models.
struct Params {
    rows: u32,
    inputs: u32,
    outputs: u32,
    parameter_stride: u32,
    input_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Taken>;
@group(0) @binding(2) var<storage, read> weight: array<Taken>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

const ACTIVATION = 0u;
const BIAS = 1u;

// include: activation.wgsl

var<private> model: u32;

fn a_at(row: u32, k: u32) -> Taken {
    if row < params.rows && k < params.inputs {
        return input[(model * params.input_stride + row * params.inputs + k) / WIDTH];
    }
    return Taken();
}

fn b_at(k: u32, column: u32) -> Taken {
    if column < params.outputs && k < params.inputs {
        return weight[(model * params.parameter_stride + column * params.inputs + k) / WIDTH];
    }
    return Taken();
}

fn finish(row: u32, column: u32, sum: f32) {
    if row < params.rows && column < params.outputs {
        var z = sum;
        if BIAS == 1u {
            z += bias[model * params.parameter_stride + column];
        }
        output[(model * params.rows + row) * params.outputs + column] = activate(z, ACTIVATION);
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    model = group.z;
    let tiles = vec2(pieces(params.outputs, TILE_N), pieces(params.rows, TILE_M));
    let tile = rastered(linear_group(group, groups), tiles);
    compute_tile(tile.y * TILE_M, tile.x * TILE_N, params.inputs, thread);
}
