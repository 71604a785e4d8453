// input_gradient[n, c, y, x] = activation'(saved[n, c, y, x]) * sum over f, i, j of weight[f, i, j] * output_gradient[n, f,
//     (y + pad_top - i * dilation_height) / stride_height, (x + pad_left - j * dilation_width) / stride_width]
// over the filters f of the channel, and those i and j whose quotients are whole and inside the output.
//
// For filters that see one channel each: channels is 1, so that c is the group. A thread computes one pixel.
//
// output_gradient (models, batch, groups, filters, output_height, output_width) at this layer's pre-activation, weight (groups,
// filters, channels, kernel_height, kernel_width), input_gradient (models, batch, groups, channels, height, width) and what the
// layer before saved of it, whose activation is ACTIVATION; each group is a convolution by itself. The parameters of model z
// start at z * parameter_stride. Without GRADIENT it is a transposed convolution forward (see conv2d_epilogue.wgsl). Grid:
// linear over groups of THREADS results, z over models.
// include: conv2d_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias_or_saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> input_gradient: array<f32>;

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
    let area = params.height * params.width;
    let place = row_by_row(linear_group(group, groups) * THREADS + thread, area);
    let planes = params.batch * params.groups;
    if place.y >= planes {
        return;
    }
    let channel = place.y % params.groups;
    let output_area = params.output_height * params.output_width;
    var plane = (model * planes + place.y) * params.filters * output_area;
    var at = model * params.parameter_stride + channel * params.filters * params.kernel_height * params.kernel_width;
    var sum = 0.0;
    for (var filter_ = 0u; filter_ < params.filters; filter_++) {
        // Below zero these wrap around to huge numbers, and so do their quotients.
        var y = place.x / params.width + params.pad_top;
        for (var i = 0u; i < params.kernel_height; i++) {
            let row = y / params.stride_height;
            let is_row = row < params.output_height && row * params.stride_height == y;
            var x = place.x % params.width + params.pad_left;
            for (var j = 0u; j < params.kernel_width; j++) {
                let column = x / params.stride_width;
                if is_row && column < params.output_width && column * params.stride_width == x {
                    sum += output_gradient[plane + row * params.output_width + column] * weight[at];
                }
                x -= params.dilation_width;
                at++;
            }
            y -= params.dilation_height;
        }
        plane += output_area;
    }
    let index = (model * planes + place.y) * area + place.x;
    input_gradient[index] = finished(sum, model, channel, index);
}
