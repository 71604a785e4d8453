// output[r] = the numbers of input[r], then for each of its other values i and each d: weight[level of input[r, i], d], 0 where it
// is none
//
// input (models, rows, numbers + inputs), output (models, rows, numbers + inputs * width); weight (levels, width) at
// z * parameter_stride. A thread per element of the output; grid linear over groups of THREADS, z over models.
// include: embedding.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

const THREADS = 64u;

// include: grid.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = row_by_row(linear_group(group, groups) * THREADS + thread, outputs());
    if place.y >= params.rows {
        return;
    }
    let row = group.z * params.rows + place.y;
    output[row_of_outputs(row) + place.x] = output_of(row, place.x, group.z * params.parameter_stride);
}

fn output_of(row: u32, column: u32, table: u32) -> f32 {
    let values = row_of_values(row);
    if column < params.numbers {
        return input[values + column];
    }
    let place = row_by_row(column - params.numbers, params.width);
    let value = input[values + params.numbers + place.y];
    if value < 0.0 {
        return 0.0;
    }
    return weight[table + level_of(value) * params.width + place.x];
}
