// output[n, f, y, x] = activation(bias[f] + sum over i, j of input[n, c, y * stride_height + i * dilation_height - pad_top,
//     x * stride_width + j * dilation_width - pad_left] * weight[f, i, j])
//
// For filters that see one channel each: channels is 1, so that c is the filter's group. A thread computes one pixel.
//
// input (models, batch, groups, channels, height, width), weight (groups, filters, channels, kernel_height, kernel_width), output
// (models, batch, groups, filters, output_height, output_width), each group a convolution by itself; the parameters of model z
// start at z * parameter_stride, its input at z * input_stride. With GRADIENT it is a transposed convolution backward to its input
// (see conv2d_epilogue.wgsl). Grid: linear over groups of THREADS results, z over models.
// include: conv2d_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias_or_saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

const THREADS = 64u;

// include: conv2d_epilogue.wgsl
// include: grid.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let model = group.z;
    let area = params.output_height * params.output_width;
    let place = row_by_row(linear_group(group, groups) * THREADS + thread, area);
    let planes = params.batch * params.groups * params.filters;
    if place.y >= planes {
        return;
    }
    let filter_ = place.y % (params.groups * params.filters);
    let plane = model * params.input_stride + place.y / params.filters * params.height * params.width;
    // Left of or above the image these wrap around to huge numbers, so that one comparison catches both edges.
    var y = place.x / params.output_width * params.stride_height - params.pad_top;
    let left = place.x % params.output_width * params.stride_width - params.pad_left;
    var at = model * params.parameter_stride + filter_ * params.kernel_height * params.kernel_width;
    var sum = 0.0;
    for (var i = 0u; i < params.kernel_height; i++) {
        var x = left;
        for (var j = 0u; j < params.kernel_width; j++) {
            if y < params.height && x < params.width {
                sum += input[plane + y * params.width + x] * weight[at];
            }
            x += params.dilation_width;
            at++;
        }
        y += params.dilation_height;
    }
    let index = (model * planes + place.y) * area + place.x;
    output[index] = finished(sum, model, filter_, index);
}
