// input_gradient[r, i] = activation'(saved[r, i]) * sum over o of output_gradient[r, o] * weight[o, i]
//
// The derivative is that of the layer before, whose output `saved` is; the result is thus the gradient at that layer's
// pre-activation. output_gradient (models, rows, outputs), weight (outputs, inputs), saved and input_gradient (models,
// rows, inputs). Grid: linear over tiles (see rastered), z over models.
struct Params {
    rows: u32,
    inputs: u32,
    outputs: u32,
    parameter_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<Taken>;
@group(0) @binding(2) var<storage, read> weight: array<Taken>;
@group(0) @binding(3) var<storage, read> saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> input_gradient: array<f32>;

const ACTIVATION = 0u;

// include: activation.wgsl

var<private> model: u32;

fn a_at(row: u32, k: u32) -> Taken {
    if row < params.rows && k < params.outputs {
        return output_gradient[((model * params.rows + row) * params.outputs + k) / WIDTH];
    }
    return Taken();
}

fn b_at(k: u32, column: u32) -> Taken {
    if column < params.inputs && k < params.outputs {
        return weight[(model * params.parameter_stride + k * params.inputs + column) / WIDTH];
    }
    return Taken();
}

fn finish(row: u32, column: u32, sum: f32) {
    if row < params.rows && column < params.inputs {
        let at = (model * params.rows + row) * params.inputs + column;
        var gradient = sum;
        if ACTIVATION != LINEAR {
            gradient *= activation_gradient(saved[at], ACTIVATION);
        }
        input_gradient[at] = gradient;
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    model = group.z;
    let tiles = vec2(pieces(params.inputs, TILE_N), pieces(params.rows, TILE_M));
    let tile = rastered(linear_group(group, groups), tiles);
    compute_tile(tile.y * TILE_M, tile.x * TILE_N, params.outputs, thread);
}
