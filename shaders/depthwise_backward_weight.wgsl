// weight_gradient[f, i, j] = sum over n, y, x of output_gradient[n, f, y, x] * input[n, c,
//     y * stride_height + i * dilation_height - pad_top, x * stride_width + j * dilation_width - pad_left]
// bias_gradient[f] = sum over n, y, x of output_gradient[n, f, y, x]
//
// The sum is long and its results are few, so it is split: split s sums the images from (s / bands) * split_images on and
// of them the output rows from (s % bands) * split_rows on, bands being ceil(output_height / split_rows). sum_partials.wgsl
// then adds the splits in their order. For filters that see one channel each: channels is 1, so that c
// is the filter's group. A workgroup sums TAPS taps (i, j) of one filter, each thread every THREADS-th pixel; the bias is one tap
// more, whose input is 1.
//
// input (models, batch, groups, channels, height, width), output_gradient (models, batch, groups, filters, output_height,
// output_width) at the pre-activation, each group a convolution by itself; sums: the weight's at z * parameter_stride +
// s * split_stride, (groups, filters, channels, kernel_height, kernel_width), the bias's bias_offset further on. Grid: linear over
// groups of taps for each filter of each split, z over models.
// include: conv2d_weight_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

const BIAS = 1u;
const TAPS = 10u;
const THREADS = 64u;
const REDUCE_THREADS = THREADS;

// include: grid.wgsl
// include: reduce.wgsl

var<private> totals: array<f32, TAPS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let model = group.z;
    let kernel_area = params.kernel_height * params.kernel_width;
    // The bias is one tap more.
    let place = row_by_row(linear_group(group, groups), pieces(kernel_area + 1u, TAPS));
    let first_tap = place.x * TAPS;
    let filters = params.groups * params.filters;
    let filter_ = place.y % filters;
    let split = place.y / filters;
    let bands = pieces(params.output_height, params.split_rows);
    let first_image = split / bands * params.split_images;
    // Behind the last split there is nothing to sum, and no place for the sum.
    if first_image >= params.batch {
        return;
    }
    let last_image = min(first_image + params.split_images, params.batch);
    let first_row = split % bands * params.split_rows;
    let last_row = min(first_row + params.split_rows, params.output_height);
    let band = (last_row - first_row) * params.output_width;
    let pixels = (last_image - first_image) * band;

    let area = params.height * params.width;
    let output_area = params.output_height * params.output_width;
    for (var pixel = thread; pixel < pixels; pixel += THREADS) {
        let image = first_image + pixel / band;
        let at = first_row * params.output_width + pixel % band;
        let gradient = output_gradient[((model * params.batch + image) * filters + filter_) * output_area + at];
        let plane = model * params.input_stride + (image * params.groups + filter_ / params.filters) * area;
        // Above and left of the image these wrap around to huge numbers.
        let left = at % params.output_width * params.stride_width - params.pad_left;
        let top = at / params.output_width * params.stride_height - params.pad_top;
        var y = top + first_tap / params.kernel_width * params.dilation_height;
        var j = first_tap % params.kernel_width;
        for (var t = 0u; t < TAPS; t++) {
            var value = 1.0;
            if first_tap + t < kernel_area {
                value = 0.0;
                let x = left + j * params.dilation_width;
                if y < params.height && x < params.width {
                    value = input[plane + y * params.width + x];
                }
            }
            totals[t] += gradient * value;
            j++;
            if j == params.kernel_width {
                j = 0u;
                y += params.dilation_height;
            }
        }
    }

    let base = model * params.parameter_stride + split * params.split_stride;
    for (var t = 0u; t < TAPS; t++) {
        let total = workgroup_sum(totals[t], thread);
        let tap = first_tap + t;
        if thread == 0u && tap < kernel_area {
            sums[base + filter_ * kernel_area + tap] = total;
        }
        if thread == 0u && BIAS == 1u && tap == kernel_area {
            sums[base + params.bias_offset + filter_] = total;
        }
    }
}
