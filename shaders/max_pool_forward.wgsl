// output[p, y, x] = max over the window at (y * stride_height - pad_top, x * stride_width - pad_left) of input[p, row, column]
//
// Only pixels inside the image count; a window with a NaN gives NaN.
//
// input (models, planes, height, width), output (models, planes, output_height, output_width).
// Grid: linear over the output's elements, z over models.
// include: pool_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

const THREADS = 64u;

// include: grid.wgsl
// include: max_window.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = linear_group(group, groups) * THREADS + thread;
    let area = params.output_height * params.output_width;
    if index >= params.planes * area {
        return;
    }
    let plane = group.z * params.planes + index / area;
    let place = index % area;
    let start = plane * params.height * params.width;
    let largest = window_maximum(start, place / params.output_width, place % params.output_width);
    output[group.z * params.planes * area + index] = input[start + largest];
}
