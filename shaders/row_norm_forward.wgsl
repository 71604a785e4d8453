// output[r, i] = activation((input[r, i] - mean[r]) * inverse[r] * weight[c] + bias[c])
// inverse[r] = 1 / sqrt(variance[r] + epsilon), the variance being the mean of (input[r, i] - mean[r])^2
//
// Layer norm and group norm: a row is a group of an example's channels, c = (r % groups) * channels_per_group + i / plane.
// input, output (models, rows, channels_per_group * plane); weight and bias: model z's start at z * parameter_stride;
// statistics (models, 2, rows): the means, then the inverses. Grid: linear over groups of rows, z over models.
struct Params {
    rows: u32,
    groups: u32,
    channels_per_group: u32,
    plane: u32,
    parameter_stride: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;
@group(0) @binding(5) var<storage, read_write> statistics: array<f32>;

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

    // All is relative to the row's first value, so that a mean far from 0 takes no digits from the differences.
    var shift = 0.0;
    if row < params.rows {
        shift = input[first];
    }
    var own = 0.0;
    for (var i = lane; i < columns; i += LANES) {
        own += input[first + i] - shift;
    }
    let offset = row_sum(own, thread) / f32(len);
    var own_squares = 0.0;
    for (var i = lane; i < columns; i += LANES) {
        let difference = input[first + i] - shift - offset;
        own_squares += difference * difference;
    }
    let inverse = 1.0 / sqrt(row_sum(own_squares, thread) / f32(len) + params.epsilon);

    if lane == 0u && row < params.rows {
        let place = group.z * 2u * params.rows + row;
        statistics[place] = shift + offset;
        statistics[place + params.rows] = inverse;
    }
    let channel = group.z * params.parameter_stride + (row % params.groups) * params.channels_per_group;
    for (var i = lane; i < columns; i += LANES) {
        let c = channel + i / params.plane;
        let value = (input[first + i] - shift - offset) * inverse * weight[c] + bias[c];
        output[first + i] = activate(value, ACTIVATION);
    }
}
