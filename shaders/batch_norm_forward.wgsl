// output[n, c, p] = activation((input[n, c, p] - mean[c]) * inverse[c] * weight[c] + bias[c])
//
// input, output (models, batch, channels, plane). statistics: model z's means at z * statistics_stride, and `second` further on
// the inverses, or, with RUNNING = 1, the variances, of which inverse = 1 / sqrt(variance + epsilon). weight and bias: model
// z's start at z * parameter_stride. With GRADIENT = 1 the input is the gradient of an output, and the output that of its input: nothing
// is subtracted or added. A thread per element; grid linear over groups of 256, z over models.
struct Params {
    len: u32,
    channels: u32,
    plane: u32,
    parameter_stride: u32,
    statistics_stride: u32,
    second: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> statistics: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

const ACTIVATION = 0u;
const RUNNING = 0u;
const GRADIENT = 0u;

// include: activation.wgsl
// include: grid.wgsl

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let element = linear_group(group, groups) * 256u + thread;
    if element >= params.len {
        return;
    }
    let channel = element / params.plane % params.channels;
    let statistic = group.z * params.statistics_stride + channel;
    var inverse = statistics[statistic + params.second];
    if RUNNING == 1u {
        inverse = 1.0 / sqrt(inverse + params.epsilon);
    }
    let c = group.z * params.parameter_stride + channel;
    let i = group.z * params.len + element;
    var value = input[i] * inverse * weight[c];
    if GRADIENT == 0u {
        value = (input[i] - statistics[statistic]) * inverse * weight[c] + bias[c];
    }
    output[i] = activate(value, ACTIVATION);
}
