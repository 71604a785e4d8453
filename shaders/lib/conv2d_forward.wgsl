// output[n, f, y, x] = activation(bias[f] + sum over c, i, j of input[n, c, y * stride_height + i * dilation_height - pad_top,
//     x * stride_width + j * dilation_width - pad_left] * weight[f, c, i, j])
//
// As a matrix product of each group without a matrix of patches: rows are filters, columns are output pixels (n, y, x), the
// depth runs over (c, i, j).
//
// input (models, batch, groups, channels, height, width), weight (groups, filters, channels, kernel_height, kernel_width), output
// (models, batch, groups, filters, output_height, output_width), each group a convolution by itself; the parameters of model z
// start at z * parameter_stride, its input at z * input_stride. With GRADIENT it is a transposed convolution backward to its input
// (see conv2d_epilogue.wgsl). Grid: linear over the tiles of each group, row by row, z over models. The including shader
// includes a way to multiply tiles.
// include: conv2d_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias_or_saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

// include: conv2d_epilogue.wgsl

var<private> model: u32;
var<private> channel_group: u32;

fn a_at(filter_: u32, k: u32) -> f32 {
    let taps = params.channels * params.kernel_height * params.kernel_width;
    if filter_ < params.filters && k < taps {
        return weight[model * params.parameter_stride + (channel_group * params.filters + filter_) * taps + k];
    }
    return 0.0;
}

fn b_at(k: u32, pixel: u32) -> f32 {
    let area = params.output_height * params.output_width;
    let kernel_area = params.kernel_height * params.kernel_width;
    let image = pixel / area;
    let channel = k / kernel_area;
    if image >= params.batch || channel >= params.channels {
        return 0.0;
    }
    let place = pixel % area;
    let tap = k % kernel_area;
    // Left of or above the image these wrap around to huge numbers, so that one comparison catches both edges.
    let i = tap / params.kernel_width * params.dilation_height;
    let j = tap % params.kernel_width * params.dilation_width;
    let y = place / params.output_width * params.stride_height + i - params.pad_top;
    let x = place % params.output_width * params.stride_width + j - params.pad_left;
    if y >= params.height || x >= params.width {
        return 0.0;
    }
    let plane = (image * params.groups + channel_group) * params.channels + channel;
    return input[model * params.input_stride + (plane * params.height + y) * params.width + x];
}

fn finish(row: u32, pixel: u32, sum: f32) {
    let area = params.output_height * params.output_width;
    let image = pixel / area;
    if image < params.batch && row < params.filters {
        let channel = channel_group * params.filters + row;
        let plane = (model * params.batch + image) * params.groups * params.filters + channel;
        let index = plane * area + pixel % area;
        output[index] = finished(sum, model, channel, index);
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    model = group.z;
    let area = params.output_height * params.output_width;
    let tile = row_by_row(linear_group(group, groups), pieces(params.batch * area, TILE_N));
    let blocks = pieces(params.filters, TILE_M);
    // Behind the last group there is nothing to compute.
    if tile.y >= params.groups * blocks {
        return;
    }
    channel_group = tile.y / blocks;
    let first_row = tile.y % blocks * TILE_M;
    let first_column = tile.x * TILE_N;
    let taps = params.channels * params.kernel_height * params.kernel_width;
    compute_tile(first_row, first_column, taps, thread);
}
