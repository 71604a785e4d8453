// input_gradient[r, i] = activation'(saved[r, i]) * inverse[r] * (g[i] - mean of g - x[i] * (mean of g x))
// g[i] = output_gradient[r, i] * weight[c], x[i] = (input[r, i] - mean[r]) * inverse[r]
//
// The means are over the row; rows and c are those of row_norm_forward, whose statistics (models, 2, rows) these are.
// output_gradient at the norm's pre-activation, input, saved and input_gradient (models, rows, channels_per_group * plane): what
// the layer before saved, and the gradient at its pre-activation. ACTIVATION is the layer before's. Model z's weight starts at
// z * parameter_stride. Grid: linear over groups of rows, z over models.
struct Params {
    rows: u32,
    groups: u32,
    channels_per_group: u32,
    plane: u32,
    parameter_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> input: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> statistics: array<f32>;
@group(0) @binding(5) var<storage, read> saved: array<f32>;
@group(0) @binding(6) var<storage, read_write> input_gradient: array<f32>;

const ACTIVATION = 0u;

// include: activation.wgsl
// include: grid.wgsl
// include: rows.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = linear_group(group, groups) * ROWS + thread / LANES;
    let lane = thread % LANES;
    let len = params.channels_per_group * params.plane;
    let first = (group.z * params.rows + row) * len;
    let columns = select(0u, len, row < params.rows);
    let channel = group.z * params.parameter_stride + (row % params.groups) * params.channels_per_group;

    var mean = 0.0;
    var inverse = 0.0;
    if row < params.rows {
        let place = group.z * 2u * params.rows + row;
        mean = statistics[place];
        inverse = statistics[place + params.rows];
    }
    var own_gradient = 0.0;
    var own_product = 0.0;
    for (var i = lane; i < columns; i += LANES) {
        let gradient = output_gradient[first + i] * weight[channel + i / params.plane];
        own_gradient += gradient;
        own_product += gradient * ((input[first + i] - mean) * inverse);
    }
    let mean_gradient = row_sum(own_gradient, thread) / f32(len);
    let mean_product = row_sum(own_product, thread) / f32(len);
    for (var i = lane; i < columns; i += LANES) {
        let gradient = output_gradient[first + i] * weight[channel + i / params.plane];
        let x = (input[first + i] - mean) * inverse;
        var result = inverse * (gradient - mean_gradient - x * mean_product);
        if ACTIVATION != LINEAR {
            result *= activation_gradient(saved[first + i], ACTIVATION);
        }
        input_gradient[first + i] = result;
    }
}
