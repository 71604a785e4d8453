// output[r, c] = exp(input[r, c]) / sum over k of exp(input[r, k])
//
// input, output (models, rows, classes). A row with a NaN or infinite input gives NaN. Grid: linear over groups of rows,
// z over models.
struct Params {
    rows: u32,
    classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

// include: grid.wgsl
// include: math.wgsl
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

    var own = Largest(LOWEST, NONE);
    for (var c = lane; c < columns; c += LANES) {
        own = see(own, input[first + c], c);
    }
    let largest = row_largest(own, thread);
    var own_sum = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        own_sum += exp_of(input[first + c] - largest.value);
    }
    let sum = row_sum(own_sum, thread);
    for (var c = lane; c < columns; c += LANES) {
        let value = exp_of(input[first + c] - largest.value) / sum;
        output[first + c] = select(value, not_a_number(c), largest.column == INVALID);
    }
}
