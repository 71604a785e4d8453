// weight_gradient[f, c, i, j] = sum over n, y, x of output_gradient[n, f, y, x] * input[n, c,
//     y * stride_height + i * dilation_height - pad_top, x * stride_width + j * dilation_width - pad_left]
// bias_gradient[f] = sum over n, y, x of output_gradient[n, f, y, x]
//
// As a matrix product of each split of each group without a matrix of patches: rows are filters, columns are taps (c, i, j), the
// depth runs over the split's pixels (n, y, x). The bias gradients are the sums of the rows of the gradients.
//
// Operands and splits are those of conv2d_backward_weight.wgsl, which does the same in f32 and another way. Grid: linear over the
// tiles of each group of each split, row by row, z over models. The including shader includes a way to multiply tiles.
// include: conv2d_weight_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;

var<private> model: u32;
var<private> channel_group: u32;
// The split: its first image, the first of its pixels in an image, how many they are there, and in all images.
var<private> split_image: u32;
var<private> split_pixel: u32;
var<private> split_band: u32;
var<private> split_depth: u32;
// Where its sums start.
var<private> base: u32;

fn a_at(filter_: u32, k: u32) -> f32 {
    if filter_ >= params.filters || k >= split_depth {
        return 0.0;
    }
    let image = model * params.batch + split_image + k / split_band;
    let plane = (image * params.groups + channel_group) * params.filters + filter_;
    return output_gradient[plane * params.output_height * params.output_width + split_pixel + k % split_band];
}

fn b_at(k: u32, tap: u32) -> f32 {
    let kernel_area = params.kernel_height * params.kernel_width;
    let channel = tap / kernel_area;
    if channel >= params.channels || k >= split_depth {
        return 0.0;
    }
    let place = split_pixel + k % split_band;
    // Left of or above the image these wrap around to huge numbers, so that one comparison catches both edges.
    let i = tap % kernel_area / params.kernel_width * params.dilation_height;
    let j = tap % params.kernel_width * params.dilation_width;
    let y = place / params.output_width * params.stride_height + i - params.pad_top;
    let x = place % params.output_width * params.stride_width + j - params.pad_left;
    if y >= params.height || x >= params.width {
        return 0.0;
    }
    let plane = ((split_image + k / split_band) * params.groups + channel_group) * params.channels + channel;
    return input[model * params.input_stride + (plane * params.height + y) * params.width + x];
}

fn finish(row: u32, tap: u32, sum: f32) {
    let taps = params.channels * params.kernel_height * params.kernel_width;
    if row < params.filters && tap < taps {
        gradient[base + (channel_group * params.filters + row) * taps + tap] = sum;
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    model = group.z;
    let taps = params.channels * params.kernel_height * params.kernel_width;
    let tile = row_by_row(linear_group(group, groups), pieces(taps, TILE_N));
    let blocks = pieces(params.filters, TILE_M);
    let split = tile.y / blocks / params.groups;
    let bands = pieces(params.output_height, params.split_rows);
    // Browsers see no private variable as uniform, so branches around barriers are on values that never were in one.
    let first_image = split / bands * params.split_images;
    // Behind the last split there is nothing to sum, and no place for the sum.
    if first_image >= params.batch {
        return;
    }
    let images = min(params.split_images, params.batch - first_image);
    let first_line = split % bands * params.split_rows;
    let lines = min(params.split_rows, params.output_height - first_line);
    let depth = images * lines * params.output_width;
    channel_group = tile.y / blocks % params.groups;
    split_image = first_image;
    split_pixel = first_line * params.output_width;
    split_band = lines * params.output_width;
    split_depth = depth;
    base = model * params.parameter_stride + split * params.split_stride;
    let first_row = tile.y % blocks * TILE_M;
    compute_tile(first_row, tile.x * TILE_N, depth, thread);
    if ROW_SUMS == 1u && tile.x == 0u && thread < TILE_M && first_row + thread < params.filters {
        gradient[base + params.bias_offset + channel_group * params.filters + first_row + thread] = row_sum;
    }
}
