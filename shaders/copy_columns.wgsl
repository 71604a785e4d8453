// output[r, to_first + i] = input[r, from_first + i] * activation'(saved[r, to_first + i]) for i < len; the rest stays
//
// input (models, rows, from_stride); saved and output (models, rows, to_stride). With ACTIVATION linear it copies a part of
// each row: forward, what goes side by side; backward, the part's gradient, times the derivative of the activation that made
// the part. A thread per copied element; grid linear over groups of 256, z over models.
struct Params {
    rows: u32,
    len: u32,
    from_first: u32,
    from_stride: u32,
    to_first: u32,
    to_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> saved: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

const ACTIVATION = 0u;

// include: activation.wgsl
// include: grid.wgsl

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = row_by_row(linear_group(group, groups) * 256u + thread, params.len);
    if place.y < params.rows {
        let row = group.z * params.rows + place.y;
        let to = row * params.to_stride + params.to_first + place.x;
        var value = input[row * params.from_stride + params.from_first + place.x];
        if ACTIVATION != LINEAR {
            value *= activation_gradient(saved[to], ACTIVATION);
        }
        output[to] = value;
    }
}
