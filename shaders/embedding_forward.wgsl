// output[r, i, d] = weight[level of input[r, i], d]
//
// input (models, rows, inputs), output (models, rows, inputs, width); weight (levels, width) at z * parameter_stride.
// A thread per element of the output; grid linear over groups of THREADS, z over models.
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
    let index = linear_group(group, groups) * THREADS + thread;
    let items = params.rows * params.inputs;
    let place = row_by_row(index, params.width);
    if place.y >= items {
        return;
    }
    let level = level_of(input[group.z * items + place.y]);
    output[group.z * items * params.width + index] = weight[group.z * params.parameter_stride + level * params.width + place.x];
}
