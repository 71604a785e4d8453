// weight_gradient[f, c, i, j] = sum over n, y, x of output_gradient[n, f, y, x] * input[n, c,
//     y * stride_height + i * dilation_height - pad_top, x * stride_width + j * dilation_width - pad_left]
// bias_gradient[f] = sum over n, y, x of output_gradient[n, f, y, x]
//
// The sum is long and its results are few, so it is split: split s sums the images from (s / bands) * split_images on and
// of them the output rows from (s % bands) * split_rows on, bands being ceil(output_height / split_rows). sum_partials.wgsl
// then adds the splits in their order. A thread owns one tap (c, i, j) of COLUMNS filters of a group; the bias is
// one tap more, whose input is 1.
//
// input (models, batch, groups, channels, height, width), output_gradient (models, batch, groups, filters, output_height,
// output_width) at the pre-activation, each group a convolution by itself; sums: the weight's at z * parameter_stride +
// s * split_stride, (groups, filters, channels, kernel_height, kernel_width), the bias's bias_offset further on. Grid: linear over
// groups of taps for each block of filters of each group of each split, z over models.
// include: conv2d_weight_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

const BIAS = 1u;
// 0: every window lies inside its image, so that the loads need no guard.
const PADDED = 1u;
const COLUMNS = 8u;
const THREADS = 64u;

const VECTORS = COLUMNS / 4u;
const PIXELS = 64u;

// include: grid.wgsl

var<workgroup> staged: array<vec4<f32>, PIXELS * VECTORS>;
var<private> totals: array<vec4<f32>, VECTORS>;

fn gradient_at(first: u32, pixel: u32, end: u32, column: u32) -> f32 {
    if pixel < end && column < params.filters {
        return output_gradient[first + column * params.output_height * params.output_width + pixel];
    }
    return 0.0;
}

// The gradients of PIXELS output pixels of one image's group, from `first_pixel` to at most `end`, four filters to a vector.
fn stage_gradients(image: u32, first_pixel: u32, end: u32, first_column: u32, thread: u32) {
    let first = image * params.filters * params.output_height * params.output_width;
    for (var i = thread; i < PIXELS * VECTORS; i += THREADS) {
        let pixel = first_pixel + i % PIXELS;
        let column = first_column + (i / PIXELS) * 4u;
        staged[(i % PIXELS) * VECTORS + i / PIXELS] = vec4<f32>(
            gradient_at(first, pixel, end, column),
            gradient_at(first, pixel, end, column + 1u),
            gradient_at(first, pixel, end, column + 2u),
            gradient_at(first, pixel, end, column + 3u),
        );
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let model = group.z;
    let kernel_area = params.kernel_height * params.kernel_width;
    let taps = params.channels * kernel_area;
    // The bias is one tap more.
    let place = row_by_row(linear_group(group, groups), taps / THREADS + 1u);
    let blocks = pieces(params.filters, COLUMNS);
    let first_column = (place.y % blocks) * COLUMNS;
    let channel_group = place.y / blocks % params.groups;
    let split = place.y / blocks / params.groups;
    let bands = pieces(params.output_height, params.split_rows);
    let first_image = (split / bands) * params.split_images;
    // Behind the last split there is nothing to sum, and no place for the sum.
    if first_image >= params.batch {
        return;
    }
    let last_image = min(first_image + params.split_images, params.batch);
    let first_row = (split % bands) * params.split_rows;
    let last_row = min(first_row + params.split_rows, params.output_height);

    let tap = place.x * THREADS + thread;
    let real = tap < taps;
    // Threads without a tap read where tap 0 does.
    let own = select(0u, tap, real);
    let channel = own / kernel_area;
    let i = own % kernel_area / params.kernel_width * params.dilation_height;
    let j = own % params.kernel_width * params.dilation_width;
    for (var v = 0u; v < VECTORS; v++) {
        totals[v] = vec4<f32>(0.0);
    }

    for (var image = first_image; image < last_image; image++) {
        let in_model = (image * params.groups + channel_group) * params.channels + channel;
        let plane = model * params.input_stride + in_model * params.height * params.width;
        let of_gradients = (model * params.batch + image) * params.groups + channel_group;
        // Above and left of the image these wrap around to huge numbers.
        var y = first_row * params.stride_height + i - params.pad_top;
        var x = j - params.pad_left;
        let end = last_row * params.output_width;
        for (var first = first_row * params.output_width; first < end; first += PIXELS) {
            workgroupBarrier();
            stage_gradients(of_gradients, first, end, first_column, thread);
            workgroupBarrier();
            let count = min(PIXELS, end - first);
            for (var p = 0u; p < count; p++) {
                var value = 1.0;
                if real {
                    value = 0.0;
                    if PADDED == 0u || (y < params.height && x < params.width) {
                        value = input[plane + y * params.width + x];
                    }
                }
                for (var v = 0u; v < VECTORS; v++) {
                    totals[v] += value * staged[p * VECTORS + v];
                }
                x += params.stride_width;
                if x == params.output_width * params.stride_width + j - params.pad_left {
                    x = j - params.pad_left;
                    y += params.stride_height;
                }
            }
        }
    }

    let base = model * params.parameter_stride + split * params.split_stride;
    for (var v = 0u; v < COLUMNS; v++) {
        let column = first_column + v;
        let filter_ = channel_group * params.filters + column;
        if column < params.filters && real {
            sums[base + filter_ * taps + tap] = totals[v / 4u][v % 4u];
        }
        if column < params.filters && BIAS == 1u && tap == taps {
            sums[base + params.bias_offset + filter_] = totals[v / 4u][v % 4u];
        }
    }
}
