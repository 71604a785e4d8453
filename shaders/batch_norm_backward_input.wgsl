// input_gradient[n, c, p] = activation'(saved[n, c, p]) * weight[c] * inverse[c]
//     * (output_gradient[n, c, p] - (bias_gradient[c] + x * weight_gradient[c]) / count)
// x = (input[n, c, p] - mean[c]) * inverse[c], and 0 for the rows past the end of the epoch
//
// count: the channel's values without those rows. output_gradient at the norm's pre-activation, input, saved and
// input_gradient (models, batch, channels, plane): what the layer before saved, and the gradient at its pre-activation.
// ACTIVATION is the layer before's. statistics (models, 2, channels), of the batch: means, inverses. sums: this batch's weight
// gradient at z * sums_stride, its bias gradient bias_offset further on. Model z's weight starts at z * parameter_stride.
// counters (models, COUNTERS). A thread per element; grid linear over groups of 256, z over models.
struct Params {
    batch: u32,
    channels: u32,
    plane: u32,
    examples: u32,
    parameter_stride: u32,
    sums_stride: u32,
    bias_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> input: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> statistics: array<f32>;
@group(0) @binding(5) var<storage, read> sums: array<f32>;
@group(0) @binding(6) var<storage, read> saved: array<f32>;
@group(0) @binding(7) var<storage, read> counters: array<u32>;
@group(0) @binding(8) var<storage, read_write> input_gradient: array<f32>;

const ACTIVATION = 0u;

// include: activation.wgsl
// include: batch.wgsl
// include: grid.wgsl

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let element = linear_group(group, groups) * 256u + thread;
    let len = params.batch * params.channels * params.plane;
    if element >= len {
        return;
    }
    let rows = batch_rows(params.batch, params.examples, counters[group.z * COUNTERS + BATCH]);
    let i = group.z * len + element;
    var result = 0.0;
    if element < rows * params.channels * params.plane {
        let channel = element / params.plane % params.channels;
        let statistic = group.z * 2u * params.channels + channel;
        let inverse = statistics[statistic + params.channels];
        let x = (input[i] - statistics[statistic]) * inverse;
        let sum = group.z * params.sums_stride + channel;
        let mean = (sums[sum + params.bias_offset] + x * sums[sum]) / f32(rows * params.plane);
        result = weight[group.z * params.parameter_stride + channel] * inverse * (output_gradient[i] - mean);
        if ACTIVATION != LINEAR {
            result *= activation_gradient(saved[i], ACTIVATION);
        }
    }
    input_gradient[i] = result;
}
