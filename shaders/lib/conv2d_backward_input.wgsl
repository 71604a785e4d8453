// input_gradient[n, c, y, x] = activation'(saved[n, c, y, x]) * sum over f, i, j of weight[f, c, i, j] * output_gradient[n, f,
//     (y + pad_top - i * dilation_height) / stride_height, (x + pad_left - j * dilation_width) / stride_width]
// over those i and j whose quotients are whole and inside the output.
//
// As a matrix product of each group without a matrix of patches: rows are channels, columns are input pixels (n, y, x), the
// depth runs over (f, i, j).
//
// output_gradient (models, batch, groups, filters, output_height, output_width) at this layer's pre-activation, weight (groups,
// filters, channels, kernel_height, kernel_width), input_gradient (models, batch, groups, channels, height, width) and what the
// layer before saved of it, whose activation is ACTIVATION; each group is a convolution by itself. The parameters of model z
// start at z * parameter_stride. Without GRADIENT it is a transposed convolution forward (see conv2d_epilogue.wgsl). Grid:
// linear over the tiles of each group, row by row, z over models. The including shader includes a way to multiply
// tiles.
// include: conv2d_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias_or_saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> input_gradient: array<f32>;

// include: conv2d_epilogue.wgsl

var<private> model: u32;
var<private> channel_group: u32;

fn a_at(channel: u32, k: u32) -> f32 {
    let kernel_area = params.kernel_height * params.kernel_width;
    let filter_ = k / kernel_area;
    if channel < params.channels && filter_ < params.filters {
        let plane = (channel_group * params.filters + filter_) * params.channels + channel;
        return weight[model * params.parameter_stride + plane * kernel_area + k % kernel_area];
    }
    return 0.0;
}

fn b_at(k: u32, pixel: u32) -> f32 {
    let area = params.height * params.width;
    let kernel_area = params.kernel_height * params.kernel_width;
    let image = pixel / area;
    let filter_ = k / kernel_area;
    if image >= params.batch || filter_ >= params.filters {
        return 0.0;
    }
    let place = pixel % area;
    let tap = k % kernel_area;
    // Below zero these wrap around to huge numbers, and so do their quotients.
    let y = place / params.width + params.pad_top - tap / params.kernel_width * params.dilation_height;
    let x = place % params.width + params.pad_left - tap % params.kernel_width * params.dilation_width;
    let output_y = y / params.stride_height;
    let output_x = x / params.stride_width;
    let whole = output_y * params.stride_height == y && output_x * params.stride_width == x;
    if !whole || output_y >= params.output_height || output_x >= params.output_width {
        return 0.0;
    }
    let plane = ((model * params.batch + image) * params.groups + channel_group) * params.filters + filter_;
    return output_gradient[(plane * params.output_height + output_y) * params.output_width + output_x];
}

fn finish(row: u32, pixel: u32, sum: f32) {
    let area = params.height * params.width;
    let image = pixel / area;
    if image < params.batch && row < params.channels {
        let channel = channel_group * params.channels + row;
        let plane = (model * params.batch + image) * params.groups * params.channels + channel;
        let index = plane * area + pixel % area;
        input_gradient[index] = finished(sum, model, channel, index);
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    model = group.z;
    let area = params.height * params.width;
    let tile = row_by_row(linear_group(group, groups), pieces(params.batch * area, TILE_N));
    let blocks = pieces(params.channels, TILE_M);
    // Behind the last group there is nothing to compute.
    if tile.y >= params.groups * blocks {
        return;
    }
    channel_group = tile.y / blocks;
    let first_row = tile.y % blocks * TILE_M;
    let first_column = tile.x * TILE_N;
    compute_tile(first_row, first_column, params.filters * params.kernel_height * params.kernel_width, thread);
}
