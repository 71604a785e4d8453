// input_gradient[p, y, x] = activation'(saved[p, y, x]) * sum of output_gradient[p, window]
// over the windows whose first largest pixel is (y, x)
//
// Each input pixel gathers from the windows that cover it and finds their maxima again, so that nothing is stored in the
// forward pass and every sum has one order. Where a window is the whole image (LANES = THREADS), a workgroup takes a plane: it
// finds the one maximum once, and no pixel looks for it again.
//
// input, saved and input_gradient (models, planes, height, width): the pooling's input, what the layer before saved (the
// same, or its pre-activation), and the gradient at its pre-activation; output_gradient (models, planes, output_height,
// output_width). ACTIVATION is the layer before's. Grid: linear over the input's elements, or over its planes where
// LANES = THREADS, z over models.
// include: pool_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read> saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> input_gradient: array<f32>;

const ACTIVATION = 0u;
const LANES = 1u;
const THREADS = 64u;

// include: activation.wgsl
// include: grid.wgsl
// include: max_window.wgsl

fn store(at: u32, sum: f32) {
    var gradient = sum;
    if ACTIVATION != LINEAR {
        gradient *= activation_gradient(saved[at], ACTIVATION);
    }
    input_gradient[at] = gradient;
}

// One pixel's sum over the windows that cover it.
fn of_pixel(index: u32, model: u32) {
    let area = params.height * params.width;
    if index >= params.planes * area {
        return;
    }
    let plane = model * params.planes + index / area;
    let place = index % area;
    let y = place / params.width;
    let x = place % params.width;
    let rows = windows_covering(y, params.stride_height, params.pad_top, params.size_height, params.output_height);
    let columns = windows_covering(x, params.stride_width, params.pad_left, params.size_width, params.output_width);
    var sum = 0.0;
    for (var row = rows.x; row < rows.y; row++) {
        for (var column = columns.x; column < columns.y; column++) {
            if window_maximum(plane * area, row, column) == place {
                sum += output_gradient[(plane * params.output_height + row) * params.output_width + column];
            }
        }
    }
    store(plane * area + place, sum);
}

// All pixels of a plane whose one window is the whole of it.
fn of_plane(plane_of_model: u32, model: u32, thread: u32) {
    let area = params.height * params.width;
    // A workgroup past the end takes the first plane and stores nothing.
    let inside = plane_of_model < params.planes;
    let plane = model * params.planes + select(0u, plane_of_model, inside);
    let largest = shared_window_maximum(plane * area, 0u, 0u, thread);
    if !inside {
        return;
    }
    for (var place = thread; place < area; place += THREADS) {
        store(plane * area + place, select(0.0, output_gradient[plane], place == largest));
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = linear_group(group, groups);
    if LANES == THREADS {
        of_plane(place, group.z, thread);
    } else {
        of_pixel(place * THREADS + thread, group.z);
    }
}
