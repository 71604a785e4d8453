// input_gradient[n, c, y, x] = activation'(saved[n, c, y, x]) * sum over f, i, j of
//     output_gradient[n, f, (y + pad_top - i) / stride_height, (x + pad_left - j) / stride_width] * weight[f, c, i, j]
// over those i and j whose quotients are whole and inside the output.
//
// As a matrix product without a matrix of patches: rows are channels, columns are input pixels (n, y, x), the depth runs
// over (f, i, j). For many channels; conv2d_backward_input_direct.wgsl does the same for few.
//
// output_gradient (models, batch, filters, output_height, output_width) at this layer's pre-activation, weight (filters,
// channels, kernel_height, kernel_width), saved and input_gradient (models, batch, channels, height, width): what the
// layer before saved, and the gradient at its pre-activation. ACTIVATION is the layer before's. The parameters of model z
// start at z * parameter_stride. Grid: linear over tiles, row by row, z over models.
// include: conv2d_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> input_gradient: array<f32>;

const ACTIVATION = 0u;

// include: activation.wgsl
// include: matmul_tile.wgsl

var<private> model: u32;

fn a_at(channel: u32, k: u32) -> f32 {
    let kernel_area = params.kernel_height * params.kernel_width;
    let filter_ = k / kernel_area;
    if channel < params.channels && filter_ < params.filters {
        let plane = filter_ * params.channels + channel;
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
    let y = place / params.width + params.pad_top - tap / params.kernel_width;
    let x = place % params.width + params.pad_left - tap % params.kernel_width;
    let output_y = y / params.stride_height;
    let output_x = x / params.stride_width;
    let whole = output_y * params.stride_height == y && output_x * params.stride_width == x;
    if !whole || output_y >= params.output_height || output_x >= params.output_width {
        return 0.0;
    }
    let plane = (model * params.batch + image) * params.filters + filter_;
    return output_gradient[(plane * params.output_height + output_y) * params.output_width + output_x];
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
    let first_row = tile.y * TILE_M;
    let first_column = tile.x * TILE_N;
    multiply_tile(first_row, first_column, params.filters * params.kernel_height * params.kernel_width, thread);

    // unroll
    for (var j = 0u; j < THREAD_N; j++) {
        let pixel = first_column + thread % THREADS_N + j * THREADS_N;
        let image = pixel / area;
        // unroll
        for (var i = 0u; i < THREAD_M; i++) {
            let channel = first_row + (thread / THREADS_N) * THREAD_M + i;
            if image < params.batch && channel < params.channels {
                let plane = (model * params.batch + image) * params.channels + channel;
                let index = plane * area + pixel % area;
                var value = sums[i * THREAD_N + j];
                if ACTIVATION != LINEAR {
                    value *= activation_gradient(saved[index], ACTIVATION);
                }
                input_gradient[index] = value;
            }
        }
    }
}
