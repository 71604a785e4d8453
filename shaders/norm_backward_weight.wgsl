// weight_gradient[c] = sum over n, p of output_gradient[n, c, p] * (input[n, c, p] - mean) * inverse
// bias_gradient[c] = sum over n, p of output_gradient[n, c, p]
//
// For layer, group and batch norm: mean and inverse are number n * example_step + c / channels_per_statistic of the
// statistics (models, 2, statistics_len), the means before the inverses. output_gradient, at the norm's pre-activation, and
// input (models, batch, channels, plane). Split s sums only the items (see lib/channel_sums.wgsl) from s * split_items on;
// sum_partials.wgsl then adds the splits. gradient: the weight's at z * parameter_stride + s * split_stride, the bias's
// bias_offset further on. Grid: linear over the blocks of channels of each split, z over models.
struct Params {
    batch: u32,
    channels: u32,
    plane: u32,
    example_step: u32,
    channels_per_statistic: u32,
    statistics_len: u32,
    parameter_stride: u32,
    bias_offset: u32,
    split_items: u32,
    split_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> input: array<f32>;
@group(0) @binding(3) var<storage, read> statistics: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;

// include: channel_sums.wgsl
// include: grid.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = row_by_row(linear_group(group, groups), pieces(params.channels, COLUMNS));
    let items = params.batch * params.plane;
    let first = min(place.y * params.split_items, items);
    // Behind the last split there is nothing to sum, and no place for the sum.
    if first == items {
        return;
    }
    let channel = place.x * COLUMNS + thread % COLUMNS;
    let lane = thread / COLUMNS;
    let end = select(first, min(first + params.split_items, items), channel < params.channels);

    let statistic = group.z * 2u * params.statistics_len + channel / params.channels_per_statistic;
    var own_weight = 0.0;
    var own_bias = 0.0;
    for (var item = first + lane; item < end; item += LANES) {
        let at = element_of(group.z, item, channel);
        let s = statistic + item / params.plane * params.example_step;
        own_weight += output_gradient[at] * ((input[at] - statistics[s]) * statistics[s + params.statistics_len]);
        own_bias += output_gradient[at];
    }
    let weight_sum = column_sum(own_weight, thread);
    let bias_sum = column_sum(own_bias, thread);
    if lane == 0u && channel < params.channels {
        let result = group.z * params.parameter_stride + place.y * params.split_stride + channel;
        gradient[result] = weight_sum;
        gradient[result + params.bias_offset] = bias_sum;
    }
}
