// output[p, y, x] = mean over the window at (y * stride_height - pad_top, x * stride_width - pad_left) of input[p, row, column]
//
// Only pixels inside the image count, as in Keras: a window that reaches over the edge divides by fewer pixels.
//
// input (models, planes, height, width), output (models, planes, output_height, output_width). A thread sums every
// LANES-th pixel of a window; the lanes are then added in their order. LANES is 1 for small windows, and all of a
// workgroup for a mean over whole images. Grid: linear over groups of THREADS / LANES outputs, z over models.
// include: pool_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

const LANES = 1u;
const THREADS = 64u;

// include: grid.wgsl

var<workgroup> lane_sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = linear_group(group, groups) * (THREADS / LANES) + thread / LANES;
    let lane = thread % LANES;
    let area = params.output_height * params.output_width;
    let inside = index < params.planes * area;
    // A thread past the end sums the first window again and stores nothing.
    let own = select(0u, index, inside);
    let place = own % area;
    let start = (group.z * params.planes + own / area) * params.height * params.width;
    let rows = window_range(
        place / params.output_width, params.stride_height, params.pad_top, params.size_height, params.height);
    let columns = window_range(
        place % params.output_width, params.stride_width, params.pad_left, params.size_width, params.width);
    let width = columns.y - columns.x;
    let count = (rows.y - rows.x) * width;
    var sum = 0.0;
    for (var i = lane; i < count; i += LANES) {
        sum += input[start + (rows.x + i / width) * params.width + columns.x + i % width];
    }
    lane_sums[thread] = sum;
    workgroupBarrier();
    if lane == 0u && inside {
        for (var l = 1u; l < LANES; l++) {
            sum += lane_sums[thread + l];
        }
        output[group.z * params.planes * area + index] = sum / f32(count);
    }
}
