// output[p, y, x] = max over the window at (y * stride_height - pad_top, x * stride_width - pad_left) of input[p, row, column]
//
// Only pixels inside the image count; a window with a NaN gives NaN.
//
// input (models, planes, height, width), output (models, planes, output_height, output_width). LANES is 1 for small windows, and
// all of a workgroup for whole images. Grid: linear over groups of THREADS / LANES outputs, z over models.
// include: pool_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

const LANES = 1u;
const THREADS = 64u;

// include: grid.wgsl
// include: max_window.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = linear_group(group, groups) * (THREADS / LANES) + thread / LANES;
    let area = params.output_height * params.output_width;
    let inside = index < params.planes * area;
    // A thread past the end takes the first window and stores nothing.
    let own = select(0u, index, inside);
    let place = own % area;
    let start = (group.z * params.planes + own / area) * params.height * params.width;
    let y = place / params.output_width;
    let x = place % params.output_width;
    var largest: u32;
    if LANES == 1u {
        largest = window_maximum(start, y, x);
    } else {
        largest = shared_window_maximum(start, y, x, thread);
    }
    if thread % LANES == 0u && inside {
        output[group.z * params.planes * area + index] = input[start + largest];
    }
}
