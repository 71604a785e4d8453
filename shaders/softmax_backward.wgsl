// input_gradient[r, c] = y[r, c] * (dy[r, c] - sum over k of y[r, k] dy[r, k])
//
// y is softmax's output, dy its gradient; all (models, rows, classes). Grid: linear over groups of rows, z over models.
struct Params {
    rows: u32,
    classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> output: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

// include: grid.wgsl
// include: rows.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = linear_group(group, groups) * ROWS + thread / LANES;
    let lane = thread % LANES;
    let first = (group.z * params.rows + row) * params.classes;
    let columns = select(0u, params.classes, row < params.rows);

    var own = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        own += output[first + c] * output_gradient[first + c];
    }
    let mean = row_sum(own, thread);
    for (var c = lane; c < columns; c += LANES) {
        input_gradient[first + c] = output[first + c] * (output_gradient[first + c] - mean);
    }
}
