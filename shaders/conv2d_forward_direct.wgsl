// output[n, f, y, x] = activation(bias[f] + sum over c, i, j of input[n, c, y * stride_height + i * dilation_height - pad_top,
//     x * stride_width + j * dilation_width - pad_left] * weight[f, c, i, j])
//
// For few filters: a thread keeps COLUMNS filters of PIXELS output pixels in registers and walks over the taps (c, i, j)
// by counting, so that no index is ever divided inside the loop.
//
// input (models, batch, groups, channels, height, width), weight (groups, filters, channels, kernel_height, kernel_width), output
// (models, batch, groups, filters, output_height, output_width), each group a convolution by itself; the parameters of model z
// start at z * parameter_stride, its input at z * input_stride. With GRADIENT it is a transposed convolution backward to its input
// (see conv2d_epilogue.wgsl). Grid: linear over groups of pixels for each block of filters of each group, z over models.
// include: conv2d_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias_or_saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

// 0: every window lies inside its image, so that the loads need no guard.
const PADDED = 1u;
const PIXELS = 2u;
// 1: results are stored in loops that are written out, so that their sums stay in registers.
const UNROLL = 0u;

// include: conv2d_epilogue.wgsl
// include: direct_weights.wgsl
// include: grid.wgsl

var<private> model: u32;
var<private> channel_group: u32;
var<private> sums: array<vec4<f32>, PIXELS * VECTORS>;
// Of each pixel: its image's first element in `input`, and its window's corner, which wraps around above and left of it.
var<private> starts: array<u32, PIXELS>;
var<private> tops: array<u32, PIXELS>;
var<private> lefts: array<u32, PIXELS>;

fn weight_at(tap: u32, column: u32) -> f32 {
    let taps = params.channels * params.kernel_height * params.kernel_width;
    if tap < taps && column < params.filters {
        return weight[model * params.parameter_stride + (channel_group * params.filters + column) * taps + tap];
    }
    return 0.0;
}

fn locate(first_pixel: u32) {
    let area = params.output_height * params.output_width;
    for (var p = 0u; p < PIXELS; p++) {
        // A pixel past the end computes the last one again and stores nothing.
        let pixel = min(first_pixel + p * THREADS, params.batch * area - 1u);
        let place = pixel % area;
        let planes = (pixel / area * params.groups + channel_group) * params.channels;
        starts[p] = model * params.input_stride + planes * params.height * params.width;
        tops[p] = (place / params.output_width) * params.stride_height - params.pad_top;
        lefts[p] = (place % params.output_width) * params.stride_width - params.pad_left;
    }
}

fn input_at(p: u32, channel: u32, i: u32, j: u32) -> f32 {
    let y = tops[p] + i;
    let x = lefts[p] + j;
    if PADDED == 1u && (y >= params.height || x >= params.width) {
        return 0.0;
    }
    return input[starts[p] + (channel * params.height + y) * params.width + x];
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    model = group.z;
    let pixels = params.batch * params.output_height * params.output_width;
    let place = row_by_row(linear_group(group, groups), pieces(pixels, THREADS * PIXELS));
    let first_pixel = place.x * THREADS * PIXELS + thread;
    let blocks = pieces(params.filters, COLUMNS);
    // Behind the last group there is nothing to compute.
    if place.y >= params.groups * blocks {
        return;
    }
    channel_group = place.y / blocks;
    let first_column = place.y % blocks * COLUMNS;
    let taps = params.channels * params.kernel_height * params.kernel_width;
    locate(first_pixel);
    for (var i = 0u; i < PIXELS * VECTORS; i++) {
        sums[i] = vec4<f32>(0.0);
    }

    var channel = 0u;
    var i = 0u;
    var j = 0u;
    for (var first_tap = 0u; first_tap < taps; first_tap += TAPS) {
        workgroupBarrier();
        stage_weights(first_tap, first_column, thread);
        workgroupBarrier();
        let count = min(TAPS, taps - first_tap);
        for (var tap = 0u; tap < count; tap++) {
            for (var p = 0u; p < PIXELS; p++) {
                let value = input_at(p, channel, i, j);
                for (var v = 0u; v < VECTORS; v++) {
                    sums[p * VECTORS + v] += value * staged[tap * VECTORS + v];
                }
            }
            j += params.dilation_width;
            if j == params.kernel_width * params.dilation_width {
                j = 0u;
                i += params.dilation_height;
                if i == params.kernel_height * params.dilation_height {
                    i = 0u;
                    channel++;
                }
            }
        }
    }
    store(first_pixel, first_column);
}

fn store(first_pixel: u32, first_column: u32) {
    let area = params.output_height * params.output_width;
    // unroll
    for (var p = 0u; p < PIXELS; p++) {
        let pixel = first_pixel + p * THREADS;
        let image = pixel / area;
        // unroll
        for (var v = 0u; v < COLUMNS; v++) {
            let column = first_column + v;
            if image < params.batch && column < params.filters {
                let channel = channel_group * params.filters + column;
                let plane = (model * params.batch + image) * params.groups * params.filters + channel;
                let index = plane * area + pixel % area;
                output[index] = finished(sums[p * VECTORS + v / 4u][v % 4u], model, channel, index);
            }
        }
    }
}
