// gradient[o, i] = sum over r of output_gradient[r, o] * input[r, i], and the bias gradient, sum over r of
// output_gradient[r, o], at gradient[bias_offset + o].
//
// output_gradient (models, rows, outputs), input (models, rows, inputs), gradient: the layer's part of the gradients, the
// parameters of model z starting at z * parameter_stride. Grid: x over columns of tiles, y over rows of tiles, z over models.
struct Params {
    rows: u32,
    inputs: u32,
    outputs: u32,
    parameter_stride: u32,
    bias_offset: u32,
    input_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> input: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;

// include: matmul_tile.wgsl

var<private> model: u32;

fn a_at(row: u32, k: u32) -> f32 {
    if row < params.outputs && k < params.rows {
        return output_gradient[(model * params.rows + k) * params.outputs + row];
    }
    return 0.0;
}

fn b_at(k: u32, column: u32) -> f32 {
    if column < params.inputs && k < params.rows {
        return input[model * params.input_stride + k * params.inputs + column];
    }
    return 0.0;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    model = group.z;
    let first_row = group.y * TILE_M;
    let first_column = group.x * TILE_N;
    multiply_tile(first_row, first_column, params.rows, thread);

    let base = model * params.parameter_stride;
    for (var i = 0u; i < THREAD_M; i++) {
        let row = first_row + (thread / THREADS_N) * THREAD_M + i;
        for (var j = 0u; j < THREAD_N; j++) {
            let column = first_column + thread % THREADS_N + j * THREADS_N;
            if row < params.outputs && column < params.inputs {
                gradient[base + row * params.inputs + column] = sums[i * THREAD_N + j];
            }
        }
    }
    if ROW_SUMS == 1u && group.x == 0u && thread < TILE_M && first_row + thread < params.outputs {
        gradient[base + params.bias_offset + first_row + thread] = row_sum;
    }
}
