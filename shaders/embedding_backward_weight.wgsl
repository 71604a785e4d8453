// gradient[l, d] = sum of output_gradient[r, i, d] where input[r, i] is level l, in the order of the values (r, i)
//
// input (models, rows, numbers + inputs), of which the numbers are passed over; output_gradient (models, rows, numbers +
// inputs * width): 0 in rows past the end of the epoch; gradient (levels, width) at z * parameter_stride. A thread per element of
// the gradient goes through all values, so that each sum has one order; grid linear over groups of THREADS, z over models.
// include: embedding.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;

const THREADS = 64u;

// include: grid.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = linear_group(group, groups) * THREADS + thread;
    let place = row_by_row(index, params.width);
    if place.y >= params.levels {
        return;
    }
    var sum = 0.0;
    for (var row = group.z * params.rows; row < (group.z + 1u) * params.rows; row++) {
        let values = row_of_values(row) + params.numbers;
        let gradients = row_of_outputs(row) + params.numbers + place.x;
        for (var i = 0u; i < params.inputs; i++) {
            let value = input[values + i];
            if value >= 0.0 && level_of(value) == place.y {
                sum += output_gradient[gradients + i * params.width];
            }
        }
    }
    gradient[group.z * params.parameter_stride + index] = sum;
}
