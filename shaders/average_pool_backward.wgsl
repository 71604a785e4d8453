// input_gradient[p, y, x] = activation'(saved[p, y, x]) * sum of output_gradient[p, window] / pixels(window)
// over the windows that cover (y, x); pixels(window) counts those inside the image
//
// output_gradient (models, planes, output_height, output_width), saved and input_gradient (models, planes, height, width):
// what the layer before saved, and the gradient at its pre-activation. ACTIVATION is the layer before's. Each pixel
// gathers, so that every sum has one order. Grid: linear over the input's elements, z over models.
// include: pool_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> saved: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

const ACTIVATION = 0u;
const THREADS = 64u;

// include: activation.wgsl
// include: grid.wgsl

fn pixels(row: u32, column: u32) -> f32 {
    let rows = window_range(row, params.stride_height, params.pad_top, params.size_height, params.height);
    let columns = window_range(column, params.stride_width, params.pad_left, params.size_width, params.width);
    return f32((rows.y - rows.x) * (columns.y - columns.x));
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = linear_group(group, groups) * THREADS + thread;
    let area = params.height * params.width;
    if index >= params.planes * area {
        return;
    }
    let plane = group.z * params.planes + index / area;
    let place = index % area;
    let y = place / params.width;
    let x = place % params.width;
    let rows = windows_covering(y, params.stride_height, params.pad_top, params.size_height, params.output_height);
    let columns = windows_covering(x, params.stride_width, params.pad_left, params.size_width, params.output_width);
    var sum = 0.0;
    for (var row = rows.x; row < rows.y; row++) {
        for (var column = columns.x; column < columns.y; column++) {
            let gradient = output_gradient[(plane * params.output_height + row) * params.output_width + column];
            sum += gradient / pixels(row, column);
        }
    }
    if ACTIVATION != LINEAR {
        sum *= activation_gradient(saved[plane * area + place], ACTIVATION);
    }
    input_gradient[plane * area + place] = sum;
}
