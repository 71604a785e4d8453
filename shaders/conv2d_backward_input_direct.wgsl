// input_gradient[n, c, y, x] = activation'(saved[n, c, y, x]) * sum over f, i, j of weight[f, c, i, j] * output_gradient[n, f,
//     (y + pad_top - i * dilation_height) / stride_height, (x + pad_left - j * dilation_width) / stride_width]
// over those i and j whose quotients are whole and inside the output.
//
// For few channels: a thread keeps COLUMNS channels of PIXELS input pixels in registers and walks over the taps (f, i, j)
// by counting; with stride 1 no index is divided inside the loop.
//
// output_gradient (models, batch, groups, filters, output_height, output_width) at this layer's pre-activation, weight (groups,
// filters, channels, kernel_height, kernel_width), input_gradient (models, batch, groups, channels, height, width) and what the
// layer before saved of it, whose activation is ACTIVATION; each group is a convolution by itself. The parameters of model z
// start at z * parameter_stride. Without GRADIENT it is a transposed convolution forward (see conv2d_epilogue.wgsl). Grid:
// linear over groups of pixels for each block of channels of each group, z over models.
// include: conv2d_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias_or_saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> input_gradient: array<f32>;

// 0: both strides are 1.
const STRIDED = 1u;
const PIXELS = 2u;
// 1: results are stored in loops that are written out, so that their sums stay in registers.
const UNROLL = 0u;

// include: conv2d_epilogue.wgsl
// include: direct_weights.wgsl
// include: grid.wgsl

var<private> model: u32;
var<private> channel_group: u32;
var<private> sums: array<vec4<f32>, PIXELS * VECTORS>;
// Of each pixel: its image's first element in `output_gradient`, and its place in the padded image.
var<private> starts: array<u32, PIXELS>;
var<private> rows: array<u32, PIXELS>;
var<private> columns: array<u32, PIXELS>;

fn weight_at(tap: u32, column: u32) -> f32 {
    let kernel_area = params.kernel_height * params.kernel_width;
    let filter_ = tap / kernel_area;
    if filter_ < params.filters && column < params.channels {
        let plane = (channel_group * params.filters + filter_) * params.channels + column;
        return weight[model * params.parameter_stride + plane * kernel_area + tap % kernel_area];
    }
    return 0.0;
}

fn locate(first_pixel: u32) {
    let area = params.height * params.width;
    let output_area = params.output_height * params.output_width;
    for (var p = 0u; p < PIXELS; p++) {
        // A pixel past the end computes the last one again and stores nothing.
        let pixel = min(first_pixel + p * THREADS, params.batch * area - 1u);
        let place = pixel % area;
        let image = model * params.batch + pixel / area;
        starts[p] = (image * params.groups + channel_group) * params.filters * output_area;
        rows[p] = place / params.width + params.pad_top;
        columns[p] = place % params.width + params.pad_left;
    }
}

fn gradient_at(p: u32, filter_: u32, i: u32, j: u32) -> f32 {
    // Below zero these wrap around to huge numbers, and so do their quotients.
    var y = rows[p] - i;
    var x = columns[p] - j;
    if STRIDED == 1u {
        let whole = y % params.stride_height == 0u && x % params.stride_width == 0u;
        y = select(params.output_height, y / params.stride_height, whole);
        x = x / params.stride_width;
    }
    if y >= params.output_height || x >= params.output_width {
        return 0.0;
    }
    return output_gradient[starts[p] + (filter_ * params.output_height + y) * params.output_width + x];
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    model = group.z;
    let pixels = params.batch * params.height * params.width;
    let place = row_by_row(linear_group(group, groups), pieces(pixels, THREADS * PIXELS));
    let first_pixel = place.x * THREADS * PIXELS + thread;
    let blocks = pieces(params.channels, COLUMNS);
    // Behind the last group there is nothing to compute.
    if place.y >= params.groups * blocks {
        return;
    }
    channel_group = place.y / blocks;
    let first_column = place.y % blocks * COLUMNS;
    let taps = params.filters * params.kernel_height * params.kernel_width;
    locate(first_pixel);
    for (var i = 0u; i < PIXELS * VECTORS; i++) {
        sums[i] = vec4<f32>(0.0);
    }

    var filter_ = 0u;
    var i = 0u;
    var j = 0u;
    for (var first_tap = 0u; first_tap < taps; first_tap += TAPS) {
        workgroupBarrier();
        stage_weights(first_tap, first_column, thread);
        workgroupBarrier();
        let count = min(TAPS, taps - first_tap);
        for (var tap = 0u; tap < count; tap++) {
            for (var p = 0u; p < PIXELS; p++) {
                let value = gradient_at(p, filter_, i, j);
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
                    filter_++;
                }
            }
        }
    }
    store(first_pixel, first_column);
}

fn store(first_pixel: u32, first_column: u32) {
    let area = params.height * params.width;
    // unroll
    for (var p = 0u; p < PIXELS; p++) {
        let pixel = first_pixel + p * THREADS;
        let image = pixel / area;
        // unroll
        for (var v = 0u; v < COLUMNS; v++) {
            let column = first_column + v;
            if image < params.batch && column < params.channels {
                let channel = channel_group * params.channels + column;
                let plane = (model * params.batch + image) * params.groups * params.channels + channel;
                let index = plane * area + pixel % area;
                input_gradient[index] = finished(sums[p * VECTORS + v / 4u][v % 4u], model, channel, index);
            }
        }
    }
}
